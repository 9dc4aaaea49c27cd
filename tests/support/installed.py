"""Environments beside the one that the tests run in, and the program installed there by pip.

Nothing is downloaded: pip is given a wheel of what is installed here, and libraries are found here.
"""

import importlib.util
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import ecr_credential_helper
from tests.support import needs

NAME = "docker-credential-ecr"
PACKAGE = Path(ecr_credential_helper.__file__).parent
OFFLINE = (
    *("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"),
    "--ignore-installed",  # ours, which the new environment finds too
)


def environment(directory: Path, *, bare: bool = False) -> tuple[Path, Path]:
    """Make a virtual environment that finds what this one has; return its Python and its modules.

    Those in the directory of its modules come before ours. A `bare` one finds nothing of ours.
    Lines of a .pth file are plain paths, so its Python starts as fast as any.
    """
    venv.create(directory, symlinks=True)
    bases = {"base": str(directory), "platbase": str(directory)}
    python = Path(sysconfig.get_path("scripts", "venv", bases)) / "python"
    site = Path(sysconfig.get_path("purelib", "venv", bases))
    own = search_path(python)
    found = [path for path in search_path(sys.executable) if path not in own]
    if not bare:
        (site / "installed.pth").write_text("".join(f"{path}\n" for path in found))
    return python, site


def search_path(python: str | Path) -> list[str]:
    """Return where a Python finds modules, apart from the current directory."""
    program = "import sys; print(*sys.path, sep='\\n')"
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


def script_for(python: str | Path, script: str) -> str:
    """Return a script that pip or uv wrote for another Python.

    A path with a space, or one that is longer than a shebang may be (127 bytes on an old kernel),
    is for a shell.
    """
    body = script.partition("\n' '''\n")[2] or script.partition("\n")[2]
    if " " in str(python) or len(str(python)) > 120:
        return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n{body}"
    return f"#!{python}\n{body}"


def pip_install(python: Path, directory: Path, *options: str) -> None:
    """Install the program, without its libraries, for a Python; `directory` is for the wheel."""
    if importlib.util.find_spec("pip") is None:
        needs.lacking("missing: pip in this environment (python -m ensurepip)")
    wheel = _wheel(directory)
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *OFFLINE]
    done = subprocess.run(
        [*command, *options, str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _wheel(directory: Path) -> Path:
    """Pack the modules and the metadata that are installed here into a wheel."""
    ours = metadata.distribution("ecr-credential-helper")
    stem = f"ecr_credential_helper-{ours.version}"
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(PACKAGE.rglob("*.py")):
            archive.write(file, file.relative_to(PACKAGE.parent))
        for name in ("METADATA", "WHEEL", "entry_points.txt"):
            archive.writestr(f"{stem}.dist-info/{name}", ours.read_text(name) or "")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return path

"""Installed on Windows: pip leaves a program that Docker can run, and one wheel serves all systems.

Docker looks for `docker-credential-ecr.exe`. Of an entry point pip makes one there: a launcher,
the path of its Python, and the script. Here pip's own code does so, told that this is Windows;
`make windows-test` lets pip itself do it, by a Python for Windows.
"""

import io
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from ecr_credential_helper import __version__
from tests.support import needs

NAME = "docker-credential-ecr"
PYTHON = r"C:\Users\you\venv\Scripts\python.exe"

# As pip does where it installs a wheel. What looks at the system is imported first or, with the
# launchers, when this is Windows.
AS_PIP_DOES = """\
import os, sys
import pip._vendor.distlib.util
os.name = "nt"
import pip._vendor.distlib.scripts
os.name = "posix"
from pip._internal.operations.install.wheel import PipScriptMaker
os.name = "nt"
maker = PipScriptMaker(None, sys.argv[1])
maker.clobber, maker.variants, maker.executable = True, {""}, sys.argv[2]
maker.make(sys.argv[3])
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return the one file that a Windows installation has for Docker."""
    needs.module("pip", "test")
    (point,) = metadata.distribution("ecr-credential-helper").entry_points
    assert (point.group, point.name) == ("console_scripts", NAME)
    arguments = (str(tmp_path), PYTHON, f"{point.name} = {point.value}")
    command = [sys.executable, "-c", AS_PIP_DOES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (program,) = tmp_path.iterdir()
    return program


def test_docker_finds_a_program(program: Path) -> None:
    """It has the name that Docker looks for, and is for the console of 64-bit Windows."""
    assert program.name == f"{NAME}.exe"
    content = program.read_bytes()
    header = int.from_bytes(content[0x3C:0x40], "little")
    assert (content[:2], content[header : header + 4]) == (b"MZ", b"PE\0\0")
    machine = int.from_bytes(content[header + 4 : header + 6], "little")
    subsystem = int.from_bytes(content[header + 24 + 68 : header + 24 + 70], "little")
    assert (machine, subsystem) == (0x8664, 3)


def test_the_program_starts_ours(program: Path) -> None:
    """What follows the launcher names its Python, and runs the entry point under its own name."""
    content = program.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (script,) = archive.namelist()
        start = archive.infolist()[0].header_offset
        assert archive.read(script).startswith(b"import sys\n")  # and no `re`, which takes 4 ms
    assert content[:start].rstrip().endswith(f"#!{PYTHON}".encode())
    done = subprocess.run([sys.executable, program, "version"], capture_output=True, check=False)
    said = f"{NAME} (ecr-credential-helper) {__version__}\n"
    assert (done.stdout, done.stderr) == (said.encode(), b"")


def test_one_wheel_is_for_every_system() -> None:
    """Nothing in it is built for one, so none of its own is needed for Windows."""
    wheel = metadata.distribution("ecr-credential-helper").read_text("WHEEL") or ""
    assert "Root-Is-Purelib: true" in wheel
    assert "Tag: py3-none-any" in wheel.splitlines()

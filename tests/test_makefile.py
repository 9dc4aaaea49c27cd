"""What make says on a machine that lacks what `make demo` and `make test` need."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.needs import SYSTEM_PATH

TOP = Path(__file__).parents[1]
pytestmark = pytest.mark.needs("make")


def make(directory: Path, python: str, **variables: str) -> str:
    """Run `make demo` with a Python and a new environment; return its complaint."""
    done = subprocess.run(
        ["make", "--silent", "demo", f"PYTHON={python}", f"VENV={directory}/venv"],
        cwd=TOP,
        env={"PATH": SYSTEM_PATH, "HOME": str(directory), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    return next(line for line in done.stderr.splitlines() if line.startswith("make: "))


def python_that_fails(directory: Path, asked: str) -> str:
    """Return a Python that fails what begins with `asked`, and else is the one of the tests."""
    script = directory / "python"
    script.write_text(
        f'#!/bin/sh\ncase "$2" in "{asked}"*) exit 1 ;; esac\nexec {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


def test_an_old_python(tmp_path: Path) -> None:
    """The message says which one is needed, and how to get or name it."""
    said = make(tmp_path, python_that_fails(tmp_path, "import sys"))
    assert "Python 3.11 or newer is needed" in said
    assert "apt-get install python3 python3-venv" in said


@pytest.mark.parametrize("python", ["", "/nonexistent/python3"])
def test_no_python(tmp_path: Path, python: str) -> None:
    """Where make finds none, or the one that was named is not there, it is the same."""
    assert "Python 3.11 or newer is needed" in make(tmp_path, python)


def test_no_venv_module(tmp_path: Path) -> None:
    """Debian has it in a package of its own."""
    said = make(tmp_path, python_that_fails(tmp_path, "import ensurepip"))
    assert "has no module venv" in said
    assert "apt-get install python3-venv" in said


def test_no_network(tmp_path: Path) -> None:
    """An index that nobody answers at is told as that, after pip's own words."""
    empty = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}
    config = {"PIP_CONFIG_FILE": os.devnull}
    said = make(tmp_path, sys.executable, **empty, **config)
    assert "could not be installed: is PyPI reachable" in said
    assert "PIP_INDEX_URL" in said
    assert not (tmp_path / "venv" / "installed").exists()


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (f"trap==1 --hash=sha256:{'0' * 64}", "DO NOT MATCH THE HASHES"),
        ("trap==1", "Hashes are required"),
    ],
    ids=["another", "none"],
)
def test_a_tool_that_is_not_the_locked_one(tmp_path: Path, lock: str, said: str) -> None:
    """What builds is taken by its hash alone, pip first, and nothing is built without it."""
    (tmp_path / "packaging").mkdir()
    for name in ("Makefile", "pyproject.toml", "README.md"):
        (tmp_path / name).symlink_to(TOP / name)
    for name in ("installer.txt", "tools.txt"):
        (tmp_path / "packaging" / name).write_text(f"{lock}\n")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "trap-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "trap-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: trap\nVersion: 1\n"
        )
        wheel.writestr("trap-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("trap-1.dist-info/RECORD", "")
    done = subprocess.run(
        ["make", "--silent", "wheel", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={
            "PATH": SYSTEM_PATH,
            "HOME": str(tmp_path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "make: the tools in packaging/tools.txt could not be installed" in done.stderr
    assert not (tmp_path / "build" / "packer" / "tools").exists()

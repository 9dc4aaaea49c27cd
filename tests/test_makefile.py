"""What make says on a machine that lacks what `make demo` and `make test` need."""

import os
import subprocess
import sys
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

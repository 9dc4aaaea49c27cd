"""What a test needs of the machine: named where it is missing, and on CI never missing."""

import os
import shutil
import sys
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The Debian packages of programs that are not called as their package is.
PACKAGES = {
    "cc": "gcc libc6-dev",
    "clang": "clang libclang-rt-14-dev",
    "docker": "docker.io",
    "readelf": "binutils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; on CI everything has to be there, so fail it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def installed(name: str) -> str:
    """Return a program of the machine, or leave the test."""
    if shutil.which(name, path=SYSTEM_PATH) is None:
        lacking(f"missing: {name} (apt-get install {PACKAGES.get(name, name)})")
    return name


def module(name: str, extra: str) -> ModuleType:
    """Return a module that one of our extras installs, or leave the test."""
    try:
        return import_module(name)
    except ImportError:
        lacking(f"missing: {name} (pip install the extra `{extra}`)")


def check(*needs: str) -> None:
    """Leave the test unless "Linux", "root" and the programs among `needs` are there.

    This is what the mark `needs` does before a test and its fixtures.
    """
    for need in needs:
        if need == "Linux":
            if sys.platform != "linux":
                lacking("missing: Linux")
        elif need == "root":
            if os.geteuid() != 0:
                lacking("missing: the rights of root")
        else:
            installed(need)


def namespace(option: str) -> None:
    """Leave the test unless the kernel lets us have a namespace (an option of unshare)."""
    if os.system(f"unshare {option} true 2>/dev/null") != 0:
        lacking(f"missing: a namespace of our own (unshare {option})")

"""What a test needs of the machine: named where it is missing, and on CI never missing."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
if os.name != "posix":
    SYSTEM_PATH = os.environ["PATH"]

# Where `make built-clients` puts the clients that it builds from their pinned modules, a directory
# for each language.
BUILT_CLIENTS = Path(__file__).parents[2] / "build" / "clients"

# The Debian packages of programs that are not called as their package is.
PACKAGES = {
    "busybox": "busybox-static",
    "cc": "gcc libc6-dev",
    "clang": "clang libclang-rt-14-dev",
    "docker": "docker.io",
    "java": "default-jdk-headless",
    "keytool": "default-jdk-headless",
    "musl-gcc": "musl-tools",
    "mvn": "maven",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-x86_64-static": "qemu-user-static",
    "readelf": "binutils",
    "runuser": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "useradd": "passwd",
    "xz": "xz-utils",
}


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; on CI's Linux everything has to be there, so fail it."""
    if os.environ.get("CI") and sys.platform == "linux":
        pytest.fail(what)
    pytest.skip(what)


def installed(name: str) -> str:
    """Return a program of the machine, or leave the test."""
    if shutil.which(name, path=SYSTEM_PATH) is None:
        lacking(f"missing: {name} (apt-get install {PACKAGES.get(name, name)})")
    return name


def built(language: str, name: str) -> Path:
    """Return a client that `make built-clients` has built, or leave the test."""
    path = BUILT_CLIENTS / language / name
    if not path.exists():
        lacking(f"missing: the client {name} (make {language}-clients)")
    return path


def module(name: str, extra: str) -> ModuleType:
    """Return a module that one of our extras installs, or leave the test."""
    try:
        return import_module(name)
    except ImportError:
        lacking(f"missing: {name} (pip install the extra `{extra}`)")


def check(*needs: str) -> None:
    """Leave the test unless all of `needs` are there.

    A need is "Linux", "POSIX" (any system but Windows), "root", "terminal" (a pseudo-terminal may
    be opened), "unshare --mount" (or another option of unshare: the kernel gives us such a
    namespace), or the name of a program.

    This is what the mark `needs` does before a test and its fixtures.
    """
    for need in needs:
        if need in OF_MACHINE:
            is_there, name = OF_MACHINE[need]
            if not is_there():
                lacking(f"missing: {name}")
        elif need.startswith("unshare "):
            installed("unshare")
            if not has_namespace(need.removeprefix("unshare ")):
                lacking(f"missing: a namespace of our own ({need})")
        else:
            installed(need)


def is_root() -> bool:
    """Whether these are the rights of root."""
    return sys.platform != "win32" and os.geteuid() == 0


@functools.cache
def has_namespace(option: str) -> bool:
    """Whether the kernel gives us a namespace (an option of unshare); few containers may have one.

    In a namespace for mounts, it has to let us mount something, too.
    """
    if shutil.which("unshare", path=SYSTEM_PATH) is None:
        return False
    within = ["mount", "-t", "tmpfs", "none", "/tmp"] if option == "--mount" else ["true"]
    command = ["unshare", option, *within]
    done = subprocess.run(command, env={"PATH": SYSTEM_PATH}, capture_output=True, check=False)
    return done.returncode == 0


@functools.cache
def has_terminals() -> bool:
    """Whether a pseudo-terminal may be opened: a bare root directory has no /dev/pts."""
    if sys.platform == "win32":
        return False
    try:
        ends = os.openpty()
    except OSError:
        return False
    for end in ends:
        os.close(end)
    return True


# What a machine has or has not, and no package brings.
OF_MACHINE: dict[str, tuple[Callable[[], bool], str]] = {
    "Linux": (lambda: sys.platform == "linux", "Linux"),
    "POSIX": (lambda: os.name == "posix", "POSIX (modes, links, signals, sh)"),
    "root": (is_root, "the rights of root"),
    "terminal": (has_terminals, "a pseudo-terminal (mount -t devpts devpts /dev/pts)"),
}

"""The tools that build, locked: each by its version, and by the hash of every file of that.

`python packaging/tools.py` renews the locks, tools.txt and installer.txt (pip, and what it takes to
install the others), to the newest that the index has and pyproject.toml allows, and prints what
changed. They are the same for every Python and processor that builds, and name no index.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = HERE / "tools.txt"
INSTALLER = HERE / "installer.txt"
# The one tool that is no wheel on PyPI; setuptools and packaging make one of it.
SOURCE = "argparse-manpage"
INSTALLS = ("packaging>=24", "pip>=25.2", "setuptools>=77")
HEADER = f"""\
# Written by `make lock`. A build takes only what has one of these hashes.
--only-binary :all:
--no-binary {SOURCE}

"""
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version=3.11", "--upgrade"),
    *("--generate-hashes", "--only-binary=:all:", f"--no-binary={SOURCE}", "--no-header"),
    *("--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "-"),
)


class ToolError(Exception):
    """The locks cannot be renewed; the text says why."""


def wanted(root: Path = ROOT) -> list[str]:
    """Return what builds, as pyproject.toml has it: the extra, and what the wheel is built with."""
    document = tomllib.loads((root / "pyproject.toml").read_text())
    hooks = document["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"].values()
    return [
        *document["project"]["optional-dependencies"]["packaging"],
        *document["build-system"]["requires"],
        *(one for hook in hooks for one in hook.get("dependencies", ())),
    ]


def versions(lock: str) -> dict[str, str]:
    """Return what the text of a lock has, by name; one that differs by machine has them all."""
    found: dict[str, str] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE):
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def unmet(requirements: Sequence[str], locked: dict[str, str]) -> list[str]:
    """Return those of the requirements that a lock does not meet."""
    unmet = []
    for line in requirements:
        one = Requirement(line)
        found = locked.get(canonicalize_name(one.name))
        if not found or not all(map(one.specifier.contains, found.split(", "))):
            unmet.append(line)
    return unmet


def compiled(requirements: Sequence[str]) -> str:
    """Return the text of a lock of these and all that they need. Raises ToolError."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *COMPILE],
        input="\n".join(requirements),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError("uv could not resolve what builds: see above")
    return HEADER + done.stdout


def changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """Yield a line for each tool that is not as it was."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            yield f"{name}: {old} -> {new}"


def renew(lock: Path, requirements: Sequence[str]) -> None:
    """Write a lock anew, and print what is not as it was. Raises ToolError."""
    before = versions(lock.read_text()) if lock.exists() else {}
    text = compiled(requirements)
    lock.write_text(text)
    for line in changes(before, versions(text)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    try:
        renew(INSTALLER, INSTALLS)
        renew(TOOLS, wanted())
    except ToolError as problem:
        sys.exit(f"tools.py: {problem}")

"""All that can be tried before a tag without a service of the network: make release-check.

Each check is told in a line, and where it fails, what to do; the others are tried all the same.
build/release-check has what the programs printed. Everything is built twice, which takes its time.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import inputs
import sbom
import tools

ROOT = Path(__file__).resolve().parent.parent
VERSION = r"[0-9]+\.[0-9]+\.[0-9]+"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
UNNUMBERED = ("SHA256SUMS", f"{sbom.PROGRAM}.rb")  # the files of a release without its version
RPMLINT = ROOT / "packaging" / "linux" / "rpmlint.toml"


class CheckError(Exception):
    """A check failed; the text says what is wrong and what to do."""


class Release:
    """A version that is to be given out, from the tree in `root`."""

    def __init__(self, version: str, root: Path) -> None:
        self.version = version
        self.root = root
        self.dist = root / "dist"
        self.logs = root / "build" / "release-check"

    def run(self, name: str, *command: str | Path, **variables: str) -> None:
        """Run a program. Raises CheckError."""
        log = self.logs / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            done = subprocess.run(
                command,
                cwd=self.root,
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise CheckError(f"{Path(command[0]).name} failed: see {log.relative_to(self.root)}")

    def files(self, *patterns: str) -> list[Path]:
        """Return what was built. Raises CheckError if there is none."""
        found = [file for pattern in patterns for file in sorted(self.dist.glob(pattern))]
        if not found:
            raise CheckError(f"there is no {' or '.join(patterns)} in dist: see the build above")
        return found


def check_version(release: Release) -> None:
    """Hold that the program has the version."""
    text = (release.root / "ecr_credential_helper" / "__init__.py").read_text()
    (found,) = re.findall('__version__ = "(.+)"', text)
    if found != release.version:
        raise CheckError(f"it is {found}: change ecr_credential_helper/__init__.py")


def check_changelog(release: Release) -> None:
    """Hold that CHANGELOG.md has the version first of all, with a date."""
    headings = re.findall("^## (.*)", (release.root / "CHANGELOG.md").read_text(), re.MULTILINE)
    first = headings[0] if headings else "none"
    if not re.fullmatch(rf"{re.escape(release.version)} - {DATE}", first):
        wanted = f"{release.version} - YYYY-MM-DD"
        raise CheckError(f'its first section is "{first}": give it the heading "## {wanted}"')


def check_tree(release: Release) -> None:
    """Hold that all that is built is committed."""
    status = ("git", "status", "--porcelain")
    done = subprocess.run(status, cwd=release.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckError(f"git status failed: {done.stderr.strip()}")
    changed = [line[3:] for line in done.stdout.splitlines()]
    if changed:
        raise CheckError(f"commit or remove {', '.join(changed)}")


def check_locks(release: Release) -> None:
    """Hold that the locks meet what pyproject.toml asks for."""
    project = tomllib.loads((release.root / "pyproject.toml").read_text())["project"]
    lock = json.loads((release.root / "packaging" / inputs.LOCK.name).read_text())["python"]
    brought = "".join(f"{one['name'].lower()}=={one['version']}\n" for one in lock)
    unmet = tools.unmet(project["dependencies"], tools.versions(brought))
    for file, wanted in (
        (tools.TOOLS, tools.wanted(release.root)),
        (tools.INSTALLER, tools.INSTALLS),
    ):
        text = (release.root / "packaging" / file.name).read_text()
        unmet += tools.unmet(wanted, tools.versions(text))
    if unmet:
        raise CheckError(f"they do not meet {', '.join(unmet)}: make lock, and commit what changed")


def check_build(release: Release) -> None:
    """Hold that everything can be built."""
    shutil.rmtree(release.dist, ignore_errors=True)
    release.run("packages", "make", "packages")


def check_names(release: Release) -> None:
    """Hold that all that was built has the version in its name, and a sum."""
    files = {file.name for file in release.files("*")}
    wrong = [name for name in sorted(files) if release.version not in name]
    if sorted(wrong) != sorted(UNNUMBERED):
        raise CheckError(f"without the version are {', '.join(wrong)}: see the version above")
    lines = (release.dist / "SHA256SUMS").read_text().splitlines()
    summed = {line.split()[1].lstrip("*") for line in lines}
    if summed != files - {"SHA256SUMS"}:
        raise CheckError("SHA256SUMS names other files than there are in dist: see `make packages`")


def check_same(release: Release) -> None:
    """Hold that a second build, of a clone elsewhere, makes the same bytes."""
    first = sums(release.dist)
    if not first:
        raise CheckError("there is nothing to compare with: see the build above")
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "clone"
        release.run("clone", "git", "clone", "--quiet", release.root, copy)
        release.run("again", "make", "-C", copy, "packages", INPUTS=str(inputs.CACHE))
        second = sums(copy / "dist")
    differing = sorted(
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    )
    if differing:
        raise CheckError(
            f"these differ: {', '.join(differing)}; what makes them is not reproducible"
        )


def sums(directory: Path) -> Mapping[str, str]:
    """Return the hash of each file, by its name."""
    found = directory.iterdir() if directory.is_dir() else ()
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def check_debian(release: Release) -> None:
    """Hold that Debian's checker has nothing to say of the .deb."""
    needs("lintian")
    options = ("--allow-root", "--fail-on", "error,warning")
    release.run("lintian", "lintian", *options, *release.files("*.deb"))


def check_rpm(release: Release) -> None:
    """Hold that RPM's has nothing to say of the .rpm but what rpmlint.toml explains."""
    needs("rpmlint")
    release.run("rpmlint", "rpmlint", "--strict", "--config", RPMLINT, *release.files("*.rpm"))


def check_description(release: Release) -> None:
    """Hold that PyPI can show the description of the wheel and the sdist."""
    files = release.files("*.whl", "ecr_credential_helper-*.tar.gz")
    release.run("twine", sys.executable, "-m", "twine", "check", "--strict", *files)


def check_wheel(release: Release) -> None:
    """Hold that the wheel has what a wheel should have."""
    release.run("wheel", sys.executable, "-m", "check_wheel_contents", *release.files("*.whl"))


def check_pages(release: Release) -> None:
    """Hold that the pages can be built, and no link in them leads nowhere."""
    release.run("docs", "make", "docs")


def needs(program: str) -> None:
    """Hold that a program is installed. Raises CheckError."""
    if shutil.which(program) is None:
        raise CheckError(f"{program} is missing: install it (Debian: apt-get install {program})")


CHECKS: Mapping[str, Callable[[Release], None]] = {
    "the version": check_version,
    "the changelog": check_changelog,
    "the working tree": check_tree,
    "the locks": check_locks,
    "the pages": check_pages,
    "the build": check_build,
    "the names of the files": check_names,
    "the same bytes twice": check_same,
    "lintian": check_debian,
    "rpmlint": check_rpm,
    "twine check": check_description,
    "check-wheel-contents": check_wheel,
}


def passed(release: Release) -> bool:
    """Try all checks, with a line for each; return whether none failed."""
    failed = 0
    for name, check in CHECKS.items():
        try:
            check(release)
        except (CheckError, OSError) as problem:
            failed += 1
            sys.stdout.write(f"FAIL  {name}: {problem}\n")
        else:
            sys.stdout.write(f"pass  {name}\n")
        sys.stdout.flush()
    return not failed


if __name__ == "__main__":
    if len(sys.argv) != 2 or not re.fullmatch(VERSION, sys.argv[1]):  # noqa: PLR2004 - one argument
        sys.exit("release_check.py: which version? make release-check VERSION=1.2.3")
    sys.exit(not passed(Release(sys.argv[1], ROOT)))

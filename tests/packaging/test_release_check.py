"""What can be tried before a tag is tried, and what is wrong is told with what to do.

The build is a stand-in here: `make release-check` itself takes its time.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import release_check
import sbom
from release_check import CheckError, Release

from tests.support.needs import module

TOP = Path(__file__).parents[2]
VERSION = sbom.version()
WHEEL = f"ecr_credential_helper-{VERSION}-py3-none-any.whl"
CHANGES = "CHANGELOG.md"
PROGRAM = "ecr_credential_helper/__init__.py"
PROJECT = "pyproject.toml"
INSTALLER = "packaging/installer.txt"
LOCKS = ("packaging/inputs.json", "packaging/tools.txt", INSTALLER)
HEADING = f"## {VERSION} - 2026-01-02"
# A make that builds nothing: it writes what BUILT says into the files that a release has.
MAKE = f"""#!/bin/sh -e
test "$1" != -C || {{ cd "$2"; shift 2; }}
test "$1" = packages || exit 3
mkdir -p dist
cd dist
for file in one-{VERSION}.deb one-{VERSION}.rpm {WHEEL} ecr_credential_helper-{VERSION}.tar.gz \\
        {sbom.PROGRAM}.rb; do
    eval "echo $BUILT" >$file
done
sha256sum -- * >SHA256SUMS
"""

pytestmark = pytest.mark.needs("git", "make")


def git(root: Path, *command: str) -> None:
    """Run git as somebody."""
    somebody = ("-c", "user.name=somebody", "-c", "user.email=somebody@localhost")
    subprocess.run(("git", "-C", root, *somebody, *command), check=True, capture_output=True)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Return a release of a tree in which all is well; make and the checkers are stand-ins."""
    root, programs = tmp_path / "tree", tmp_path / "bin"
    for name in (CHANGES, PROGRAM, PROJECT, *LOCKS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TOP / name, root / name)
    text = (root / CHANGES).read_text()
    changelog = re.sub("^## .*", HEADING, text, count=1, flags=re.MULTILINE)
    (root / CHANGES).write_text(changelog)
    (root / ".gitignore").write_text("build/\ndist/\n")
    git(tmp_path, "init", "--quiet", str(root))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "all of it")
    programs.mkdir()
    for name in ("lintian", "rpmlint"):
        program(programs / name, "#!/bin/sh\n")
    program(programs / "make", MAKE)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BUILT", "something")
    return Release(VERSION, root)


def program(path: Path, text: str) -> None:
    """Write an executable."""
    path.write_text(text)
    path.chmod(0o755)


def replace(file: Path, old: str, new: str) -> None:
    """Change a file."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


QUICK = ("check_version", "check_changelog", "check_tree", "check_locks")
BUILT = ("check_build", "check_names", "check_same", "check_debian", "check_rpm")


def test_a_tree_in_which_all_is_well_passes(release: Release) -> None:
    """Every check but those of the real wheel and the real pages."""
    for name in (*QUICK, *BUILT):
        getattr(release_check, name)(release)
    assert {check.__name__ for check in release_check.CHECKS.values()} == {
        *(*QUICK, *BUILT),
        *("check_description", "check_wheel", "check_pages"),
    }


@pytest.mark.parametrize(
    ("file", "change", "check", "said"),
    [
        (PROGRAM, (VERSION, "9.9.9"), "version", r"it is 9\.9\.9: change"),
        (CHANGES, (HEADING, "## Unreleased"), "changelog", 'is "Unreleased": .* YYYY-MM-DD"$'),
        (CHANGES, (HEADING, f"## {VERSION}"), "changelog", "YYYY-MM-DD"),
        (CHANGES, (HEADING, f"## Unreleased\n\n{HEADING}"), "changelog", 'is "Unreleased"'),
        (PROJECT, ('"build>=1.2"', '"flit>=3"'), "locks", "not meet flit>=3: make lock"),
        (PROJECT, ('"shtab>=1.13"', '"shtab>=99"'), "locks", "shtab>=99"),
        (PROJECT, ('"rich>=13.9"', '"rich>=99"'), "locks", "rich>=99"),
        (INSTALLER, ("pip==", "pipe=="), "locks", "pip>="),
    ],
)
def test_what_is_wrong_is_told(
    release: Release, file: str, change: tuple[str, str], check: str, said: str
) -> None:
    """By the one check that is for it, with what to do; and that it is not committed."""
    replace(release.root / file, *change)
    for name in QUICK:
        if name == f"check_{check}":
            with pytest.raises(CheckError, match=said):
                getattr(release_check, name)(release)
        elif name == "check_tree":
            with pytest.raises(CheckError, match=f"^commit or remove {re.escape(file)}$"):
                release_check.check_tree(release)
        else:
            getattr(release_check, name)(release)


def test_a_build_that_fails(release: Release, tmp_path: Path) -> None:
    """It leaves what it printed; and what was built before is no longer there to be checked."""
    release_check.check_build(release)
    program(tmp_path / "bin" / "make", "#!/bin/sh\necho no such luck >&2\nexit 2\n")
    with pytest.raises(CheckError, match=r"^make failed: see build/release-check/packages\.log$"):
        release_check.check_build(release)
    assert "no such luck" in (release.logs / "packages.log").read_text()
    for name in ("names", "same", "debian", "rpm", "description", "wheel"):
        with pytest.raises(CheckError, match=r"see the build above$"):
            getattr(release_check, f"check_{name}")(release)


def test_a_build_that_differs_elsewhere(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are named."""
    monkeypatch.setenv("BUILT", "$(pwd)")
    release_check.check_build(release)
    with pytest.raises(CheckError, match=rf"these differ: .*{re.escape(WHEEL)}.* reproducible"):
        release_check.check_same(release)


def test_files_of_another_version(release: Release) -> None:
    """And one that has no sum."""
    release_check.check_build(release)
    (release.dist / f"more-{VERSION}.txt").touch()
    with pytest.raises(CheckError, match="SHA256SUMS names other files"):
        release_check.check_names(release)
    (release.dist / "one-0.0.9.deb").touch()
    with pytest.raises(CheckError, match=r"without the version are .*one-0\.0\.9\.deb"):
        release_check.check_names(release)


@pytest.mark.parametrize(("name", "check"), [("lintian", "debian"), ("rpmlint", "rpm")])
def test_a_checker_that_is_missing_or_has_something_to_say(
    release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, check: str
) -> None:
    """Either is a failure."""
    release_check.check_build(release)
    program(tmp_path / "bin" / name, "#!/bin/sh\nexit 1\n")
    with pytest.raises(CheckError, match=rf"^{name} failed: see build/release-check/{name}\.log$"):
        getattr(release_check, f"check_{check}")(release)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckError, match=rf"^{name} is missing: .*apt-get install {name}"):
        getattr(release_check, f"check_{check}")(release)


@pytest.mark.parametrize(
    ("name", "check"), [("twine", "description"), ("check_wheel_contents", "wheel")]
)
def test_a_wheel_that_no_index_should_have(release: Release, name: str, check: str) -> None:
    """Without metadata, and with a module beside the package."""
    module(name, "release")
    release.dist.mkdir()
    with zipfile.ZipFile(release.dist / WHEEL, "w") as wheel:
        wheel.writestr("tests.py", "")
    with pytest.raises(CheckError, match=r"failed: see build/release-check/\w+\.log"):
        getattr(release_check, f"check_{check}")(release)


def test_all_checks_are_tried(release: Release, capsys: pytest.CaptureFixture[str]) -> None:
    """After one has failed, too; there is a line for each."""
    replace(release.root / CHANGES, HEADING, "## Unreleased")
    assert not release_check.passed(release)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(release_check.CHECKS)
    said = dict(zip(release_check.CHECKS, lines, strict=True))
    assert said["the version"] == "pass  the version"
    assert said["the changelog"].startswith(
        'FAIL  the changelog: its first section is "Unreleased"'
    )
    assert said["the working tree"].endswith("commit or remove CHANGELOG.md")
    assert said["the same bytes twice"] == "pass  the same bytes twice"
    assert said["the pages"] == "FAIL  the pages: make failed: see build/release-check/docs.log"


@pytest.mark.parametrize("words", [(), ("1.2",), ("v1.2.3",), ("1.2.3\n",), ("1.2.3", "1.2.4")])
def test_without_a_version_nothing_is_tried(words: tuple[str, ...]) -> None:
    """One line says how to name it."""
    command = [sys.executable, str(TOP / "packaging" / "release_check.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "release_check.py: which version? make release-check VERSION=1.2.3\n"
    assert done.stdout == ""

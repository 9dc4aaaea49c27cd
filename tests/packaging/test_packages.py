"""Every form the program is given out in: what is in it, and its use after a clean installation.

`make packages-test` builds them first (see tests/forms.py).
"""

import ast
import filecmp
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import USER_KEY, USER_SECRET, Loopback
from tests.support.entries import HOST, LIFE, rewrite, secret_of, until
from tests.support.forms import (
    DROP_IN,
    FORMS,
    INSTALL,
    NAME,
    PACKAGES,
    ROOT,
    by_directory,
    by_package,
    deb_tool,
    older,
    only,
    pip_install,
    pythons,
    rpm_tool,
    run,
)
from tests.support.helper import Helper, Result
from tests.support.needs import check

PACKAGE = "ecr_credential_helper"
LOWEST = ("boto3==1.41.0", "botocore==1.41.0", "platformdirs==4.14.0")
# A script is not told by the kernel what it was called by.
NAMELESS = ("apk",)

pytestmark = pytest.mark.needs("Linux")


def live(helper: Helper, aws: Loopback, executable: Path, called: str = DROP_IN) -> None:
    """Use an installed program: cold, warm, half way, listed, erased, renamed."""
    helper.executable = executable
    first = helper.get(HOST)
    assert first == Result(0, first.stdout, b"")
    secret = secret_of(first.answer)
    assert helper.get(HOST) == first
    assert aws.count("ecr") == 1
    rewrite(helper.cache, age=LIFE * 0.7)
    assert helper.get(HOST) == first
    until(lambda: aws.count("ecr") == 2 and secret_of(helper.get(HOST).answer) != secret)
    assert helper.run("list").answer == {f"https://{HOST}": "AWS"}
    assert helper.run("erase", stdin=HOST.encode()) == Result(0, b"", b"")
    version = helper.run("version", argv0=DROP_IN).out
    assert version.startswith(f"{called} (ecr-credential-helper) ")
    assert helper.get("example.com").stdout == b"credentials not found in native keychain\n"


@pytest.mark.parametrize("form", FORMS)
def test_each_form_does_all_of_it(helper: Helper, aws: Loopback, tmp_path: Path, form: str) -> None:
    """Installed where nothing else is, it works with a loopback AWS."""
    live(helper, aws, FORMS[form](tmp_path), NAME if form in NAMELESS else DROP_IN)


def sources(*names: str) -> set[str]:
    """Return the files of the source below these names."""
    found = set()
    for name in names:
        path = ROOT / name
        for file in [path] if path.is_file() else path.rglob("*"):
            ours = file.relative_to(ROOT)
            if file.is_file() and not {"__pycache__", ".pytest_cache", "node_modules"} & set(
                ours.parts
            ):
                found.add(str(ours))
    return found


def same_bytes(one: Path, other: Path) -> None:
    """Hold that two directories have the same files, with the same bytes."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert filecmp.cmpfiles(one, other, names, shallow=False) == (names, [], [])


def test_two_builds_make_the_same_bytes(tmp_path: Path) -> None:
    """All of it, built again from a copy of the sources in another place."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(
        "build", "dist", ".venv*", ".git", "node_modules", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    with tarfile.open(only(f"{NAME}-*.tar.gz")) as archive:
        time = archive.getmembers()[0].mtime
    run("make", "-C", copy, "packages", f"PYTHON={sys.executable}", SOURCE_DATE_EPOCH=str(time))
    same_bytes(PACKAGES, copy / "dist")


# The wheel and the sdist


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    """The modules, the script, the licence and what a wheel has to have."""
    wheel = only("*.whl")
    stem = "-".join(wheel.name.split("-")[:2])
    assert wheel.name == f"{stem}-py3-none-any.whl"
    info = {f"{stem}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")}
    info |= {f"{stem}.dist-info/licenses/LICENSE", f"{stem}.data/scripts/{NAME}"}
    shared = f"{stem}.data/data/share"
    info |= {
        f"{shared}/man/man1/{NAME}.1",
        f"{shared}/bash-completion/completions/{NAME}",
        f"{shared}/zsh/site-functions/_{NAME}",
        f"{shared}/fish/vendor_completions.d/{NAME}.fish",
    }
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == sources(PACKAGE) | info
        script = archive.read(f"{stem}.data/scripts/{NAME}")
    assert script == (ROOT / "bin" / NAME).read_bytes()


def test_the_sdist_holds_what_builds_and_tests_it() -> None:
    """The sources, the tests and the packaging, and nothing that was built."""
    with tarfile.open(only("*_helper-*.tar.gz")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    files = sources(PACKAGE, "bin", "docs", "tests", "packaging", "Makefile")
    files |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"}
    files |= {"pyproject.toml", ".gitignore", "PKG-INFO"}
    assert names == files


@pytest.mark.parametrize("python", pythons(), ids=lambda python: python.name)
def test_every_python_does(helper: Helper, aws: Loopback, tmp_path: Path, python: Path) -> None:
    """Of this machine, from 3.11 to the newest."""
    live(helper, aws, pip_install(tmp_path / "venv", only("*.whl"), python=python))


def test_the_oldest_dependencies_do(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """The least versions that pyproject.toml allows work."""
    text = (ROOT / "pyproject.toml").read_text()
    for pin in LOWEST:
        assert f'"{pin.replace("==", ">=").removesuffix(".0")}"' in text
    live(helper, aws, pip_install(tmp_path / "venv", only("*.whl"), *LOWEST))


# The directory that needs no Python


@pytest.fixture
def standalone(tmp_path: Path) -> Path:
    """Return the directory, unpacked where nothing else is."""
    return by_directory(tmp_path).parent


def test_a_warm_get_starts_no_python(helper: Helper, standalone: Path) -> None:
    """With nothing on PATH, and without the program behind the front door."""
    helper.executable = standalone / NAME
    helper.env["PATH"] = "/nonexistent"
    token = helper.get(HOST)
    assert secret_of(token.answer)
    (standalone / "program").rename(standalone / "moved")
    assert helper.get(HOST) == token


def test_what_it_starts_has_the_environment_that_it_was_given(
    helper: Helper, standalone: Path
) -> None:
    """A credential_process loads its own libraries, not those of the frozen program."""
    helper.executable = standalone / NAME
    keys = f'{{"Version":1,"AccessKeyId":"{USER_KEY}","SecretAccessKey":"{USER_SECRET}"}}'
    script = helper.home / "process.sh"
    script.write_text(f"#!/bin/sh\n/usr/bin/env >{helper.home}/seen\necho '{keys}'\n")
    script.chmod(0o700)
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text(f"[default]\ncredential_process = {script}\n")
    for number, libraries in enumerate((None, "/some/where")):
        env: dict[str, str | None] = {"LD_LIBRARY_PATH": libraries, "AWS_A": str(number)}
        env |= {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        assert secret_of(helper.get(HOST, env=env).answer)
        seen = (helper.home / "seen").read_text().splitlines()
        assert ("LD_LIBRARY_PATH=/some/where" in seen) == bool(libraries)
        names = {line.partition("=")[0] for line in seen} - {"PWD", "SHLVL", "_", "OLDPWD"}
        given = {name for name, value in {**helper.env, **env}.items() if value is not None}
        assert names - {"LC_CTYPE"} == given


def test_it_keeps_licences_and_forgets_its_builder(standalone: Path) -> None:
    """Licences and notices of all that is inside, and no path where it was built."""
    kept = {path.name for path in (standalone / "licenses").iterdir()}
    assert {"awscrt", "boto3", "botocore", "pyinstaller", "python", "urllib3"} <= kept
    assert (standalone / "licenses" / "botocore" / "NOTICE").exists()
    data = {path.name for path in (standalone / "program/_internal/botocore/data").iterdir()}
    assert {"ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin", "endpoints.json"} <= data
    assert len(data) == 10
    for path in standalone.rglob("*.so*"):
        assert "(RUNPATH)" not in run("readelf", "-d", path)


# Packages of Linux distributions


def below(directory: Path) -> set[str]:
    """Return every file below a directory, by its path in it."""
    files = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(directory)) for path in files}


@pytest.mark.needs("root", "rpm", "dpkg")
@pytest.mark.parametrize(("kind", "tool"), [("deb", deb_tool), ("rpm", rpm_tool)])
def test_a_package_comes_and_goes(
    tmp_path: Path, kind: str, tool: Callable[[Path], list[str | Path]]
) -> None:
    """Installed, upgraded from an older version, and removed without anything left behind."""
    root = tmp_path / "root"
    root.mkdir()
    INSTALL[kind](root, older(tmp_path))
    query = {"deb": ("--list", NAME), "rpm": ("--query", NAME)}[kind]
    assert "0.0.1" in run(*tool(root), *query)
    INSTALL[kind](root)
    assert "0.0.1" not in run(*tool(root), *query)
    for name in (NAME, DROP_IN):
        version = run(root / "usr/bin" / name, "version")
        assert version.startswith(f"{name} (ecr-credential-helper) ")
    for name in (DROP_IN, NAME):
        run(*tool(root), {"deb": "--purge", "rpm": "--erase"}[kind], name)
    left = {name for name in below(root) if not name.startswith(("var/lib/dpkg/", "var/lib/rpm/"))}
    assert not left


@pytest.mark.parametrize("kind", INSTALL)
def test_a_package_has_what_its_users_look_for(tmp_path: Path, kind: str) -> None:
    """Manual pages, completions, copyright and licences, where the distribution has them."""
    by_package(kind)(tmp_path)
    share = tmp_path / kind / "usr/share"
    zsh = "vendor-completions" if kind == "deb" else "site-functions"
    for name in (NAME, DROP_IN):
        assert (share / f"man/man1/{name}.1.gz").exists()
        assert (share / f"doc/{name}/copyright").exists()
    assert (
        f"-F _shtab_{NAME.replace('-', '_')} {NAME}"
        in (share / f"bash-completion/completions/{NAME}").read_text()
    )
    assert (share / f"zsh/{zsh}/_{NAME}").read_text().startswith(f"#compdef {NAME}")
    assert f"complete -c {NAME}" in (share / f"fish/vendor_completions.d/{NAME}.fish").read_text()
    assert {"boto3", "botocore", "urllib3"} <= {
        path.name for path in (share / f"doc/{NAME}/licenses").iterdir()
    }
    assert '"CycloneDX"' in (share / f"doc/{NAME}/sbom.cdx.json").read_text()


@pytest.mark.needs("lintian")
@pytest.mark.parametrize("pattern", [f"{NAME}_*.deb", f"{DROP_IN}_*.deb"])
def test_lintian_has_nothing_to_say(pattern: str) -> None:
    """Beyond what its overrides explain."""
    command = ("lintian", "--allow-root", "--fail-on", "error,warning", only(pattern))
    assert run(*command, HOME="/tmp") == ""


def apk_info(file: Path) -> dict[str, list[str]]:
    """Return what a .apk says of itself, by field."""
    fields: dict[str, list[str]] = {}
    with tarfile.open(file) as archive:
        member = archive.extractfile(".PKGINFO")
        assert member
        for line in member.read().decode().splitlines():
            name, mark, value = line.partition(" = ")
            if mark:
                fields.setdefault(name, []).append(value)
    return fields


def test_alpine_is_told_what_it_needs() -> None:
    """Its Python, and not beside AWS's helper under that helper's name."""
    program, drop_in = only(f"{NAME}_*.apk"), only(f"{DROP_IN}_*.apk")
    assert apk_info(program)["depend"] == ["python3>=3.11"]
    assert apk_info(program)["arch"] == [os.uname().machine]
    assert apk_info(drop_in)["depend"] == [NAME, "!amazon-ecr-credential-helper"]
    assert apk_info(drop_in)["arch"] == ["noarch"]


# As Alpine's apk does: the files into the root, the scripts run with it as their root.
ALPINE = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay -o lowerdir=/,upperdir="$1"/upper,workdir="$1"/work overlay "$1"/root
tar -xzf "$2" -C "$1"/root --exclude='.*'
tar -xzf "$2" -C "$1" .post-install .pre-deinstall
cp "$1"/.post-install "$1"/.pre-deinstall "$1"/root
chroot "$1"/root /.post-install
find "$1"/root/usr/lib/docker-credential-ecr -name 'cli.*.pyc' | wc -l
chroot "$1"/root /usr/bin/docker-credential-ecr version
chroot "$1"/root /.pre-deinstall
find "$1"/root/usr/lib/docker-credential-ecr -name '*.pyc' | wc -l
"""


@pytest.mark.needs("root", "/usr/bin/python3", "unshare")
def test_bytecode_of_alpine_is_made_and_removed(tmp_path: Path) -> None:
    """By the scripts of the package, so that root's files are not slow for everybody else."""
    check("unshare --mount")
    command = ("unshare", "--mount", "sh", "-c", ALPINE, "sh", tmp_path, only(f"{NAME}_*.apk"))
    made, version, left = run(*command).splitlines()
    assert (made, left) == ("1", "0")
    assert version.startswith(f"{NAME} (ecr-credential-helper) ")


# What others build from


@pytest.mark.needs("ruby")
def test_the_formula_is_ruby_and_names_the_sdist() -> None:
    """Homebrew itself is not available here."""
    formula = only("*.rb")
    assert run("ruby", "-c", formula) == "Syntax OK\n"
    text = formula.read_text()
    sdist = only("*_helper-*.tar.gz")
    assert f'/{sdist.name}"' in text
    assert run("sha256sum", sdist).split()[0] in text
    assert "@" not in text.replace("python@3.13", "")


def test_the_expression_is_nix_and_knows_the_version() -> None:
    """It can be read, and finds the version where it is; nixpkgs is not available here."""
    check("nix-instantiate")
    file = ROOT / "packaging/nix/package.nix"
    run("nix-instantiate", "--parse", file)
    stub = "{ lib = { head = builtins.head; cleanSource = x: x; licenses.asl20 = 1; }; "
    names = ["hatchling", "shtab", "argparse-manpage", "boto3", "botocore", "platformdirs"]
    fields = " ".join(f"{name} = 1;" for name in names)
    stub += f"python3Packages = {{ buildPythonApplication = x: x.version; {fields} }}; }}"
    said = run("nix-instantiate", "--eval", "--expr", f"import {file} {stub}")
    text = (ROOT / PACKAGE / "__init__.py").read_text()
    (version,) = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assign))
    assert ast.literal_eval(said.strip()) == ast.literal_eval(version)


def test_the_sums_are_of_all_files() -> None:
    """SHA256SUMS names each file that is given out, with its sum."""
    lines = (PACKAGES / "SHA256SUMS").read_text().splitlines()
    files = {path.name for path in PACKAGES.iterdir() if path.is_file()} - {"SHA256SUMS"}
    assert {line.split()[1] for line in lines} == files
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=PACKAGES, check=True)

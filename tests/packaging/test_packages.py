"""Every form the program is given out in: what is in it, and its use after a clean installation.

`make packages-test` builds them first (see tests/forms.py).
"""

import ast
import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import Loopback
from tests.support.entries import HOST, LIFE, rewrite, secret_of, until
from tests.support.forms import (
    DEBIAN,
    DROP_IN,
    FORMS,
    INSTALL,
    MACHINE,
    NAME,
    PACKAGES,
    ROOT,
    below,
    by_directory,
    by_package,
    by_pipx,
    by_uv,
    by_wheel,
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
LOWEST = ("boto3==1.41.0", "botocore==1.41.0", "platformdirs==4.14.0", "rich==13.9.0")

pytestmark = pytest.mark.needs("Linux")


def live(helper: Helper, aws: Loopback, executable: Path) -> None:
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
    assert version.startswith(f"{DROP_IN} (ecr-credential-helper) ")
    assert helper.get("example.com").stdout == b"credentials not found in native keychain\n"


@pytest.mark.parametrize("form", FORMS)
def test_each_form_does_all_of_it(helper: Helper, aws: Loopback, tmp_path: Path, form: str) -> None:
    """Installed where nothing else is, it works with a loopback AWS."""
    live(helper, aws, FORMS[form](tmp_path))


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
    with tarfile.open(only(f"{NAME}-*-linux-{MACHINE}.tar.gz")) as archive:
        time = archive.getmembers()[0].mtime
    variables = {"SOURCE_DATE_EPOCH": str(time), "INPUTS": str(ROOT / "build" / "inputs")}
    settings = (f"PYTHON={sys.executable}", f"REPOSITORY={os.environ['REPOSITORY']}")
    run("make", "-C", copy, "packages", *settings, **variables)
    same_bytes(PACKAGES, copy / "dist")


# The wheel and the sdist


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    """The modules, the entry point, the licence and what a wheel has to have."""
    wheel = only("*.whl")
    stem = "-".join(wheel.name.split("-")[:2])
    assert wheel.name == f"{stem}-py3-none-any.whl"
    info = {f"{stem}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")}
    info |= {f"{stem}.dist-info/licenses/LICENSE", f"{stem}.dist-info/entry_points.txt"}
    info.add(f"{stem}.dist-info/sboms/ecr-credential-helper.cdx.json")
    shared = f"{stem}.data/data/share"
    info |= {
        f"{shared}/man/man1/{NAME}.1",
        f"{shared}/bash-completion/completions/{NAME}",
        f"{shared}/zsh/site-functions/_{NAME}",
        f"{shared}/fish/vendor_completions.d/{NAME}.fish",
    }
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == sources(PACKAGE) | info
        entry_points = archive.read(f"{stem}.dist-info/entry_points.txt").decode()
    assert entry_points == f"[console_scripts]\n{NAME} = {PACKAGE}.cli:main\n"


@pytest.mark.parametrize("installed_by", [by_wheel, by_pipx, by_uv])
@pytest.mark.parametrize("place", ["with a space", f"{'l' * 120}/{'o' * 120}"], ids=["", "long"])
def test_the_wheel_works_wherever_it_is_installed(
    helper: Helper,
    aws: Loopback,
    tmp_path: Path,
    installed_by: Callable[[Path], Path],
    place: str,
) -> None:
    """Where a path cannot be in a shebang, what installs it writes something else."""
    (tmp_path / place).mkdir(parents=True)
    live(helper, aws, installed_by(tmp_path / place))


def test_the_sdist_holds_what_builds_and_tests_it() -> None:
    """The sources, the tests and the packaging, and nothing that was built."""
    with tarfile.open(only("*_helper-*.tar.gz")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    files = sources(PACKAGE, "docs", "tests", "packaging", "Makefile")
    files |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"}
    files |= {"pyproject.toml", "mkdocs.yml", ".gitignore", "PKG-INFO"}
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


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_it_keeps_licences_and_says_what_it_is_made_of(tmp_path: Path, machine: str) -> None:
    """All in the SBOM has a licence, Debian's packages a place of their sources; and the size."""
    directory = by_directory(tmp_path, machine).parent
    bill = json.loads((directory / "sbom.cdx.json").read_text())
    components = {component["name"]: component for component in bill["components"]}
    kept = {path.name for path in (directory / "licenses").iterdir()}
    assert set(components) <= kept
    assert {"awscrt", "botocore", "libc6", "libssl3", "python3.11-minimal"} <= set(components)
    for component in components.values():
        assert component["licenses"][0]["expression"]
        if component["purl"].startswith("pkg:deb/"):
            (source,) = component["externalReferences"]
            assert source["url"].startswith("https://snapshot.debian.org/package/")
            assert f"arch={ {'x86_64': 'amd64', 'aarch64': 'arm64'}[machine] }" in component["purl"]
    assert "LESSER GENERAL PUBLIC" in (directory / "licenses/common-licenses/LGPL-2.1").read_text()
    assert (directory / "licenses" / "botocore" / "NOTICE").exists()
    data = {path.name for path in directory.glob("program/lib/*/site-packages/botocore/data/*")}
    assert {"ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin", "endpoints.json"} <= data
    assert len(data) == 10
    blocks = sum(path.lstat().st_blocks for path in directory.rglob("*"))
    assert blocks * 512 <= 40e6
    assert only(f"{directory.name}.tar.xz").stat().st_size <= 12e6


def test_both_archives_hold_the_same(tmp_path: Path) -> None:
    """The .tar.gz, and the smaller .tar.xz."""
    one, other = (by_directory(tmp_path / kind, kind=kind).parent for kind in ("gz", "xz"))
    files = sorted(below(one))
    assert files == sorted(below(other))
    assert filecmp.cmpfiles(one, other, files, shallow=False) == (files, [], [])


def test_the_lock_is_what_the_builders_directory_was_made_of() -> None:
    """Each input has its hash, and each package of Debian its version for both processors."""
    lock = json.loads((ROOT / "packaging" / "inputs.json").read_text())
    versions: dict[str, set[str]] = {}
    for one in (*lock["debian"], *lock["python"]):
        assert re.fullmatch("[0-9a-f]{64}", one["sha256"])
        file = ROOT / "build" / "inputs" / one["file"]
        if file.exists():
            assert hashlib.sha256(file.read_bytes()).hexdigest() == one["sha256"]
    for one in lock["debian"]:
        versions.setdefault(one["name"], set()).add(one["version"])
    assert all(len(found) == 1 for found in versions.values())


# Packages of Linux distributions


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
@pytest.mark.parametrize("pattern", [f"{NAME}_*_{DEBIAN}.deb", f"{DROP_IN}_*.deb"])
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


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_package_needs_anything_of_the_distribution(machine: str) -> None:
    """For both processors; and none is there beside AWS's helper under that helper's name."""
    debian = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    deb, rpm, apk = (
        only(f"{NAME}_*_{debian}.deb"),
        only(f"{NAME}-[0-9]*.{machine}.rpm"),
        only(f"{NAME}_*_{machine}.apk"),
    )
    drop_in = only(f"{DROP_IN}_*.apk")
    assert apk_info(apk)["arch"] == [machine]
    assert "depend" not in apk_info(apk)
    assert apk_info(drop_in)["depend"] == [NAME, "!amazon-ecr-credential-helper"]
    assert apk_info(drop_in)["arch"] == ["noarch"]
    check("dpkg", "rpm")
    fields = run("dpkg-deb", "--field", deb, "Architecture", "Depends")
    assert fields == f"Architecture: {debian}\n"
    needs = run("rpm", "--query", "--package", "--requires", rpm).splitlines()
    assert [line for line in needs if not line.startswith("rpmlib(")] == []
    assert run("rpm", "--query", "--package", "--queryformat", "%{ARCH}", rpm) == machine


@pytest.mark.parametrize("kind", INSTALL)
def test_the_loader_is_where_confined_programs_may_run_it(tmp_path: Path, kind: str) -> None:
    """SELinux labels /usr/libexec bin_t, and a loader in a directory called lib ld_so_t."""
    by_package(kind)(tmp_path)
    link = tmp_path / kind / "usr/bin" / NAME
    assert os.readlink(link) == f"../libexec/{NAME}/{NAME}"
    loader = link.resolve().parent / "program" / NAME
    assert os.access(loader, os.X_OK)
    assert "lib" not in loader.relative_to(tmp_path / kind).parts


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
    names = ["hatchling", "shtab", "argparse-manpage", "cyclonedx-python-lib", "markdown-it-py"]
    names += ["boto3", "botocore", "platformdirs", "rich"]
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

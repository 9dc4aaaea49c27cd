"""What the caller's environment adds to Python's search path does not reach the program."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback import USER_KEY, USER_SECRET, Loopback
from tests.support.answers import NAME, NO_KEYS, write
from tests.support.entries import HOST, LIFE, rewrite, secret_of, until
from tests.support.helper import Helper
from tests.support.installed import environment, pip_install, script_for

# Libraries of ours, one that a library of ours uses if it is there, and of Python's own what no
# start of Python loads.
SHADOWED = (
    *("boto3", "botocore", "certifi", "dateutil", "jmespath", "platformdirs", "rich", "urllib3"),
    *("brotli", "awscrt"),
    *("argparse", "hashlib", "http", "json", "logging", "socket", "ssl", "subprocess", "urllib"),
)
LIBRARIES = (
    *("boto3", "botocore", "dateutil", "jmespath", "platformdirs", "rich", "s3transfer", "six"),
    "urllib3",
)
# With a number of attempts, AWS is asked with botocore.
BY_BOTOCORE = {"AWS_MAX_ATTEMPTS": "3"}


@dataclass
class Project:
    """Another project, whose modules have the names of those that the program needs.

    The mark is a file with the name of each of them that was loaded.
    """

    directory: Path
    mark: Path

    def loaded(self) -> list[str]:
        """Return the names of those that were loaded."""
        return self.mark.read_text().split() if self.mark.exists() else []


@pytest.fixture
def other(tmp_path: Path) -> Project:
    """Make the other project."""
    project = Project(tmp_path / "other", tmp_path / "loaded")
    for name in SHADOWED:
        text = f"with open({str(project.mark)!r}, 'a') as file:\n    print(__name__, file=file)\n"
        write(project.directory / name / "__init__.py", f"{text}raise RuntimeError('of another')\n")
    return project


@pytest.fixture(params=["script", "module"])
def started(request: pytest.FixtureRequest, helper: Helper) -> Helper:
    """Return the program, started by its script or by `python -m`."""
    if request.param == "module":
        text = f'#!/bin/sh\nexec {sys.executable} -m ecr_credential_helper "$@"\n'
        helper.executable = write(helper.home.with_name("as-module"), text)
        helper.executable.chmod(0o755)
    return helper


def live(helper: Helper, aws: Loopback, cwd: Path) -> None:
    """Use the program in a directory: cold in both ways, warm, and refreshed by its own process."""
    stdin, before = HOST.encode(), aws.count("ecr")
    for env in ({}, BY_BOTOCORE):
        assert helper.run("erase", stdin=stdin, cwd=cwd, env=env).status == 0
        first = helper.run("get", stdin=stdin, cwd=cwd, env=env)
        assert (first.stderr, first.status) == (b"", 0), first
        assert helper.run("get", stdin=stdin, cwd=cwd, env=env) == first
    assert aws.count("ecr") == before + 2
    rewrite(helper.cache, age=LIFE * 0.7)
    assert helper.run("get", stdin=stdin, cwd=cwd, env=BY_BOTOCORE) == first
    until(lambda: aws.count("ecr") == before + 3)


@pytest.mark.parametrize(
    ("variable", "inside"),
    [("{}", False), (".:{}/", False), ("relative/../../other", False), ("", True), (":", True)],
    ids=["absolute", "slash", "relative", "directory", "empty"],
)
def test_no_module_comes_from_where_the_caller_says(
    started: Helper, aws: Loopback, other: Project, variable: str, *, inside: bool
) -> None:
    """Neither one of ours nor one of Python's, by PYTHONPATH in each form, nor by `python -m`."""
    started.env["PYTHONPATH"] = variable.format(other.directory)
    live(started, aws, other.directory if inside else started.home)
    assert other.loaded() == []


def test_a_directory_that_was_removed_does_not_matter(
    helper: Helper, aws: Loopback, other: Project
) -> None:
    """Where `python -m` has no current directory, what PYTHONPATH adds is taken out as ever."""
    gone = helper.home / "gone"
    text = f"#!/bin/sh\nmkdir {gone}\ncd {gone}\nrmdir {gone}\n"
    text += f'exec {sys.executable} -m ecr_credential_helper "$@"\n'
    helper.executable = write(helper.home.with_name("removing"), text)
    helper.executable.chmod(0o755)
    helper.env["PYTHONPATH"] = f"{other.directory}/"
    live(helper, aws, helper.home)
    assert other.loaded() == []


@pytest.mark.parametrize("name", SHADOWED)
def test_python_itself_takes_them_from_there(other: Project, name: str) -> None:
    """The other project does what these tests are about."""
    env = {"PYTHONPATH": str(other.directory)}
    done = subprocess.run([sys.executable, "-c", f"import {name}"], env=env, check=False)
    assert done.returncode == 1
    assert other.loaded() == [name]


@pytest.mark.parametrize(
    "command",
    [
        ["doctor", HOST],
        ["status", "--json"],
        ["warm", HOST],
        ["clear"],
        ["configure", "--dry-run", HOST],
        ["get-login-password", "--region", "eu-west-1"],
        ["list"],
        ["version"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_loads_one_either(helper: Helper, other: Project, command: list[str]) -> None:
    """Each does the same with the other project as without."""
    expected = helper.run(*command).status
    result = helper.run(*command, env={"PYTHONPATH": str(other.directory), **BY_BOTOCORE})
    assert result.status == expected
    assert "internal error" not in result.out + result.err
    assert other.loaded() == []


def test_a_credential_process_has_the_variable(helper: Helper, other: Project) -> None:
    """It may be a program that finds its own modules that way."""
    keys = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    seen = helper.home / "seen"
    said = f"printenv PYTHONPATH >{seen}\necho '{json.dumps(keys)}'\n"
    script = write(helper.home / "process", said)
    write(helper.home / ".aws/config", f"[default]\ncredential_process = /bin/sh {script}\n")
    value = f"{other.directory}::some/where"
    assert secret_of(helper.get(HOST, env={**NO_KEYS, "PYTHONPATH": value}).answer)
    assert seen.read_text() == f"{value}\n"


def test_what_python_adds_itself_stays(helper: Helper, aws: Loopback, other: Project) -> None:
    """Also where PYTHONPATH names it; and what it names beside that goes."""
    places = [sysconfig.get_path(name) for name in ("purelib", "stdlib", "platstdlib")]
    places += [f"{places[1]}/lib-dynload", str(other.directory)]
    helper.env["PYTHONPATH"] = os.pathsep.join(places)
    live(helper, aws, helper.home)
    assert other.loaded() == []


def linked_libraries(directory: Path) -> None:
    """Put links to the libraries that we need into a directory."""
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        origin = origin.parent if origin.name == "__init__.py" else origin
        (directory / origin.name).symlink_to(origin)


@pytest.fixture
def target(helper: Helper, tmp_path: Path) -> Path:
    """Return where the program is, by `pip install --target` without its libraries."""
    python, _ = environment(tmp_path / "bare", bare=True)
    target = tmp_path / "target"
    pip_install(python, tmp_path, "--target", str(target))
    helper.executable = target / "bin" / NAME
    helper.executable.write_text(script_for(python, helper.executable.read_text()))
    return target


@pytest.mark.parametrize("order", ["{target}:{other}", "{other}:{target}"])
def test_it_can_be_installed_where_pythonpath_leads(
    helper: Helper, aws: Loopback, other: Project, target: Path, order: str
) -> None:
    """Its own directory stays, with the libraries that are there, and another's goes."""
    linked_libraries(target)
    helper.env["PYTHONPATH"] = order.format(target=target, other=other.directory)
    live(helper, aws, helper.home)
    assert other.loaded() == []


@pytest.mark.parametrize("order", ["{target}:{libraries}", "{libraries}:{target}"])
def test_its_libraries_can_be_in_a_directory_of_theirs(
    helper: Helper, aws: Loopback, tmp_path: Path, target: Path, order: str
) -> None:
    """Some systems have a directory for each package, and PYTHONPATH names them all."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    linked_libraries(libraries)
    helper.env["PYTHONPATH"] = order.format(target=target, libraries=libraries)
    live(helper, aws, helper.home)

"""The component for GitLab, used by a job that a stand-in for the runner runs."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.e2e.rig import OTHER, PRIVATE, PUBLIC, THIRD
from tests.loopback import Loopback
from tests.support.actions import in_this_process
from tests.support.forms import NAME, ROOT, below
from tests.support.gitlab import InputError, extended, included, run_job
from tests.support.needs import SYSTEM_PATH, installed
from tests.support.releases import ARCHIVE, REPOSITORY, VERSION, make_release, serving

COMPONENT = ROOT / "packaging" / "gitlab-component" / "templates" / f"{NAME}.yml"
ROLE = "arn:aws:iam::111122223333:role/ci"
ID_TOKEN = "header.claims.signature"
SHELLS = (("sh",), ("bash", "-o", "pipefail"), ("busybox", "sh"))

# What an image without curl has, as those of Docker.
TOOLS = (
    *("cat", "chmod", "cp", "env", "find", "gzip", "ln", "mkdir", "mv", "rm", "sh"),
    *("sha256sum", "tar", "tr", "uname", "wget"),
)
SHOW = 'echo "config: $(cat "$DOCKER_CONFIG/config.json" | tr -d "\\n\\t ")"'


class Runner:
    """A machine with a user, a place that has a release, and AWS."""

    def __init__(self, directory: Path, aws: Loopback, url: str) -> None:
        self.home = directory / "home"
        self.temp = directory / "temp"
        for made in (self.home, self.temp):
            made.mkdir()
        self.releases = f"{url}/{REPOSITORY}/releases/download"
        self.sha256 = make_release(directory / "server")
        self.archive = next((directory / "server").rglob(ARCHIVE))
        self.variables = {
            **aws.environment(with_keys=True),
            "AWS_REGION": "eu-west-1",
            "HOME": str(self.home),
            "PATH": SYSTEM_PATH,
            "TMPDIR": str(self.temp),
        }
        self.shell: tuple[str, ...] = ("sh",)

    def run(self, *script: str, **inputs: Any) -> CompletedProcess[str]:
        """Run a job that extends the component."""
        given = {"sha256": self.sha256, "releases": self.releases, **inputs}
        job = {"extends": f".{NAME}", "script": list(script)}
        whole = extended(job, included(COMPONENT, given))
        return run_job(whole, self.variables, in_this_process, shell=self.shell, token=ID_TOKEN)

    def hosts(self, **inputs: Any) -> list[str]:
        """Return the credHelpers that a job finds."""
        done = self.run(SHOW, **inputs)
        assert done.returncode == 0, done.stdout
        text = done.stdout.partition("config: ")[2].splitlines()[0]
        return sorted(json.loads(text)["credHelpers"])


@pytest.fixture
def runner(tmp_path: Path, aws: Loopback) -> Iterator[Runner]:
    """Give a test a runner."""
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as url:
        yield Runner(tmp_path, aws, url)


def refused(runner: Runner, **inputs: Any) -> str:
    """Run a job that ends before its script; return the last line it prints."""
    done = runner.run("echo its script", **inputs)
    assert done.returncode != 0
    assert "its script" not in done.stdout
    assert below(runner.temp) == set()
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_a_job_gets_a_token_by_its_own(
    runner: Runner, aws: Loopback, shell: tuple[str, ...]
) -> None:
    """In each shell that images have; its token is exchanged for a role."""
    installed(shell[0])
    runner.shell = shell
    aws.add_role(ROLE, web_identity_token=ID_TOKEN)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del runner.variables[key]
    get = f"printf %s {PRIVATE} | {NAME} get"
    done = runner.run(f"{NAME} version", get, get, registries=PRIVATE, role=ROLE)
    assert done.returncode == 0, done.stdout
    assert f"(ecr-credential-helper) {VERSION}" in done.stdout
    assert done.stdout.count('"Username":"AWS"') == 2
    assert aws.count("sts", "AssumeRoleWithWebIdentity") == 1
    assert ID_TOKEN not in done.stdout


def test_nothing_is_left_of_a_job(runner: Runner) -> None:
    """In a directory that stays, whether its script succeeds or fails."""
    for last in ("true", "false"):
        get = f"printf %s {PRIVATE} | {NAME} get"
        done = runner.run(get, f'find "$TMPDIR"; {last}', registries=PRIVATE)
        assert (done.returncode == 0) == (last == "true")
        assert "/docker/config.json\n" in done.stdout
        assert "/cache/" in done.stdout
        assert below(runner.temp) == below(runner.home) == set()


@pytest.mark.parametrize(
    ("inputs", "hosts"),
    [
        ({}, [PRIVATE]),
        ({"registries": f"\n {PRIVATE},{OTHER}\n{THIRD}\n"}, [PRIVATE, OTHER, THIRD]),
        ({"accounts": "111122223333, 777788889999"}, [PRIVATE, THIRD]),
        ({"accounts": "444455556666", "regions": "us-east-1", "public": True}, [OTHER, PUBLIC]),
    ],
)
def test_what_the_inputs_name(runner: Runner, inputs: Mapping[str, Any], hosts: list[str]) -> None:
    """Each input is passed on."""
    assert runner.hosts(**inputs) == sorted(hosts)


def test_the_users_own_files_stay_as_they_are(runner: Runner) -> None:
    """Docker finds what is beside them, and a profile's registry is the job's alone."""
    docker = runner.home / ".docker"
    (docker / "cli-plugins").mkdir(parents=True)
    (docker / "cli-plugins/docker-buildx").write_text("a plugin")
    (docker / "config.json").write_text('{"auths": {"registry.example.com": {"auth": "dTpw"}}}')
    (runner.home / ".aws").mkdir()
    profile = "[profile prod]\nrole_arn=arn:aws:iam::444455556666:role/x\nregion=us-east-1\n"
    (runner.home / ".aws/config").write_text(f"{profile}source_profile=prod\n")
    before = {name: (runner.home / name).read_bytes() for name in below(runner.home)}
    show = 'cat "$DOCKER_CONFIG/cli-plugins/docker-buildx" "$AWS_ECR_CONFIG_FILE"'
    done = runner.run(SHOW, show, registries=PRIVATE, profiles="*")
    assert "registry.example.com" in done.stdout.partition("config: ")[2]
    assert "a plugin" in done.stdout
    assert OTHER in done.stdout.partition("a plugin")[2]
    assert {name: (runner.home / name).read_bytes() for name in below(runner.home)} == before


def test_an_archive_with_another_sum_is_not_unpacked(runner: Runner) -> None:
    """The error has the sum."""
    with runner.archive.open("ab") as archive:
        archive.write(b"x")
    assert "which the input sha256 does not have" in refused(runner, registries=PRIVATE)


def test_a_sum_for_each_processor_may_be_given(runner: Runner) -> None:
    """One of them has to be the archive's."""
    assert runner.hosts(registries=PRIVATE, sha256=f"{'0' * 64}\n{runner.sha256}") == [PRIVATE]


def test_a_version_that_is_not_there(runner: Runner) -> None:
    """The error has the URL."""
    assert f"{runner.releases}/v9.9.9/" in refused(runner, registries=PRIVATE, version="9.9.9")


def test_a_processor_for_which_there_is_no_release(runner: Runner, tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "uname").write_text("#!/bin/sh\necho riscv64\n")
    (tmp_path / "uname").chmod(0o755)
    runner.variables["PATH"] = f"{tmp_path}:{SYSTEM_PATH}"
    assert "riscv64" in refused(runner, registries=PRIVATE)


@pytest.mark.needs("wget")
def test_wget_does_where_there_is_no_curl(runner: Runner, tmp_path: Path) -> None:
    """As in the images of Docker."""
    tools = tmp_path / "tools"
    tools.mkdir()
    names = [
        "cat",
        "chmod",
        "cp",
        "env",
        "find",
        "gzip",
        "ln",
        "mkdir",
        "mv",
        "rm",
        "sh",
        "sha256sum",
        "tar",
        "tr",
        "uname",
        "wget",
    ]
    for name in names:
        (tools / name).symlink_to(shutil.which(name, path=SYSTEM_PATH) or "")
    runner.variables["PATH"] = str(tools)
    assert runner.hosts(registries=PRIVATE) == [PRIVATE]
    (tools / "wget").unlink()
    assert "curl and wget are missing" in runner.run("true").stdout


@pytest.mark.parametrize(
    "text", ["$(touch $HOME/pwned)", "`touch $HOME/pwned`", "';id;'", "*", "--dry-run", "\\"]
)
@pytest.mark.parametrize("name", ["registries", "accounts", "regions", "profiles"])
def test_an_input_is_data(runner: Runner, name: str, text: str) -> None:
    """It is refused, and the shell does not take it for a command."""
    assert refused(runner, **{name: text})
    assert below(runner.home) == set()


def test_an_asterisk_is_no_file(runner: Runner) -> None:
    """The shell does not put the names of files in its place."""
    assert "'*' is no host" in runner.run("true", registries="*").stdout


def test_another_users_directory_is_not_used(runner: Runner) -> None:
    """One that is there already is an error."""
    job = extended(
        {"extends": f".{NAME}", "script": ["echo its script"]},
        included(COMPONENT, {"sha256": runner.sha256, "releases": runner.releases}),
    )
    job["before_script"].insert(0, f'mkdir "$TMPDIR/{NAME}-$CI_JOB_ID"')
    done = run_job(job, runner.variables, in_this_process)
    assert "is not the job's own" in done.stdout
    assert "its script" not in done.stdout


@pytest.mark.parametrize("inputs", [{}, {"sha256": "x", "other": "x"}, {"sha256": 7}])
def test_inputs_that_gitlab_refuses(inputs: dict[str, Any]) -> None:
    """The sum has no default."""
    with pytest.raises(InputError):
        included(COMPONENT, inputs)

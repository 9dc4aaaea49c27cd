"""The action for GitHub, used by a job that a stand-in for the runner runs."""

import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.e2e.rig import OTHER, PRIVATE, PUBLIC, THIRD
from tests.loopback import Loopback
from tests.support.actions import ARCHITECTURES, TOKEN, Job, Used
from tests.support.forms import MACHINE, NAME, ROOT, below, run
from tests.support.needs import SYSTEM_PATH, installed
from tests.support.releases import (
    ARCHIVE,
    DIRECTORY,
    PLACE,
    REPOSITORY,
    VERSION,
    make_release,
    serving,
)

ACTION = ROOT / "packaging" / "github-action"

# All that the action may need of a runner.
TOOLS = (
    *("bash", "cat", "cp", "curl", "env", "grep", "gzip", "ln", "mkdir", "mktemp", "mv", "od"),
    *("realpath", "rm", "sed", "sha256sum", "sh", "tail", "tar", "tr"),
)
GH = '#!/bin/sh\nprintf "%s\\n" "$@" >"$HOME/gh"\n[ "$GH_TOKEN" = {token} ] && exit {status}\n'
MADE = f"{NAME}/"

pytestmark = pytest.mark.needs("bash", "curl", "realpath")


class Runner:
    """A machine with a user, a GitHub that has a release, and AWS."""

    def __init__(self, directory: Path, aws: Loopback, url: str) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.tools = directory / "tools"
        for made in (self.home, self.tools):
            made.mkdir()
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(installed(name), path=SYSTEM_PATH) or "")
        self.put_gh()
        self.release = directory / "server" / PLACE
        self.sha256 = make_release(directory / "server")
        self.variables = {
            **aws.environment(with_keys=True),
            "AWS_REGION": "eu-west-1",
            "GITHUB_SERVER_URL": url,
            "HOME": str(self.home),
            "PATH": str(self.tools),
            "RUNNER_ARCH": ARCHITECTURES.get(MACHINE, MACHINE),
        }

    def put_gh(self, status: int = 0) -> None:
        """Install GitHub CLI, which notes what it is asked and answers with an exit status."""
        (self.tools / "gh").write_text(GH.format(token=TOKEN, status=status))
        (self.tools / "gh").chmod(0o755)

    def job(self, name: str = "temp", **variables: str) -> Job:
        """Start a job in a temporary directory of its own."""
        return Job(self.directory / name, self.variables | variables)

    def asked(self) -> list[str]:
        """Return what gh was asked, but for the file."""
        words = (self.home / "gh").read_text().splitlines()
        assert words[:2] == ["attestation", "verify"]
        assert words[2].endswith(f"/{ARCHIVE}")
        return words[3:]


@pytest.fixture
def runner(tmp_path: Path, aws: Loopback) -> Iterator[Runner]:
    """Give a test a runner."""
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as url:
        yield Runner(tmp_path, aws, url)


def helpers(job: Job) -> dict[str, str]:
    """Return the credHelpers that Docker finds in the next step."""
    config = json.loads(Path(job.env["DOCKER_CONFIG"], "config.json").read_text())
    found: dict[str, str] = config["credHelpers"]
    return found


def refused(job: Job, **inputs: str) -> str:
    """Use the action, which fails with one error, and leaves nothing that counts; return it."""
    used = job.use(ACTION, **inputs)
    assert used.status == 1
    (error,) = used.errors
    assert job.written == [] or job.paths == [str(job.temp / NAME / DIRECTORY)]
    assert TOKEN not in used.log
    return error


def nothing_was_unpacked(job: Job) -> bool:
    """Whether no file of a release is there, nor the archive."""
    return not [name for name in below(job.temp) if name.startswith(MADE)]


def used(job: Job, **inputs: str) -> Used:
    """Use the action, which succeeds."""
    outcome = job.use(ACTION, **inputs)
    assert outcome.status == 0, outcome.log
    assert outcome.errors == []
    return outcome


def test_the_default_is_this_version_of_this_repository(runner: Runner) -> None:
    """Checked by its sum and its attestation, which names the workflow that built it."""
    job = runner.job()
    outcome = used(job, registries=PRIVATE)
    assert f"(ecr-credential-helper) {VERSION}" in outcome.log
    workflow = f"{REPOSITORY}/.github/workflows/release.yml"
    assert runner.asked() == ["--repo", REPOSITORY, "--signer-workflow", workflow]
    assert outcome.outputs == {"registry": PRIVATE}
    assert helpers(job) == {PRIVATE: "ecr"}


def test_a_step_that_follows_gets_a_token_from_the_cache_of_the_job(
    runner: Runner, aws: Loopback
) -> None:
    """The program is on PATH, and asks AWS once."""
    job = runner.job()
    used(job, registries=PRIVATE)
    for _ in range(2):
        done, _ = job.step(f"printf %s {PRIVATE} | {NAME} get", {})
        assert json.loads(done.stdout)["Username"] == "AWS"
    assert aws.count("ecr") == 1
    assert Path(job.env["AWS_ECR_CACHE_DIR"]).parent == job.temp / NAME


def test_all_that_is_made_lies_below_the_directory_that_the_runner_empties(
    runner: Runner,
) -> None:
    """Nothing is made in the home, and nothing is left of a job."""
    job = runner.job()
    before = below(runner.directory)
    used(job, registries=PRIVATE)
    job.step(f"printf %s {PRIVATE} | {NAME} get", {})
    made = below(runner.directory) - before - {"home/gh"}
    assert made
    assert all(name.startswith(f"temp/{MADE}") for name in made), made
    assert stat.S_IMODE((job.temp / NAME / "docker").stat().st_mode) == 0o700
    job.end()
    assert below(runner.directory) == before | {"home/gh"}


def test_the_users_own_files_stay_as_they_are(runner: Runner) -> None:
    """Docker finds what the user has beside them, and a login in the job is not the user's."""
    docker, settings = runner.home / ".docker", runner.home / ".config/ecr-credential-helper"
    for directory in (docker / "cli-plugins", docker / "contexts", settings, runner.home / ".aws"):
        directory.mkdir(parents=True)
    (docker / "cli-plugins/docker-buildx").write_text("a plugin")
    (docker / "ca.pem").write_text("a certificate")
    login = {"auths": {"registry.example.com": {"auth": "dTpw"}}}
    (docker / "config.json").write_text(json.dumps(login))
    (docker / "config.json").chmod(0o600)
    (settings / "config.toml").write_text(
        '[[registry]]\nmatch = "own.example.com"\nprofile = "x"\n'
    )
    profile = "[profile prod]\nrole_arn=arn:aws:iam::444455556666:role/x\nregion=us-east-1\n"
    (runner.home / ".aws/config").write_text(f"{profile}source_profile=prod\n")
    before = contents(runner.home)
    job = runner.job()
    used(job, registries=PRIVATE, profiles="*")
    assert helpers(job) == dict.fromkeys((OTHER, PRIVATE), "ecr")
    own = Path(job.env["DOCKER_CONFIG"])
    assert json.loads((own / "config.json").read_text())["auths"] == login["auths"]
    assert stat.S_IMODE((own / "config.json").stat().st_mode) == 0o600
    assert (own / "cli-plugins/docker-buildx").read_text() == "a plugin"
    assert (own / "ca.pem").read_text() == "a certificate"
    text = Path(job.env["AWS_ECR_CONFIG_FILE"]).read_text()
    assert "own.example.com" in text
    assert OTHER in text
    job.end()
    (runner.home / "gh").unlink()
    assert contents(runner.home) == before


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the time of each file."""
    return {
        name: ((directory / name).read_bytes(), (directory / name).stat().st_mtime_ns)
        for name in below(directory)
    }


def test_two_jobs_at_once_do_not_affect_each_other(runner: Runner) -> None:
    """Each has a config.json of its own."""
    jobs = {host: runner.job(host) for host in (PRIVATE, OTHER)}
    outcomes: dict[str, Used] = {}

    def use(host: str) -> None:
        outcomes[host] = jobs[host].use(ACTION, registries=host)

    threads = [threading.Thread(target=use, args=(host,)) for host in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for host, job in jobs.items():
        assert outcomes[host].outputs == {"registry": host}
        assert helpers(job) == {host: "ecr"}


def test_it_may_be_used_twice_in_a_job(runner: Runner) -> None:
    """The second time adds, and downloads nothing."""
    job = runner.job()
    used(job, registries=PRIVATE)
    shutil.rmtree(runner.release)
    assert used(job, registries=OTHER).outputs == {"registry": OTHER}
    assert set(helpers(job)) == {PRIVATE, OTHER}


@pytest.mark.parametrize(
    ("inputs", "hosts"),
    [
        ({}, [PRIVATE]),
        ({"registries": f"\n  {PRIVATE},{OTHER}\n{THIRD} \n"}, [PRIVATE, OTHER, THIRD]),
        ({"accounts": "111122223333, 777788889999"}, [PRIVATE, THIRD]),
        ({"accounts": "444455556666", "regions": "us-east-1"}, [OTHER]),
        ({"public": "true"}, [PUBLIC]),
        ({"registries": PRIVATE, "public": "true"}, [PRIVATE, PUBLIC]),
        ({"registries": PRIVATE, "accounts": "111122223333"}, [PRIVATE]),
    ],
)
def test_what_the_inputs_name(runner: Runner, inputs: dict[str, str], hosts: list[str]) -> None:
    """There is a `registry` if it is the only one."""
    job = runner.job()
    outcome = used(job, **inputs)
    assert sorted(helpers(job)) == sorted(hosts)
    assert outcome.outputs == {"registry": hosts[0] if len(hosts) == 1 else ""}


def test_profiles_pay_for_their_registries(runner: Runner) -> None:
    """Of all profiles, those whose names match."""
    (runner.home / ".aws").mkdir()
    profiles = "".join(
        f"[profile {name}]\nrole_arn=arn:aws:iam::{account}:role/x\nregion={region}\n"
        "source_profile=ci\n"
        for name, account, region in (
            ("prod-a", "111122223333", "eu-west-1"),
            ("prod-b", "444455556666", "us-east-1"),
            ("dev", "777788889999", "eu-west-1"),
        )
    )
    (runner.home / ".aws/config").write_text(profiles)
    job = runner.job()
    assert used(job, profiles="prod-*").outputs == {"registry": ""}
    assert set(helpers(job)) == {PRIVATE, OTHER}
    assert "prod-b" in Path(job.env["AWS_ECR_CONFIG_FILE"]).read_text()
    assert not (runner.home / ".config").exists()


HOSTILE = [
    *("$(touch $HOME/pwned)", "`touch $HOME/pwned`", '";touch $HOME/pwned;"', "'; id; '"),
    *("::add-mask::x", "##[error]x", "*", "--dry-run", "--docker-config=/", "\\"),
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["registries", "accounts", "regions", "profiles", "public"])
def test_an_input_is_data(runner: Runner, name: str, text: str) -> None:
    """It is refused in one line, and neither the shell nor the runner take it for a command."""
    if (name, text) == ("profiles", "*"):
        (runner.home / ".aws").mkdir()
    error = refused(runner.job(), **{name: text})
    assert error.startswith((f"{name}: ", "configure: "))
    assert not (runner.home / "pwned").exists()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["version", "sha256", "repository"])
def test_an_input_of_the_installation_is_data(runner: Runner, name: str, text: str) -> None:
    """It is refused in one line that names it, before anything is downloaded."""
    job = runner.job()
    error = refused(job, **{name: text})
    assert error.startswith(f"{name}: ")
    assert nothing_was_unpacked(job)
    assert not (runner.home / "pwned").exists()


def test_an_archive_with_another_sum_is_not_unpacked(runner: Runner) -> None:
    """Whatever gh would say."""
    with (runner.release / ARCHIVE).open("ab") as archive:
        archive.write(b"x")
    job = runner.job()
    assert "not the one in SHA256SUMS" in refused(job, registries=PRIVATE)
    assert nothing_was_unpacked(job)
    assert not (runner.home / "gh").exists()


def test_an_archive_that_sums_do_not_name_is_not_unpacked(runner: Runner) -> None:
    """A line for another file does not count."""
    (runner.release / "SHA256SUMS").write_text(f"{runner.sha256}  {ARCHIVE}.other\n")
    job = runner.job()
    assert "not the one in SHA256SUMS" in refused(job, registries=PRIVATE)
    assert nothing_was_unpacked(job)


def test_an_archive_without_an_attestation_is_not_unpacked(runner: Runner) -> None:
    """The error says so, and the log what gh said."""
    runner.put_gh(status=1)
    job = runner.job()
    assert "no attestation" in refused(job, registries=PRIVATE)
    assert nothing_was_unpacked(job)


def test_gh_is_not_asked_where_the_sum_is_given(runner: Runner) -> None:
    """Nor is SHA256SUMS."""
    (runner.tools / "gh").unlink()
    (runner.release / "SHA256SUMS").unlink()
    used(runner.job(), registries=PRIVATE, sha256=f"{'0' * 64}\n{runner.sha256}")


def test_a_sum_that_is_given_has_to_be_the_one(runner: Runner) -> None:
    """An attestation does not make up for it."""
    job = runner.job()
    assert "which sha256 does not have" in refused(job, registries=PRIVATE, sha256="0" * 64)
    assert nothing_was_unpacked(job)


def test_without_gh_it_says_what_to_give(runner: Runner) -> None:
    """Before it downloads anything."""
    (runner.tools / "gh").unlink()
    job = runner.job()
    assert "as sha256" in refused(job, registries=PRIVATE)
    assert nothing_was_unpacked(job)


def test_a_version_that_is_not_there(runner: Runner) -> None:
    """The error has the URL."""
    job = runner.job()
    error = refused(job, registries=PRIVATE, version="v9.9.9")
    assert "/releases/download/v9.9.9/" in error
    assert nothing_was_unpacked(job)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RUNNER_ARCH", "ARM"), ("RUNNER_OS", "macOS"), ("RUNNER_OS", "Windows")],
)
def test_a_runner_for_which_there_is_no_release(runner: Runner, variable: str, value: str) -> None:
    """The error names what the runner is."""
    job = runner.job()
    job.variables[variable] = value
    assert value in refused(job, registries=PRIVATE)


@pytest.mark.parametrize("tool", ["curl", "gzip", "sha256sum", "tar"])
def test_a_runner_without_a_tool(runner: Runner, tool: str) -> None:
    """The error names it."""
    (runner.tools / tool).unlink()
    assert refused(runner.job(), registries=PRIVATE).startswith(f"{tool} is missing")


def test_no_secret_is_told(runner: Runner, aws: Loopback) -> None:
    """Neither in the log nor to the runner: no token and no key."""
    job = runner.job()
    outcome = used(job, registries=PRIVATE)
    job.step(f"printf %s {PRIVATE} | {NAME} get", {})
    told = outcome.log + "\n".join([*job.written, *outcome.outputs.values()])
    for secret in (TOKEN, *aws.issued, job.env["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in told


def test_the_page_names_every_input() -> None:
    """And no other."""
    text = (ROOT / "docs" / "ci.md").read_text()
    table = text.partition("| input | meaning |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z0-9]+)`(?=[^|\n]*\|[^|\n]*\|$)", table, re.MULTILINE)
    declared = yaml.safe_load((ACTION / "action.yml").read_text())["inputs"]
    assert sorted(named) == sorted(declared)


def test_its_scripts_are_programs() -> None:
    """The runner checks them out as they are in the repository."""
    for name in ("install.sh", "configure.sh"):
        assert os.access(ACTION / name, os.X_OK)


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    """In any of the scripts."""
    scripts = sorted(ACTION.glob("*.sh"))
    run("shellcheck", "--external-sources", f"--source-path={ACTION}", *scripts)

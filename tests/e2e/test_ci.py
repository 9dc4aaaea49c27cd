"""The recipes of docs/ci.md, run: a real Docker engine, a registry, and stand-ins for the runners.

A release is served in the rig, in the place of GitHub's. What AWS and the CI systems do around a
recipe is done by the test; the commands and files are those of the page.
"""

import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.loopback import Loopback
from tests.support.actions import ARCHITECTURES, TOKEN, Job, evaluated
from tests.support.forms import MACHINE, NAME, ROOT, below
from tests.support.gitlab import extended, included, run_job
from tests.support.helper import EXECUTABLE
from tests.support.needs import SYSTEM_PATH
from tests.support.pages import CI, text_of
from tests.support.releases import REPOSITORY, VERSION, make_release

from .conftest import CLI
from .rig import OTHER, PRIVATE, Rig
from .users import User

ACTION = f"{REPOSITORY}/packaging/github-action@v{VERSION}"
GITHUB = "http://127.0.0.1:8099"
ROLE = "arn:aws:iam::111122223333:role/ci"
ID_TOKEN = "header.claims.signature"
COMMIT = "0123abc"

pytestmark = pytest.mark.needs("curl")


class Machine(User):
    """A machine that runs jobs: no helper is on its PATH until a job has one."""

    def __init__(self, rig: Rig, aws: Loopback, sha256: str) -> None:
        super().__init__(rig, CLI, aws.environment())
        self.config.unlink()
        self.config.parent.rmdir()
        self.sha256 = sha256
        self.workspace = rig.context(secrets.token_hex(8))
        self.stubs = self.home / "stubs"
        self.stubs.mkdir()
        self.variables |= {
            "DOCKER_BUILDKIT": "0",
            "DOCKER_HOST": f"unix://{rig.directory}/docker.sock",
            "PATH": f"{self.stubs}:{SYSTEM_PATH}",
        }

    def stub(self, name: str, script: str) -> None:
        """Put a program into the place of one that is not here."""
        (self.stubs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.stubs / name).chmod(0o755)

    def in_workspace(self, command: list[str], env: Mapping[str, str]) -> CompletedProcess[str]:
        """Run a command in a directory with a Dockerfile, what it prints in one stream."""
        inside = ["env", f"--chdir={self.workspace}", *command]
        done = self.rig.run(*inside, env=env, check=False)
        return CompletedProcess(done.args, done.returncode, done.stdout + done.stderr, "")

    def pulled(self, *hosts: str) -> None:
        """Pull the image that a job pushed, as somebody who has the helper."""
        somebody = User(self.rig, CLI, self.variables)
        somebody.variables = {**self.variables, "HOME": str(somebody.home)}
        somebody.variables["PATH"] = f"{self.rig.programs}:{SYSTEM_PATH}"
        somebody.use_helper(*hosts)
        for host in hosts:
            image = f"{host}/app:{COMMIT}"
            somebody.docker("rmi", "--force", image)
            somebody.docker("pull", image)
            said = somebody.docker("run", "--rm", image).stdout
            assert said.strip() == (self.workspace / "note").read_text()
            somebody.docker("rmi", image)


@pytest.fixture(scope="session")
def release(rig: Rig) -> Iterator[str]:
    """Serve a release in the rig, in the place of GitHub's; give the SHA-256 of its archive."""
    directory = rig.directory / "github"
    digest = make_release(directory)
    server = ("-m", "http.server", GITHUB.rpartition(":")[2], "--bind", "127.0.0.1")
    with rig.serving("github", sys.executable, *server, "--directory", directory):
        patience = ("--retry", "60", "--retry-connrefused", "--retry-delay", "1")
        rig.run("curl", "--silent", "--fail", *patience, f"{GITHUB}/")
        yield digest


@pytest.fixture
def machine(rig: Rig, aws: Loopback, release: str) -> Machine:
    """Give a test a machine without AWS credentials."""
    return Machine(rig, aws, release)


def workflow(job: Job, steps: list[dict[str, Any]]) -> None:
    """Run the steps of a workflow: scripts, and our action."""
    known: dict[str, str] = {}
    for step in steps:
        if "run" in step:
            env = {name: evaluated(text, known) for name, text in step.get("env", {}).items()}
            done, _ = job.step(step["run"], env)
            assert done.returncode == 0, done.stdout
        elif step["uses"] == ACTION:
            used = job.use(ROOT / "packaging" / "github-action", **step.get("with", {}))
            assert used.status == 0, used.log
            known |= {
                f"steps.{step.get('id')}.outputs.{name}": used.outputs[name]
                for name in used.outputs
            }
        else:
            assert step["uses"].startswith(("actions/checkout@", "aws-actions/configure-aws"))


def github_job(machine: Machine, aws: Loopback) -> Job:
    """Start a job of GitHub Actions that has AWS credentials, as configure-aws-credentials does."""
    machine.stub("gh", f'[ "$GH_TOKEN" = {TOKEN} ]')
    variables = {
        **machine.variables,
        **aws.environment(with_keys=True),
        "AWS_REGION": "eu-west-1",
        "GITHUB_SERVER_URL": GITHUB,
        "GITHUB_SHA": COMMIT,
        "GITHUB_WORKSPACE": str(machine.workspace),
        "RUNNER_ARCH": ARCHITECTURES[MACHINE],
    }
    return Job(machine.home / "temp", variables, machine.in_workspace)


def test_github_actions(machine: Machine, aws: Loopback) -> None:
    """The action says the registry, and at the end of the job the machine is as it was."""
    before = below(machine.home)
    job = github_job(machine, aws)
    page = yaml.safe_load(text_of("GitHub Actions", "yaml", CI))
    workflow(job, page["jobs"]["image"]["steps"])
    assert aws.count("ecr") == 1
    job.end()
    assert below(machine.home) == before | {"stubs/gh"}
    machine.variables |= aws.environment(with_keys=True)
    machine.pulled(PRIVATE)


def test_github_actions_with_several_accounts(machine: Machine, aws: Loopback) -> None:
    """Each registry is used with the role of its profile."""
    roles = [f"arn:aws:iam::{host[:12]}:role/push" for host in (PRIVATE, OTHER)]
    for role in roles:
        aws.add_role(role)
    job = github_job(machine, aws)
    (machine.workspace / ".github").mkdir()
    profiles = text_of("Several accounts", "ini", CI)
    (machine.workspace / ".github/aws-config").write_text(profiles)
    workflow(job, yaml.safe_load(text_of("Several accounts", "yaml", CI)))
    assert aws.count("sts", "AssumeRole") == 2
    assert not (machine.home / ".docker").exists()
    machine.variables |= aws.environment(with_keys=True)
    machine.pulled(PRIVATE, OTHER)


def test_gitlab(machine: Machine, aws: Loopback) -> None:
    """The job's own token is exchanged for the role, and nothing is left of the job."""
    aws.add_role(ROLE, web_identity_token=ID_TOKEN)
    pipeline = yaml.safe_load(text_of("GitLab", "yaml", CI))
    (include,) = pipeline.pop("include")
    address, inputs = include["remote"], include["inputs"]
    ours = f"https://raw.githubusercontent.com/{REPOSITORY}/v{VERSION}/"
    inputs |= {"sha256": machine.sha256}
    inputs["releases"] = f"{GITHUB}/{REPOSITORY}/releases/download"
    pipeline |= included(ROOT / address.removeprefix(ours), inputs)
    variables = machine.variables | {"CI_COMMIT_SHA": COMMIT}
    before = below(machine.home)
    job = extended(pipeline["build"], pipeline)
    done = run_job(job, variables, machine.in_workspace, token=ID_TOKEN)
    assert done.returncode == 0, done.stdout
    assert aws.count("sts", "AssumeRoleWithWebIdentity") == 1
    assert below(machine.home) == before
    machine.variables |= aws.environment(with_keys=True)
    machine.pulled(PRIVATE)


def test_buildkite(machine: Machine, aws: Loopback) -> None:
    """The agent sources its hooks around the commands of a step."""
    aws.add_role(ROLE, web_identity_token=ID_TOKEN)
    machine.stub(
        "buildkite-agent",
        f'[ "$*" = "oidc request-token --audience sts.amazonaws.com" ] && printf %s {ID_TOKEN}',
    )
    (machine.stubs / NAME).symlink_to(EXECUTABLE)
    (step,) = yaml.safe_load(text_of("Buildkite", "yaml", CI))["steps"]
    before = below(machine.home)
    made = 'find "$TMPDIR"'
    hooks = text_of("Buildkite", "bash", CI), text_of("Buildkite", "sh", CI)
    script = "\n".join([hooks[0], *step["commands"], made, hooks[1]])
    variables = {"BUILDKITE_JOB_ID": "0190", "BUILDKITE_COMMIT": COMMIT}
    done = machine.in_workspace(["bash", "-c", script], machine.variables | variables)
    assert done.returncode == 0, done.stdout
    assert "/cache/" in done.stdout
    assert below(machine.home) == before
    assert aws.count("sts", "AssumeRoleWithWebIdentity") == 1
    machine.variables |= aws.environment(with_keys=True)
    machine.pulled(PRIVATE)


def test_circleci(machine: Machine, aws: Loopback) -> None:
    """Each step is a shell of its own, which reads BASH_ENV."""
    aws.add_role(ROLE, web_identity_token=ID_TOKEN)
    text = text_of("CircleCI", "yaml", CI)
    for written, here in (
        ("https://github.com", GITHUB),
        ("x86_64", MACHINE),
        ("SUM ", f"{machine.sha256} "),
        ("/tmp/", f"{machine.home}/tmp/"),
    ):
        assert written in text
        text = text.replace(written, here)
    job = yaml.safe_load(text)["jobs"]["image"]
    environment = machine.home / "bash-env"
    environment.touch()
    variables = {
        **machine.variables,
        **job["environment"],
        "BASH_ENV": str(environment),
        "CIRCLE_OIDC_TOKEN_V2": ID_TOKEN,
        "CIRCLE_SHA1": COMMIT,
    }
    for step in job["steps"]:
        if step != "checkout":
            done = machine.in_workspace(["bash", "-eo", "pipefail", "-c", step["run"]], variables)
            assert done.returncode == 0, done.stdout
            assert ID_TOKEN not in done.stdout
    assert aws.count("ecr") == 1
    assert os.stat(job["environment"]["AWS_WEB_IDENTITY_TOKEN_FILE"]).st_mode & 0o77 == 0
    machine.variables |= aws.environment(with_keys=True)
    machine.pulled(PRIVATE)

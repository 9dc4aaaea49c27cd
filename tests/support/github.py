"""The workflows of .github, read, and their steps run as the runner runs them."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from tests.support.actions import Job, evaluated, in_this_process
from tests.support.forms import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
NAMES = sorted(file.stem for file in WORKFLOWS.glob("*"))


class Workflow:
    """A workflow: when it runs, and what its jobs do."""

    def __init__(self, name: str) -> None:
        self.text = (WORKFLOWS / f"{name}.yml").read_text()
        document: dict[Any, Any] = yaml.safe_load(self.text)
        self.events: dict[str, Any] = document[True]  # `on`, as YAML 1.1 takes it
        self.document: dict[str, Any] = document
        self.jobs: dict[str, dict[str, Any]] = document["jobs"]

    def needed(self, job: str) -> set[str]:
        """Return the jobs that have to succeed before this one begins."""
        needs = self.jobs[job].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(self.needed, direct))

    def steps(self, job: str) -> list[dict[str, Any]]:
        """Return the steps of a job."""
        steps: list[dict[str, Any]] = self.jobs[job]["steps"]
        return steps

    def step(self, job: str, name: str) -> dict[str, Any]:
        """Return the one step of a job with a name."""
        (step,) = (step for step in self.steps(job) if step.get("name") == name)
        return step

    def scripts(self) -> Iterator[tuple[str, str, str]]:
        """Yield each step that is a script: its job, its name and the script."""
        for job in self.jobs:
            for step in self.steps(job):
                if "run" in step:
                    yield job, step["name"], step["run"]


class Done(NamedTuple):
    """How a step ended."""

    status: int
    outputs: dict[str, str]
    log: str


class Runner:
    """A machine that runs single steps in a workspace, with stand-ins for what it cannot have."""

    def __init__(self, directory: Path) -> None:
        self.workspace = directory / "workspace"
        self.stand_ins = directory / "stand-ins"
        self.home = directory / "home"
        for made in (self.workspace, self.stand_ins, self.home):
            made.mkdir()
        self.temp = directory / "temp"
        self.variables = {
            "PATH": f"{self.stand_ins}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "GITHUB_ACTOR": "somebody",
            "GITHUB_REPOSITORY": "OWNER/ecr-credential-helper",
            "GITHUB_REPOSITORY_OWNER": "OWNER",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "c0ffee" * 6 + "c0ff",
            "GITHUB_WORKSPACE": str(self.workspace),
        }

    def stand_in(self, name: str, script: str) -> None:
        """Put a program in front of that of the machine."""
        program = self.stand_ins / name
        program.write_text(script)
        program.chmod(0o755)

    def run(
        self, workflow: str, job: str, name: str, known: Mapping[str, str] | None = None
    ) -> Done:
        """Run a step of a job, where expressions have the values of `known`."""
        read = Workflow(workflow)
        assert read.document["defaults"] == {"run": {"shell": "bash"}}
        step = read.step(job, name)
        values = {"github.token": "the token", "github.repository": "OWNER/ecr-credential-helper"}
        values |= known or {}
        declared = (
            read.document.get("env", {}) | read.jobs[job].get("env", {}) | step.get("env", {})
        )
        env = {key: evaluated(text, values) for key, text in declared.items()}
        here = partial(in_this_process, directory=self.workspace)
        runner = Job(self.temp, self.variables, here)
        done, outputs = runner.step(step["run"], env)
        return Done(done.returncode, outputs, done.stdout)

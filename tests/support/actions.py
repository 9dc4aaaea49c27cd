"""A job of GitHub Actions, as far as a composite action can tell.

It runs the steps of an action.yml one by one, as the runner does: the expressions of `env` are
evaluated, and none in a script; each script is a file that bash is given; what it writes into
GITHUB_ENV and GITHUB_PATH holds for the steps that follow, and lines `::error::` are errors unless
a script has stopped commands.
"""

import re
import secrets
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
TOKEN = "ghs_the_token_of_the_job"
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
ARCHITECTURES = {"x86_64": "X64", "aarch64": "ARM64"}

Run = Callable[[list[str], Mapping[str, str]], CompletedProcess[str]]


class Used(NamedTuple):
    """What using an action comes to."""

    status: int
    outputs: dict[str, str]
    errors: list[str]
    log: str


def in_this_process(
    command: list[str], env: Mapping[str, str], directory: Path | None = None
) -> CompletedProcess[str]:
    """Run a command here, or in a directory, with what it prints in one stream."""
    return subprocess.run(
        command,
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


class Job:
    """One job on a runner: its temporary directory, its variables and its PATH."""

    def __init__(
        self, temp: Path, variables: Mapping[str, str], run: Run = in_this_process
    ) -> None:
        self.temp = temp
        self.temp.mkdir(parents=True, exist_ok=True)
        self.variables = {
            **variables,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(temp),
        }
        self.paths: list[str] = []
        self.written: list[str] = []
        """Each line that a step wrote for the runner to read."""
        self._run = run

    @property
    def env(self) -> dict[str, str]:
        """The environment of the next step."""
        return self.variables | {"PATH": ":".join([*self.paths[::-1], self.variables["PATH"]])}

    def use(self, directory: Path, **given: str) -> Used:
        """Use the action in a directory with some inputs."""
        action = yaml.safe_load((directory / "action.yml").read_text())
        assert action["runs"]["using"] == "composite"
        declared = action["inputs"]
        assert given.keys() <= declared.keys(), "the runner warns of an unexpected input"
        known: dict[str, str] = {"github.token": TOKEN}
        for name, about in declared.items():
            assert isinstance(about["default"], str)
            known[f"inputs.{name}"] = given.get(name, evaluated(about["default"], known))
        log = ""
        for step in action["runs"]["steps"]:
            done, outputs = self.step(
                step["run"],
                {name: evaluated(text, known) for name, text in step["env"].items()}
                | {"GITHUB_ACTION_PATH": str(directory)},
                step["shell"],
            )
            log += done.stdout
            if done.returncode != 0:
                return Used(done.returncode, {}, _errors(log), log)
            if "id" in step:
                known |= {f"steps.{step['id']}.outputs.{name}": outputs[name] for name in outputs}
        outputs = {
            name: evaluated(about["value"], known, missing="")
            for name, about in action["outputs"].items()
        }
        return Used(0, outputs, _errors(log), log)

    def step(
        self, script: str, env: Mapping[str, str], shell: str = "bash"
    ) -> tuple[CompletedProcess[str], dict[str, str]]:
        """Run one script as a step; return how it ended and its outputs."""
        assert shell == "bash"
        assert "${{" not in script, "an input in a script is code"
        commands = self.temp / "_runner_file_commands"
        commands.mkdir(exist_ok=True)
        number = secrets.token_hex(4)
        files = {name: commands / f"{name}_{number}" for name in ("ENV", "PATH", "OUTPUT")}
        for file in files.values():
            file.touch()
        path = self.temp / f"{number}.sh"
        path.write_text(script)
        variables = self.env | {f"GITHUB_{name}": str(file) for name, file in files.items()}
        done = self._run([*BASH, str(path)], variables | dict(env))
        lines = {name: file.read_text().splitlines() for name, file in files.items()}
        self.written += [line for each in lines.values() for line in each]
        self.variables |= _pairs(lines["ENV"])
        self.paths += lines["PATH"]
        for file in (*files.values(), path):
            file.unlink()
        return done, _pairs(lines["OUTPUT"])

    def end(self) -> None:
        """Empty the temporary directory without following a link, as the runner does."""
        assert self.temp.is_dir()
        for path in sorted(self.temp.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()


def evaluated(text: str, known: Mapping[str, str], missing: str | None = None) -> str:
    """Return a value with its expressions evaluated; one that is not known is an error."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return known[name] if missing is None or name in known else missing

    return EXPRESSION.sub(value, text)


def _pairs(lines: list[str]) -> dict[str, str]:
    """Return what lines NAME=VALUE set, or NAME<<END and the lines of a value before END."""
    pairs = {}
    rest = iter(lines)
    for line in rest:
        found = re.match(r"([A-Za-z_]+)(=|<<)(.*)", line)
        assert found, lines
        name, sign, value = found.groups()
        pairs[name] = value if sign == "=" else "\n".join(iter(lambda: next(rest), value))
    return pairs


def _errors(log: str) -> list[str]:
    """Return the errors that a log tells the runner of; any other command is unexpected."""
    errors: list[str] = []
    stopped = ""
    for line in map(str.strip, log.splitlines()):
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif line.startswith("::stop-commands::"):
            stopped = line.removeprefix("::stop-commands::")
        elif line.startswith("::error::"):
            errors.append(line.removeprefix("::error::"))
        else:
            command: Any = re.match(r"::|.*##\[", line)
            assert not command, line
    return errors

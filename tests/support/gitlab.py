"""A job of GitLab CI that extends what a component gives, as far as the job can tell.

The inputs are checked and put into the component's YAML, the job is merged over what it extends,
and a shell runs `before_script` and `script` as one, and `after_script` by itself.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml  # type: ignore[import-untyped]

INTERPOLATION = re.compile(r"\$\[\[ *inputs\.([\w-]+) *\]\]")
KINDS = {"string": str, "boolean": bool}

Run = Callable[[list[str], Mapping[str, str]], CompletedProcess[str]]


class InputError(Exception):
    """GitLab makes no pipeline with these inputs."""


def included(component: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what including a component with some inputs adds to a pipeline."""
    header, body = yaml.safe_load_all(component.read_text())
    declared = header["spec"]["inputs"]
    if unknown := inputs.keys() - declared.keys():
        raise InputError(f"unknown: {unknown}")
    values = {}
    for name, about in declared.items():
        if name not in inputs and "default" not in about:
            raise InputError(f"required: {name}")
        values[name] = inputs.get(name, about.get("default"))
        if not isinstance(values[name], KINDS[about.get("type", "string")]):
            raise InputError(f"{name} is of another type")
    added: dict[str, Any] = _interpolated(body, values)
    return added


def _interpolated(node: Any, values: Mapping[str, Any]) -> Any:
    """Return a node with each mention of an input replaced by its value."""

    def text_of(found: re.Match[str]) -> str:
        value = values[found[1]]
        return str(value).lower() if isinstance(value, bool) else str(value)

    if isinstance(node, dict):
        return {name: _interpolated(value, values) for name, value in node.items()}
    if isinstance(node, list):
        return [_interpolated(value, values) for value in node]
    return INTERPOLATION.sub(text_of, node) if isinstance(node, str) else node


def extended(job: Mapping[str, Any], pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job merged over the one that it extends: maps are merged, all else is replaced."""

    def merged(base: Any, over: Any) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            both = {name: merged(base[name], over[name]) for name in base.keys() & over.keys()}
            return {**base, **over, **both}
        return over

    whole: dict[str, Any] = merged(pipeline[job["extends"]], dict(job))
    return whole


def run_job(
    job: Mapping[str, Any],
    env: Mapping[str, str],
    run: Run,
    *,
    shell: tuple[str, ...] = ("sh",),
    token: str = "",
) -> CompletedProcess[str]:
    """Run a job; return how its main part ended, with what all of it printed."""
    number = secrets.token_hex(4)
    variables = {**env, "CI": "true", "CI_JOB_ID": number, **job["variables"]}
    variables |= dict.fromkeys(job["id_tokens"], token)

    def run_lines(*parts: str) -> CompletedProcess[str]:
        script = "\n".join(["set -e", *(line for part in parts for line in job[part])])
        return run([*shell, "-c", script], variables)

    done = run_lines("before_script", "script")
    after = run_lines("after_script")
    done.stdout += after.stdout
    assert after.returncode == 0, done.stdout
    return done

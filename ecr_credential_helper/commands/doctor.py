"""doctor: checks for what commonly keeps this from working, each with its fix.

With a host it follows the steps of a pull from it, and stops at the first one that fails.
With --json the output is one object, whose members stay as they are:

    {"host": <the host that was asked about, or null>,
     "ok": <whether nothing failed>,
     "checks": [{"check": <its name>, "status": "pass" | "warn" | "fail",
                 "found": <the facts>, "fix": <what to do; empty where it passed>}]}
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from ecr_credential_helper.context import Context

from . import aws_checks, docker_checks
from .docker_checks import FAIL, PASS, WARN, Case, Finding
from .docker_config import directory
from .screen import GREEN, RED, YELLOW, Screen, as_json

_COLOURS = {PASS: GREEN, WARN: YELLOW, FAIL: RED}

# In the order in which a pull needs them. A check returns None if there is nothing to check.
_CHECKS: tuple[Callable[[Case], Finding | None], ...] = (
    docker_checks.settings_file,
    docker_checks.host,
    docker_checks.config_file,
    docker_checks.sudo,
    docker_checks.helpers,
    docker_checks.store,
    docker_checks.passwords,
    docker_checks.auth_variable,
    docker_checks.program,
    docker_checks.docker_package,
    docker_checks.cache_directory,
    aws_checks.credentials,
    aws_checks.metadata,
    aws_checks.identity,
    aws_checks.endpoint,
    aws_checks.clock,
    aws_checks.token,
    aws_checks.registry,
)


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "doctor",
        help="find what keeps this from working, and how to fix it",
        description="Look at everything that commonly keeps this from working. With HOST, follow "
        "the steps of a pull from it and stop at the first one that fails. The exit status is 1 if "
        "something failed.",
    )
    parser.add_argument("host", nargs="?", metavar="HOST", help="the host of a registry")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--docker-config",
        metavar="DIR",
        help="the directory of config.json (else DOCKER_CONFIG, else ~/.docker)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Run all checks; return what was found, and 1 if something failed, else 0."""
    case = Case(
        name=screen.name,
        helper=screen.helper,
        directory=directory(arguments.docker_config),
        server_url=arguments.host or "",
        clock=context.clock,
    )
    found = list(_look(case))
    failed = any(finding.status == FAIL for finding in found)
    if arguments.json:
        rows = [dataclasses.asdict(finding) for finding in found]
        return as_json({"host": arguments.host, "ok": not failed, "checks": rows}), int(failed)
    text = "".join(_lines(finding, screen) for finding in found)
    return f"{text}\n{_verdict(found, case)}\n", int(failed)


def _look(case: Case) -> Iterator[Finding]:
    """Run each check in turn; with a host, stop after the first one that fails."""
    for check in _CHECKS:
        finding = check(case)
        if finding:
            yield finding
            if case.server_url and finding.status == FAIL:
                return


def _lines(finding: Finding, screen: Screen) -> str:
    """Return the lines about one check."""
    status = screen.paint(finding.status, _COLOURS[finding.status])
    said = screen.lines(f"{finding.check}: {finding.found}", " " * 6, " " * 6)[6:]
    return f"{status}  {said}\n" + (f"{screen.fix(finding.fix, ' ' * 6)}\n" if finding.fix else "")


def _verdict(found: list[Finding], case: Case) -> str:
    """Return the overall result in one line."""
    failures, warnings = (sum(f.status == status for f in found) for status in (FAIL, WARN))
    if case.server_url and failures:
        return "this is where a pull breaks: what comes after it was not looked at"
    if not failures and not warnings:
        return "nothing is wrong"
    return f"failed: {failures}, warnings: {warnings}"

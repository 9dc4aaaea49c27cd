"""doctor: checks for what commonly keeps this from working, each with its fix.

With a host it follows the steps of a pull from it, and stops at the first one that fails.
With --json the output is one object, whose members stay as they are:

    {"host": <the host that was asked about, or null>,
     "ok": <whether nothing failed>,
     "checks": [{"check": <its name>, "status": "pass" | "warn" | "fail",
                 "found": <the facts>, "fix": <what to do; empty where it passed>}]}
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError, printable

from . import docker_checks
from .docker_checks import FAIL, PASS, WARN, Case, Finding, Repair
from .docker_config import directory
from .screen import GREEN, RED, YELLOW, Screen, as_json, is_command

_COLOURS = {PASS: GREEN, WARN: YELLOW, FAIL: RED}


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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print it as JSON")
    form.add_argument(
        "--fix",
        action="store_true",
        help="do the fixes that need no judgment (config.json, the mode of the cache, a link on "
        "PATH), each shown and asked for on a terminal; then look again",
    )
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    parser.add_argument(
        "--docker-config",
        metavar="DIR",
        help="the directory of config.json (else DOCKER_CONFIG, else ~/.docker)",
    )
    parser.set_defaults(run=run, usage=parser.error)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Run all checks; return what was found, and 1 if something failed, else 0."""
    if arguments.yes and not arguments.fix:
        arguments.usage("--yes goes with --fix")

    def examined() -> list[Finding]:
        return list(_look(_case(arguments, context, screen)))

    found = examined()
    if arguments.fix:
        found = _repaired(found, examined, screen, yes=arguments.yes)
    failed = any(finding.status == FAIL for finding in found)
    if arguments.json:
        rows = [_row(finding) for finding in found]
        return as_json({"host": arguments.host, "ok": not failed, "checks": rows}), int(failed)
    text = "".join(_lines(finding, screen) for finding in found)
    return f"{text}\n{_verdict(found, screen, whole=not arguments.host)}\n", int(failed)


def _case(arguments: argparse.Namespace, context: Context, screen: Screen) -> Case:
    return Case(
        name=screen.name,
        helper=screen.helper,
        directory=directory(arguments.docker_config),
        server_url=arguments.host or "",
        clock=context.clock,
    )


def _checks() -> tuple[Callable[[Case], Finding | None], ...]:
    """Return the checks in the order in which a pull needs them.

    A check returns None if there is nothing to check.
    """
    from . import aws_checks  # whose imports take as long as those of all commands

    return (
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
        aws_checks.private_link,
        aws_checks.credentials,
        aws_checks.metadata,
        aws_checks.identity,
        aws_checks.endpoint,
        aws_checks.clock,
        aws_checks.token,
        aws_checks.registry,
    )


def _look(case: Case) -> Iterator[Finding]:
    """Run each check in turn; with a host, stop after the first one that fails."""
    for check in _checks():
        finding = check(case)
        if finding:
            yield finding
            if case.server_url and finding.status == FAIL:
                return


def _repaired(
    found: list[Finding], examined: Callable[[], list[Finding]], screen: Screen, *, yes: bool
) -> list[Finding]:
    """Do each fix that needs no judgment and that is agreed to; return what is found then."""
    offered: set[str] = set()
    while True:
        repairs = [(one, one.repair) for one in found if one.repair]
        new = [(one, repair) for one, repair in repairs if repair.command not in offered]
        if not new:
            return found
        offered |= {repair.command for _, repair in new}
        done = [_offer(finding, repair, screen, yes=yes) for finding, repair in new]
        screen.say("")
        if not any(done):
            return found
        found = examined()


def _offer(finding: Finding, repair: Repair, screen: Screen, *, yes: bool) -> bool:
    """Show a fix, and do it if it is agreed to; return whether it was done."""
    screen.say(screen.lines(printable(f"{finding.check}: {finding.found}"), rest="  "))
    screen.say(f"  {printable(repair.command)}")
    if not yes and not screen.agreed("  do this?"):
        return False
    try:
        repair.do()
    except OSError as error:
        screen.say(screen.lines(f"  failed: {error.strerror or error}", rest="  "))
        return False
    except HelperError as error:
        screen.say(screen.lines(f"  failed: {error.message}", rest="  "))
        return False
    screen.say("  done")
    return True


def _row(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "status": finding.status,
        "found": finding.found,
        "fix": finding.fix,
    }


def _lines(finding: Finding, screen: Screen) -> str:
    """Return the lines about one check: a single one if it passed."""
    status = screen.paint(finding.status, _COLOURS[finding.status])
    said = printable(f"{finding.check}: {finding.found}")
    if finding.status == PASS:
        return f"{status}  {screen.cut(said, 6)}\n"
    said = screen.lines(said, " " * 6, " " * 6)[6:]
    return f"{status}  {said}\n{screen.fix(printable(finding.fix), ' ' * 6)}\n"


def _verdict(found: list[Finding], screen: Screen, *, whole: bool) -> str:
    """Return the overall result in one sentence: what to do first."""
    failures, warnings = ([f for f in found if f.status == status] for status in (FAIL, WARN))
    if not failures and not warnings:
        return "nothing is wrong"
    first = (failures or warnings)[0]
    if failures and not whole:
        result = f"a pull breaks at {first.check}"
    else:
        result = f"failed: {len(failures)}, warnings: {len(warnings)}"
    fix = printable(first.fix)
    return screen.lines(f"{result}; first {'run ' if is_command(fix) else ''}{fix}")

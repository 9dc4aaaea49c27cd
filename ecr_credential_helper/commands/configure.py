"""configure: names this helper in Docker's config.json, and removes stale passwords from it.

With --kubelet it is the kubelet's configuration, in `configure_kubelet`.
"""

import argparse
from typing import Any, NamedTuple

from ecr_credential_helper.context import Context
from ecr_credential_helper.registry import host_of
from ecr_credential_helper.settings import target_of

from . import configure_kubelet, docker_checks, present, profiles, saving
from .docker_config import DockerConfig, directory, masked
from .hosts import address_of, host_in, target_named
from .profile_entries import ProfileEntries
from .profiles import Gap
from .saving import Change
from .screen import BOLD, Screen

_PEER = "ecr-login"
_PUBLIC = "public.ecr.aws"
_LOOKS = (
    docker_checks.program,
    docker_checks.docker_package,
    docker_checks.auth_variable,
    docker_checks.number_of_helpers,
    docker_checks.store,
)
_NOTHING = "  = nothing to change"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "configure",
        help="name this helper for your registries in Docker's config.json",
        description="Name this helper for each HOST in Docker's config.json, and take the stale "
        "passwords of these hosts out of it. All else in the file stays as it is. With no HOST it "
        "is the registry of the account and the region that the present AWS settings lead to.",
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="the host of a registry")
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="ID",
        help="the account of a registry (else the one of the AWS settings); repeatable",
    )
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        metavar="REGION",
        help="the region of a registry (else the one of the AWS settings); repeatable",
    )
    parser.add_argument(
        "--profiles",
        nargs="*",
        metavar="NAME",
        help="the registries that these profiles of the AWS config file lead to, or all of them, "
        "each to be used with its profile; NAME may have wildcards; asks no network",
    )
    parser.add_argument("--public", action="store_true", help=f"the same as {_PUBLIC}")
    parser.add_argument("--remove", action="store_true", help="take the hosts out again")
    parser.add_argument(
        "--migrate", action="store_true", help=f"move the hosts of {_PEER} over, too"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only show what would change, without secrets"
    )
    parser.add_argument(
        "--docker-config",
        metavar="DIR",
        help="the directory of config.json (else DOCKER_CONFIG, else ~/.docker)",
    )
    configure_kubelet.add_options(parser)
    parser.set_defaults(run=run, usage=parser.error)


class _Done(NamedTuple):
    """What an edit of the files comes to: lines that say it, what is left to the user, the file."""

    lines: list[str]
    gaps: list[Gap]
    config: DockerConfig


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Edit the files as `arguments` say; return what was done. Raises HelperError."""
    _check(arguments)
    if arguments.kubelet is not None:
        return configure_kubelet.run(arguments, context, screen)
    arguments.region = [present.region(region) for region in arguments.region]
    hosts, lines = _hosts(arguments, screen)
    known = {} if arguments.profiles is None else profiles.read()

    def edited() -> tuple[list[Change], _Done]:
        return _edited(arguments, hosts, known, screen)

    if arguments.dry_run:
        changes, done = edited()
        lines += [line for change in changes for line in _diff(change, done.config, screen)]
        lines = lines or ["nothing would change"]
    else:
        done = saving.edit(edited)
        lines += [screen.lines(line, rest=" " * 6) for line in done.lines]
    for gap in done.gaps:
        fix = f"{screen.name} configure {gap.fix}" if gap.fix.startswith("--") else gap.fix
        context.tell(screen.told(f"left to you: {gap.found}", fix))
    if not arguments.remove:
        _warn(done.config, context, screen)
    return "".join(f"{line}\n" for line in lines), 0


def _check(arguments: argparse.Namespace) -> None:
    """End with the usage where arguments do not go together."""
    named = arguments.hosts or arguments.public or arguments.profiles is not None
    if arguments.kubelet is not None:
        configure_kubelet.check(arguments)
        return
    if arguments.service_accounts or arguments.bin_dir is not None:
        arguments.usage("--service-accounts and --bin-dir go with --kubelet")
    if arguments.remove and arguments.migrate:
        arguments.usage("--remove and --migrate do not go together")
    if arguments.remove and not named and not (arguments.account and arguments.region):
        arguments.usage("--remove: name a HOST, or --account and --region, --public or --profiles")
    if arguments.profiles is not None and len(arguments.account) > 1:
        arguments.usage("--profiles takes one --account, for profiles that name none")


def _hosts(arguments: argparse.Namespace, screen: Screen) -> tuple[list[str], list[str]]:
    """Return the hosts that `arguments` name, as Docker writes them, and lines about them.

    Where they name none, or half of one, AWS is asked for the rest. Raises HelperError.
    """
    lines: list[str] = []
    named = [_as_written(host) for host in arguments.hosts]
    accounts, regions = arguments.account, arguments.region
    nothing = not (named or arguments.public or arguments.migrate)
    if arguments.profiles is None and (accounts or regions or nothing):
        regions = regions or [present.region()]
        if not accounts:
            account, who = present.account(regions[0])
            accounts = [account]
            lines.append(screen.lines(f"account {account} in {', '.join(regions)}, by {who}"))
        named += [host_in(account, region) for account in accounts for region in regions]
    named += [_PUBLIC] if arguments.public else []
    return list(dict.fromkeys(named)), lines


def _as_written(server_url: str) -> str:
    """Return the key under which Docker looks for the registry `server_url`."""
    target_named(server_url)
    return address_of(server_url) or ""


def _edited(
    arguments: argparse.Namespace, hosts: list[str], known: profiles.Profiles, screen: Screen
) -> tuple[list[Change], _Done]:
    """Return what to save, and what it comes to. Raises HelperError."""
    config = DockerConfig(directory(arguments.docker_config))
    gone, changes, lines, gaps = [], [], [], []
    if arguments.remove:
        hosts, gone = [], hosts
    if arguments.profiles is not None:
        entries = ProfileEntries()
        plan = _plan(arguments, known, entries)
        lines += [screen.paint(entries.path, BOLD), *_paid(entries.profiles, plan.payers)]
        entries.write(plan.payers)
        hosts, gone, gaps = hosts + plan.hosts, gone + plan.gone, plan.gaps
        changes.append(entries.change)
    done = [_removed(host, config, screen.helper) for host in gone]
    moved, others = _to_move(config, screen.helper) if arguments.migrate else ([], [])
    hosts = list(dict.fromkeys(hosts + moved))
    done += [_added(host, config, screen.helper) for host in hosts]
    done += [f"  = {host}: {_PEER}, for it is no host of Amazon ECR" for host in others]
    done += _without_passwords(hosts, config)
    nothing = f"  nothing names {_PEER}" if arguments.migrate else _NOTHING
    lines += [screen.paint(config.path, BOLD), *(done or [nothing])]
    return [*changes, config.change], _Done(lines, gaps, config)


def _plan(
    arguments: argparse.Namespace, known: profiles.Profiles, entries: ProfileEntries
) -> profiles.Plan:
    """Return what to write for the profiles in `arguments`. Raises HelperError."""
    if arguments.remove:
        return profiles.without(arguments.profiles, entries)
    names = profiles.chosen(arguments.profiles, known)
    account = next(iter(arguments.account), "")
    found, gaps = profiles.registries(names, known, account=account, regions=arguments.region)
    if not arguments.profiles:  # what is no longer in the AWS config file goes
        names += set(entries.profiles.values()) - set(known)
    return profiles.plan(names, found, gaps, entries)


def _paid(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return lines that say which profile pays for which host, and which does no longer."""
    return [
        *(
            f"  {'=' if before.get(host) == payer else '+'} {host}: profile {payer}"
            for host, payer in after.items()
        ),
        *(f"  - {host}: profile {payer}" for host, payer in before.items() if host not in after),
    ] or [_NOTHING]


def _to_move(config: DockerConfig, helper: str) -> tuple[list[str], list[str]]:
    """Return the hosts that ecr-login is asked for: those that we take for ECR, and the others."""
    hosts = [host for host, name in config.helpers.items() if name == _PEER != helper]
    ours = [host for host in hosts if target_of(host_of(host) or "")]
    return ours, [host for host in hosts if host not in ours]


def _added(host: str, config: DockerConfig, helper: str) -> str:
    """Name `helper` for `host`; return a line that says what was done."""
    before = config.helpers.get(host)
    if before == helper:
        return f"  = {host}: {helper}, as before"
    config.set_helper(host, helper)
    return f"  + {host}: {helper}" + (f", no longer {before!r}" if before else "")


def _removed(host: str, config: DockerConfig, helper: str) -> str:
    """Remove `host` if its helper is `helper`; return a line that says what was done."""
    before = config.helpers.get(host)
    if before != helper:
        return f"  = {host}: " + (
            f"{before!r}, which is not this helper" if before else "not there"
        )
    config.remove_helper(host)
    return f"  - {host}: {helper}"


def _without_passwords(hosts: list[str], config: DockerConfig) -> list[str]:
    """Remove the passwords of `hosts` from `auths`; return lines that say what was done."""
    keys = config.passwords({address_of(host) or host for host in hosts})
    for key in keys:
        config.remove_password(key)
    return [f"  - {key}: the password kept for it" for key in keys]


def _warn(config: DockerConfig, context: Context, screen: Screen) -> None:
    """Tell what else keeps Docker from using the helper, with the fix."""
    case = docker_checks.Case(screen.name, screen.helper, "", "", context.clock, config)
    for look in _LOOKS:
        finding = look(case)
        if finding and finding.status != docker_checks.PASS:
            context.tell(screen.told(f"{finding.status}: {finding.found}", finding.fix))


def _diff(change: Change, config: DockerConfig, screen: Screen) -> list[str]:
    """Return what would change in a file as a unified diff, without a secret of config.json."""
    hide = masked if change.path == config.path else str
    before, after = (
        hide((content or b"").decode("utf-8", "surrogateescape"))
        for content in (change.old, change.new)
    )
    return screen.diff(change.path, before, after)

"""configure: names this helper in Docker's config.json, and removes stale passwords from it."""

import argparse
import difflib
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import host_of, registry_of
from ecr_credential_helper.settings import target_of

from . import docker_checks
from .docker_config import DockerConfig, directory, masked
from .hosts import address_of, target_named
from .screen import BOLD, GREEN, RED, YELLOW, Screen

_PEER = "ecr-login"
_PUBLIC = "public.ecr.aws"
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
_LOOKS = (
    docker_checks.program,
    docker_checks.docker_package,
    docker_checks.auth_variable,
    docker_checks.number_of_helpers,
    docker_checks.store,
)
_DIFF_COLOURS = {"+": GREEN, "-": RED, "@": YELLOW}


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "configure",
        help="name this helper for your registries in Docker's config.json",
        description="Name this helper for each HOST in Docker's config.json, and take the stale "
        "passwords of these hosts out of it. All else in the file stays as it is.",
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="the host of a registry")
    parser.add_argument(
        "--account", action="append", default=[], metavar="ID", help="with --region: its registry"
    )
    parser.add_argument(
        "--region", action="append", default=[], metavar="REGION", help="with --account; repeatable"
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
    parser.set_defaults(run=run, usage=parser.error)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Edit config.json as `arguments` say; return what was done. Raises HelperError."""
    hosts = _hosts(arguments)
    config = DockerConfig(directory(arguments.docker_config))
    old = "" if config.empty else config.text
    if arguments.remove:
        done = [_removed(host, config, screen.helper) for host in hosts]
    else:
        moved, left = _to_move(config, screen.helper) if arguments.migrate else ([], [])
        done = [_added(host, config, screen.helper) for host in dict.fromkeys(hosts + moved)]
        done += [f"  = {host}: {_PEER}, for it is no host of Amazon ECR" for host in left]
        done += _without_passwords(hosts + moved, config)
        _warn(config, context, screen)
    if arguments.dry_run:
        return _diff(old, config, screen), 0
    config.save()
    done = done or [f"  nothing names {_PEER}"]
    return "\n".join([screen.paint(config.path, BOLD), *done]) + "\n", 0


def _hosts(arguments: argparse.Namespace) -> list[str]:
    """Return the hosts that `arguments` name, as Docker writes them. Raises HelperError."""
    if bool(arguments.account) != bool(arguments.region):
        arguments.usage("--account and --region go together")
    if arguments.remove and arguments.migrate:
        arguments.usage("--remove and --migrate do not go together")
    named = [_as_written(host) for host in arguments.hosts]
    named += [_host(id_, region) for id_ in arguments.account for region in arguments.region]
    named += [_PUBLIC] if arguments.public else []
    if not named and not arguments.migrate:
        arguments.usage("name a HOST, or --account and --region, or --public, or --migrate")
    return list(dict.fromkeys(named))


def _as_written(server_url: str) -> str:
    """Return the key under which Docker looks for the registry `server_url`."""
    target_named(server_url)
    return address_of(server_url) or ""


def _host(account: str, region: str) -> str:
    """Return the host of an account's registry in a region. Raises HelperError."""
    suffixes = (suffix for start, suffix in _SUFFIXES.items() if region.startswith(start))
    host = f"{account}.dkr.ecr.{region}.{next(suffixes, 'amazonaws.com')}"
    if host != host_of(host) or registry_of(host) is None:
        raise HelperError(
            f"--account {account} and --region {region} make no registry",
            "an account has twelve digits, a region is like eu-west-1",
        )
    return host


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
    return [f"  - {key}: the password that was kept in the file" for key in keys]


def _warn(config: DockerConfig, context: Context, screen: Screen) -> None:
    """Tell what else keeps Docker from using the helper, with the fix."""
    case = docker_checks.Case(screen.name, screen.helper, "", "", context.clock, config)
    for look in _LOOKS:
        finding = look(case)
        if finding and finding.status != docker_checks.PASS:
            before = " " * len(f"{screen.name}: ")  # `tell` puts the name before the text
            said = screen.lines(f"{finding.status}: {finding.found}", before).removeprefix(before)
            context.tell(f"{said}\n{screen.fix(finding.fix, '')}")


def _diff(old: str, config: DockerConfig, screen: Screen) -> str:
    """Return what would change as a unified diff, with every secret masked."""
    before, after = (masked(text).splitlines() for text in (old, config.text))
    changes = difflib.unified_diff(before, after, config.path, config.path, lineterm="")
    painted = [
        screen.paint(line, _DIFF_COLOURS[line[0]]) if line[:1] in _DIFF_COLOURS else line
        for line in changes
    ]
    return "".join(f"{line}\n" for line in painted) or "nothing would change\n"

"""warm: fetches tokens ahead of time, for many registries at once."""

import argparse
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple

from ecr_credential_helper import protocol
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError, printable
from ecr_credential_helper.settings import hosts_named
from ecr_credential_helper.system.processes import own_command
from ecr_credential_helper.tokens.cache import Key, NoCache

from .docker_config import DockerConfig, directory
from .hosts import target_named
from .screen import GREEN, RED, Screen, as_json, duration

_AT_ONCE = 8
_HEADER = ("registry", "token")


class Outcome(NamedTuple):
    """The result for one host: the expiry of its token (epoch seconds), or what went wrong."""

    host: str
    expires: int | None
    message: str = ""
    hint: str = ""


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "warm",
        help="fetch tokens ahead of time",
        description="Fetch a token for each HOST now, so that no pull has to wait for it. One that "
        "fails does not stop the others. With no HOST it is each that config.json gives to this "
        "helper, and each that the settings file names.",
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="the host of a registry")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print a list of {"host", "expires" (epoch seconds, or null), "message", "hint"}',
    )
    parser.add_argument(
        "--docker-config",
        metavar="DIR",
        help="the directory of config.json (else DOCKER_CONFIG, else ~/.docker)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Fetch a token for each host; return the result of each, and 1 if one failed, else 0.

    Raises HelperError if there is no cache to warm.
    """
    if isinstance(context.cache, NoCache):
        raise HelperError("there is no cache to warm", "unset AWS_ECR_DISABLE_CACHE, set HOME")
    hosts = list(dict.fromkeys(arguments.hosts or _hosts(arguments.docker_config, screen.helper)))
    with ThreadPoolExecutor(_AT_ONCE) as pool, screen.progress(len(hosts)) as done:
        waiting = [pool.submit(_warm, host, context) for host in hosts]
        for future in as_completed(waiting):
            done(future.result().host)
    outcomes = [future.result() for future in waiting]
    failures = [outcome for outcome in outcomes if outcome.expires is None]
    if arguments.json:
        return as_json([outcome._asdict() for outcome in outcomes]), int(bool(failures))
    now = context.clock()
    text = screen.table(_HEADER, [_cells(outcome, now, screen) for outcome in outcomes])
    return text + "".join(_why(outcome, screen) for outcome in failures), int(bool(failures))


def _hosts(docker_config: str | None, helper: str) -> list[str]:
    """Return the hosts that config.json gives to `helper`, and those that the settings file names.

    Raises HelperError if there are none.
    """
    config = DockerConfig(directory(docker_config))
    hosts = [host for host, name in config.helpers.items() if name == helper]
    hosts += [host for host in hosts_named() if host not in hosts]
    if not hosts:
        raise HelperError(
            f"{config.path} gives no registry to this helper", "name a HOST, or run configure first"
        )
    return hosts


def _warm(host: str, context: Context) -> Outcome:
    """Fetch the token for one host, in its own process: our use of botocore is not thread-safe."""
    try:
        target = target_named(host)
    except HelperError as error:
        return Outcome(host, None, error.message, error.hint)
    done = subprocess.run(  # noqa: S603 - our own program and a checked host name
        own_command(["refresh-now", target.registry.host]),
        input=b"",  # not the null device: it may not be there
        capture_output=True,
        check=False,
    )
    entry = context.cache.load(Key(target.registry.host, context.identity))
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode:
        return Outcome(host, None, *_message_and_hint(said))
    if entry is None:
        why = "its token is not kept" if target.cache else "the settings file says cache = false"
        return Outcome(host, None, said.strip() or why)
    return Outcome(host, entry.expires)


def _message_and_hint(said: str) -> tuple[str, str]:
    """Return message and hint of a failed verb; `said` is what it wrote to both streams.

    A verb writes the message to stdout, and the hint with the message in it to stderr; or it writes
    both to stderr.
    """
    message = hint = ""
    for line in said.splitlines():
        if line.startswith("hint: "):
            hint = line.removeprefix("hint: ").removesuffix(f" ({message})")
        elif line != protocol.CREDENTIALS_NOT_FOUND:
            message = line.partition(": ")[2]
    return message, hint if hint != message else ""


def _cells(outcome: Outcome, now: float, screen: Screen) -> list[str]:
    """Return the cells for one host."""
    host = printable(outcome.host)
    if outcome.expires is None:
        return [host, screen.paint("failed", RED)]
    return [host, screen.paint("good", GREEN) + f" for {duration(outcome.expires - now)}"]


def _why(outcome: Outcome, screen: Screen) -> str:
    """Return the lines that say why there is no token for a host, and what to do."""
    said = printable(f"{outcome.host}: {outcome.message}")
    text = f"\n{screen.lines(said, '', '  ')}\n"
    return text + (f"{screen.lines(f'hint: {outcome.hint}', '  ', '  ')}\n" if outcome.hint else "")

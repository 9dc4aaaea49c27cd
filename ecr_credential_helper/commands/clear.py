"""clear: removes tokens from the cache, all or those of some hosts, for all identities."""

import argparse
from typing import Any

from ecr_credential_helper import verbs
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.system import paths
from ecr_credential_helper.tokens.cache import Cache

from .hosts import target_named
from .screen import Screen


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "clear",
        help="drop tokens from the cache",
        description="Drop all tokens from the cache; with HOST, those that `get` could answer for "
        "it, of all identities.",
    )
    parser.add_argument("hosts", nargs="*", metavar="HOST", help="the host of a registry")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Remove the tokens that `arguments` name; return what was done. Raises HelperError."""
    del screen
    cache = _cache()
    if arguments.hosts:
        hosts = [target_named(host).registry.host for host in arguments.hosts]
        for host in hosts:
            verbs.erase(host.encode(), context)
        return "".join(f"cleared {host} and its region\n" for host in hosts), 0
    try:
        number = cache.clear()
    except FileNotFoundError:
        number = 0
    except OSError as error:
        raise HelperError(
            f"cannot clear {cache.path}: {error.strerror or error}", "remove it by hand"
        ) from error
    return f"cleared {number} entries in {cache.path}\n", 0


def _cache() -> Cache:
    """Return the cache, even if it is switched off. Raises HelperError if no directory is known."""
    try:
        return Cache(paths.cache_directory())
    except RuntimeError as error:
        raise HelperError(str(error)) from error

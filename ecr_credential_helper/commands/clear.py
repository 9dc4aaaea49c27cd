"""clear: drops tokens, all or those of some hosts, whoever they were for."""

import argparse
from typing import Any

from ecr_credential_helper import verbs
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError

from .hosts import target_named
from .screen import Screen
from .status import cache_at_its_place


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
    """Drop what `arguments` name; return what was done. Raises HelperError."""
    del screen
    context.cache = cache_at_its_place()  # what is kept is dropped, be the cache in use or not
    if arguments.hosts:
        hosts = [target_named(host).registry.host for host in arguments.hosts]
        for host in hosts:
            verbs.erase(host.encode(), context)
        return "".join(f"cleared {host} and its region\n" for host in hosts), 0
    try:
        number = context.cache.clear()
    except FileNotFoundError:
        number = 0
    except OSError as error:
        raise HelperError(
            f"cannot clear {context.cache.path}: {error.strerror or error}", "remove it by hand"
        ) from error
    return f"cleared {number} entries in {context.cache.path}\n", 0

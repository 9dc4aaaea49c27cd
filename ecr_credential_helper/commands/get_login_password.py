"""get-login-password: the token on stdout, as `aws ecr get-login-password` prints it."""

import argparse
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.registry import PUBLIC_REGION, Registry
from ecr_credential_helper.settings import Target
from ecr_credential_helper.tokens.cache import Key
from ecr_credential_helper.tokens.identity import with_target

from . import present
from .lasting import lasting_token
from .screen import Screen


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "get-login-password",
        help="print a token, for `docker login --username AWS --password-stdin`",
        description="Print an authorization token for the registries of a region, from the cache "
        "where it may: for `docker login --username AWS --password-stdin HOST`.",
    )
    parser.add_argument(
        "--region", default="", help="the region of the registries (else the AWS settings')"
    )
    parser.add_argument("--profile", default="", help="the AWS profile to ask with")
    parser.add_argument("--public", action="store_true", help="a token for ECR Public")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, _: Screen) -> tuple[str, int]:
    """Return the token that `arguments` ask for, and a newline. Raises HelperError."""
    if arguments.public:
        registry = Registry("", service="ecr-public", region=PUBLIC_REGION)
    else:
        registry = Registry("", region=present.region(arguments.region, arguments.profile))
    target = Target(registry, arguments.profile)
    key = Key(registry.scope, with_target(context.identity, target))
    return f"{lasting_token(target, key, context)}\n", 0

"""auths: logins on stdout, for programs that take a user and a password and no helper."""

import argparse
import base64
import json
import re
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.protocol import USERNAME
from ecr_credential_helper.tokens.cache import Key

from .hosts import address_of, target_named
from .lasting import lasting_token
from .screen import Screen, as_json

_WARNING = (
    "this is a secret: until the token ends, in twelve hours at most, whoever has it can use the "
    "registries as you can"
)
# Kubernetes' rules for the names of objects ("Object Names and IDs" in its documentation).
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAMESPACE = re.compile(rf"(?=.{{1,63}}$){_LABEL}", re.ASCII)
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.ASCII)


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "auths",
        help="print logins, for programs that take no helper",
        description="Print a login to the registry of each HOST, as a config.json of Docker has "
        "it: for programs that take a user and a password, and no helper. It is good for as long "
        "as its token, for twelve hours at most. No file is written.",
    )
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="the host of a registry")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--kubernetes-secret",
        metavar="NAME",
        help="print a Secret of Kubernetes with the logins, for `kubectl apply -f -`",
    )
    form.add_argument(
        "--user-password",
        action="store_true",
        help=f"print {USERNAME}:TOKEN, user and password of the one HOST",
    )
    parser.add_argument(
        "--namespace", metavar="N", help="the namespace of the Secret (else kubectl's own)"
    )
    parser.set_defaults(run=run, usage=parser.error)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Return the logins in the form that `arguments` ask for, and 0. Raises HelperError."""
    _check(arguments)
    tokens = {address_of(host) or host: _token(host, context) for host in arguments.hosts}
    if screen.is_terminal:
        context.tell(screen.after_name(_WARNING))
    if arguments.user_password:
        (token,) = tokens.values()
        return f"{USERNAME}:{token}\n", 0
    logins = {address: {"auth": _base64(f"{USERNAME}:{tokens[address]}")} for address in tokens}
    if arguments.kubernetes_secret:
        return as_json(_secret(arguments, {"auths": logins})), 0
    return as_json({"auths": logins}), 0


def _check(arguments: argparse.Namespace) -> None:
    """End with the usage where arguments do not go together, or name what Kubernetes refuses."""
    name, namespace = arguments.kubernetes_secret, arguments.namespace
    if arguments.user_password and len(arguments.hosts) > 1:
        arguments.usage("--user-password is for one HOST")
    if namespace is not None and name is None:
        arguments.usage("--namespace goes with --kubernetes-secret")
    if name is not None and not _NAME.fullmatch(name):
        arguments.usage(f"{name!r} is no name of a Secret: lower case, digits, - and .")
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        arguments.usage(f"{namespace!r} is no name of a namespace: lower case, digits and -")


def _token(server_url: str, context: Context) -> str:
    target = target_named(server_url)
    return lasting_token(target, Key(target.registry.host, context.identity), context)


def _secret(arguments: argparse.Namespace, logins: dict[str, Any]) -> dict[str, Any]:
    """Return the Secret (its type: Kubernetes' documentation, "Docker config Secrets")."""
    metadata = {"name": arguments.kubernetes_secret}
    if arguments.namespace:
        metadata["namespace"] = arguments.namespace
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": _base64(json.dumps(logins))},
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

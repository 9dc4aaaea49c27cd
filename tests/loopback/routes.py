"""Which service and operation a request is for, and the function that answers it."""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from .container import get_container_credentials
from .ecr import get_authorization_token, get_public_authorization_token
from .errors import NOT_FOUND, Refusal
from .formats import json_reply
from .metadata import get_instance_credentials, get_instance_role, put_metadata_token
from .model import Asked, Reply, Request
from .signin import create_oauth2_token
from .sso import create_token, get_role_credentials
from .state import State
from .sts import assume_role, assume_role_with_web_identity, get_caller_identity


def answer_elsewhere(_aws: State, _asked: Asked) -> Reply:
    """Answer a client that followed a redirect; being called at all is what tests look for."""
    return json_reply({})


def answer_unknown(_aws: State, _asked: Asked) -> Reply:
    """Answer what no service knows."""
    raise Refusal(NOT_FOUND)


TARGETS = {
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "SpencerFrontendService": "ecr-public",
}

PATHS: list[tuple[str, str, str, str]] = [
    ("PUT", r"/latest/api/token", "imds", "PutToken"),
    ("GET", r"/latest/meta-data/iam/security-credentials/?", "imds", "GetRole"),
    ("GET", r"/latest/meta-data/iam/security-credentials/[^/]+", "imds", "GetCredentials"),
    ("GET", r"/container(/.*)?", "container", "GetCredentials"),
    ("GET", r"/federation/credentials", "sso", "GetRoleCredentials"),
    ("POST", r"/token", "sso-oidc", "CreateToken"),
    ("POST", r"/v1/token", "signin", "CreateOAuth2Token"),
    (".*", r"/elsewhere", "elsewhere", "Contact"),
]

OPERATIONS: dict[tuple[str, str], Callable[[State, Asked], Reply]] = {
    ("ecr", "GetAuthorizationToken"): get_authorization_token,
    ("ecr-public", "GetAuthorizationToken"): get_public_authorization_token,
    ("sts", "AssumeRole"): assume_role,
    ("sts", "AssumeRoleWithWebIdentity"): assume_role_with_web_identity,
    ("sts", "GetCallerIdentity"): get_caller_identity,
    ("imds", "PutToken"): put_metadata_token,
    ("imds", "GetRole"): get_instance_role,
    ("imds", "GetCredentials"): get_instance_credentials,
    ("container", "GetCredentials"): get_container_credentials,
    ("sso", "GetRoleCredentials"): get_role_credentials,
    ("sso-oidc", "CreateToken"): create_token,
    ("signin", "CreateOAuth2Token"): create_oauth2_token,
    ("elsewhere", "Contact"): answer_elsewhere,
}


def route(request: Request) -> Asked:
    """Tell the services on the port apart: by path, by X-Amz-Target, by the form's Action."""
    body = body_members(request)
    for method, path, service, operation in PATHS:
        if re.fullmatch(method, request.method) and re.fullmatch(path, request.path):
            return Asked(service, operation, request, body)
    target, _, operation = request.headers.get("x-amz-target", "").partition(".")
    if target in TARGETS:
        return Asked(TARGETS[target], operation, request, body)
    if "Action" in body:
        return Asked("sts", str(body["Action"]), request, body)
    return Asked("unknown", f"{request.method} {request.path}", request, body)


def body_members(request: Request) -> dict[str, Any]:
    """Return the members of a JSON or form body and of the query string."""
    members: dict[str, Any] = dict(parse_qsl(request.query))
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        return members | dict(parse_qsl(request.body.decode(errors="replace")))
    with contextlib.suppress(ValueError):
        parsed = json.loads(request.body)
        members |= parsed if isinstance(parsed, dict) else {}
    return members

"""ECR and ECR Public: authorization tokens."""

import base64
from collections.abc import Callable
from typing import Any

from .errors import BAD_SIGNATURE, Refusal
from .formats import account_of, json_reply
from .model import Asked, Reply
from .registry import registry_url
from .signature import signer
from .state import State

HUGE_PAYLOAD_BYTES = 75 * 1024


def get_authorization_token(aws: State, asked: Asked) -> Reply:
    """Answer ECR: a list with one entry for each registry asked for."""
    caller, region = signer(asked)
    accounts = asked.body.get("registryIds") or [account_of(caller.arn)]
    entries = [
        authorization_data(aws, asked) | {"proxyEndpoint": registry_url(account, region)}
        for account in accounts
    ]
    return json_reply({"authorizationData": entries})


def get_public_authorization_token(aws: State, asked: Asked) -> Reply:
    """Answer ECR Public: one entry, not a list, and only in its two regions."""
    if signer(asked)[1] not in ("us-east-1", "us-west-2"):
        raise Refusal(BAD_SIGNATURE, "Credential should be scoped to a valid region.")
    return json_reply({"authorizationData": authorization_data(aws, asked)})


def authorization_data(aws: State, asked: Asked) -> dict[str, Any]:
    """Return a new token with its expiry, changed where a fault says so."""
    caller, region = signer(asked)
    size = HUGE_PAYLOAD_BYTES if asked.fault == "huge-token" else None
    password, expires = aws.issue_token(caller.arn, region, asked.service, payload_bytes=size)
    token = basic_credentials("AWS", password)
    data: dict[str, Any] = {"authorizationToken": token, "expiresAt": expires}
    if asked.fault in TOKEN_FAULTS:
        data |= TOKEN_FAULTS[asked.fault](password, aws.now())
    return {name: value for name, value in data.items() if value is not None}


def basic_credentials(username: str, password: str) -> str:
    """Return base64 of user:password."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


TOKEN_FAULTS: dict[str, Callable[[str, float], dict[str, Any]]] = {
    "wrong-user": lambda password, _: {"authorizationToken": basic_credentials("robot", password)},
    "no-expiry": lambda _, __: {"expiresAt": None},
    "past-expiry": lambda _, now: {"expiresAt": now - 3600},
    "no-token": lambda _, __: {"authorizationToken": None},
    "not-base64": lambda _, __: {"authorizationToken": "%% this is not base64 %%"},
}

"""Control from another process: the paths below /_loopback/."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from .formats import json_reply
from .model import Fault, Quota, Reply, Request
from .state import State


def control(aws: State, request: Request) -> Reply:
    """Answer a path below /_loopback/, which no service sees and no record holds."""
    handlers = {"calls": control_calls, "set": control_set, "verify": control_verify}
    handler = handlers.get(request.path.removeprefix(CONTROL))
    return handler(aws, request) if handler else Reply(404)


def control_calls(aws: State, _request: Request) -> Reply:
    """Return every call so far."""
    return json_reply([asdict(call) for call in list(aws.calls)])


def control_set(aws: State, request: Request) -> Reply:
    """Change settings of a running stand-in."""
    try:
        settings = json.loads(request.body)
        changes = {name: SETTINGS[name](value) for name, value in settings.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return json_reply({"error": f"{type(error).__name__}: {error}"}, status=400)
    for name, value in changes.items():
        setattr(aws, name, value)
    return json_reply({})


def control_verify(aws: State, request: Request) -> Reply:
    """Answer nginx's auth_request: 200 for a login that the registry would let in."""
    host = request.headers.get("x-registry-host", "")
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        login = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        login = ""
    username, _, password = login.partition(":")
    if scheme.lower() == "basic" and aws.accepts(host, username, password):
        return Reply(200)
    challenge = f'Basic realm="https://{host}/",service="ecr.amazonaws.com"'
    return Reply(401, headers={"WWW-Authenticate": challenge})


def read_faults(value: Mapping[str, Any]) -> dict[str, Fault]:
    """Return faults from JSON: each a kind or an object with Fault's fields."""
    return {
        key: Fault(fault) if isinstance(fault, str) else Fault(**fault)
        for key, fault in value.items()
    }


def read_quotas(value: Mapping[str, Any]) -> dict[str, Quota]:
    """Return quotas from JSON: each an object with Quota's fields."""
    return {key: Quota(**quota) for key, quota in value.items()}


CONTROL = "/_loopback/"
SETTINGS: dict[str, Callable[[Any], Any]] = {
    "latency": lambda value: {key: float(seconds) for key, seconds in value.items()},
    "faults": read_faults,
    "quotas": read_quotas,
    "token_life": float,
    "payload_bytes": int,
    "clock_offset": float,
    "instance_role": lambda value: None if value is None else str(value),
}

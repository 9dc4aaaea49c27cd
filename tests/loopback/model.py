"""The data that the other modules pass around: what tests see, and requests and replies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "111122223333"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/developer"
USER_KEY = "AKIAIOSFODNN7EXAMPLE"
USER_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MFA_CODE = "123456"
INSTANCE_ID = "i-0123456789abcdef0"

FAULT_KINDS = frozenset(
    {
        *("denied", "throttled", "500", "expired-token"),
        *("reset", "hang", "half", "html", "redirect"),
        *("wrong-user", "no-expiry", "past-expiry", "no-token", "not-base64", "huge-token"),
    }
)


@dataclass(frozen=True)
class Call:
    """One request that reached a service, whatever it was answered."""

    service: str
    operation: str
    region: str | None
    principal: str | None
    host: str
    user_agent: str
    body: dict[str, Any]
    time: float


@dataclass
class Fault:
    """A failure to cause, for the next ``times`` calls (None: until it is taken away).

    ``status`` belongs to the kind "html", ``location`` to the kind "redirect".
    """

    kind: str
    times: int | None = None
    status: int = 502
    location: str | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown kind."""
        if self.kind not in FAULT_KINDS:
            message = f"unknown fault kind: {self.kind!r}"
            raise ValueError(message)


@dataclass(frozen=True)
class Key:
    """An access key that requests may be signed with."""

    access_key_id: str
    secret: str
    arn: str
    session_token: str | None = None
    expires: float | None = None


@dataclass(frozen=True)
class Role:
    """A role that STS hands out, and what it asks for first."""

    arn: str
    external_id: str | None = None
    mfa_serial: str | None = None
    web_identity_token: str | None = None


@dataclass(frozen=True)
class IssuedToken:
    """Where and for whom a registry password is good, until when."""

    principal: str
    region: str
    service: str
    expires: float


@dataclass(frozen=True)
class Request:
    """An HTTP request; header names are in lower case."""

    method: str
    path: str
    query: str
    host: str
    secure: bool
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An HTTP response before the common headers are added."""

    status: int
    body: bytes = b""
    content_type: str = "application/x-amz-json-1.1"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """An operation with everything needed to answer it."""

    service: str
    operation: str
    request: Request
    body: dict[str, Any]
    caller: Key | None = None
    region: str | None = None
    fault: str | None = None

    @property
    def principal(self) -> str | None:
        """The ARN of who signed the request."""
        return self.caller.arn if self.caller else None

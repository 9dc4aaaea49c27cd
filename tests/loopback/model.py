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
        *("denied", "throttled", "429", "500", "503", "expired-token"),
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

    It also ends ``seconds`` after the first call that it hits, however many calls those are.
    ``status`` belongs to the kind "html", ``location`` to the kind "redirect". ``retry_after`` is
    the header Retry-After, as it stands, of the kinds that are errors of the service's own:
    "denied", "throttled", "429", "500", "503" and "expired-token".
    """

    kind: str
    times: int | None = None
    status: int = 502
    location: str | None = None
    seconds: float | None = None
    retry_after: str | None = None
    first_hit: float | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse an unknown kind, and a time that is over before it begins."""
        if self.kind not in FAULT_KINDS:
            message = f"unknown fault kind: {self.kind!r}"
            raise ValueError(message)
        if self.seconds is not None and self.seconds <= 0:
            message = f"a fault cannot last {self.seconds} seconds"
            raise ValueError(message)

    def hits(self, now: float) -> bool:
        """Say whether the fault is for a call at this monotonic time; if so, count the call."""
        if self.times == 0 or self.is_over(now):
            return False
        if self.first_hit is None:
            self.first_hit = now
        if self.times is not None:
            self.times -= 1
        return True

    def is_over(self, now: float) -> bool:
        """Say whether the seconds that the fault lasts have passed."""
        if self.seconds is None or self.first_hit is None:
            return False
        return now - self.first_hit >= self.seconds


@dataclass
class Quota:
    """How often a service may be called: ``rate`` calls a second, and ``burst`` calls saved up.

    It is a bucket of tokens, as AWS's quotas of API requests are: it is full at the first call,
    gains ``rate`` tokens a second up to ``burst``, and each call takes one token. A call for which
    there is none is answered as the fault "throttled" is, and takes nothing.

    A fault comes first: a call that a fault hits, of whatever kind, takes no token.
    """

    rate: float
    burst: float
    tokens: float = field(init=False, repr=False, compare=False)
    counted_at: float | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Fill the bucket; refuse one that loses tokens or cannot hold a whole one."""
        if self.rate < 0 or self.burst < 1:
            message = f"not a quota: rate {self.rate}, burst {self.burst}"
            raise ValueError(message)
        self.tokens = self.burst

    def take(self, now: float) -> bool:
        """Take a token for a call at this monotonic time; say whether there was one."""
        if self.counted_at is not None:
            gained = (now - self.counted_at) * self.rate
            self.tokens = min(self.burst, self.tokens + gained)
        self.counted_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


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

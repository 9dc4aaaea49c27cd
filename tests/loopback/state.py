"""What a stand-in knows: users, roles, sessions, tokens, faults and quotas set, calls made."""

import base64
import json
import ssl
import threading
import time

from .formats import account_of, random_id, random_text
from .model import USER_ARN, USER_KEY, USER_SECRET, Call, Fault, IssuedToken, Key, Quota, Role
from .registry import registry_scope

PAYLOAD_BYTES = 1100
RENEWED_BEFORE = 300.0  # seconds


class State:
    """What the services read and change; tests set it up and look at it through ``Loopback``.

    ``clock_offset`` is how far the server's clock runs ahead of the local one. ``latency``,
    ``faults`` and ``quotas`` are keyed by "service.Operation", "service" or "*". While ``answers``
    is not set, no service answers. ``tls`` serves connections under TLS, and CONNECT requests.
    While ``closed`` is true, no repository policy lets another account into a private registry.
    ``payload_bytes`` says how long tokens are: four thirds of it, and some hundred bytes.
    """

    def __init__(self, *, token_life: float, tls: ssl.SSLContext | None) -> None:
        """Start empty, but for the default user."""
        self.token_life = token_life
        self.session_life = 3600.0
        self.clock_offset = 0.0
        self.closed = False
        self.payload_bytes = PAYLOAD_BYTES
        self.calls: list[Call] = []
        self.connects: list[str] = []
        self.latency: dict[str, float] = {}
        self.faults: dict[str, Fault] = {}
        self.quotas: dict[str, Quota] = {}
        self.issued: dict[str, IssuedToken] = {}
        self.keys: dict[str, Key] = {}
        self.roles: dict[str, Role] = {}
        self.instance_role: str | None = None
        self.container_role: str | None = None
        self.container_authorization: str | None = None
        self.metadata_tokens: dict[str, float] = {}
        self.sso_roles: set[tuple[str, str]] = set()
        self.sso_access_tokens: dict[str, float] = {}
        self.sso_refresh_tokens: set[str] = set()
        self.login_sessions: dict[str, str] = {}
        self.stopped = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.tls = tls
        self._kept: dict[str, Key] = {}
        self._lock = threading.Lock()
        self.add_user(USER_KEY, USER_SECRET, USER_ARN)

    def now(self) -> float:
        """Return the server's time."""
        return time.time() + self.clock_offset

    def count(self, service: str, operation: str | None = None) -> int:
        """Return how many calls a service, or one operation of it, has had."""
        return sum(
            call.service == service and operation in (None, call.operation)
            for call in list(self.calls)
        )

    def add_user(self, access_key_id: str, secret: str, arn: str) -> None:
        """Declare a long-lived access key."""
        self.keys[access_key_id] = Key(access_key_id, secret, arn)

    def add_role(
        self,
        arn: str,
        *,
        external_id: str | None = None,
        mfa_serial: str | None = None,
        web_identity_token: str | None = None,
    ) -> None:
        """Declare a role: with a web identity token only AssumeRoleWithWebIdentity gives it."""
        self.roles[arn] = Role(arn, external_id, mfa_serial, web_identity_token)

    def add_sso_role(self, account: str, role_name: str) -> None:
        """Declare a role that the SSO portal hands out."""
        self.sso_roles.add((account, role_name))

    def add_sso_session(
        self, access_token: str, *, expires_in: float = 3600.0, refresh_token: str | None = None
    ) -> None:
        """Declare an access token of the SSO portal and a refresh token to renew it with."""
        self.sso_access_tokens[access_token] = self.now() + expires_in
        if refresh_token is not None:
            self.sso_refresh_tokens.add(refresh_token)

    def add_login_session(self, refresh_token: str, arn: str = USER_ARN) -> None:
        """Declare a refresh token of the sign-in service; one that was used stays good."""
        self.login_sessions[refresh_token] = arn

    def issue_key(self, arn: str, life: float) -> Key:
        """Return new temporary credentials for a principal."""
        token, expires = random_text(300), self.now() + life
        key = Key(random_id("ASIA"), random_text(30), arn, token, expires)
        self.keys[key.access_key_id] = key
        return key

    def kept_key(self, arn: str) -> Key:
        """Return temporary credentials as metadata gives them: the same, until near their end."""
        key = self._kept.get(arn)
        if key is None or (key.expires or 0.0) - self.now() < RENEWED_BEFORE:
            key = self._kept[arn] = self.issue_key(arn, self.session_life)
        return key

    def issue_token(
        self, principal: str, region: str, service: str, *, payload_bytes: int | None = None
    ) -> tuple[str, float]:
        """Return a new registry password and when it expires."""
        expires = round(self.now() + self.token_life, 3)
        content = {
            "payload": random_text(payload_bytes or self.payload_bytes),
            "datakey": random_text(184),
            "version": "2",
            "type": "DATA_KEY",
            "expiration": int(expires),
        }
        text = json.dumps(content, separators=(",", ":"))
        password = base64.b64encode(text.encode()).decode()
        self.issued[password] = IssuedToken(principal, region, service, expires)
        return password, expires

    def accepts(self, host: str, username: str, password: str) -> bool:
        """Say whether a registry would let this login in."""
        token, scope = self.issued.get(password), registry_scope(host)
        if username != "AWS" or token is None or scope is None:
            return False
        service, region = scope
        own = host.startswith(f"{account_of(token.principal)}.")
        return (
            token.service == service
            and region in (None, token.region)
            and (own or not self.closed or service == "ecr-public")
            and token.expires > self.now()
        )

    def latency_of(self, service: str, operation: str) -> float:
        """Return how long to wait before answering."""
        keys = setting_keys(service, operation)
        return next((self.latency[key] for key in keys if key in self.latency), 0.0)

    def take_fault(self, service: str, operation: str) -> Fault | None:
        """Return the fault for this call, one time less of it left."""
        with self._lock:
            for key in setting_keys(service, operation):
                fault = self.faults.get(key)
                if fault is not None and fault.hits(time.monotonic()):
                    return fault
        return None

    def take_quota(self, service: str, operation: str) -> Fault | None:
        """Take a token for this call; return the fault that the call gets if there is none.

        Only the quota with the most particular key counts, as of latencies.
        """
        with self._lock:
            for key in setting_keys(service, operation):
                quota = self.quotas.get(key)
                if quota is not None:
                    return None if quota.take(time.monotonic()) else Fault("throttled")
        return None


def setting_keys(service: str, operation: str) -> tuple[str, str, str]:
    """Return the keys that a setting for an operation may have, the most particular first."""
    return f"{service}.{operation}", service, "*"

"""A stand-in for AWS on 127.0.0.1: real HTTP, real signatures, made-up accounts.

The parts of AWS that a registry login touches answer on one port: ECR, ECR Public, STS, the
instance and container credential endpoints, IAM Identity Center (SSO portal and OIDC) and the
sign-in service. Clients reach it by their own settings (``Loopback.environment``), or through it
as an HTTPS proxy, in which case they believe they speak to the real host names.

``python aws_loopback.py`` serves until it is told to stop and prints its address first.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
from calendar import timegm
from dataclasses import asdict, dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from types import TracebackType

ACCOUNT = "111122223333"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/developer"
USER_KEY = "AKIAIOSFODNN7EXAMPLE"
USER_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MFA_CODE = "123456"
INSTANCE_ID = "i-0123456789abcdef0"

SKEW_ALLOWED = 300.0
LOGIN_SESSION_LIFE = 900
PAYLOAD_BYTES = 1100
HUGE_PAYLOAD_BYTES = 75 * 1024

FAULT_KINDS = frozenset(
    {
        *("denied", "throttled", "500", "expired-token"),
        *("reset", "hang", "half", "html", "redirect"),
        *("wrong-user", "no-expiry", "past-expiry", "no-token", "not-base64", "huge-token"),
    }
)


# What callers see


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
    """A way to go wrong, for the next ``times`` calls (None: until it is taken away).

    ``status`` belongs to the kind "html", ``location`` to the kind "redirect".
    """

    kind: str
    times: int | None = None
    status: int = 502
    location: str | None = None

    def __post_init__(self) -> None:
        """Refuse a kind that nothing answers to."""
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


# What travels inside


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


# Errors: one reason, one name and status in each protocol

Protocol = Literal["json", "query", "sso", "oidc", "signin", "metadata"]

PROTOCOLS: dict[str, Protocol] = {
    "ecr": "json",
    "ecr-public": "json",
    "sts": "query",
    "sso": "sso",
    "sso-oidc": "oidc",
    "signin": "signin",
    "imds": "metadata",
    "container": "metadata",
    "elsewhere": "metadata",
    "unknown": "metadata",
}


@dataclass(frozen=True)
class Reason:
    """How a kind of refusal is named by the JSON services and by STS, and its message."""

    json_name: str
    query_name: str
    message: str
    json_status: int = 400
    query_status: int = 403


class Refusal(Exception):  # noqa: N818  (it is an answer, not a defect)
    """A request is answered with an error."""

    def __init__(self, reason: Reason, message: str | None = None) -> None:
        """Take the reason's usual message unless another is given."""
        self.reason = reason
        super().__init__(message or reason.message)


UNSIGNED = Reason(
    "MissingAuthenticationTokenException",
    "MissingAuthenticationToken",
    "Request is missing Authentication Token",
)
MALFORMED = Reason(
    "IncompleteSignatureException",
    "IncompleteSignature",
    "Authorization header is incomplete or not in the AWS4-HMAC-SHA256 form.",
    query_status=400,
)
UNKNOWN_KEY = Reason(
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "The security token included in the request is invalid.",
)
BAD_SIGNATURE = Reason(
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check "
    "your AWS Secret Access Key and signing method.",
)
EXPIRED = Reason(
    "ExpiredTokenException",
    "ExpiredToken",
    "The security token included in the request is expired",
)
DENIED = Reason("AccessDeniedException", "AccessDenied", "Access denied")
THROTTLED = Reason("ThrottlingException", "Throttling", "Rate exceeded", query_status=400)
FAILED = Reason("ServerException", "InternalFailure", "Internal failure", 500, 500)
BAD_IDENTITY_TOKEN = Reason(
    "InvalidIdentityToken",
    "InvalidIdentityToken",
    "Couldn't retrieve verification key from your identity provider",
    query_status=400,
)
BAD_REQUEST = Reason("ValidationException", "ValidationError", "Bad request", 400, 400)
UNAUTHORIZED = Reason("Unauthorized", "Unauthorized", "Unauthorized", 401, 401)
NOT_FOUND = Reason("NotFound", "NotFound", "Not Found", 404, 404)

FAULT_REASONS = {
    "denied": DENIED,
    "throttled": THROTTLED,
    "500": FAILED,
    "expired-token": EXPIRED,
}

# Where a REST service has a name of its own for a reason: (code, status, "error" member).
REST_NAMES: dict[tuple[Protocol, Reason], tuple[str, int, str | None]] = {
    ("sso", UNAUTHORIZED): ("UnauthorizedException", 401, None),
    ("sso", EXPIRED): ("UnauthorizedException", 401, None),
    ("sso", DENIED): ("ForbiddenException", 403, None),
    ("sso", NOT_FOUND): ("ResourceNotFoundException", 404, None),
    ("oidc", UNAUTHORIZED): ("InvalidGrantException", 400, "invalid_grant"),
    ("oidc", EXPIRED): ("InvalidGrantException", 400, "invalid_grant"),
    ("oidc", DENIED): ("AccessDeniedException", 400, "access_denied"),
    ("oidc", BAD_REQUEST): ("InvalidRequestException", 400, "invalid_request"),
    ("signin", UNAUTHORIZED): ("AccessDeniedException", 403, "TOKEN_EXPIRED"),
    ("signin", EXPIRED): ("AccessDeniedException", 403, "TOKEN_EXPIRED"),
    ("signin", DENIED): ("AccessDeniedException", 403, "INSUFFICIENT_PERMISSIONS"),
    ("signin", BAD_REQUEST): ("ValidationException", 400, "INVALID_REQUEST"),
}


def error_reply(service: str, refusal: Refusal) -> Reply:
    """Word a refusal the way the service does."""
    reason, message, protocol = refusal.reason, str(refusal), PROTOCOLS[service]
    if protocol == "json":
        return json_reply(
            {"__type": reason.json_name, "message": message}, status=reason.json_status
        )
    if protocol == "query":
        return xml_reply("ErrorResponse", xml_error(reason, message), status=reason.query_status)
    if protocol == "metadata":
        status = 403 if reason is DENIED else reason.json_status
        return Reply(status, message.encode(), "text/plain")
    return rest_error(protocol, reason, message)


def xml_error(reason: Reason, message: str) -> str:
    """Return the inside of an STS error."""
    kind = "Receiver" if reason.query_status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
    return (
        f"<Error><Type>{kind}</Type><Code>{reason.query_name}</Code>"
        f"<Message>{escape(message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId>"
    )


def rest_error(protocol: Protocol, reason: Reason, message: str) -> Reply:
    """Return an error of the SSO portal, of OIDC or of the sign-in service."""
    usual = (reason.json_name, reason.json_status, None)
    code, status, error = REST_NAMES.get((protocol, reason), usual)
    body = {"message": message, "error_description": message} | ({"error": error} if error else {})
    reply = json_reply(body, status=status)
    return Reply(status, reply.body, "application/json", {"x-amzn-ErrorType": code})


def json_reply(body: object, *, status: int = 200) -> Reply:
    """Return a JSON response."""
    return Reply(status, json.dumps(body).encode())


def xml_reply(element: str, inside: str, *, status: int = 200) -> Reply:
    """Return an XML response of STS."""
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
    body = f'<{element} xmlns="{namespace}">{inside}</{element}>'
    return Reply(status, body.encode(), "text/xml")


# Signature Version 4, checked from the request as it arrived

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)"
    r"/(?P<service>[^/,\s]+)/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]+)"
    r", ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signature:
    """An Authorization header taken apart."""

    key: str
    date: str
    region: str
    service: str
    headers: str
    signature: str

    @classmethod
    def read(cls, request: Request) -> Signature:
        """Take the request's Authorization header apart."""
        header = request.headers.get("authorization")
        if header is None:
            raise Refusal(UNSIGNED)
        match = AUTHORIZATION.fullmatch(header)
        if match is None:
            raise Refusal(MALFORMED)
        return cls(**match.groupdict())


def check_signature(
    request: Request, service: str, keys: Mapping[str, Key], now: float
) -> tuple[Key, str]:
    """Return the key that signed the request and the region it was signed for, or refuse."""
    signed = Signature.read(request)
    check_scope(request, signed, service)
    check_clock(request.headers.get("x-amz-date", ""), now)
    key = keys.get(signed.key)
    if key is None or request.headers.get("x-amz-security-token") != key.session_token:
        raise Refusal(UNKNOWN_KEY)
    if not hmac.compare_digest(expected_signature(request, signed, key.secret), signed.signature):
        raise Refusal(BAD_SIGNATURE)
    if key.expires is not None and key.expires <= now:
        raise Refusal(EXPIRED)
    return key, signed.region


def check_scope(request: Request, signed: Signature, service: str) -> None:
    """Refuse a signature for another service, region or day, or one that leaves headers out."""
    if signed.service != service:
        raise Refusal(
            BAD_SIGNATURE, f"Credential should be scoped to correct service: '{service}'."
        )
    if not request.headers.get("x-amz-date", "").startswith(signed.date):
        raise Refusal(BAD_SIGNATURE, "Date in Credential scope does not match X-Amz-Date.")
    region = region_of_endpoint(request.host)
    if region not in (None, signed.region):
        raise Refusal(BAD_SIGNATURE, "Credential should be scoped to a valid region.")
    needed = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if not needed <= set(signed.headers.split(";")):
        raise Refusal(BAD_SIGNATURE, "Host and X-Amz headers must be signed.")


def region_of_endpoint(host: str) -> str | None:
    """Return the region that an endpoint's name holds; a loopback address holds none."""
    if host == "sts.amazonaws.com":
        return "us-east-1"
    found = re.search(r"(?:^|\.)([a-z]{2,4}(?:-[a-z]+)+-\d+)\.", host)
    return found[1] if found else None


def check_clock(stamp: str, now: float) -> None:
    """Refuse a request whose clock is more than five minutes from the server's."""
    try:
        signed_at = timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refusal(MALFORMED) from None
    if signed_at < now - SKEW_ALLOWED:
        limit, sign, text = now - SKEW_ALLOWED, "-", "expired: {} is now earlier"
    elif signed_at > now + SKEW_ALLOWED:
        limit, sign, text = now + SKEW_ALLOWED, "+", "not yet current: {} is still later"
    else:
        return
    message = f"Signature {text.format(stamp)} than {basic_time(limit)}"
    raise Refusal(BAD_SIGNATURE, f"{message} ({basic_time(now)} {sign} 5 min.)")


def expected_signature(request: Request, signed: Signature, secret: str) -> str:
    """Return the signature that the request should carry."""
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    digest = hashlib.sha256(canonical_request(request, signed.headers).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical_request(request: Request, signed_headers: str) -> str:
    """Return the canonical form of a request, over the headers that were signed."""
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n"
        for name in signed_headers.split(";")
    )
    pairs = sorted(parse_qsl(request.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    path = quote(request.path, safe="/~")
    parts = [request.method, path, query, headers, signed_headers, payload_hash(request)]
    return "\n".join(parts)


def payload_hash(request: Request) -> str:
    """Return the hash of the body; over TLS a client may say that it left the body unsigned."""
    stated = request.headers.get("x-amz-content-sha256")
    if stated == "UNSIGNED-PAYLOAD" and request.secure:
        return stated
    return hashlib.sha256(request.body).hexdigest()


# Times and random names in AWS's forms


def basic_time(moment: float) -> str:
    """Return a time as SigV4 writes it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def iso_time(moment: float) -> str:
    """Return a time as STS and the metadata services write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def random_id(prefix: str) -> str:
    """Return an identifier such as ASIA7..., twenty characters long."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(20 - len(prefix)))


def random_text(size: int) -> str:
    """Return base64 of so many random bytes."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def session_arn(role_arn: str, session: str) -> str:
    """Return the ARN of a role's session."""
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{resource.rpartition('/')[2]}/{session}"


def role_arn_of(name: str, account: str = ACCOUNT) -> str:
    """Return the ARN of a role of the account."""
    return f"arn:aws:iam::{account}:role/{name}"


def account_of(arn: str) -> str:
    """Return the account in an ARN."""
    return arn.split(":")[4]


# Registries

PRIVATE_HOST = re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\..+")
PUBLIC_HOSTS = frozenset({"public.ecr.aws", "ecr-public.aws.com"})


def registry_scope(host: str) -> tuple[str, str | None] | None:
    """Return the service and region whose tokens a registry takes (None: any region)."""
    name = host.partition(":")[0].rstrip(".").lower()
    if name in PUBLIC_HOSTS:
        return "ecr-public", None
    match = PRIVATE_HOST.fullmatch(name)
    return ("ecr", match[1]) if match else None


def registry_url(account: str, region: str) -> str:
    """Return the address of an account's registry."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{account}.dkr.ecr.{region}.{suffix}"


# ECR and ECR Public


def get_authorization_token(aws: Loopback, asked: Asked) -> Reply:
    """Answer ECR: a list with one entry for each registry asked for."""
    caller, region = signer(asked)
    accounts = asked.body.get("registryIds") or [account_of(caller.arn)]
    entries = [
        authorization_data(aws, asked) | {"proxyEndpoint": registry_url(account, region)}
        for account in accounts
    ]
    return json_reply({"authorizationData": entries})


def get_public_authorization_token(aws: Loopback, asked: Asked) -> Reply:
    """Answer ECR Public: one entry, not a list, and only in its two regions."""
    if signer(asked)[1] not in ("us-east-1", "us-west-2"):
        raise Refusal(BAD_SIGNATURE, "Credential should be scoped to a valid region.")
    return json_reply({"authorizationData": authorization_data(aws, asked)})


def authorization_data(aws: Loopback, asked: Asked) -> dict[str, Any]:
    """Return a fresh token with its expiry, spoilt where a fault says so."""
    caller, region = signer(asked)
    size = HUGE_PAYLOAD_BYTES if asked.fault == "huge-token" else PAYLOAD_BYTES
    password, expires = aws.issue_token(caller.arn, region, asked.service, payload_bytes=size)
    token = basic_credentials("AWS", password)
    data: dict[str, Any] = {"authorizationToken": token, "expiresAt": expires}
    if asked.fault in SPOILERS:
        data |= SPOILERS[asked.fault](password, aws.now())
    return {name: value for name, value in data.items() if value is not None}


def basic_credentials(username: str, password: str) -> str:
    """Return base64 of user:password."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


SPOILERS: dict[str, Callable[[str, float], dict[str, Any]]] = {
    "wrong-user": lambda password, _: {"authorizationToken": basic_credentials("robot", password)},
    "no-expiry": lambda _, __: {"expiresAt": None},
    "past-expiry": lambda _, now: {"expiresAt": now - 3600},
    "no-token": lambda _, __: {"authorizationToken": None},
    "not-base64": lambda _, __: {"authorizationToken": "%% this is not base64 %%"},
}


def signer(asked: Asked) -> tuple[Key, str]:
    """Return who signed the request, and for which region."""
    if asked.caller is None or asked.region is None:
        raise Refusal(UNSIGNED)
    return asked.caller, asked.region


# STS


def assume_role(aws: Loopback, asked: Asked) -> Reply:
    """Answer AssumeRole, if the role is declared and its conditions are met."""
    arn, form = str(asked.body.get("RoleArn")), asked.body
    role, caller = aws.roles.get(arn), signer(asked)[0]
    if role is None or role.web_identity_token or form.get("ExternalId") != role.external_id:
        raise denial(caller.arn, "sts:AssumeRole", arn)
    if role.mfa_serial is not None:
        if form.get("SerialNumber") != role.mfa_serial:
            raise denial(caller.arn, "sts:AssumeRole", arn)
        if form.get("TokenCode") != MFA_CODE:
            message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
            raise Refusal(DENIED, message)
    return session_reply(aws, asked, role)


def assume_role_with_web_identity(aws: Loopback, asked: Asked) -> Reply:
    """Answer AssumeRoleWithWebIdentity, which is not signed: the token speaks for itself."""
    role = aws.roles.get(str(asked.body.get("RoleArn")))
    if role is None or role.web_identity_token is None:
        raise Refusal(DENIED, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    if asked.body.get("WebIdentityToken") != role.web_identity_token:
        raise Refusal(BAD_IDENTITY_TOKEN)
    return session_reply(aws, asked, role)


def session_reply(aws: Loopback, asked: Asked, role: Role) -> Reply:
    """Return the session of a role, as both operations of STS word it."""
    life = float(asked.body.get("DurationSeconds", aws.session_life))
    arn = session_arn(role.arn, str(asked.body.get("RoleSessionName", "session")))
    key = aws.issue_key(arn, life)
    credentials = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret,
        "SessionToken": key.session_token,
        "Expiration": iso_time(key.expires or 0.0),
    }
    user = {"AssumedRoleId": f"{random_id('AROA')}:session", "Arn": arn}
    return sts_result(asked.operation, {"Credentials": credentials, "AssumedRoleUser": user})


def get_caller_identity(_aws: Loopback, asked: Asked) -> Reply:
    """Answer who signed the request."""
    arn = signer(asked)[0].arn
    identity = {"UserId": random_id("AIDA"), "Account": account_of(arn), "Arn": arn}
    return sts_result(asked.operation, identity)


def sts_result(operation: str, result: Mapping[str, Any]) -> Reply:
    """Return the result of an operation of STS."""
    inside = f"<{operation}Result>{xml_members(result)}</{operation}Result>"
    metadata = xml_members({"ResponseMetadata": {"RequestId": str(uuid.uuid4())}})
    return xml_reply(f"{operation}Response", inside + metadata)


def xml_members(members: Mapping[str, Any]) -> str:
    """Return a mapping as nested elements."""
    return "".join(
        f"<{name}>{xml_members(value) if isinstance(value, dict) else escape(str(value))}</{name}>"
        for name, value in members.items()
    )


def denial(principal: str | None, action: str, resource: str = "*") -> Refusal:
    """Return IAM's refusal of an action."""
    message = f"User: {principal or 'anonymous'} is not authorized to perform: {action}"
    reason = f"because no identity-based policy allows the {action} action"
    return Refusal(DENIED, f"{message} on resource: {resource} {reason}")


# The instance and container credential endpoints


def put_metadata_token(aws: Loopback, asked: Asked) -> Reply:
    """Answer IMDSv2's request for a session token."""
    life = asked.request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
    if not life.isdecimal():
        raise Refusal(BAD_REQUEST)
    token = random_text(40)
    aws.metadata_tokens[token] = aws.now() + int(life)
    ttl = {"x-aws-ec2-metadata-token-ttl-seconds": life}
    return Reply(200, token.encode(), "text/plain", ttl)


def get_instance_role(aws: Loopback, asked: Asked) -> Reply:
    """Answer IMDS: the name of the instance's role."""
    return Reply(200, instance_role(aws, asked).encode(), "text/plain")


def get_instance_credentials(aws: Loopback, asked: Asked) -> Reply:
    """Answer IMDS: the credentials of the instance's role."""
    role = instance_role(aws, asked)
    if asked.request.path.rpartition("/")[2] != role:
        raise Refusal(NOT_FOUND)
    key = aws.issue_key(session_arn(role_arn_of(role), INSTANCE_ID), aws.session_life)
    updated = {"Code": "Success", "LastUpdated": iso_time(aws.now()), "Type": "AWS-HMAC"}
    return json_reply(updated | metadata_credentials(key))


def instance_role(aws: Loopback, asked: Asked) -> str:
    """Return the role of the instance to a request that carries a good token."""
    token = asked.request.headers.get("x-aws-ec2-metadata-token", "")
    if aws.metadata_tokens.get(token, 0.0) <= aws.now():
        raise Refusal(UNAUTHORIZED)
    if aws.instance_role is None:
        raise Refusal(NOT_FOUND)
    return aws.instance_role


def get_container_credentials(aws: Loopback, asked: Asked) -> Reply:
    """Answer the credential endpoint of ECS tasks and of EKS Pod Identity."""
    if aws.container_role is None:
        raise Refusal(NOT_FOUND)
    wanted = aws.container_authorization
    if wanted is not None and asked.request.headers.get("authorization") != wanted:
        raise Refusal(UNAUTHORIZED)
    role = role_arn_of(aws.container_role)
    key = aws.issue_key(session_arn(role, "container"), aws.session_life)
    owner = {"RoleArn": role, "AccountId": account_of(role)}
    return json_reply(metadata_credentials(key) | owner)


def metadata_credentials(key: Key) -> dict[str, Any]:
    """Return a key as both metadata services write it."""
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret,
        "Token": key.session_token,
        "Expiration": iso_time(key.expires or 0.0),
    }


# IAM Identity Center and the sign-in service


def get_role_credentials(aws: Loopback, asked: Asked) -> Reply:
    """Answer the SSO portal: credentials of a role, for an access token."""
    token = asked.request.headers.get("x-amz-sso_bearer_token", "")
    if aws.sso_access_tokens.get(token, 0.0) <= aws.now():
        raise Refusal(UNAUTHORIZED, "Session token not found or invalid")
    account, role = str(asked.body.get("account_id")), str(asked.body.get("role_name"))
    if (account, role) not in aws.sso_roles:
        raise Refusal(DENIED, "No access")
    name = f"AWSReservedSSO_{role}_0123456789abcdef"
    key = aws.issue_key(session_arn(role_arn_of(name, account), "developer"), aws.session_life)
    credentials = camel_case_credentials(key) | {"expiration": int((key.expires or 0) * 1000)}
    return json_reply({"roleCredentials": credentials})


def create_token(aws: Loopback, asked: Asked) -> Reply:
    """Answer SSO OIDC: a new access token for a refresh token."""
    form = asked.body
    if form.get("grantType") != "refresh_token" or not form.get("clientSecret"):
        raise Refusal(BAD_REQUEST)
    if form.get("refreshToken") not in aws.sso_refresh_tokens:
        raise Refusal(UNAUTHORIZED, "Invalid refresh token provided")
    token = random_text(48)
    aws.add_sso_session(token, expires_in=aws.session_life)
    answer = {"tokenType": "Bearer", "expiresIn": int(aws.session_life)}
    return json_reply(answer | {"accessToken": token, "refreshToken": form["refreshToken"]})


def create_oauth2_token(aws: Loopback, asked: Asked) -> Reply:
    """Answer the sign-in service: new credentials and a new refresh token for an old one."""
    if asked.body.get("grantType") != "refresh_token" or not proves_possession(asked.request):
        raise Refusal(BAD_REQUEST)
    arn = aws.login_sessions.get(str(asked.body.get("refreshToken")))
    if arn is None:
        raise Refusal(UNAUTHORIZED, "The refresh token is expired or not known")
    renewed = random_text(48)
    aws.add_login_session(renewed, arn)
    key = aws.issue_key(arn, LOGIN_SESSION_LIFE)
    answer = {"tokenType": "aws_sigv4", "expiresIn": LOGIN_SESSION_LIFE}
    return json_reply(
        answer | {"accessToken": camel_case_credentials(key), "refreshToken": renewed}
    )


def proves_possession(request: Request) -> bool:
    """Say whether a DPoP header is there and is for this request (its key is not checked)."""
    header, _, rest = request.headers.get("dpop", "").partition(".")
    claims, _, signature = rest.partition(".")
    kind, claim = json_of_part(header), json_of_part(claims)
    return (
        (kind.get("typ"), kind.get("alg")) == ("dpop+jwt", "ES256")
        and claim.get("htm") == request.method
        and urlsplit(str(claim.get("htu"))).path == request.path
        and bool(signature)
    )


def json_of_part(part: str) -> dict[str, Any]:
    """Return the JSON object in a part of a token; what holds none counts as an empty one."""
    try:
        content = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def camel_case_credentials(key: Key) -> dict[str, Any]:
    """Return a key as the SSO portal and the sign-in service write it."""
    return {
        "accessKeyId": key.access_key_id,
        "secretAccessKey": key.secret,
        "sessionToken": key.session_token,
    }


# Where a request goes


def answer_elsewhere(_aws: Loopback, _asked: Asked) -> Reply:
    """Answer a client that followed a redirect; being called at all is what tests look for."""
    return json_reply({})


def answer_unknown(_aws: Loopback, _asked: Asked) -> Reply:
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

OPERATIONS: dict[tuple[str, str], Callable[[Loopback, Asked], Reply]] = {
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

SIGNED_SERVICES = frozenset({"ecr", "ecr-public", "sts"})
UNSIGNED_OPERATIONS = frozenset({"AssumeRoleWithWebIdentity"})


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


# The stand-in itself


class Loopback:
    """AWS on a port of 127.0.0.1, for the length of a ``with`` block.

    ``certificate`` is the pair (certificate chain, private key) of files in PEM that CONNECT
    requests are served with. ``clock_offset`` is how far the server's clock runs ahead of the
    local one. ``latency`` and ``faults`` are keyed by "service.Operation", "service" or "*".
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token_life: float = 43200.0,
        certificate: tuple[str | PathLike[str], str | PathLike[str]] | None = None,
    ) -> None:
        """Bind the port and declare the default user; nothing is served yet."""
        self.token_life = token_life
        self.session_life = 3600.0
        self.clock_offset = 0.0
        self.calls: list[Call] = []
        self.connects: list[str] = []
        self.latency: dict[str, float] = {}
        self.faults: dict[str, Fault] = {}
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
        self.tls = tls_context(certificate)
        self._lock = threading.Lock()
        self._server = Server(port, self)
        self.add_user(USER_KEY, USER_SECRET, USER_ARN)

    def __enter__(self) -> Self:
        """Start serving."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()

    def stop(self) -> None:
        """Stop serving and cut every open connection, the hanging ones too."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of every service, and of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def container_url(self) -> str:
        """The address for AWS_CONTAINER_CREDENTIALS_FULL_URI."""
        return f"{self.url}/container/credentials"

    def environment(self, *, with_keys: bool = False) -> dict[str, str]:
        """Return the variables that point an AWS client at this stand-in and nowhere else."""
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
        }
        keys = {"AWS_ACCESS_KEY_ID": USER_KEY, "AWS_SECRET_ACCESS_KEY": USER_SECRET}
        return variables | keys if with_keys else variables

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

    def issue_token(
        self, principal: str, region: str, service: str, *, payload_bytes: int = PAYLOAD_BYTES
    ) -> tuple[str, float]:
        """Return a new registry password and when it expires."""
        expires = round(self.now() + self.token_life, 3)
        content = {
            "payload": random_text(payload_bytes),
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
        return (
            token.service == service
            and region in (None, token.region)
            and token.expires > self.now()
        )

    def latency_of(self, service: str, operation: str) -> float:
        """Return how long to wait before answering."""
        keys = (f"{service}.{operation}", service, "*")
        return next((self.latency[key] for key in keys if key in self.latency), 0.0)

    def take_fault(self, service: str, operation: str) -> Fault | None:
        """Return the fault for this call, one time less of it left."""
        with self._lock:
            for key in (f"{service}.{operation}", service, "*"):
                fault = self.faults.get(key)
                if fault is not None and fault.times != 0:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None


def serve(aws: Loopback, request: Request) -> Reply | Fault:
    """Record a request and return its answer, or the fault that has to be acted out."""
    asked, refusal = authenticate(aws, route(request))
    aws.calls.append(call_of(asked))
    fault = aws.take_fault(asked.service, asked.operation)
    aws.stopped.wait(aws.latency_of(asked.service, asked.operation))
    if fault is not None and fault.kind in TRANSPORT_FAULTS:
        return fault
    try:
        if refusal is not None:
            raise refusal
        return answer(aws, asked, fault.kind if fault else None)
    except Refusal as error:
        return error_reply(asked.service, error)


def authenticate(aws: Loopback, asked: Asked) -> tuple[Asked, Refusal | None]:
    """Return the request with its signer, or with why it has none."""
    if asked.service not in SIGNED_SERVICES or asked.operation in UNSIGNED_OPERATIONS:
        return asked, None
    try:
        key, region = check_signature(asked.request, asked.service, aws.keys, aws.now())
    except Refusal as refusal:
        return asked, refusal
    return replace(asked, caller=key, region=region), None


def answer(aws: Loopback, asked: Asked, fault: str | None) -> Reply:
    """Return what an operation answers, or the error that a fault puts in its place."""
    if fault == "denied":
        resource = str(asked.body.get("RoleArn", "*"))
        raise denial(asked.principal, f"{asked.service}:{asked.operation}", resource)
    if fault in FAULT_REASONS:
        raise Refusal(FAULT_REASONS[fault])
    operation = OPERATIONS.get((asked.service, asked.operation), answer_unknown)
    return operation(aws, replace(asked, fault=fault))


def call_of(asked: Asked) -> Call:
    """Return the record of a request."""
    return Call(
        service=asked.service,
        operation=asked.operation,
        region=asked.region,
        principal=asked.principal,
        host=asked.request.host,
        user_agent=asked.request.headers.get("user-agent", ""),
        body=asked.body,
        time=time.time(),
    )


# Control from another process


def control(aws: Loopback, request: Request) -> Reply:
    """Answer a path below /_loopback/, which no service sees and no record holds."""
    handlers = {"calls": control_calls, "set": control_set, "verify": control_verify}
    handler = handlers.get(request.path.removeprefix(CONTROL))
    return handler(aws, request) if handler else Reply(404)


def control_calls(aws: Loopback, _request: Request) -> Reply:
    """Return every call so far."""
    return json_reply([asdict(call) for call in list(aws.calls)])


def control_set(aws: Loopback, request: Request) -> Reply:
    """Change settings of a running stand-in."""
    try:
        settings = json.loads(request.body)
        changes = {name: SETTINGS[name](value) for name, value in settings.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return json_reply({"error": f"{type(error).__name__}: {error}"}, status=400)
    for name, value in changes.items():
        setattr(aws, name, value)
    return json_reply({})


def control_verify(aws: Loopback, request: Request) -> Reply:
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


CONTROL = "/_loopback/"
SETTINGS: dict[str, Callable[[Any], Any]] = {
    "latency": lambda value: {key: float(seconds) for key, seconds in value.items()},
    "faults": read_faults,
    "token_life": float,
    "clock_offset": float,
    "instance_role": lambda value: None if value is None else str(value),
}


# HTTP


class Server(ThreadingMixIn, TCPServer):
    """The listening socket; each connection has a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, aws: Loopback) -> None:
        """Listen on a port of 127.0.0.1 (0: any free one)."""
        self.aws = aws
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Connection)

    def cut_connections(self) -> None:
        """End every open connection."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent where a client or a fault ended the connection; show any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection: requests one after the other, or a tunnel with TLS in it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    tunnel: str | None = None

    def setup(self) -> None:
        """Remember the connection, so that stop() can end it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Keep silent: what is worth knowing is in ``calls``."""

    def handle_any(self) -> None:
        """Answer a request."""
        request, aws = self.read_request(), self.server.aws
        if request.path.startswith(CONTROL):
            self.send(control(aws, request))
            return
        outcome = serve(aws, request)
        if isinstance(outcome, Reply):
            self.send(outcome)
        else:
            TRANSPORT_FAULTS[outcome.kind](self, outcome)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815

    def do_CONNECT(self) -> None:
        """Open a tunnel that ends here: the certificate stands for every host."""
        host = self.path.rpartition(":")[0]
        self.server.aws.connects.append(host)
        if self.server.aws.tls is None:
            self.send(Reply(502))
            return
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.tunnel = host
        self.rfile.close()
        self.server.connections.discard(self.connection)
        self.connection = self.server.aws.tls.wrap_socket(self.connection, server_side=True)
        self.server.connections.add(self.connection)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False

    def read_request(self) -> Request:
        """Return the request whose head was just read, with its body."""
        size = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            method=self.command,
            path=url.path,
            query=url.query,
            host=self.tunnel or url.netloc or headers.get("host", ""),
            secure=self.tunnel is not None,
            headers=headers,
            body=self.rfile.read(size),
        )

    def send(self, reply: Reply, *, length: int | None = None) -> None:
        """Send a response in one piece; ``length`` is what it claims its body to be."""
        headers = {
            "Date": formatdate(self.server.aws.now(), usegmt=True),
            "x-amzn-RequestId": str(uuid.uuid4()),
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body) if length is None else length),
            **reply.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n{lines}\r\n"
        self.connection.sendall(head.encode() + reply.body)


# Faults that are acted out on the connection


def act_reset(connection: Connection, _fault: Fault) -> None:
    """Reset the connection instead of answering."""
    raw, linger = connection.connection, struct.pack("ii", 1, 0)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.rfile.close()
    connection.wfile.close()
    raw.close()
    raise ConnectionAbortedError


def act_hang(connection: Connection, _fault: Fault) -> None:
    """Never answer."""
    connection.server.aws.stopped.wait()
    connection.close_connection = True


def act_half(connection: Connection, _fault: Fault) -> None:
    """Close the connection in the middle of the body."""
    connection.send(Reply(200, b'{"authorizationData": [{"authorizationTok'), length=4096)
    connection.close_connection = True


def act_html(connection: Connection, fault: Fault) -> None:
    """Answer the page of some proxy on the way."""
    page = b"<!DOCTYPE html><html><body><h1>Web gateway</h1><p>Please log in.</p></body></html>"
    connection.send(Reply(fault.status, page, "text/html"))


def act_redirect(connection: Connection, fault: Fault) -> None:
    """Send the client to another host; going there shows as a call of service "elsewhere"."""
    location = fault.location or f"http://localhost:{connection.server.aws.port}/elsewhere"
    connection.send(Reply(307, headers={"Location": location}))


TRANSPORT_FAULTS: dict[str, Callable[[Connection, Fault], None]] = {
    "reset": act_reset,
    "hang": act_hang,
    "half": act_half,
    "html": act_html,
    "redirect": act_redirect,
}


def tls_context(
    certificate: tuple[str | PathLike[str], str | PathLike[str]] | None,
) -> ssl.SSLContext | None:
    """Return the server side of TLS with a certificate, if there is one."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A stand-in for AWS on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="the port (default: any free one)")
    parser.add_argument("--token-life", type=float, default=43200.0, metavar="SECONDS")
    options = parser.parse_args(arguments)
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    with Loopback(port=options.port, token_life=options.token_life) as aws:
        sys.stdout.write(f"{aws.url}\n")
        sys.stdout.flush()
        told_to_stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

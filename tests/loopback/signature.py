"""Signature Version 4, checked from the request as it arrived."""

import hashlib
import hmac
import re
import time
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, quote

from .errors import BAD_SIGNATURE, EXPIRED, MALFORMED, UNKNOWN_KEY, UNSIGNED, Refusal
from .formats import basic_time
from .model import Asked, Key, Request

SKEW_ALLOWED = 300.0

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
    def read(cls, request: Request) -> Self:
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


def signer(asked: Asked) -> tuple[Key, str]:
    """Return who signed the request, and for which region."""
    if asked.caller is None or asked.region is None:
        raise Refusal(UNSIGNED)
    return asked.caller, asked.region

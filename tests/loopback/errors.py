"""Errors: each reason for a refusal, with its name and HTTP status in each protocol."""

import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal
from xml.sax.saxutils import escape

from .formats import json_reply, xml_reply
from .model import Reply

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
UNAVAILABLE = Reason(
    "ServiceUnavailable",
    "ServiceUnavailable",
    "The request has failed due to a temporary failure of the server.",
    503,
    503,
)
TOO_MANY = Reason("TooManyRequests", "TooManyRequests", "Too many requests", 429, 429)
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
    "429": TOO_MANY,
    "500": FAILED,
    "503": UNAVAILABLE,
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


def denial(principal: str | None, action: str, resource: str = "*") -> Refusal:
    """Return IAM's refusal of an action."""
    message = f"User: {principal or 'anonymous'} is not authorized to perform: {action}"
    reason = f"because no identity-based policy allows the {action} action"
    return Refusal(DENIED, f"{message} on resource: {resource} {reason}")


def error_reply(service: str, refusal: Refusal) -> Reply:
    """Return a refusal as the service answers it; too many requests only have their status."""
    reply = worded_error(PROTOCOLS[service], refusal.reason, str(refusal))
    return replace(reply, body=b"", headers={}) if refusal.reason is TOO_MANY else reply


def worded_error(protocol: Protocol, reason: Reason, message: str) -> Reply:
    """Return an error with its code and its message, in the words of a protocol."""
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

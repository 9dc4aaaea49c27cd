"""The authorization token in an answer of AWS, once every part of it is checked."""

import binascii
import time

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.protocol import USERNAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .token_request import TokenRequest

TOKEN_LIMIT = 64 * 1024
SEE_WHAT_ANSWERS = "see what answers in place of AWS: a proxy, a captive portal, AWS_ENDPOINT_URL"

_LONGEST_LIFE = 12 * 60 * 60.0  # what AWS documents for a token
_TOKEN_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_."  # noqa: S105


class AuthorizationToken:
    """A password for a registry, as GetAuthorizationToken returned it.

    `secret` is the password. `life` is how many seconds it is valid, from the moment of AWS's
    answer, by AWS's own clock. `source` is the credential source it was requested with ("env",
    "sso", "iam-role", ... as botocore names them).
    """

    __slots__ = ("life", "secret", "source")

    def __init__(self, secret: str, life: float, source: str) -> None:
        self.secret = secret
        self.life = life
        self.source = source


def token_in(
    answer: "Any", headers: "Mapping[str, str]", request: "TokenRequest"
) -> AuthorizationToken:
    """Return the token in AWS's `answer` to `request`; `headers` has names in lower case.

    The moment of expiry in `answer` is a number of epoch seconds, or a datetime. The time of the
    answer is that of its Date header; without one, the local time.

    Raises HelperError if a part of it is missing or wrong.
    """
    try:
        data = answer["authorizationData"]
        if isinstance(data, list):
            data = data[0]
        decoded = binascii.a2b_base64(data["authorizationToken"], strict_mode=True).decode()
        expires = data["expiresAt"]
        if not isinstance(expires, int | float):
            expires = expires.timestamp()
        life = expires - _time_of(headers)
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
        # A web page is an empty answer to botocore.
        if headers.get("content-type", "").startswith("text/html"):
            raise not_aws(None, request) from None
        raise _unusable(request, "no authorization token with an expiry") from None
    username, _, secret = decoded.partition(":")
    if username != USERNAME:
        raise _unusable(request, f"a token for another user than {USERNAME}")
    if not secret or secret.strip(_TOKEN_ALPHABET) or len(secret) > TOKEN_LIMIT:
        raise _unusable(request, "a token that has the wrong form")
    if life <= 0:
        raise _unusable(request, "a token that has expired")
    token = AuthorizationToken(secret, min(life, _LONGEST_LIFE), request.source)
    request.note(f"{request.asked}: a token for {token.life:.0f} s")
    return token


def not_aws(_: object, request: "TokenRequest") -> HelperError:
    """Return the error that says that something else answered in place of AWS."""
    return HelperError(
        f"{request.asked} was answered by something that is not AWS", SEE_WHAT_ANSWERS
    )


def _time_of(headers: "Mapping[str, str]") -> float:
    """Return the epoch seconds of a Date header, which is in UTC; without one, the local time."""
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return time.time()
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _unusable(request: "TokenRequest", what: str) -> HelperError:
    return HelperError(f"{request.asked} was answered with {what}", SEE_WHAT_ANSWERS)

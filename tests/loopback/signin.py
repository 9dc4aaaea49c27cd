"""The sign-in service, which renews the credentials of `aws login`."""

import base64
import json
from typing import Any
from urllib.parse import urlsplit

from .errors import BAD_REQUEST, UNAUTHORIZED, Refusal
from .formats import camel_case_credentials, json_reply, random_text
from .model import Asked, Reply, Request
from .state import State

LOGIN_SESSION_LIFE = 900


def create_oauth2_token(aws: State, asked: Asked) -> Reply:
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

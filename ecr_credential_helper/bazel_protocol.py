"""The other protocol of credential helpers, which Bazel and its rules speak: headers for a URI.

A `get` gets `{"uri": ...}` on stdin, and answers with the headers to send with a request to that
URI, and until when they may be kept (EngFlow's Credential Helpers Specification). Its errors go to
stderr, and stdout stays empty.
"""

import base64
import json
import time

from .errors import HelperError
from .protocol import SERVER_URL_LIMIT, USERNAME
from .registry import host_of

SECONDS = 9.0  # until AWS is given up: Bazel waits for ten (its option --credential_helper_timeout)
NO_HEADERS = "{}\n"

_PORTS = ("", "443")
_PATH_OF_TOKENS = "/token/"  # where ECR Public changes user and token for a token of one repository
_MARGIN = 60  # seconds before the end of a token in which it is no longer used


def uri_of(request: bytes) -> str | None:
    """Return the URI in what came on stdin; None if that is no request of this protocol."""
    if len(request) > SERVER_URL_LIMIT:
        return None
    try:
        document = json.loads(request.decode())
    except (ValueError, RecursionError):
        return None
    uri = document.get("uri") if isinstance(document, dict) else None
    return uri if isinstance(uri, str) else None


def https_host_of(uri: str) -> str:
    """Return the host of a URI that is reached by HTTPS at its usual port.

    A text without a scheme is a host, as rules_img sends it. Raises HelperError if there is none;
    the URI is not repeated, for there may be a secret in it.
    """
    scheme, authority, _ = _parts(uri)
    host = host_of(uri)
    if (
        host is None
        or scheme.lower() not in ("", "https")
        or authority.partition(":")[2] not in _PORTS
    ):
        raise HelperError(
            "the URI names no host of HTTPS at port 443",
            "a registry's is like https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/",
        )
    return host


def takes_headers(uri: str, *, public: bool) -> bool:
    """Whether a registry takes user and token at `uri`.

    ECR Public takes them in one place, and gives out a token for the others there.
    """
    _, _, path = _parts(uri)
    return not public or path.partition("?")[0] == _PATH_OF_TOKENS


def encode_headers(token: str, expires: int) -> str:
    """Return the answer: the header for a token that expires at `expires` (epoch seconds)."""
    login = base64.b64encode(f"{USERNAME}:{token}".encode()).decode()
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires - _MARGIN))
    answer = {"headers": {"Authorization": [f"Basic {login}"]}, "expires": until}
    return json.dumps(answer, separators=(",", ":")) + "\n"


def _parts(uri: str) -> tuple[str, str, str]:
    """Return scheme (empty if there is none), host with port, and path of a URI, as `host_of`."""
    scheme, mark, rest = uri.partition("://")
    if not mark or "/" in scheme:
        scheme, rest = "", uri
    authority, slash, path = rest.partition("/")
    return scheme, authority, slash + path

"""The protocol of Docker credential helpers: parse what is on stdin, format what goes to stdout.

The three fixed messages and the formats are those of docker/docker-credential-helpers, whose
clients compare the messages for equality.
"""

from .errors import HelperError, ProtocolError

USERNAME = "AWS"

CREDENTIALS_NOT_FOUND = "credentials not found in native keychain"
MISSING_SERVER_URL = "no credentials server URL"
MISSING_USERNAME = "no credentials username"

SERVER_URL_LIMIT = 64 * 1024
LOGIN_LIMIT = 1024 * 1024


def decode_server_url(data: bytes) -> str:
    """Return the server URL that a client sent to `get` or `erase`.

    One line ending is removed, then spaces at both ends; the rest is unchanged. Input that cannot
    be a server URL (over 64 KiB, not UTF-8) gives a text that names no host.

    Raises ProtocolError if nothing is left.
    """
    if len(data) > SERVER_URL_LIMIT:
        return "\\"
    return _trimmed(data.decode("utf-8", "backslashreplace"))


def decode_login(data: bytes) -> tuple[str, str, str]:
    """Return server URL, user name and secret that a client sent to `store`.

    As in the Go programs, the keys may be in any case, and only the first JSON value counts.

    Raises ProtocolError if server URL or user name is missing, HelperError if `data` is not a JSON
    object of strings.
    """
    import json

    try:
        document, _ = json.JSONDecoder().raw_decode(data[:LOGIN_LIMIT].decode("utf-8").lstrip())
    except (ValueError, RecursionError):
        raise HelperError("the input of store is not JSON") from None
    if not isinstance(document, dict):
        raise HelperError("the input of store is not a JSON object")
    fields = {key.lower(): value for key, value in document.items()}
    login = ["", "", ""]
    for place, key in enumerate(("serverurl", "username", "secret")):
        value = fields.get(key)
        if isinstance(value, str):
            login[place] = value
        elif value is not None:
            raise HelperError("the input of store holds a value that is not a string")
    server_url, username, secret = login
    server_url = _trimmed(server_url)
    if not username:
        raise ProtocolError(MISSING_USERNAME)
    return server_url, username, secret


def encode_credentials(server_url: str, secret: str) -> str:
    """Return the answer of `get`.

    Only a quote needs escaping: a server URL that names a host is printable and has no backslash,
    a token is checked to be base64. Importing `json` would take longer than the rest of a cache
    hit.
    """
    quoted = server_url.replace('"', '\\"')
    return f'{{"ServerURL":"{quoted}","Username":"{USERNAME}","Secret":"{secret}"}}\n'


def encode_list(hosts: list[str]) -> str:
    """Return the answer of `list` for `hosts`, which are ASCII host names."""
    return "{" + ",".join(f'"https://{host}":"{USERNAME}"' for host in hosts) + "}\n"


def _trimmed(server_url: str) -> str:
    """Return `server_url` without the line ending and the spaces that a client may add.

    Raises ProtocolError if nothing is left.
    """
    end = "\r\n" if server_url.endswith("\r\n") else "\n"
    server_url = server_url.removesuffix(end).strip(" ")
    if not server_url:
        raise ProtocolError(MISSING_SERVER_URL)
    return server_url

"""What the tests of the installed executable share: hosts, lines of the protocol, and checks."""

import json
from pathlib import Path

from tests.loopback import ACCOUNT, USER_KEY, USER_SECRET, Loopback
from tests.support.helper import Result, assert_no_secret

NAME = "docker-credential-ecr"
LINK = "docker-credential-ecr-login"
USAGE = f"Usage: {NAME} <store|get|erase|list|version>"

NOT_FOUND = b"credentials not found in native keychain\n"
NO_SERVER_URL = b"no credentials server URL\n"
NO_USERNAME = b"no credentials username\n"

PRIVATE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
FOREIGN = ("https://index.docker.io/v1/", "docker.io", "ghcr.io", f"{PRIVATE}.evil.com", "unused")
LIMIT = 64 * 1024
MEBIBYTE = 1024 * 1024

ONCE = {"AWS_MAX_ATTEMPTS": "1"}
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
KEYS = f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"


def login(server_url: str = PRIVATE, username: str = "AWS", secret: str = "opaque") -> bytes:
    """Return what Docker sends to `store`."""
    return json.dumps({"ServerURL": server_url, "Username": username, "Secret": secret}).encode()


def assert_answered(result: Result, server_url: str, aws: Loopback) -> None:
    """Assert that `get` succeeded with a token of the loopback, and with nothing around it."""
    assert (result.stderr, result.status) == (b"", 0)
    assert result.answer == {
        "ServerURL": server_url,
        "Username": "AWS",
        "Secret": result.answer["Secret"],
    }
    assert result.answer["Secret"] in aws.issued
    assert result.out.endswith("}\n")
    assert result.out.count("\n") == 1


def assert_silent_failure(result: Result, stdout: bytes) -> None:
    """Assert a failure that says one of the protocol's lines on stdout and nothing on stderr."""
    assert (result.stdout, result.stderr, result.status) == (stdout, b"", 1)


def assert_refused(result: Result, aws: Loopback) -> str:
    """Assert a failure with one clear line on stdout; return the cause that is named there.

    On stderr there is a hint at most.
    """
    assert result.status == 1
    assert_no_secret(result, aws)
    assert_one_hint_at_most(result.err.splitlines(keepends=True))
    return cause_in(result.out)


def assert_not_found_because(result: Result, aws: Loopback) -> str:
    """Assert the protocol's `not found` on stdout; return the cause that stderr names."""
    assert (result.stdout, result.status) == (NOT_FOUND, 1)
    assert_no_secret(result, aws)
    cause, *hints = result.err.splitlines(keepends=True)
    assert_one_hint_at_most(hints)
    return cause_in(cause)


def assert_one_hint_at_most(lines: list[str]) -> None:
    """Assert that there are no `lines`, or a single one, whole, with a hint."""
    assert all(line.startswith("hint: ") and line.endswith("\n") for line in lines)
    assert len(lines) <= 1


def cause_in(text: str) -> str:
    """Assert that `text` is one line in the program's style; return it without the name."""
    name, _, cause = text.partition(": ")
    assert name == NAME
    assert cause.endswith("\n")
    assert cause.count("\n") == 1
    assert cause.strip().isprintable()
    assert not cause[0].isupper() or cause.startswith(("AWS ", "MFA "))
    assert not cause.endswith(".\n") or cause.endswith("...\n")
    return cause.strip()


def write(path: Path, text: str) -> Path:
    """Write a file for a test, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

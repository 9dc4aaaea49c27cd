"""`get`: the server URL that it is sent and echoes, and the credentials that it uses."""

import json
import subprocess
import sys

import pytest

from tests.loopback import Loopback, role_arn_of
from tests.support.answers import (
    KEYS,
    LIMIT,
    MEBIBYTE,
    NO_KEYS,
    NO_SERVER_URL,
    NOT_FOUND,
    PRIVATE,
    assert_answered,
    assert_silent_failure,
    write,
)
from tests.support.helper import Helper
from tests.test_registry import REJECTED_ROWS


@pytest.mark.parametrize(
    ("stdin", "server_url"),
    [
        (PRIVATE, PRIVATE),
        (f"{PRIVATE}\n", PRIVATE),
        (f"{PRIVATE}\r\n", PRIVATE),
        (f"  {PRIVATE}  ", PRIVATE),
        (f" {PRIVATE} \n", PRIVATE),
        (f"HTTPS://{PRIVATE.upper()}:443/V2/\n", f"HTTPS://{PRIVATE.upper()}:443/V2/"),
        (f"{PRIVATE}.", f"{PRIVATE}."),
        (f'{PRIVATE}/a"b""c', f'{PRIVATE}/a"b""c'),
        (f"{PRIVATE}/équipe/アプリ", f"{PRIVATE}/équipe/アプリ"),
        (f"{PRIVATE}/<a>&'b'", f"{PRIVATE}/<a>&'b'"),
    ],
)
def test_get_echoes_the_server_url_trimmed_and_otherwise_unchanged(
    helper: Helper, aws: Loopback, stdin: str, server_url: str
) -> None:
    """One line ending and the spaces around it go; what is left comes back, as valid JSON."""
    assert_answered(helper.run("get", stdin=stdin.encode()), server_url, aws)


def test_a_server_url_may_be_as_long_as_64_kib(helper: Helper, aws: Loopback) -> None:
    """At the limit the answer is a token, and the echo is complete."""
    server_url = f"{PRIVATE}/".ljust(LIMIT, "a")
    assert_answered(helper.get(server_url), server_url, aws)


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, 2 * LIMIT, MEBIBYTE])
def test_a_server_url_over_64_kib_is_not_an_ecr_host(
    helper: Helper, aws: Loopback, size: int
) -> None:
    """One byte over the limit it is no ECR host, however it begins."""
    assert_silent_failure(helper.get(f"{PRIVATE}/".ljust(size, "a")), NOT_FOUND)
    assert aws.calls == []


@pytest.mark.parametrize(
    "stdin",
    [
        f"{PRIVATE}\n\n".encode(),
        f"{PRIVATE}\r\n\r\n".encode(),
        f"{PRIVATE}\n\r".encode(),
        f"{PRIVATE}\r\r\n".encode(),
        f"{PRIVATE}\nhost=evil.com\n".encode(),
        f"{PRIVATE}/\xe9".encode("latin-1"),
        f"{PRIVATE}\xff".encode("latin-1"),
        PRIVATE.encode("utf-16"),
        PRIVATE.encode("utf-16-le"),
        PRIVATE.encode("utf-8-sig"),
        f"{PRIVATE}/".encode() + b"\xed\xa0\x80",
        PRIVATE.replace("/", "").encode().replace(b".", b"\xc0\xae"),
        f"{PRIVATE}/".encode() + b"\xc0\xaf",
    ],
)
def test_bytes_that_no_server_url_can_hold_are_not_an_ecr_host(
    helper: Helper, aws: Loopback, stdin: bytes
) -> None:
    """A second line ending, or what is not UTF-8, is neither removed nor ignored."""
    assert_silent_failure(helper.run("get", stdin=stdin), NOT_FOUND)
    assert aws.calls == []


@pytest.mark.parametrize("verb", ["get", "erase"])
@pytest.mark.parametrize("stdin", [b"", b"\n", b"\r\n", b" ", b"   \n", b" \r\n"])
def test_no_server_url_is_said_so(helper: Helper, verb: str, stdin: bytes) -> None:
    """Nothing, or nothing but spaces, is the protocol's `no credentials server URL`."""
    assert_silent_failure(helper.run(verb, stdin=stdin), NO_SERVER_URL)


@pytest.mark.parametrize("server_url", REJECTED_ROWS)
def test_a_host_that_is_not_ecr_gets_no_token(
    helper: Helper, aws: Loopback, server_url: str
) -> None:
    """The answer is `not found` alone, stderr is empty, and AWS is not called."""
    assert_silent_failure(helper.get(server_url), NOT_FOUND)
    assert aws.calls == []
    assert aws.connects == []


# The AWS credentials of `get`


@pytest.mark.parametrize("region", ["", "region = eu-west-1"])
def test_a_profile_and_a_role_assumed_from_it_pay_for_a_token(
    helper: Helper, aws: Loopback, region: str
) -> None:
    """Each asks as its own identity; a role without a region is assumed in the host's."""
    role = role_arn_of("pull")
    aws.add_role(role)
    write(helper.home / ".aws/credentials", f"[base]\n{KEYS}")
    write(
        helper.home / ".aws/config",
        f"[profile pull]\nrole_arn = {role}\nsource_profile = base\n{region}\n",
    )
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_PROFILE": "base"})
    assert_answered(result, PRIVATE, aws)
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_PROFILE": "pull"})
    assert_answered(result, PRIVATE, aws)
    principals = [call.principal or "" for call in aws.calls if call.service == "ecr"]
    assert principals[0].endswith(":user/developer")
    assert ":assumed-role/pull/" in principals[1]


def test_a_machines_own_role_pays_for_a_token(helper: Helper, aws: Loopback) -> None:
    """On an instance with a role nothing needs to be configured."""
    aws.instance_role = "builder"
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None}
    assert_answered(helper.get(PRIVATE, env=env), PRIVATE, aws)
    assert ":assumed-role/builder/" in str(aws.calls[-1].principal)


def test_a_containers_role_pays_for_a_token(helper: Helper, aws: Loopback) -> None:
    """In an ECS task the role of the task is used."""
    aws.container_role = "task"
    env = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.container_url}
    assert_answered(helper.get(PRIVATE, env=env), PRIVATE, aws)
    assert ":assumed-role/task/" in str(aws.calls[-1].principal)


@pytest.mark.needs("POSIX")
def test_all_of_it_works_from_a_directory_that_is_gone(helper: Helper, aws: Loopback) -> None:
    """Docker may run the helper in a working directory that was removed meanwhile."""
    gone = helper.home / "gone"
    gone.mkdir()
    code = (
        "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]);"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    command = [sys.executable, "-c", code, str(gone), str(helper.executable), "get"]
    output = subprocess.check_output(command, input=PRIVATE.encode(), env=helper.env)
    assert json.loads(output)["Secret"] in aws.issued

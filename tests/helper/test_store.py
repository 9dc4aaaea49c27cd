"""`store`: logins to ECR are accepted, all others are refused."""

import pytest

from tests.loopback import ACCOUNT, Loopback
from tests.support.answers import (
    FOREIGN,
    NO_SERVER_URL,
    NO_USERNAME,
    PRIVATE,
    PUBLIC,
    assert_refused,
    assert_silent_failure,
    login,
)
from tests.support.helper import Helper


@pytest.mark.parametrize(
    "stdin",
    [
        login(),
        login(f"https://{PRIVATE}"),
        login(f"{PRIVATE}:443/team/app"),
        login(PRIVATE.upper()),
        login(PUBLIC),
        login(f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws"),
        f'{{"serverurl":"{PRIVATE}","USERNAME":"AWS","sEcReT":"opaque"}}'.encode(),
        b" \r\n\t" + login() + b"\n",
        login() + login("https://index.docker.io/v1/", "robot"),
        login() + b"what comes after the first value",
        login()[:-1] + b', "Extra": {"deep": [1, null, true]}}',
    ],
)
def test_store_takes_a_login_to_ecr(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """`docker login` to an ECR host succeeds: keys in any case, the first JSON value alone."""
    result = helper.run("store", stdin=stdin)
    assert (result.stdout, result.status) == (b"", 0)
    assert "opaque" not in result.err
    assert aws.calls == []


@pytest.mark.parametrize("server_url", FOREIGN)
@pytest.mark.parametrize("username", ["AWS", "robot"])
@pytest.mark.parametrize("ignore", [None, "true"])
def test_store_never_swallows_a_login_to_another_registry(
    helper: Helper, aws: Loopback, server_url: str, username: str, ignore: str | None
) -> None:
    """As credsStore it cannot keep the login: it fails with a message, and writes nothing."""
    env = {"AWS_ECR_IGNORE_CREDS_STORAGE": ignore}
    result = helper.store(server_url, username, "hunter2", env=env)
    assert "ECR" in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []


@pytest.mark.parametrize("username", ["robot", "aws", "Aws", "AWS ", "<token>", "AWS\n", "\0"])
def test_store_takes_no_other_user(helper: Helper, aws: Loopback, username: str) -> None:
    """An ECR registry has one user, and a login as another would never work."""
    result = helper.store(PRIVATE, username, "hunter2")
    assert "AWS" in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []


@pytest.mark.parametrize("stdin", [login(""), login("  "), login("\n"), b"{}", b'{"a":1}'])
def test_store_without_a_server_url_is_said_so(helper: Helper, stdin: bytes) -> None:
    """A missing and an empty server URL are the protocol's `no credentials server URL`."""
    assert_silent_failure(helper.run("store", stdin=stdin), NO_SERVER_URL)


@pytest.mark.parametrize(
    "stdin", [login(username=""), f'{{"ServerURL":"{PRIVATE}","Secret":"hunter2"}}'.encode()]
)
def test_store_without_a_user_is_said_so(helper: Helper, stdin: bytes) -> None:
    """A missing and an empty user name are the protocol's `no credentials username`."""
    assert_silent_failure(helper.run("store", stdin=stdin), NO_USERNAME)


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"hunter2",
        login()[:-1],
        b"\xff" + login(),
        login().decode().encode("utf-16"),
        b"\xef\xbb\xbf" + login(),
        b'{"ServerURL":"\xff","Username":"AWS","Secret":"hunter2"}',
        b"[]",
        b'"hunter2"',
        b"1",
        b"true",
        b"[" + login() + b"]",
        b'{"ServerURL":1,"Username":"AWS","Secret":"hunter2"}',
        b'{"ServerURL":["a"],"Username":"AWS","Secret":"hunter2"}',
        f'{{"ServerURL":"{PRIVATE}","Username":true,"Secret":"hunter2"}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}","Username":{{}},"Secret":"hunter2"}}'.encode()[:-1],
        f'{{"ServerURL":"{PRIVATE}","Username":"AWS","Secret":["hunter2"]}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}","Username":"AWS","Secret":{"9" * 9000}}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}\\ud800","Username":"AWS","Secret":"hunter2"}}'.encode(),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda stdin: stdin[:40].decode("ascii", "backslashreplace"),
)
def test_store_refuses_what_is_no_login(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """Bad JSON, wrong types and deep nesting are one clear line, and nothing is written."""
    result = helper.run("store", stdin=stdin)
    assert "internal error" not in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []

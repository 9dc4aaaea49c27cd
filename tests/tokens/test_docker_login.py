"""A login that a person or a script brings along: when it is kept, for how long, for whom."""

import base64
import json
import time
from typing import Any

import pytest

from ecr_credential_helper.tokens.docker_login import expiry_of
from tests.loopback import Loopback
from tests.support.entries import (
    HOST,
    OTHER_ACCOUNT,
    PUBLIC,
    entry_files,
    entry_in,
    rewrite,
    secret_of,
)
from tests.support.helper import Helper

NOW = 1763913600
TWELVE_HOURS = 43200

# A machine with no AWS settings at all.
BARE: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


def password(expiration: Any, **more: Any) -> str:
    """Return a password of ECR's kind."""
    content = {"payload": "x" * 40, "version": "2", "expiration": expiration, **more}
    return base64.b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    ("expiration", "expires"),
    [
        (NOW + 3600, NOW + 3600),
        (NOW + TWELVE_HOURS, NOW + TWELVE_HOURS),
        (NOW + TWELVE_HOURS + 1, NOW + TWELVE_HOURS),
        (10**30, NOW + TWELVE_HOURS),
        (1e300, NOW + TWELVE_HOURS),
        (NOW - 1, NOW - 1),
        (-(10**30), 0),
        (str(NOW + 60), NOW + 60),
        (NOW + 60.9, NOW + 60),
        ("soon", None),
        (None, None),
        ([], None),
        ({}, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_a_password_says_when_it_expires(expiration: Any, expires: int | None) -> None:
    """The expiry is read from the password and is never more than twelve hours away."""
    assert expiry_of(password(expiration), NOW + 0.9) == expires


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hunter2",
        "%%%",
        "dG9rZW4=",
        "é",
        "\ud800",
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"1").decode(),
        base64.b64encode(b'"expiration"').decode(),
        base64.b64encode(b"null").decode(),
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'{"expiration":' + b"9" * 10_000 + b"}").decode(),
        password(NOW + 60)[:-8],
        password(NOW + 60) + "\n",
        password(NOW + 60).replace("e", " ", 1),
    ],
)
def test_other_secrets_say_nothing(secret: str) -> None:
    """What is not base64 of a JSON object with an expiration has no expiry, and is no error."""
    assert expiry_of(secret, NOW) is None


def test_a_login_is_answered_without_aws(helper: Helper, aws: Loopback) -> None:
    """A kept token is served, listed and erased with no credentials and no call, then is gone."""
    secret = password(int(time.time()) + 7200)
    stored = helper.store(f"https://{HOST}/", "AWS", secret, env=BARE)
    assert (stored.status, stored.stdout, stored.stderr) == (0, b"", b"")
    assert secret_of(helper.get(HOST, env=BARE).answer) == secret
    assert helper.run("list", env=BARE).answer == {f"https://{HOST}": "AWS"}
    assert aws.calls == []
    assert helper.run("erase", stdin=HOST.encode(), env=BARE).status == 0
    assert helper.run("list", env=BARE).answer == {}
    gone = helper.get(HOST, env=BARE)
    assert gone.stdout == b"credentials not found in native keychain\n"
    assert aws.count("ecr") == 0


def test_a_login_longer_than_a_credential_manager_takes_is_kept(helper: Helper) -> None:
    """Windows' own takes 2,560 bytes, and a token may have more: it comes back to the byte."""
    secret = password(int(time.time()) + 7200, payload="x" * 3700)
    assert len(secret) > 5000
    assert helper.store(HOST, "AWS", secret).stderr == b""
    assert secret_of(helper.get(HOST).answer) == secret


def test_a_login_takes_the_place_of_a_fetched_token(helper: Helper, aws: Loopback) -> None:
    """The stored token is answered for its host, and no other host of the region gets it."""
    fetched = secret_of(helper.get(HOST).answer)
    secret = password(int(time.time()) + 7200)
    helper.store(HOST, "AWS", secret)
    assert secret_of(helper.get(HOST).answer) == secret
    assert secret_of(helper.get(OTHER_ACCOUNT).answer) == fetched
    assert aws.count("ecr") == 1


def test_a_login_is_kept_for_the_identity_that_made_it(helper: Helper, aws: Loopback) -> None:
    """Another identity's get does not answer with it."""
    secret = password(int(time.time()) + 7200)
    helper.store(HOST, "AWS", secret, env=BARE)
    assert secret_of(helper.get(HOST).answer) in aws.issued
    assert secret_of(helper.get(HOST, env=BARE).answer) == secret


def test_a_login_ends_at_its_own_expiry(helper: Helper) -> None:
    """The entry ends when the password says so, twelve hours at most."""
    for seconds, kept in ((7200, 7200), (TWELVE_HOURS * 2, TWELVE_HOURS)):
        before = int(time.time())
        helper.store(HOST, "AWS", password(before + seconds))
        (file,) = entry_files(helper.cache, HOST)
        entry = entry_in(file)
        assert before <= entry.issued <= time.time()
        assert before + kept <= entry.expires <= time.time() + kept


@pytest.mark.parametrize("left", [-100, 30])
def test_an_expired_login_takes_no_tokens_place(helper: Helper, aws: Loopback, left: int) -> None:
    """A token that is past its end, or in its last minute, is not kept, and one line says so."""
    token = helper.get(HOST)
    stored = helper.store(HOST, "AWS", password(int(time.time()) + left))
    assert (stored.status, stored.stdout) == (0, b"")
    assert stored.err.endswith("this token is not kept, it has expired; no login is needed\n")
    assert helper.run("list").answer == {f"https://{HOST}": "AWS"}
    assert helper.get(HOST) == token
    assert aws.count("ecr") == 1


def test_a_login_without_an_expiry_is_not_kept(helper: Helper) -> None:
    """It succeeds, one line says that no login is needed, and no file is written."""
    for secret in ("hunter2", base64.b64encode(b"{}").decode(), "x" * 500_000):
        stored = helper.store(HOST, "AWS", secret)
        assert (stored.status, stored.stdout) == (0, b"")
        assert stored.err.count("\n") == 1
        assert "no login is needed" in stored.err
        assert secret not in stored.err
        assert helper.files() == []


def test_a_login_that_cannot_be_kept_succeeds(helper: Helper) -> None:
    """Without a cache directory one line says so; with the cache off nothing needs saying."""
    secret = password(int(time.time()) + 7200)
    (helper.home / "file").touch()
    stored = helper.store(HOST, "AWS", secret, env={"AWS_ECR_CACHE_DIR": f"{helper.home}/file/x"})
    assert (stored.status, stored.stdout) == (0, b"")
    assert stored.err.count("\n") == 1
    assert "no login is needed" in stored.err
    assert helper.files() == ["file"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [("true", False), ("TRUE", False), ("false", True), ("", True), ("1", True)],
)
def test_logins_can_be_ignored(helper: Helper, value: str, *, kept: bool) -> None:
    """With AWS_ECR_IGNORE_CREDS_STORAGE=true no login is kept, and nothing is said."""
    secret = password(int(time.time()) + 7200)
    ignore = {"AWS_ECR_IGNORE_CREDS_STORAGE": value}
    stored = helper.store(HOST, "AWS", secret, env=ignore)
    assert (stored.status, stored.stdout, stored.stderr) == (0, b"", b"")
    assert bool(helper.files()) == kept


def test_a_login_to_a_public_registry_is_kept(helper: Helper, aws: Loopback) -> None:
    """ECR Public is an ECR host like the others."""
    secret = password(int(time.time()) + 7200)
    helper.store(PUBLIC, "AWS", secret)
    assert secret_of(helper.get(PUBLIC).answer) == secret
    assert aws.calls == []


def test_a_login_too_large_to_read_back_is_not_kept(helper: Helper, aws: Loopback) -> None:
    """What the cache could not answer later is not said to be kept, and leaves no file."""
    secret = password(int(time.time()) + 7200, payload="x" * 300_000)
    stored = helper.store(HOST, "AWS", secret)
    assert (stored.status, stored.stdout) == (0, b"")
    assert "no login is needed" in stored.err
    assert helper.files() == []
    assert secret_of(helper.get(HOST).answer) in aws.issued


def test_a_login_is_served_to_its_end_without_credentials(helper: Helper, aws: Loopback) -> None:
    """With nobody to ask for a better one a stored token lives until its last minute."""
    secret = password(int(time.time()) + 7200)
    helper.store(HOST, "AWS", secret, env=BARE)
    for age, served in ((TWELVE_HOURS - 3600, True), (TWELVE_HOURS - 30, False)):
        rewrite(helper.cache, age=age)
        result = helper.get(HOST, env=BARE)
        assert (result.status == 0) == served
        assert (secret in result.out) == served
        assert "no AWS credentials found" in result.err
    assert aws.count("ecr") == 0

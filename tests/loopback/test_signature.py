"""Signatures: which keys, scopes, times and changed requests are refused."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.loopback import USER_ARN, USER_KEY, USER_SECRET, Loopback

from .clients import REGION, caller, client, error_of
from .errors import Refusal
from .model import Request
from .signature import Signature, check_scope


def test_an_unknown_key_is_refused(user: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each protocol has its own name for a key that nobody declared."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")
    assert error_of(client("ecr").get_authorization_token)[::2] == (
        "UnrecognizedClientException",
        400,
    )
    assert error_of(client("sts").get_caller_identity)[::2] == ("InvalidClientTokenId", 403)
    assert [call.principal for call in user.calls] == [None, None]
    assert not user.issued


def test_a_wrong_secret_is_refused(user: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature made with another secret does not match."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", USER_SECRET[:-1])
    assert error_of(client("ecr").get_authorization_token)[0] == "InvalidSignatureException"
    assert error_of(client("sts").get_caller_identity)[0] == "SignatureDoesNotMatch"
    assert not user.issued


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Amz-Target", "SpencerFrontendService.GetAuthorizationToken"),
        pytest.param(
            "X-Amz-Date",
            time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 60)),
            id="X-Amz-Date",  # the same in each process that runs tests
        ),
        ("Content-Type", "application/json"),
        ("X-Amz-Extra", "not signed"),
        ("body", '{"registryIds": ["444455556666"]}'),
        ("Authorization", None),
        ("Authorization", "Bearer something"),
    ],
)
def test_a_request_changed_after_signing_is_refused(
    user: Loopback, name: str, value: str | None
) -> None:
    """Target, date, headers and body are all under the signature."""

    def tamper(request: Any, **_: object) -> None:
        request.headers.pop(name, None)
        if name == "body":
            request.body = value
            request.headers["Content-Length"] = str(len(str(value)))
        elif value is not None:
            request.headers[name] = value

    ecr = client("ecr")
    ecr.meta.events.register("before-send.ecr.GetAuthorizationToken", tamper)
    code, _, status = error_of(ecr.get_authorization_token)
    expected = {
        None: "MissingAuthenticationTokenException",
        "Bearer something": "IncompleteSignatureException",
    }
    assert (code, status) == (expected.get(value, "InvalidSignatureException"), 400)
    assert not user.issued


@pytest.mark.parametrize("part", [{"signing_name": "sts"}, {"signing_name": "s3"}])
def test_a_signature_for_another_service_is_refused(user: Loopback, part: dict[str, str]) -> None:
    """The credential scope names the service."""
    ecr = client("ecr")
    ecr.meta.events.register(
        "choose-signer.ecr.*", lambda context, **_: context.update(signing=part)
    )
    code, message, _ = error_of(ecr.get_authorization_token)
    assert code == "InvalidSignatureException"
    assert "correct service" in message
    assert not user.issued


def test_a_credential_scope_of_another_day_is_refused() -> None:
    """A signing key is good for its own day."""
    headers = {"x-amz-date": "20260102T000000Z"}
    request = Request("POST", "/", "", "127.0.0.1", secure=False, headers=headers, body=b"")
    signed = Signature(USER_KEY, "20260101", REGION, "ecr", "host;x-amz-date", "0" * 64)
    with pytest.raises(Refusal, match="Date in Credential scope"):
        check_scope(request, signed, "ecr")


def test_a_session_token_has_to_match(user: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary credentials are no good without their own session token."""
    key = user.issue_key(USER_ARN, 900)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
    for token in ("", "bm90IGl0"):
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        assert error_of(client("ecr").get_authorization_token)[0] == "UnrecognizedClientException"
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(key.session_token))
    assert caller() == USER_ARN


def test_expired_credentials_are_refused(user: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary credentials end on the server's clock."""
    key = user.issue_key(USER_ARN, -1)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(key.session_token))
    assert error_of(client("ecr").get_authorization_token)[::2] == ("ExpiredTokenException", 400)
    assert error_of(client("sts").get_caller_identity)[::2] == ("ExpiredToken", 403)


@pytest.mark.parametrize(("offset", "words"), [(310, "expired"), (-310, "not yet current")])
def test_a_clock_more_than_five_minutes_off_is_refused(
    user: Loopback, offset: int, words: str
) -> None:
    """The message gives both times, whichever clock is ahead."""
    user.clock_offset = offset
    for service, operation, expected in (
        ("ecr", "get_authorization_token", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
    ):
        code, message, _ = error_of(getattr(client(service), operation))
        assert code == expected
        assert message.startswith(f"Signature {words}: ")


def test_a_clock_a_little_off_is_the_servers_word_on_time(user: Loopback) -> None:
    """The Date header and the expiry both follow the server's clock."""
    user.clock_offset, user.token_life = 240, 600
    response = client("ecr").get_authorization_token()
    date = response["ResponseMetadata"]["HTTPHeaders"]["date"]
    served = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    expires = response["authorizationData"][0]["expiresAt"].timestamp()
    assert served == pytest.approx(time.time() + 240, abs=3)
    assert expires == pytest.approx(time.time() + 840, abs=3)

"""The module aws.authorization: which answers of AWS hold a token, and for how long."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from ecr_credential_helper.aws import authorization, ecr
from ecr_credential_helper.aws.authorization import AuthorizationToken
from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import CredentialsNotFound, HelperError
from ecr_credential_helper.registry import Registry
from ecr_credential_helper.settings import Target
from ecr_credential_helper.system.deadline import Deadline
from tests.loopback import Fault, Loopback

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
HALF_A_DAY = timedelta(hours=12)
SECRET = base64.b64encode(b'{"payload":"x","expiration":1}').decode()


def encoded(text: str) -> str:
    """Return `text` as AWS writes an authorization token."""
    return base64.b64encode(text.encode()).decode()


def answer(
    *,
    token: object = encoded(f"AWS:{SECRET}"),
    expires_at: object = NOW + HALF_A_DAY,
    date: str | None = format_datetime(NOW, usegmt=True),
    without: str = "",
    public: bool = False,
) -> dict[str, Any]:
    """Return what botocore makes of AWS's answer, with something else in the place of a part."""
    data = {"authorizationToken": token, "expiresAt": expires_at}
    data.pop(without, None)
    headers = {} if date is None else {"date": date}
    return {
        "authorizationData": data if public else [data],
        "ResponseMetadata": {"HTTPHeaders": headers},
    }


def token_request(profile: str = "") -> TokenRequest:
    """Return what is asked in these tests."""
    asked = TokenRequest(Target(Registry("", region="eu-west-1"), profile), Deadline())
    asked.source = "config-file"
    return asked


def checked(answer: Any) -> tuple[str, float]:
    """Return secret and life of the token in an answer as botocore gives it."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    token = authorization.token_in(answer, headers, token_request())
    return token.secret, token.life


@pytest.mark.parametrize("public", [False, True])
def test_a_good_answer_is_secret_and_life(*, public: bool) -> None:
    """ECR answers with a list, ECR Public with one entry; both hold the same."""
    assert checked(answer(public=public)) == (SECRET, 12 * 3600)


@pytest.mark.parametrize(
    ("expires_at", "date", "life"),
    [
        (NOW + timedelta(seconds=1), format_datetime(NOW, usegmt=True), 1),
        (NOW + timedelta(seconds=0.5), format_datetime(NOW, usegmt=True), 0.5),
        (NOW + HALF_A_DAY, "Sun, 29 Mar 2026 01:30:00 GMT", 12 * 3600),
        (NOW + HALF_A_DAY, "Sun, 29 Mar 2026 01:30:00 -0000", 12 * 3600),
        (NOW + HALF_A_DAY, "Sun, 29 Mar 2026 03:30:00 +0200", 12 * 3600),
        (NOW + HALF_A_DAY, "Sun, 29 Mar 2026 02:30:00 GMT", 11 * 3600),
        (
            (NOW + HALF_A_DAY).astimezone(timezone(timedelta(hours=-8))),
            "Sun, 29 Mar 2026 01:30:00 GMT",
            12 * 3600,
        ),
    ],
)
def test_life_is_counted_from_awss_own_clock(expires_at: datetime, date: str, life: float) -> None:
    """The Date header is the moment of the answer, in whatever zone either is written."""
    assert checked(answer(expires_at=expires_at, date=date)) == (SECRET, life)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Mar 2026 01:30:00 GMT"])
def test_without_a_clock_of_awss_ours_has_to_do(date: str | None) -> None:
    """Where there is no Date header, or none that is a date, life is counted from our now."""
    expires_at = datetime.now(UTC) + HALF_A_DAY
    _, life = checked(answer(expires_at=expires_at, date=date))
    assert life == pytest.approx(12 * 3600, abs=60)


@pytest.mark.parametrize("offset", [-240.0, 240.0])
def test_a_local_clock_that_is_wrong_does_no_harm(
    aws: Loopback, monkeypatch: pytest.MonkeyPatch, offset: float
) -> None:
    """With a server clock that differs, a token has the lifetime that the server gave it."""
    for name, value in aws.environment(with_keys=True).items():
        monkeypatch.setenv(name, value)
    aws.clock_offset = offset
    aws.token_life = 1000.0
    token = ecr.authorization_token(token_request())
    assert token.life == pytest.approx(1000, abs=30)
    assert token.secret in aws.issued
    assert token.source == "env"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"authorizationData": None},
        {"authorizationData": []},
        {"authorizationData": {}},
        {"authorizationData": [{}]},
        {"authorizationData": [None]},
        {"authorizationData": "AWS"},
        answer(without="authorizationToken"),
        answer(without="expiresAt"),
        answer(token=None),
        answer(token=5),
        answer(token=""),
        answer(token=encoded("")),
        answer(token=encoded("AWS")),
        answer(token=encoded("AWS:")),
        answer(token=encoded(f":{SECRET}")),
        answer(token=encoded(f"robot:{SECRET}")),
        answer(token=encoded(f"aws:{SECRET}")),
        answer(token=encoded(f" AWS:{SECRET}")),
        answer(token=encoded(f"AWS\n:{SECRET}")),
        answer(token=encoded(f"<token>:{SECRET}")),
        answer(token=f"AWS:{SECRET}"),
        answer(token="%% this is not base64 %%"),
        answer(token="é"),
        answer(token=base64.b64encode(b"AWS:\xff\xfe").decode()),
        *[
            answer(token=encoded(f"AWS:{SECRET[:9]}{character}{SECRET[9:]}"))
            for character in ['"', "\\", "\n", "\r", "\0", "\x1b", " ", "<", ":", "é", "\u2028"]
        ],
        answer(token=encoded(f"AWS:{'a' * (authorization.TOKEN_LIMIT + 1)}")),
        answer(expires_at=None),
        answer(expires_at=NOW),
        answer(expires_at=NOW - timedelta(seconds=1)),
        answer(expires_at=NOW - HALF_A_DAY),
    ],
    ids=lambda wrong: repr(wrong)[:60],
)
def test_an_answer_that_is_not_awss_is_refused(wrong: dict[str, Any]) -> None:
    """Another user, a missing, odd or old token: a clear error that does not show the token."""
    with pytest.raises(HelperError) as caught:
        checked(wrong)
    error = caught.value
    assert not isinstance(error, CredentialsNotFound)
    assert "ecr:GetAuthorizationToken in eu-west-1" in error.message
    assert "\n" not in error.message
    for text in (error.message, error.hint, repr(error)):
        assert SECRET not in text
        assert encoded(SECRET)[:40] not in text


def test_a_token_may_be_as_large_as_the_limit() -> None:
    """Tokens grow with the principal's name; at the limit one is still taken."""
    secret = "a" * authorization.TOKEN_LIMIT
    assert checked(answer(token=encoded(f"AWS:{secret}")))[0] == secret


def test_a_token_is_in_no_repr() -> None:
    """An object that holds a token can be printed without showing it."""
    token = AuthorizationToken(SECRET, 1.0, "env")
    assert SECRET not in repr(token) + str(token)


def test_a_huge_token_is_refused_in_one_call(
    aws: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is far larger than any token is not handed on."""
    for name, value in aws.environment(with_keys=True).items():
        monkeypatch.setenv(name, value)
    aws.faults["ecr"] = Fault("huge-token")
    with pytest.raises(HelperError):
        ecr.authorization_token(token_request())
    assert aws.count("ecr") == 1

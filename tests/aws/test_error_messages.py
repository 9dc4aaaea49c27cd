"""The module aws.ecr: which answers it accepts, and its messages for the errors of botocore."""

import base64
import inspect
import string
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from botocore import exceptions as aws_errors
from botocore.credentials import ReadOnlyCredentials
from botocore.parsers import ResponseParserError

from ecr_credential_helper.aws import ecr
from ecr_credential_helper.aws.error_messages import explain
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


# What an answer has to hold


@pytest.mark.parametrize("public", [False, True])
def test_a_good_answer_is_secret_and_life(*, public: bool) -> None:
    """ECR answers with a list, ECR Public with one entry; both hold the same."""
    assert ecr._checked(answer(public=public), token_request()) == (SECRET, 12 * 3600)


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
    assert ecr._checked(answer(expires_at=expires_at, date=date), token_request()) == (SECRET, life)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Mar 2026 01:30:00 GMT"])
def test_without_a_clock_of_awss_ours_has_to_do(date: str | None) -> None:
    """Where there is no Date header, or none that is a date, life is counted from our now."""
    expires_at = datetime.now(UTC) + HALF_A_DAY
    _, life = ecr._checked(answer(expires_at=expires_at, date=date), token_request())
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
        answer(token=encoded(f"AWS:{'a' * (ecr.TOKEN_LIMIT + 1)}")),
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
        ecr._checked(wrong, token_request())
    error = caught.value
    assert not isinstance(error, CredentialsNotFound)
    assert "ecr:GetAuthorizationToken in eu-west-1" in error.message
    assert "\n" not in error.message
    for text in (error.message, error.hint, repr(error)):
        assert SECRET not in text
        assert encoded(SECRET)[:40] not in text


def test_a_token_may_be_as_large_as_the_limit() -> None:
    """Tokens grow with the principal's name; at the limit one is still taken."""
    secret = "a" * ecr.TOKEN_LIMIT
    assert ecr._checked(answer(token=encoded(f"AWS:{secret}")), token_request())[0] == secret


def test_a_token_is_in_no_repr() -> None:
    """An object that holds a token can be printed without showing it."""
    token = ecr.AuthorizationToken(SECRET, 1.0, "env")
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


# The messages for the errors of botocore


def refusal(code: str, said: str = "Said so.", operation: str = "GetAuthorizationToken") -> Any:
    """Return the error that botocore raises for an error code of AWS."""
    return aws_errors.ClientError({"Error": {"Code": code, "Message": said}}, operation)


def in_prose(error: Exception, profile: str = "") -> HelperError:
    """Return the explanation of `error`, after checking that it is in the program's style."""
    explained = explain(error, token_request(profile))
    for text in (explained.message, explained.hint):
        assert "\n" not in text
        assert text.isprintable()
        assert not text.endswith(".") or text.endswith("...")
        assert not text[:1].isupper() or text.startswith(("AWS ", "MFA "))
    assert explained.message
    return explained


@pytest.mark.parametrize(
    ("error", "words", "hint"),
    [
        (refusal("AccessDeniedException"), "was denied", "IAM"),
        (refusal("AccessDenied"), "was denied", "IAM"),
        (refusal("ExpiredTokenException"), "have expired", "renew"),
        (refusal("ExpiredToken"), "have expired", "renew"),
        (refusal("ThrottlingException"), "was throttled", "again"),
        (refusal("Throttling"), "was throttled", "again"),
        (refusal("TooManyRequestsException"), "was throttled", "again"),
        (refusal("RequestTimeTooSkewed"), "clock", "clock"),
        (refusal("InvalidSignatureException"), "signature", "secret access key"),
        (refusal("SignatureDoesNotMatch"), "signature", "secret access key"),
        (refusal("UnrecognizedClientException"), "access key", "access key"),
        (refusal("InvalidClientTokenId"), "access key", "access key"),
        (refusal("ServerException"), "ServerException", ""),
        (refusal("NeverHeardOf"), "NeverHeardOf", ""),
        (refusal("AccessDenied", operation="AssumeRole"), "AssumeRole", "sts:AssumeRole"),
        (aws_errors.ProfileNotFound(profile="dev"), "profile dev does not exist", "profile"),
        (aws_errors.SSOTokenLoadError(error_msg="x"), "aws sso login", "aws sso login"),
        (aws_errors.UnauthorizedSSOTokenError(), "aws sso login", "aws sso login"),
        (aws_errors.TokenRetrievalError(provider="sso", error_msg="x"), "SSO", "aws sso login"),
        (aws_errors.ConfigParseError(path="/the/file"), "/the/file", "config file"),
        (aws_errors.ConfigNotFound(path="/the/file"), "/the/file", "config file"),
        (aws_errors.InvalidConfigError(error_msg="role"), "AWS settings", "config file"),
        (aws_errors.RefreshWithMFAUnsupportedError(), "MFA", "terminal"),
        (
            aws_errors.CredentialRetrievalError(provider="custom-process", error_msg="exit 3"),
            "failed: exit 3",
            "credential_process",
        ),
        (
            aws_errors.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECRET_ACCESS_KEY",
        ),
        (
            aws_errors.SSLError(endpoint_url="https://x", error=OSError("bad")),
            "TLS",
            "AWS_CA_BUNDLE",
        ),
        (aws_errors.ReadTimeoutError(endpoint_url="https://x"), "https://x", "reaches"),
        (aws_errors.ConnectTimeoutError(endpoint_url="https://x"), "https://x", "reaches"),
        (
            aws_errors.EndpointConnectionError(endpoint_url="https://x", error="refused"),
            "https://x",
            "reaches",
        ),
        (
            aws_errors.ConnectionClosedError(endpoint_url="https://x", error="closed"),
            "https://x",
            "reaches",
        ),
        (
            aws_errors.ProxyConnectionError(proxy_url="http://proxy", error="refused"),
            "http://proxy",
            "proxy",
        ),
        (ResponseParserError("not JSON"), "not AWS", "proxy"),
        (OSError(13, "Permission denied", "/the/file"), "/the/file", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_error_has_its_words_and_its_hint(error: Exception, words: str, hint: str) -> None:
    """The cause says what happened, and the hint what to do about it."""
    explained = in_prose(error)
    assert not isinstance(explained, CredentialsNotFound)
    assert words in explained.message
    assert hint in explained.hint


def test_no_credentials_are_credentials_not_found() -> None:
    """Only missing credentials are the protocol's `not found`, and Docker goes on anonymously."""
    explained = in_prose(aws_errors.NoCredentialsError())
    assert isinstance(explained, CredentialsNotFound)
    assert "no AWS credentials" in explained.message
    assert "AWS" in explained.hint


def test_the_profile_is_named_where_one_was_chosen() -> None:
    """The identity is part of the cause, and of the command that fixes it."""
    denied = in_prose(refusal("AccessDeniedException"), "prod")
    assert "in eu-west-1 as profile prod" in denied.message
    expired = in_prose(aws_errors.UnauthorizedSSOTokenError(), "prod")
    assert "aws sso login --profile prod" in expired.message
    assert "aws sso login --profile prod" in expired.hint


@pytest.mark.parametrize("said", ["two\nlines", "a\ttab\x1b[2K", "x" * 10_000, "", " . "])
def test_what_aws_said_stays_one_line_of_bearable_length(said: str) -> None:
    """A message from outside can neither break the line nor fill the screen."""
    for error in (refusal("NeverHeardOf", said), aws_errors.InvalidConfigError(error_msg=said)):
        assert len(in_prose(error).message) < 1000


def botocore_errors() -> list[Exception]:
    """Return one error of every kind that botocore has, its fields filled with an odd text."""

    def made(kind: type[Exception]) -> Exception:
        if issubclass(kind, aws_errors.ClientError):
            return kind({"Error": {"Code": "Code", "Message": "odd\ntext."}}, "Operation")
        fields = [field for _, field, _, _ in string.Formatter().parse(getattr(kind, "fmt", ""))]
        return kind(**dict.fromkeys(filter(None, fields), "odd\ntext."))

    roots = (aws_errors.BotoCoreError, aws_errors.ClientError)
    kinds = [kind for _, kind in inspect.getmembers(aws_errors, inspect.isclass)]
    waiting = aws_errors.WaiterError  # which wants more arguments; nothing is waited for here
    return [made(kind) for kind in kinds if issubclass(kind, roots) and kind is not waiting]


@pytest.mark.parametrize("error", botocore_errors(), ids=lambda error: type(error).__name__)
def test_every_error_of_botocore_can_be_told(error: Exception) -> None:
    """Every one has a message: one line in the program's style, with or without a hint."""
    in_prose(error, "prod")
    in_prose(error)


def test_a_client_waits_for_seconds_and_not_for_minutes() -> None:
    """The timeouts are our own and short: botocore's are a minute for each try."""
    target = Target(Registry("", region="eu-west-1"))
    credentials = ReadOnlyCredentials("key", "secret", None)
    config = ecr._client(
        ecr.session_for(TokenRequest(target, Deadline())), target, credentials
    ).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 10)
    assert config.retries["mode"] == "standard"

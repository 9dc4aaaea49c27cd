"""The module aws.error_messages: what is told of botocore's errors."""

import base64
import inspect
import string
from datetime import UTC, datetime, timedelta
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

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
HALF_A_DAY = timedelta(hours=12)
SECRET = base64.b64encode(b'{"payload":"x","expiration":1}').decode()


def token_request(profile: str = "") -> TokenRequest:
    """Return what is asked in these tests."""
    asked = TokenRequest(Target(Registry("", region="eu-west-1"), profile), Deadline())
    asked.source = "config-file"
    return asked


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

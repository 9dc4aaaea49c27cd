"""Explain botocore's errors: what was asked, where, as whom, and what to do about it.

Each case is recognized by botocore's exception types and AWS's error codes, never by the text of a
message.
"""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any, TypeVar

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from ecr_credential_helper.errors import Denied, HelperError, NoAWSCredentials
from ecr_credential_helper.system.log import redacted

from .authorization import SEE_WHAT_ANSWERS, not_aws
from .token_request import TokenRequest, profile_in_words, with_profile

Cause = TypeVar("Cause", bound=BaseException)

_LINE_LIMIT = 400
_SKEW_SECONDS = 240  # AWS accepts five minutes

_DENIED = ("AccessDenied", "AccessDeniedException", "ForbiddenException", "UnauthorizedException")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException")
_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown")
_CLOCK = ("RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed")
_SIGNATURE = ("InvalidSignatureException", "SignatureDoesNotMatch")
_UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId")
_WEB_IDENTITY = ("InvalidIdentityToken", "IDPRejectedClaim", "IDPCommunicationError")

_SEE_THE_SOURCE = "see it fail by itself: `aws sts get-caller-identity` with the same AWS settings"


def explain(error: Exception, request: TokenRequest) -> HelperError:
    """Return what `error`, raised while asking `request` with botocore, means to the user."""
    if isinstance(error, HelperError):
        return error
    for kinds, explanation in _EXPLANATIONS:
        if isinstance(error, kinds):
            return explanation(error, request)
    return _source(error, request)


def _one_line(text: object) -> str:
    """Return the text of an error as one line that holds no secret."""
    line = redacted(" ".join(str(text).split())).rstrip(".")
    if isinstance(text, Exception) and not line:
        line = type(text).__name__
    return line if len(line) <= _LINE_LIMIT else line[: _LINE_LIMIT - 3] + "..."


# No credentials, or a source of them that fails.


def _no_credentials(_: Any, __: TokenRequest) -> HelperError:
    return NoAWSCredentials()


def _unknown_profile(error: aws.ProfileNotFound, request: TokenRequest) -> HelperError:
    name = error.kwargs.get("profile") or request.profile
    return HelperError(
        f"the AWS profile {name} does not exist",
        "name a profile that is in the AWS config file: `aws configure list-profiles` lists them",
    )


def _sso(_: Any, request: TokenRequest) -> HelperError:
    return Denied(*_login_again("sso_session", "has expired or was never started", request))


def _login(_: Any, request: TokenRequest) -> HelperError:
    return Denied(*_login_again("login_session", "has expired or was never started", request))


def _login_again(key: str, trouble: str, request: TokenRequest) -> tuple[str, str]:
    """Return message and hint for a failed login session; `key` is the setting in `_LOGINS`."""
    kind, command, hint = _LOGINS[key]
    whose, command = profile_in_words(request.origin), with_profile(command, request.origin)
    return f"the {kind} session of {whose} {trouble}, run `{command}`", f"{hint}: {command}"


_SSO = ("SSO", "aws sso login", "start a new SSO session")
_LOGINS = {
    "sso_session": _SSO,
    "sso_start_url": _SSO,
    "login_session": ("login", "aws login", "log in again"),
}


def _damaged_login(why: object, request: TokenRequest) -> HelperError | None:
    """Return the error for an unusable file of a login session; None if no login is in use."""
    settings = request.profiles.get(request.origin or "default", {})
    key = next(filter(settings.__contains__, _LOGINS), None)
    if request.source or key is None:
        return None
    trouble = f"is kept in a file that cannot be used ({_one_line(why)})"
    return HelperError(*_login_again(key, trouble, request))


def _missing(error: KeyError, request: TokenRequest) -> HelperError:
    """Explain a missing key: in an answer of AWS, or in a file that botocore keeps.

    If it was a file, the KeyError was raised while another error was handled, that of reading it.
    """
    damaged = _damaged_login(error.__context__, request) if error.__context__ else None
    return damaged or not_aws(error, request)


def _odd_value(error: ValueError, request: TokenRequest) -> HelperError:
    """Explain a value that cannot be used: mostly the time in the file of a login session.

    That raises a subclass of ValueError; botocore reports bad settings with a plain ValueError.
    """
    damaged = _damaged_login(error, request) if type(error) is not ValueError else None
    return damaged or _source(error, request)


def _config_file(error: Any, request: TokenRequest) -> HelperError:
    return HelperError(
        f"the AWS settings of {request.who} cannot be used: {_one_line(error)}",
        "correct the AWS config file (~/.aws/config, or AWS_CONFIG_FILE)",
    )


def _partial(error: aws.PartialCredentialsError, request: TokenRequest) -> HelperError:
    if error.kwargs.get("provider") != "env":
        return _config_file(error, request)
    return HelperError(
        f"the keys in the environment cannot be used: {_one_line(error)}",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither of them",
    )


def _mfa(_: Any, request: TokenRequest) -> HelperError:
    command = with_profile("aws sts get-caller-identity", request.profile)
    return HelperError(
        f"{request.who} needs an MFA code, and there is no terminal to ask for it",
        f"pass MFA in a terminal first, its session is shared: {command}",
    )


def _source(error: Any, request: TokenRequest) -> HelperError:
    return HelperError(f"{request.asked} failed: {_one_line(error)}", _SEE_THE_SOURCE)


def _process(error: aws.CredentialRetrievalError, request: TokenRequest) -> HelperError:
    if error.kwargs.get("provider") != "custom-process":
        return _source(error, request)
    said = _one_line(error.kwargs.get("error_msg", "")) or "it said nothing"
    return HelperError(
        f"the credential_process of {request.who} failed: {said}",
        "run the credential_process of that profile by itself",
    )


def _not_json(error: Any, request: TokenRequest) -> HelperError:
    if request.source:
        return not_aws(error, request)
    return HelperError(
        f"the credential_process of {request.who} printed something that is not JSON",
        "run the credential_process of that profile by itself",
    )


def _no_source(error: Exception, request: TokenRequest) -> HelperError:
    if request.source:
        return HelperError(f"{request.asked} failed: {_one_line(error)}", SEE_WHAT_ANSWERS)
    return HelperError(
        f"the credential source of {request.who} gave something that is no credentials: "
        f"{_one_line(error)}",
        _SEE_THE_SOURCE,
    )


def _system(error: OSError, request: TokenRequest) -> HelperError:
    what = f"{error.filename}: {error.strerror}" if error.filename else _one_line(error)
    return HelperError(f"{request.asked} failed, {what}", _SEE_THE_SOURCE)


def _dependency(error: Any, request: TokenRequest) -> HelperError:
    return HelperError(
        f"{request.asked} needs another library: {_one_line(error)}",
        "install it beside this program: pip install 'botocore[crt]'",
    )


# No answer, or an answer from something other than AWS.


def _unreachable(error: Any, request: TokenRequest) -> HelperError:
    if cause_of(error, socket.gaierror):
        return HelperError(
            f"{request.asked} was not sent, the name does not resolve: {_one_line(error)}",
            "check the region in the host name, AWS_ENDPOINT_URL and this machine's DNS",
        )
    return HelperError(
        f"{request.asked} got no answer: {_one_line(error)}",
        "see whether this machine reaches the endpoint: network, firewall, proxy, VPC endpoint",
    )


def cause_of(error: BaseException | None, kind: type[Cause]) -> Cause | None:
    """Return the cause of `error` that is of a `kind` (urllib3 1 and 2 wrap it differently)."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def _proxy(error: Any, request: TokenRequest) -> HelperError:
    return HelperError(
        f"{request.asked} did not get through the proxy: {_one_line(error)}",
        "check the proxy settings: HTTPS_PROXY and NO_PROXY",
    )


def _tls(error: Any, request: TokenRequest) -> HelperError:
    return HelperError(
        f"{request.asked} was not sent, TLS failed: {_one_line(error)}",
        "where a proxy re-signs TLS, name its CA in AWS_CA_BUNDLE",
    )


# AWS itself refuses.


def _refused(error: aws.ClientError, request: TokenRequest) -> HelperError:
    """Explain an error that came as an answer, by its code and by the operation that was asked."""
    metadata = error.response.get("ResponseMetadata", {})
    status, headers = metadata.get("HTTPStatusCode", 0), metadata.get("HTTPHeaders", {})
    if status in range(300, 400) or headers.get("content-type", "").startswith("text/html"):
        return not_aws(error, request)
    code = error.response.get("Error", {}).get("Code", "")
    said = _one_line(error.response.get("Error", {}).get("Message", "") or code)
    skew = _clock_skew(headers.get("date", ""))
    if code in _CLOCK or (code in _SIGNATURE and skew):
        return HelperError(
            f"{_operation(error, request)} was refused, the clock of this machine is wrong by "
            f"about {abs(skew):.0f} s: {said}",
            "set the clock of this machine, best by NTP",
        )
    for codes, kind, verdict, hint in (
        (_DENIED, Denied, "was denied", _permission(error, request)),
        (_EXPIRED, Denied, "was refused, the AWS credentials have expired", _RENEW),
        (_UNKNOWN_KEY, Denied, "was refused, AWS does not know the access key", _CHECK_KEY),
        (_SIGNATURE, Denied, "was refused, the signature is wrong", _CHECK_SECRET),
        (_WEB_IDENTITY, Denied, "was refused, the web identity token is no good", _CHECK_OIDC),
        (_THROTTLED, HelperError, "was throttled", "try again later: AWS limits how often"),
    ):
        if code in codes:
            return kind(f"{_operation(error, request)} {verdict}: {said}", hint)
    hint = _TROUBLE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    return HelperError(f"{_operation(error, request)} failed with {code}: {said}", hint)


_TROUBLE = "try again later: the trouble is on the side of AWS"
_RENEW = "renew the AWS credentials: they are temporary, and have expired"
_CHECK_KEY = "check the access key: that it is active, and that its partition has this region"
_CHECK_SECRET = "check the secret access key, and the clock of this machine"  # noqa: S105
_CHECK_OIDC = "check the role's trust policy, its OIDC provider, and the token's audience and age"


_SERVICES = {
    "AssumeRole": "sts",
    "GetCallerIdentity": "sts",
    "AssumeRoleWithWebIdentity": "sts",
    "GetRoleCredentials": "sso",
    "CreateToken": "sso-oidc",
}


def _operation(error: aws.ClientError, request: TokenRequest) -> str:
    """Return what AWS refused: GetAuthorizationToken, or a step that comes before it."""
    name = error.operation_name
    if name == "GetAuthorizationToken":
        return request.asked
    return f"{_SERVICES.get(name, 'aws')}:{name} for {request.who}"


def _permission(error: aws.ClientError, request: TokenRequest) -> str:
    """Return the hint: which permission to give, and where."""
    if error.operation_name == "AssumeRole":
        return "let the role's trust policy name this identity, and allow it sts:AssumeRole"
    if error.operation_name == "AssumeRoleWithWebIdentity":
        return _CHECK_OIDC
    if error.operation_name == "GetRoleCredentials":
        return "have the permission set of that profile assigned to you in IAM Identity Center"
    if error.operation_name == "GetCallerIdentity":  # no policy in IAM can deny it
        return "allow it in the policy of the VPC endpoint for STS"
    if request.target.registry.public:
        return f"allow {request.action} and sts:GetServiceBearerToken to this identity in IAM"
    return f"allow {request.action} to this identity in IAM"


def _clock_skew(date: str) -> float:
    """Return by how many seconds our clock and a Date header differ; 0 if AWS accepts that."""
    try:
        skew = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return skew if abs(skew) > _SKEW_SECONDS else 0.0


_EXPLANATIONS: tuple[
    tuple[tuple[type[Exception], ...], Callable[[Any, TokenRequest], HelperError]], ...
] = (
    ((aws.NoCredentialsError,), _no_credentials),
    ((aws.ProfileNotFound,), _unknown_profile),
    ((aws.SSOError, aws.TokenRetrievalError), _sso),
    ((aws.LoginError,), _login),
    ((aws.MissingDependencyException,), _dependency),
    ((aws.PartialCredentialsError,), _partial),
    (
        (
            aws.ConfigParseError,
            aws.ConfigNotFound,
            aws.InvalidConfigError,
            aws.UnknownCredentialError,
        ),
        _config_file,
    ),
    # Without a terminal getpass reads stdin, which is empty, and raises EOFError.
    ((aws.RefreshWithMFAUnsupportedError, EOFError), _mfa),
    ((aws.CredentialRetrievalError,), _process),
    ((aws.MetadataRetrievalError,), _source),
    ((aws.SSLError,), _tls),
    ((aws.ProxyConnectionError,), _proxy),
    ((aws.ClientError,), _refused),
    ((aws.ConnectionError, aws.HTTPClientError), _unreachable),
    ((ResponseParserError,), not_aws),
    ((KeyError,), _missing),
    ((JSONDecodeError,), _not_json),
    ((OSError,), _system),
    ((AttributeError, TypeError, UnicodeDecodeError), _no_source),
    ((aws.BotoCoreError,), _source),
    ((ValueError,), _odd_value),
)

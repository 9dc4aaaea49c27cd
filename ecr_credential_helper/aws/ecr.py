"""Call ecr:GetAuthorizationToken with botocore: credential chain, client, check of the answer.

Only four modules import botocore: this one, `retries`, `error_messages`, which explains botocore's
errors, and `commands.aws_checks`, with which doctor checks each step.
"""

import base64
import binascii
import contextlib
import io
import logging
import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.credentials
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials, create_credential_resolver
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.loaders import Loader
from botocore.tokens import SSOTokenProvider
from botocore.utils import JSONFileCache

from ecr_credential_helper import __version__
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.protocol import USERNAME
from ecr_credential_helper.registry import PUBLIC_REGION, Registry
from ecr_credential_helper.settings import Role, Target
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.environment import drop_empty_variables
from ecr_credential_helper.system.files import make_directory

from .error_messages import SEE_WHAT_ANSWERS, explain, not_aws
from .retries import Retries
from .token_request import TokenRequest

TOKEN_LIMIT = 64 * 1024

_logger = logging.getLogger("ecr_credential_helper")

_SESSION_KEYS = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
_LONGEST_LIFE = 12 * 60 * 60.0  # what AWS documents for a token
_CONNECT_TIMEOUT = 5
_READ_TIMEOUT = 10
_TOKEN_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_."  # noqa: S105


class AuthorizationToken:
    """A password for a registry, as GetAuthorizationToken returned it.

    `secret` is the password. `life` is how many seconds it is valid, from the moment of AWS's
    answer, by AWS's own clock. `source` is the credential source it was requested with ("env",
    "sso", "iam-role", ... as botocore names them).
    """

    __slots__ = ("life", "secret", "source")

    def __init__(self, secret: str, life: float, source: str) -> None:
        self.secret = secret
        self.life = life
        self.source = source


def authorization_token(request: TokenRequest) -> AuthorizationToken:
    """Ask AWS for a token, with the credentials that the target or botocore's chain leads to.

    The token serves every registry of the region that the principal may read: registryIds "doesn't
    change the permissions scope of the authorization token" (Amazon ECR API reference).

    Raises NoAWSCredentials if there are none, Denied if AWS refuses, HelperError for every other
    failure; the message says the cause.
    """
    try:
        with quiet():
            session = session_for(request)
            credentials = _credentials(session, request)
            answer = _client(session, request.target, credentials).get_authorization_token()
    except Exception as error:
        raise request.tried(explain(error, request)) from error
    token = AuthorizationToken(*_checked(answer, request), request.source)
    _logger.debug("%s: a token for %d s", request.asked, token.life)
    return token


def quiet() -> contextlib.AbstractContextManager[object]:
    """Keep what getpass and libraries write off stderr; getpass still prompts on a terminal."""
    return contextlib.redirect_stderr(io.StringIO())


def default_region(profile: str) -> str:
    """Return the region that the AWS settings name, empty if none. Raises HelperError."""
    drop_empty_variables()
    session = botocore.session.Session(profile=profile or None)
    try:
        return session.get_config_variable("region") or ""
    except BotoCoreError as error:
        raise explain(
            error, TokenRequest(Target(Registry("", region=""), profile), Deadline())
        ) from error


def session_for(request: TokenRequest) -> botocore.session.Session:
    """Return a botocore session that shares its cache of role sessions with the AWS CLI.

    Raises botocore's errors.
    """
    drop_empty_variables()
    target = request.target
    session = botocore.session.Session(profile=target.profile or None)
    request.profiles = session.full_config["profiles"]
    session.user_agent_name = "ecr-credential-helper"
    session.user_agent_version = __version__
    retries = Retries(request, session)
    session.set_default_client_config(
        Config(connect_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT, retries=retries.config)
    )
    session.register_component("data_loader", _Loader(session.get_config_variable("data_path")))
    # STS and SSO need a region. Without one in the settings, that of the registry is at least in
    # the right partition.
    region = session.get_config_variable("region") or target.registry.region or PUBLIC_REGION
    session.set_config_variable("region", region)
    cache: Any = _SessionCache()
    resolver = create_credential_resolver(session, cache=cache, region_name=region)
    retries.repeat_metadata(resolver)
    session.register_component("credential_provider", resolver)
    return session


def _credentials(session: botocore.session.Session, request: TokenRequest) -> ReadOnlyCredentials:
    """Return the credentials to ask with, resolved to keys."""
    target = request.target
    if target.role and target.web_identity:
        request.source = "assume-role-with-web-identity"
        return _from_web_identity(session, target.role, request)
    credentials = found_by(session, request)
    return _assumed(session, target.role, request) if target.role else credentials


def found_by(session: botocore.session.Session, request: TokenRequest) -> ReadOnlyCredentials:
    """Return the credentials that botocore's chain leads to, and note their source in `request`.

    Raises botocore's errors, NoCredentialsError if there are none.
    """
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError
    credentials: ReadOnlyCredentials = found.get_frozen_credentials()
    request.source = found.method
    return credentials


def _assumed(
    session: botocore.session.Session, role: Role, request: TokenRequest
) -> ReadOnlyCredentials:
    """Return the credentials of `role`, assumed from those of `session`."""
    request.step = "sts:AssumeRole"
    sts: Any = session.create_client("sts", region_name=request.region)
    keys = sts.assume_role(**role.parameters)["Credentials"]
    request.step = ""
    return ReadOnlyCredentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def _from_web_identity(
    session: botocore.session.Session, role: Role, request: TokenRequest
) -> ReadOnlyCredentials:
    """Return the credentials of `role`, for the target's web identity token and nothing else."""
    request.step = "sts:AssumeRoleWithWebIdentity"
    config = Config(signature_version=UNSIGNED)  # so that no other credential is looked for
    sts: Any = session.create_client("sts", region_name=request.region, config=config)
    keys = sts.assume_role_with_web_identity(
        RoleArn=role.arn,
        RoleSessionName=role.session_name,
        WebIdentityToken=request.target.web_identity,
    )["Credentials"]
    request.step = ""
    return ReadOnlyCredentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def _client(
    session: botocore.session.Session, target: Target, credentials: ReadOnlyCredentials
) -> Any:
    """Return a client for the endpoint that the registry's host name asks for.

    Where the host name asks for neither FIPS nor dual stack, the user's own settings decide.
    """
    registry = target.registry
    return session.create_client(
        registry.service,
        region_name=registry.region,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(
            use_fips_endpoint=registry.fips or None,
            use_dualstack_endpoint=registry.dual_stack or None,
        ),
    )


class _Loader(Loader):
    """botocore's own loader, without its search through 400 services for those used here.

    `data_path` is botocore's setting of that name (AWS_DATA_PATH).
    """

    def __init__(self, data_path: str | None) -> None:
        paths = data_path.split(os.pathsep) if data_path else []
        super().__init__([os.path.expanduser(os.path.expandvars(path)) for path in paths])

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - its signature
        """Return the services that this program and the credential providers call."""
        return ["ecr", "ecr-public", "signin", "sso", "sso-oidc", "sts"]


class _UsersCache(JSONFileCache):
    """A cache that the AWS CLI uses too; under sudo, root does not write it in the user's home."""

    def __init__(self, directory: str, **options: Any) -> None:
        self._directory = directory
        super().__init__(directory, **options)

    def __setitem__(self, key: str, value: Any) -> None:
        with contextlib.suppress(OSError):  # a session that is not kept costs a call
            make_directory(self._directory)
            super().__setitem__(key, value)


# Also for the sessions of `aws sso login` and `aws login`, which botocore renews and keeps itself.
SSOTokenProvider.DEFAULT_CACHE_CLS = _UsersCache
botocore.credentials.JSONFileCache = _UsersCache  # type: ignore[assignment,attr-defined]


class _SessionCache(_UsersCache):
    """The AWS CLI's own cache of role sessions: an MFA code given there is not asked for again."""

    def __init__(self) -> None:
        super().__init__(os.path.expanduser(os.path.join("~", ".aws", "cli", "cache")))

    def __contains__(self, key: str) -> bool:
        try:  # a damaged session is a cache miss
            return set(self[key]["Credentials"]) >= _SESSION_KEYS
        except (KeyError, TypeError):
            return False


def _checked(answer: Any, request: TokenRequest) -> tuple[str, float]:
    """Return secret and life in seconds from AWS's `answer`, after checking every part of it."""
    data = answer.get("authorizationData")
    try:
        if isinstance(data, list):
            data = data[0]
        decoded = base64.b64decode(data["authorizationToken"], validate=True).decode()
        life = (data["expiresAt"] - _server_time(answer)).total_seconds()
    except (LookupError, TypeError, ValueError, OverflowError, binascii.Error):
        if _is_page(answer):
            raise not_aws(None, request) from None
        raise _unusable(request, "no authorization token with an expiry") from None
    username, _, secret = decoded.partition(":")
    if username != USERNAME:
        raise _unusable(request, f"a token for another user than {USERNAME}")
    if not secret or secret.strip(_TOKEN_ALPHABET) or len(secret) > TOKEN_LIMIT:
        raise _unusable(request, "a token that has the wrong form")
    if life <= 0:
        raise _unusable(request, "a token that has expired")
    return secret, min(life, _LONGEST_LIFE)


def _is_page(answer: Any) -> bool:
    """Whether `answer` was a web page, which botocore takes for an empty answer."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("content-type", "")).startswith("text/html")


def _server_time(answer: dict[str, Any]) -> datetime:
    """Return the time of AWS's answer from its Date header; without one, the local time."""
    try:
        moment = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unusable(request: TokenRequest, what: str) -> HelperError:
    return HelperError(f"{request.asked} was answered with {what}", SEE_WHAT_ANSWERS)

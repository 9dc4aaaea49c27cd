"""Call ecr:GetAuthorizationToken with botocore: credential chain, client, check of the answer.

Only five modules import botocore: this one, `retries`, `error_messages`, which explains botocore's
errors, `commands.aws_checks`, with which doctor checks each step, and `commands.profiles`, which
reads the AWS config file as botocore does.
"""

import contextlib
import io
import os
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
from ecr_credential_helper.registry import PUBLIC_REGION, Registry
from ecr_credential_helper.settings import Role, Target
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.environment import drop_empty_variables
from ecr_credential_helper.system.files import make_directory

from .authorization import AuthorizationToken, token_in
from .error_messages import explain
from .retries import Retries
from .token_request import CONNECT_TIMEOUT, READ_TIMEOUT, TokenRequest

_SESSION_KEYS = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}


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
    return token_in(answer, answer["ResponseMetadata"]["HTTPHeaders"], request)


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
        Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries=retries.config)
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

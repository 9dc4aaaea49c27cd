"""Every source of AWS credentials: it yields a token, or a message that explains the failure."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecr_credential_helper.system.environment import HARMLESS, HARMLESS_PREFIXES
from tests.loopback import (
    ACCOUNT,
    INSTANCE_ID,
    USER_ARN,
    USER_KEY,
    USER_SECRET,
    Loopback,
    iso_time,
    role_arn_of,
    session_arn,
)
from tests.support import needs
from tests.support.helper import Helper, Result, assert_no_secret
from tests.support.keys import dpop_key

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
DEADLINE = 25.0
NOT_FOUND = "credentials not found in native keychain"
NAME = "docker-credential-ecr"

PULL = "arn:aws:iam::444455556666:role/pull"
HOP = "arn:aws:iam::777788889999:role/hop"
SESSION = "ecr-tests"
WEB_TOKEN = "eyJhbGciOiJub25lIn0.canary-web-identity-claims.canary-signature"
POD_TOKEN = "canary-pod-authorization-token"
SSO_TOKEN = "canary-sso-access-token"
SSO_REFRESH = "canary-sso-refresh-token"
START_URL = "https://corp.awsapps.com/start"
SSO_ARN = session_arn(role_arn_of("AWSReservedSSO_Pull_0123456789abcdef"), "developer")
LOGIN_SESSION = f"{USER_ARN}-session"
LOGIN_REFRESH = "canary-login-refresh-token"
SEE_THE_SOURCE = "see it fail by itself: `aws sts get-caller-identity` with the same AWS settings"

NO_CREDENTIALS = "no AWS credentials found"
OUTSIDE = (
    "log in with `aws sso login` or `aws configure`, set AWS_PROFILE, or give this machine a role"
)
INSIDE = (
    "pass AWS credentials into this container; for the role of an EC2 instance, "
    "raise its metadata hop limit to 2"
)
MARKS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
GIVE_SOME = INSIDE if any(map(os.path.exists, MARKS)) else OUTSIDE

Arrange = Callable[[Helper, Loopback], None]


@dataclass(frozen=True)
class Source:
    """A source of credentials: how it is declared, and how it typically fails.

    `principal` is who then asks; `cause` and `hint` are what the user is told after `spoil`.
    """

    name: str
    declare: Arrange
    principal: str
    spoil: Arrange
    cause: str
    hint: str


def without_keys(helper: Helper) -> None:
    """Take the keys of the default user out of the environment."""
    del helper.env["AWS_ACCESS_KEY_ID"], helper.env["AWS_SECRET_ACCESS_KEY"]


def write_aws(helper: Helper, name: str, *lines: str) -> None:
    """Write a file below ~/.aws."""
    path = helper.home / ".aws" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def profile(helper: Helper, *lines: str) -> None:
    """Choose the profile `test`, which is all there is: these lines of the AWS config file."""
    without_keys(helper)
    helper.env["AWS_PROFILE"] = "test"
    write_aws(helper, "config", "[profile test]", *lines)


def settings(helper: Helper, *lines: str) -> str:
    """Write the settings file of the helper, and return its path."""
    path = helper.home / "settings.toml"
    path.write_text("\n".join(lines) + "\n")
    helper.env["AWS_ECR_CONFIG_FILE"] = str(path)
    return str(path)


USER_LINES = (f"aws_access_key_id = {USER_KEY}", f"aws_secret_access_key = {USER_SECRET}")
BASE = ("[profile base]", *USER_LINES)


def forget_user(_: Helper, aws: Loopback) -> None:
    """Remove the default user's key from AWS."""
    del aws.keys[USER_KEY]


def forget_roles(_: Helper, aws: Loopback) -> None:
    """Let AWS refuse to assume any role."""
    aws.roles.clear()


def no_change(_helper: Helper, _aws: Loopback) -> None:
    """Change nothing: the keys of the default user are in the environment."""


def shared_file(helper: Helper, _: Loopback) -> None:
    """Declare the shared credentials file."""
    without_keys(helper)
    write_aws(helper, "credentials", "[default]", *USER_LINES)


def config_profile(helper: Helper, _: Loopback) -> None:
    """Declare keys in a profile of the config file."""
    profile(helper, *USER_LINES)


def source_profile(helper: Helper, aws: Loopback) -> None:
    """Declare a chain of two roles."""
    aws.add_role(HOP)
    aws.add_role(PULL)
    profile(
        helper,
        f"role_arn = {PULL}",
        f"role_session_name = {SESSION}",
        "source_profile = hop",
        "[profile hop]",
        f"role_arn = {HOP}",
        "source_profile = base",
        *BASE,
    )


def forget_hop(_: Helper, aws: Loopback) -> None:
    """Let AWS refuse to assume the first role of the chain."""
    del aws.roles[HOP]


def role_from(helper: Helper, aws: Loopback, *lines: str) -> None:
    """Declare a profile with a role, whose own credentials are in these lines."""
    aws.add_role(PULL)
    profile(helper, f"role_arn = {PULL}", f"role_session_name = {SESSION}", *lines)


def credential_source_environment(helper: Helper, aws: Loopback) -> None:
    """Declare a role that is assumed with the keys of the environment."""
    role_from(helper, aws, "credential_source = Environment")
    helper.env |= {"AWS_ACCESS_KEY_ID": USER_KEY, "AWS_SECRET_ACCESS_KEY": USER_SECRET}
    # A profile of the environment's is asked after its keys; one of the settings file, before.
    del helper.env["AWS_PROFILE"]
    settings(helper, "[[registry]]", 'match = "*"', 'profile = "test"')


def credential_source_instance(helper: Helper, aws: Loopback) -> None:
    """Declare a role that is assumed by the role of the instance."""
    role_from(helper, aws, "credential_source = Ec2InstanceMetadata")
    del helper.env["AWS_EC2_METADATA_DISABLED"]
    aws.instance_role = "builder"


def credential_source_container(helper: Helper, aws: Loopback) -> None:
    """Declare a role that is assumed by the role of the container."""
    role_from(helper, aws, "credential_source = EcsContainer")
    aws.container_role = "task"
    helper.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = aws.container_url


def no_instance_role(_: Helper, aws: Loopback) -> None:
    """Let the instance have no role."""
    aws.instance_role = None


def external_id(helper: Helper, aws: Loopback) -> None:
    """Declare a role that asks for an external id."""
    role_from(helper, aws, "source_profile = base", "external_id = over-there", *BASE)
    aws.add_role(PULL, external_id="over-there")


def other_external_id(_: Helper, aws: Loopback) -> None:
    """Let the role ask for another external id."""
    aws.add_role(PULL, external_id="elsewhere")


def web_identity(helper: Helper, aws: Loopback) -> None:
    """Declare a web identity, as EKS does for a service account's role."""
    without_keys(helper)
    aws.add_role(PULL, web_identity_token=WEB_TOKEN)
    token = helper.home / "web-identity-token"
    token.write_text(WEB_TOKEN)
    helper.env |= {
        "AWS_ROLE_ARN": PULL,
        "AWS_ROLE_SESSION_NAME": SESSION,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }


def other_web_identity(_: Helper, aws: Loopback) -> None:
    """Let the role be given to another web identity."""
    aws.add_role(PULL, web_identity_token="canary-of-another-cluster")


def container(helper: Helper, aws: Loopback) -> None:
    """Declare a container's credential endpoint, its authorization in a variable."""
    without_keys(helper)
    aws.container_role, aws.container_authorization = "task", POD_TOKEN
    helper.env |= {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.container_url,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": POD_TOKEN,
    }


def pod_identity(helper: Helper, aws: Loopback) -> None:
    """Declare EKS Pod Identity: a container's endpoint, its authorization in a file."""
    container(helper, aws)
    del helper.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    token = helper.home / "eks-pod-identity-token"
    token.write_text(POD_TOKEN)
    helper.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(token)


def other_pod_token(_: Helper, aws: Loopback) -> None:
    """Let the endpoint ask for another authorization."""
    aws.container_authorization = "canary-of-another-pod"


def no_pod_token(helper: Helper, _: Loopback) -> None:
    """Take away the file with the authorization."""
    (helper.home / "eks-pod-identity-token").unlink()


def instance(helper: Helper, aws: Loopback) -> None:
    """Declare the role of an instance."""
    without_keys(helper)
    del helper.env["AWS_EC2_METADATA_DISABLED"]
    aws.instance_role = "builder"


def sso_cache(helper: Helper, key: str, **more: str) -> None:
    """Write what `aws sso login` leaves behind."""
    cached = {"accessToken": SSO_TOKEN, "expiresAt": iso_time(time.time() + 3600), **more}
    name = hashlib.sha1(key.encode()).hexdigest()
    write_aws(helper, f"sso/cache/{name}.json", json.dumps(cached))


SSO_LINES = (f"sso_account_id = {ACCOUNT}", "sso_role_name = Pull")
SSO_PLACE = ("sso_region = eu-west-1", f"sso_start_url = {START_URL}")


def sso_session(helper: Helper, aws: Loopback) -> None:
    """Declare IAM Identity Center by an sso-session, and a login to it."""
    profile(helper, "sso_session = corp", *SSO_LINES, "[sso-session corp]", *SSO_PLACE)
    aws.add_sso_role(ACCOUNT, "Pull")
    aws.add_sso_session(SSO_TOKEN, refresh_token=SSO_REFRESH)
    sso_cache(
        helper,
        "corp",
        refreshToken=SSO_REFRESH,
        clientId="client",
        clientSecret="canary-sso-client-secret",
        registrationExpiresAt=iso_time(time.time() + 86400),
    )


def sso_legacy(helper: Helper, aws: Loopback) -> None:
    """Declare IAM Identity Center in the profile itself, and a login to it."""
    profile(helper, *SSO_LINES, *SSO_PLACE)
    aws.add_sso_role(ACCOUNT, "Pull")
    aws.add_sso_session(SSO_TOKEN)
    sso_cache(helper, START_URL)


def forget_sso(_: Helper, aws: Loopback) -> None:
    """Let the portal refuse every access token."""
    aws.sso_access_tokens.clear()


def no_sso_login(helper: Helper, _: Loopback) -> None:
    """Take away what `aws sso login` left behind."""
    for path in (helper.home / ".aws" / "sso" / "cache").iterdir():
        path.unlink()


def script(helper: Helper, *lines: str) -> str:
    """Write a shell script, and return its path."""
    needs.check("POSIX")
    path = helper.home / "credential-process"
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o700)
    return str(path)


def credential_process(helper: Helper, _: Loopback) -> None:
    """Declare a program that prints credentials."""
    answer = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    command = script(helper, f"echo '{json.dumps(answer)}'")
    profile(helper, f"credential_process = {command}")


def failing_process(helper: Helper, _: Loopback) -> None:
    """Let the program fail."""
    script(helper, "echo 'vault: permission denied' >&2", "exit 3")


def login(helper: Helper, aws: Loopback) -> None:
    """Declare a session of `aws login`, whose credentials have to be renewed."""
    key = dpop_key()
    profile(helper, f"login_session = {LOGIN_SESSION}")
    aws.add_login_session(LOGIN_REFRESH)
    stale = {
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "secretAccessKey": "canary-login-secret-key",
        "sessionToken": "canary-login-session-token",
        "accountId": ACCOUNT,
        "expiresAt": iso_time(time.time() - 60),
    }
    cached = {
        "accessToken": stale,
        "refreshToken": LOGIN_REFRESH,
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": key,
        "signInRegion": "eu-west-1",
    }
    name = hashlib.sha256(LOGIN_SESSION.encode()).hexdigest()
    write_aws(helper, f"login/cache/{name}.json", json.dumps(cached))


def forget_login(_: Helper, aws: Loopback) -> None:
    """Let the sign-in service refuse every refresh token."""
    aws.login_sessions.clear()


def plain(result: Result, helper: Helper, aws: Loopback) -> tuple[str, str]:
    """Return both streams without what differs from run to run."""

    def same(text: str) -> str:
        text = text.replace(str(helper.home), "HOME").replace(aws.url, "AWS")
        text = re.sub(r"HOME[^ :]*", lambda path: path[0].replace(os.sep, "/"), text)
        return re.sub(r"\(_ssl\.c:\d+\)", "(_ssl.c)", text)

    return same(result.out), same(result.err)


def in_words(cause: str, hint: str, *, found: bool = True) -> tuple[str, str]:
    """Return both streams of a failed get; with not `found` Docker is told to go on without."""
    if found:
        return f"{NAME}: {cause}\n", f"hint: {hint} ({cause})\n"
    return f"{NOT_FOUND}\n", f"{NAME}: {cause}\nhint: {hint}\n"


PULL_ARN = session_arn(PULL, SESSION)
TASK_ARN = session_arn(role_arn_of("task"), "container")
BUILDER_ARN = session_arn(role_arn_of("builder"), INSTANCE_ID)

ASKED = "ecr:GetAuthorizationToken in eu-west-1 as"
UNKNOWN_KEY = (
    "was refused, AWS does not know the access key: "
    "The security token included in the request is invalid"
)
CHECK_KEY = "check the access key: that it is active, and that its partition has this region"
CANNOT_ASSUME = "let the role's trust policy name this identity, and allow it sts:AssumeRole"
SSO_ENDED = (
    "the SSO session of profile test has expired or was never started, "
    "run `aws sso login --profile test`"
)
SSO_LOGIN = "start a new SSO session: aws sso login --profile test"


def not_assumed(principal: str, role: str) -> str:
    """Return what the user is told where the profile's role cannot be assumed."""
    return (
        f"sts:AssumeRole for profile test was denied: User: {principal} is not authorized to "
        f"perform: sts:AssumeRole on resource: {role} because no identity-based policy allows the "
        "sts:AssumeRole action"
    )


SOURCES = [
    Source(
        "environment",
        no_change,
        USER_ARN,
        forget_user,
        f"{ASKED} the keys in the environment {UNKNOWN_KEY}",
        CHECK_KEY,
    ),
    Source(
        "shared-credentials-file",
        shared_file,
        USER_ARN,
        forget_user,
        f"{ASKED} the default profile (shared-credentials-file) {UNKNOWN_KEY}",
        CHECK_KEY,
    ),
    Source(
        "config-profile",
        config_profile,
        USER_ARN,
        forget_user,
        f"{ASKED} profile test (config-file) {UNKNOWN_KEY}",
        CHECK_KEY,
    ),
    Source(
        "source_profile-chain",
        source_profile,
        PULL_ARN,
        forget_hop,
        not_assumed(USER_ARN, HOP),
        CANNOT_ASSUME,
    ),
    Source(
        "credential_source-environment",
        credential_source_environment,
        PULL_ARN,
        forget_user,
        f"sts:AssumeRole for profile test {UNKNOWN_KEY}",
        CHECK_KEY,
    ),
    Source(
        "credential_source-instance",
        credential_source_instance,
        PULL_ARN,
        no_instance_role,
        "the search for AWS credentials of profile test failed: Error when retrieving credentials "
        "from Ec2InstanceMetadata: No credentials found in credential_source referenced in "
        "profile test",
        SEE_THE_SOURCE,
    ),
    Source(
        "credential_source-container",
        credential_source_container,
        PULL_ARN,
        forget_roles,
        not_assumed(TASK_ARN, PULL),
        CANNOT_ASSUME,
    ),
    Source(
        "external_id",
        external_id,
        PULL_ARN,
        other_external_id,
        not_assumed(USER_ARN, PULL),
        CANNOT_ASSUME,
    ),
    Source(
        "web-identity",
        web_identity,
        PULL_ARN,
        other_web_identity,
        f"sts:AssumeRoleWithWebIdentity for role {PULL} (web identity) was refused, the web "
        "identity token is no good: Couldn't retrieve verification key from your identity provider",
        "check the role's trust policy, its OIDC provider, and the token's audience and age",
    ),
    Source(
        "container-authorization-token",
        container,
        TASK_ARN,
        other_pod_token,
        "the search for AWS credentials of the default profile failed: Error when retrieving "
        "credentials from container-role: Error retrieving metadata: Received non 200 response "
        "401 from container metadata: Unauthorized",
        SEE_THE_SOURCE,
    ),
    Source(
        "pod-identity-authorization-file",
        pod_identity,
        TASK_ARN,
        no_pod_token,
        "the search for AWS credentials of the default profile failed, "
        "HOME/eks-pod-identity-token: No such file or directory",
        SEE_THE_SOURCE,
    ),
    Source("imds", instance, BUILDER_ARN, no_instance_role, NO_CREDENTIALS, GIVE_SOME),
    Source("sso-session", sso_session, SSO_ARN, forget_sso, SSO_ENDED, SSO_LOGIN),
    Source("sso-legacy", sso_legacy, SSO_ARN, no_sso_login, SSO_ENDED, SSO_LOGIN),
    Source(
        "credential_process",
        credential_process,
        USER_ARN,
        failing_process,
        "the credential_process of profile test failed: vault: permission denied",
        "run the credential_process of that profile by itself",
    ),
    Source(
        "login",
        login,
        USER_ARN,
        forget_login,
        "the login session of profile test has expired or was never started, "
        "run `aws login --profile test`",
        "log in again: aws login --profile test",
    ),
]
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


@every_source
def test_a_source_pays_for_a_token(source: Source, helper: Helper, aws: Loopback) -> None:
    """With each source declared, its principal asks once and the answer is the issued token."""
    source.declare(helper, aws)
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")
    assert [call.principal for call in aws.calls if call.service == "ecr"] == [source.principal]
    (token,) = aws.issued
    assert result.answer == {"ServerURL": HOST, "Username": "AWS", "Secret": token}
    assert aws.accepts(HOST, "AWS", token)
    assert_no_secret(result, aws, token_expected=True)


# The harmless variables, with values that mean something to botocore.
HARMLESS_VALUES = {
    "AWS_DEFAULT_REGION": "sa-east-1",
    "AWS_REGION": "ap-south-1",
    "AWS_STS_REGIONAL_ENDPOINTS": "legacy",
    "AWS_SIGV4A_SIGNING_REGION_SET": "*",
    "AWS_DEFAULTS_MODE": "cross-region",
    "AWS_CREDENTIAL_EXPIRATION": "2999-01-01T00:00:00Z",
    "AWS_MAX_ATTEMPTS": "2",
    "AWS_RETRY_MODE": "adaptive",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "2",
    "AWS_METADATA_SERVICE_TIMEOUT": "3",
    "AWS_DISABLE_REQUEST_COMPRESSION": "true",
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "1",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    "AWS_CSM_ENABLED": "true",
    "AWS_CSM_HOST": "127.0.0.1",
    "AWS_CSM_PORT": "9",
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": "true",
    "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS": "true",
    "AWS_S3_USE_ARN_REGION": "true",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy",
}
# By itself each of those that change where or how a source is asked; then all there are at once.
STEPS: list[dict[str, str]] = [
    *(
        {name: HARMLESS_VALUES[name]}
        for name in (
            "AWS_DEFAULT_REGION",
            "AWS_REGION",
            "AWS_STS_REGIONAL_ENDPOINTS",
            "AWS_CREDENTIAL_EXPIRATION",
        )
    ),
    {
        **dict.fromkeys(sorted(HARMLESS), "other"),
        **{f"{prefix}OTHER": "other" for prefix in HARMLESS_PREFIXES},
        **HARMLESS_VALUES,
    },
]


@every_source
def test_no_harmless_variable_changes_who_asks(
    source: Source, helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """Asked anew under each, nothing kept in between, the source pays for the same principal."""
    assert set(HARMLESS_VALUES) <= HARMLESS
    source.declare(helper, aws)
    files = shutil.copytree(helper.home, tmp_path / "files")
    for variables in ({}, *STEPS):
        shutil.rmtree(helper.home)
        shutil.copytree(files, helper.home)
        before = len(aws.calls)
        result = helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1", **variables})
        assert (result.status, result.err) == (0, ""), variables
        assert aws.issued[result.answer["Secret"]].principal == source.principal, variables
        signed = {call.region for call in aws.calls[before:] if call.service == "sts"} - {None}
        if set(variables) == {"AWS_DEFAULT_REGION"}:
            assert signed <= {"sa-east-1"}  # it did have its effect


@every_source
def test_a_source_that_fails_is_put_into_words(
    source: Source, helper: Helper, aws: Loopback
) -> None:
    """When a source fails in its typical way, the user is told which, why and what to do."""
    source.declare(helper, aws)
    source.spoil(helper, aws)
    started = time.monotonic()
    result = helper.get(HOST)
    assert time.monotonic() - started < DEADLINE
    found = source.cause != NO_CREDENTIALS
    assert plain(result, helper, aws) == in_words(source.cause, source.hint, found=found)
    assert result.status == 1
    assert not aws.issued
    assert_no_secret(result, aws)


@pytest.mark.parametrize("declare", [sso_session, login], ids=["sso", "login"])
def test_a_renewed_session_is_kept_for_the_aws_cli(
    declare: Arrange, helper: Helper, aws: Loopback
) -> None:
    """A session that had to be renewed on the way is written back where the AWS CLI finds it."""
    declare(helper, aws)
    (cached,) = (helper.home / ".aws").glob("*/cache/*.json")
    if declare is sso_session:
        near_its_end = json.loads(cached.read_text()) | {"expiresAt": iso_time(time.time() + 60)}
        cached.write_text(json.dumps(near_its_end))
    before = cached.read_text()
    assert helper.get(HOST).status == 0
    assert cached.read_text() != before
    renewal = "sso-oidc" if declare is sso_session else "signin"
    assert aws.count(renewal) == 1
    other = helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert other.status == 0
    assert aws.count(renewal) == 1


@pytest.mark.inside
def test_a_login_session_without_awscrt_is_a_clear_error(
    helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """Where the library that botocore needs for `aws login` is missing, its name is told."""
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['awscrt'] = None\n")
    profile(helper, f"login_session = {LOGIN_SESSION}")
    result = helper.get(HOST, env={"PYTHONPATH": str(tmp_path)})
    cause = (
        "the search for AWS credentials of profile test needs another library: Missing "
        "Dependency: Using the login credential provider requires an additional dependency. You "
        'will need to pip install "botocore[crt]" before proceeding'
    )
    hint = "install it beside this program: pip install 'botocore[crt]'"
    assert plain(result, helper, aws) == in_words(cause, hint)


def test_a_role_needs_no_region(helper: Helper, aws: Loopback) -> None:
    """Where no setting names a region, STS is asked in the registry's."""
    external_id(helper, aws)
    assert helper.get(HOST).status == 0
    assert [(call.service, call.region) for call in aws.calls] == [
        ("sts", "eu-west-1"),
        ("ecr", "eu-west-1"),
    ]


def test_the_region_of_the_settings_is_where_sts_is_asked(helper: Helper, aws: Loopback) -> None:
    """A region in the profile keeps botocore's meaning for STS; ECR is asked in the registry's."""
    external_id(helper, aws)
    config = helper.home / ".aws" / "config"
    head = "[profile test]"
    config.write_text(config.read_text().replace(head, f"{head}\nregion = us-west-2"))
    assert helper.get(HOST).status == 0
    assert [call.region for call in aws.calls] == ["us-west-2", "eu-west-1"]


def test_a_role_session_is_shared_between_registries(helper: Helper, aws: Loopback) -> None:
    """A second region with the same profile finds the role's session on disk, and asks STS no more.

    Its file is private.
    """
    external_id(helper, aws)
    other = HOST.replace("eu-west-1", "us-west-2")
    assert [helper.get(host).status for host in (HOST, other)] == [0, 0]
    assert [call.service for call in aws.calls] == ["sts", "ecr", "ecr"]
    (session,) = (helper.home / ".aws" / "cli" / "cache").iterdir()
    assert session.stat().st_mode & 0o777 == 0o600
    assert session.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["", "not JSON", "[]", "{}", '{"Credentials": {}}'])
def test_a_damaged_role_session_costs_a_call(damage: str, helper: Helper, aws: Loopback) -> None:
    """What is no session in the AWS CLI's cache is asked for anew, and replaced."""
    external_id(helper, aws)
    assert helper.get(HOST).status == 0
    (session,) = (helper.home / ".aws" / "cli" / "cache").iterdir()
    session.write_text(damage)
    assert helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1"}).status == 0
    assert aws.count("sts") == 2
    assert "Credentials" in json.loads(session.read_text())


def test_no_place_for_role_sessions_costs_no_answer(helper: Helper, aws: Loopback) -> None:
    """Where the AWS CLI's cache cannot be written, the token is answered all the same."""
    external_id(helper, aws)
    (helper.home / ".aws" / "cli").write_text("a file in the way")
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")


def test_a_source_behind_the_default_profile_is_named(helper: Helper, aws: Loopback) -> None:
    """AWS_DEFAULT_PROFILE is a profile like AWS_PROFILE, and goes before it as in botocore."""
    sso_legacy(helper, aws)
    forget_sso(helper, aws)
    helper.env |= {"AWS_DEFAULT_PROFILE": "test", "AWS_PROFILE": "nobody"}
    assert plain(helper.get(HOST), helper, aws) == in_words(SSO_ENDED, SSO_LOGIN)


def test_an_empty_variable_counts_as_unset(helper: Helper, aws: Loopback) -> None:
    """Empty AWS variables lead to the source that is found without them."""
    shared_file(helper, aws)
    empty = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "CONFIG_FILE")
    result = helper.get(HOST, env={f"AWS_{name}": "" for name in empty})
    assert (result.status, result.err) == (0, "")
    assert aws.calls[-1].principal == USER_ARN


@pytest.mark.parametrize("declare", [sso_session, sso_legacy, login], ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "damage",
    ["", '{"accessToken":', b"\xff", '{"accessToken": "x", "expiresAt": "soon"}', "[]", "{}"],
    ids=repr,
)
def test_a_damaged_login_is_told_with_the_command_that_fixes_it(
    declare: Arrange, damage: str | bytes, helper: Helper, aws: Loopback
) -> None:
    """What `aws sso login` and `aws login` left behind is a file, and not an answer of AWS."""
    declare(helper, aws)
    (cached,) = (helper.home / ".aws").glob("*/cache/*.json")
    cached.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    result = helper.get(HOST)
    kind, command = ("login", "aws login") if declare is login else ("SSO", "aws sso login")
    assert result.status == 1
    assert result.out.startswith(f"{NAME}: the {kind} session of profile test ")
    assert f"run `{command} --profile test`" in result.out
    assert f": {command} --profile test (" in result.err
    assert aws.calls == []


def test_settings_that_spoil_a_login_are_not_taken_for_it(helper: Helper, aws: Loopback) -> None:
    """An endpoint that is no URL is told as that, and no new login is asked for."""
    sso_session(helper, aws)
    result = helper.get(HOST, env={"AWS_ENDPOINT_URL": "not a URL"})
    assert "Invalid endpoint: not a URL" in result.out
    assert "login" not in result.out + result.err

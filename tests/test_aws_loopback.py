"""The stand-in for AWS, driven by an unpatched botocore: what it grants and what it refuses."""

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import trustme
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    LoginRefreshRequired,
    UnauthorizedSSOTokenError,
)
from botocore.loaders import create_loader

from tests import aws_loopback, needs
from tests.aws_loopback import (
    ACCOUNT,
    FAULT_KINDS,
    MFA_CODE,
    USER_ARN,
    USER_KEY,
    USER_SECRET,
    Fault,
    Loopback,
    Refusal,
    Request,
    Signature,
    check_scope,
    role_arn_of,
    session_arn,
)

LOADER = create_loader()  # it keeps what it has read, which makes a client cheap
REGION = "eu-west-1"
PRIVATE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLE = "arn:aws:iam::444455556666:role/pull"
ENDPOINTS = (
    "api.ecr.us-west-2.amazonaws.com",
    "api.ecr-fips.us-west-2.amazonaws.com",
    "ecr.us-west-2.api.aws",
)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take all credentials out of the environment; return a home directory to put some in."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def aws(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:  # noqa: ARG001
    """Serve, with the environment pointing at the stand-in and no keys in it."""
    with Loopback() as loopback:
        for name, value in loopback.environment().items():
            monkeypatch.setenv(name, value)
        yield loopback


@pytest.fixture
def user(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """Serve, with the default user's keys in the environment."""
    for name, value in aws.environment(with_keys=True).items():
        monkeypatch.setenv(name, value)
    return aws


def client(service: str, region: str = REGION, **settings: Any) -> Any:
    """Return a client of a fresh session that tries once."""
    config = Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 10, **settings})
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    return session.create_client(service, region, config=config)


def caller() -> str:
    """Return the ARN that the environment's credentials belong to."""
    return str(client("sts").get_caller_identity()["Arn"])


def login(response: Any) -> tuple[str, str]:
    """Return the user and the password in ECR's or ECR Public's answer."""
    data = response["authorizationData"]
    entry = data[0] if isinstance(data, list) else data
    username, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    return username, password


def error_of(call: Callable[[], object]) -> tuple[str, str, int]:
    """Return code, message and HTTP status of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call()
    response: Any = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return response["Error"]["Code"], response["Error"]["Message"], status


def ask(
    aws: Loopback, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Send a plain request and return status, body and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=5)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, names)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def write_config(home: Path, text: str) -> None:
    """Write the AWS configuration file."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def iso(seconds: float) -> str:
    """Return the time so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# ECR


def test_ecr_gives_a_token_that_its_registry_takes(user: Loopback) -> None:
    """The token has ECR's form and size, and is good in every account of its region."""
    response = client("ecr").get_authorization_token()
    username, password = login(response)
    entry = response["authorizationData"][0]
    content = json.loads(base64.b64decode(password))
    assert username == "AWS"
    assert 1800 <= len(password) <= 2600
    assert set(content) == {"payload", "datakey", "version", "type", "expiration"}
    assert entry["proxyEndpoint"] == f"https://{PRIVATE}"
    assert entry["expiresAt"].timestamp() == pytest.approx(time.time() + 43200, abs=5)
    assert content["expiration"] == int(entry["expiresAt"].timestamp())
    assert user.issued[password].principal == USER_ARN
    assert user.accepts(PRIVATE, "AWS", password)
    assert user.accepts(f"444455556666.dkr-ecr-fips.{REGION}.on.aws:443", "AWS", password)


def test_a_registry_refuses_other_regions_users_and_tokens(user: Loopback) -> None:
    """What is not this token, for this region, in its time, is not let in."""
    _, password = login(client("ecr").get_authorization_token())
    assert not user.accepts(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", "AWS", password)
    assert not user.accepts("public.ecr.aws", "AWS", password)
    assert not user.accepts("registry.example.com", "AWS", password)
    assert not user.accepts(PRIVATE, "aws", password)
    assert not user.accepts(PRIVATE, "AWS", password[:-4])
    user.clock_offset = 43201
    assert not user.accepts(PRIVATE, "AWS", password)


def test_ecr_answers_for_each_registry_asked_for(user: Loopback) -> None:
    """Each of registryIds has an entry, with the registry's address in its partition."""
    ids = ["444455556666", "777788889999"]
    data = client("ecr", "cn-north-1").get_authorization_token(registryIds=ids)["authorizationData"]
    hosts = [f"https://{account}.dkr.ecr.cn-north-1.amazonaws.com.cn" for account in ids]
    assert [entry["proxyEndpoint"] for entry in data] == hosts
    assert user.calls[0].body == {"registryIds": ids}


def test_ecr_public_answers_one_entry_and_only_in_its_regions(user: Loopback) -> None:
    """ECR Public answers an object where ECR answers a list."""
    response = client("ecr-public", "us-east-1").get_authorization_token()
    username, password = login(response)
    assert isinstance(response["authorizationData"], dict)
    assert user.accepts("public.ecr.aws", username, password)
    assert not user.accepts(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", username, password)
    code, _, _ = error_of(client("ecr-public", "eu-west-1").get_authorization_token)
    assert code == "InvalidSignatureException"


def test_calls_are_recorded(user: Loopback) -> None:
    """A record says who asked what, where and of which region."""
    client("ecr").get_authorization_token()
    client("sts", "us-west-2").get_caller_identity()
    first, second = user.calls
    assert (first.service, first.operation) == ("ecr", "GetAuthorizationToken")
    assert (first.region, second.region) == (REGION, "us-west-2")
    assert first.principal == USER_ARN
    assert first.host == f"127.0.0.1:{user.port}"
    assert "otocore" in first.user_agent
    assert user.count("ecr") == user.count("ecr", "GetAuthorizationToken") == 1
    assert user.count("ecr", "DescribeImages") == user.count("imds") == 0


# Signatures


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
        ("X-Amz-Date", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 60))),
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


# STS


def test_a_role_is_assumed_from_a_profile(user: Loopback, bare: Path) -> None:
    """The credentials that STS hands out sign the next call."""
    user.add_role(ROLE, external_id="over-there")
    lines = [
        "[profile pull]",
        f"role_arn = {ROLE}",
        "credential_source = Environment",
        "role_session_name = ci",
        "external_id = over-there",
    ]
    write_config(bare, "\n".join(lines))
    session: Any = botocore.session.Session(profile="pull")
    session.create_client("ecr", REGION).get_authorization_token()
    assert user.calls[-1].principal == "arn:aws:sts::444455556666:assumed-role/pull/ci"
    assert user.calls[0].body["RoleArn"] == ROLE
    assert [call.service for call in user.calls] == ["sts", "ecr"]


def test_a_role_has_conditions(user: Loopback) -> None:
    """Without its external id or its MFA code a declared role is refused like an unknown one."""
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/developer"
    user.add_role(ROLE, mfa_serial=serial)
    other = role_arn_of("other")
    user.add_role(other, external_id="over-there")
    sts = client("sts")

    def assume(arn: str, **more: str) -> Callable[[], Any]:
        return lambda: sts.assume_role(RoleArn=arn, RoleSessionName="ci", **more)

    for refused in (
        assume(role_arn_of("nobody")),
        assume(other),
        assume(other, ExternalId="elsewhere"),
        assume(ROLE),
        assume(ROLE, SerialNumber=serial + "2", TokenCode=MFA_CODE),
    ):
        code, message, status = error_of(refused)
        assert (code, status) == ("AccessDenied", 403)
        assert f"User: {USER_ARN} is not authorized to perform: sts:AssumeRole on" in message
    wrong = error_of(assume(ROLE, SerialNumber=serial, TokenCode="654321"))
    assert wrong[0] == "AccessDenied"
    assert "MultiFactorAuthentication" in wrong[1]
    given = assume(ROLE, SerialNumber=serial, TokenCode=MFA_CODE)()
    assert given["AssumedRoleUser"]["Arn"] == session_arn(ROLE, "ci")
    assert given["Credentials"]["Expiration"].timestamp() == pytest.approx(
        time.time() + 3600, abs=5
    )
    assert assume(other, ExternalId="over-there")()["Credentials"]["AccessKeyId"] in user.keys


def test_a_web_identity_is_exchanged_unsigned(
    aws: Loopback, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials are needed, and only the declared token is taken."""
    aws.add_role(ROLE, web_identity_token="header.claims.signature")
    (bare / "token").write_text("header.claims.signature")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(bare / "token"))
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod")
    assert caller() == session_arn(ROLE, "pod")
    (bare / "token").write_text("header.claims.forged")
    assert error_of(caller)[0] == "InvalidIdentityToken"
    monkeypatch.setenv("AWS_ROLE_ARN", role_arn_of("nobody"))
    assert error_of(caller)[0] == "AccessDenied"


# Instance and container


def test_an_instance_has_a_role_or_none(aws: Loopback) -> None:
    """Botocore finds the credentials of the instance's role by itself."""
    assert botocore.session.Session().get_credentials() is None
    aws.instance_role = "builder"
    assert caller() == session_arn(role_arn_of("builder"), aws_loopback.INSTANCE_ID)
    assert aws.count("imds", "PutToken") == 2
    assert aws.count("imds", "GetCredentials") == 1


def test_instance_metadata_wants_a_token(aws: Loopback) -> None:
    """Nothing is read without a session token that is still good."""
    aws.instance_role = "builder"
    path = "/latest/meta-data/iam/security-credentials/"
    assert ask(aws, "GET", path)[0] == 401
    assert ask(aws, "PUT", "/latest/api/token")[0] == 400
    life = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}
    token = ask(aws, "PUT", "/latest/api/token", **life)[1].decode()
    assert ask(aws, "GET", path, X_aws_ec2_metadata_token=token)[:2] == (200, b"builder")
    assert ask(aws, "GET", path + "other", X_aws_ec2_metadata_token=token)[0] == 404
    aws.clock_offset = 61
    assert ask(aws, "GET", path, X_aws_ec2_metadata_token=token)[0] == 401


def test_a_container_has_a_role(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore finds the credentials of the container's role, with its authorization."""
    aws.container_role, aws.container_authorization = "task", "pod-token"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.container_url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token")
    assert caller() == session_arn(role_arn_of("task"), "container")
    assert ask(aws, "GET", "/container/credentials", Authorization="other")[0] == 401
    aws.container_role = None
    assert ask(aws, "GET", "/container/credentials", Authorization="pod-token")[0] == 404


# IAM Identity Center and the sign-in service


def write_sso_session(home: Path, token: str, *, expires_in: float) -> None:
    """Write a profile and what ``aws sso login`` leaves behind."""
    lines = [
        "[profile sso]",
        "sso_session = corp",
        f"sso_account_id = {ACCOUNT}",
        "sso_role_name = Pull",
        "[sso-session corp]",
        "sso_region = eu-west-1",
        "sso_start_url = https://corp.awsapps.com/start",
    ]
    write_config(home, "\n".join(lines))
    cached = {
        "accessToken": token,
        "expiresAt": iso(expires_in),
        "refreshToken": "refresh",
        "clientId": "client",
        "clientSecret": "client-secret",
        "registrationExpiresAt": iso(86400),
    }
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(json.dumps(cached))


@pytest.fixture
def sso(aws: Loopback, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """Serve, with a profile of IAM Identity Center in use."""
    aws.add_sso_role(ACCOUNT, "Pull")
    monkeypatch.setenv("AWS_PROFILE", "sso")
    cache = str(bare / ".aws" / "sso" / "cache")
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", cache)
    monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", cache)
    return aws


def test_sso_gives_a_roles_credentials(sso: Loopback, bare: Path) -> None:
    """A profile with a live access token gets the role's credentials."""
    sso.add_sso_session("access")
    write_sso_session(bare, "access", expires_in=3600)
    assert "assumed-role/AWSReservedSSO_Pull_" in caller()
    assert [call.service for call in sso.calls] == ["sso", "sts"]


def test_an_sso_session_is_refreshed(sso: Loopback, bare: Path) -> None:
    """An access token near its end is renewed at OIDC first."""
    sso.add_sso_session("old", expires_in=-1, refresh_token="refresh")
    write_sso_session(bare, "old", expires_in=60)
    assert "assumed-role/AWSReservedSSO_Pull_" in caller()
    assert [call.service for call in sso.calls] == ["sso-oidc", "sso", "sts"]


def test_an_expired_sso_session_is_refused(sso: Loopback, bare: Path) -> None:
    """An access token that the portal holds for expired is refused."""
    sso.add_sso_session("access", expires_in=-1)
    write_sso_session(bare, "access", expires_in=3600)
    with pytest.raises(UnauthorizedSSOTokenError):
        caller()


def test_sso_refuses_other_roles_and_refresh_tokens(sso: Loopback, bare: Path) -> None:
    """Only what is declared is given."""
    sso.add_sso_session("access")
    sso.sso_roles.clear()
    write_sso_session(bare, "access", expires_in=3600)
    assert error_of(caller)[0] == "ForbiddenException"
    oidc = client("sso-oidc", signature_version=UNSIGNED)
    grant = {"clientId": "c", "clientSecret": "s", "grantType": "refresh_token"}
    refused = error_of(lambda: oidc.create_token(**grant, refreshToken="other"))
    assert refused[0] == "InvalidGrantException"


def write_login_session(home: Path, key: str, refresh_token: str) -> None:
    """Write a profile and what ``aws login`` leaves behind, its credentials past their time."""
    session = f"{USER_ARN}-session"
    write_config(home, f"[profile login]\nlogin_session = {session}\n")
    cached = {
        "accessToken": {
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "secretAccessKey": "old",
            "sessionToken": "old",
            "accountId": ACCOUNT,
            "expiresAt": iso(-60),
        },
        "refreshToken": refresh_token,
        "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": key,
        "signInRegion": REGION,
    }
    cache = home / ".aws" / "login" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(session.encode()).hexdigest()
    (cache / f"{name}.json").write_text(json.dumps(cached))


def test_a_login_session_is_renewed(
    aws: Loopback, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore's login provider renews its credentials at the sign-in service."""
    crypto = needs.module("awscrt.crypto", "test")
    key = crypto.EC.new_generate(crypto.ECType.P_256).export_key(crypto.ECExportFormat.SEC1)
    pem = base64.b64encode(key.rstrip(b"\0")).decode()
    monkeypatch.setenv("AWS_PROFILE", "login")
    aws.add_login_session("refresh")
    write_login_session(bare, pem, "refresh")
    assert caller() == USER_ARN
    assert [call.service for call in aws.calls] == ["signin", "sts"]
    write_login_session(bare, pem, "withdrawn")
    with pytest.raises(LoginRefreshRequired):
        caller()


def test_the_sign_in_service_wants_proof_of_possession(aws: Loopback) -> None:
    """A refresh token alone is not enough."""
    aws.add_login_session("refresh")
    signin = client("signin", signature_version=UNSIGNED)
    grant = {
        "clientId": "arn:aws:signin:::devtools/same-device",
        "grantType": "refresh_token",
        "refreshToken": "refresh",
    }

    def renew() -> Any:
        return signin.create_o_auth2_token(tokenInput=grant)["tokenOutput"]

    def prove(params: Any, **_: object) -> None:
        header = {"typ": "dpop+jwt", "alg": "ES256"}
        claims = {"htm": "POST", "htu": f"{aws.url}/v1/token"}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims)]
        params["headers"]["DPoP"] = b".".join([*parts, b"signature"]).decode().replace("=", "")

    assert error_of(renew)[0] == "ValidationException"
    signin.meta.events.register("before-call.signin.CreateOAuth2Token", prove)
    renewed = renew()
    assert aws.keys[renewed["accessToken"]["accessKeyId"]].arn == USER_ARN
    assert renewed["refreshToken"] != "refresh"
    aws.login_sessions.clear()
    assert error_of(renew)[0] == "AccessDeniedException"


# Faults


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("denied", "AccessDeniedException", 400),
        ("throttled", "ThrottlingException", 400),
        ("500", "ServerException", 500),
        ("expired-token", "ExpiredTokenException", 400),
        ("redirect", "307", 307),
    ],
)
def test_a_fault_is_an_error(user: Loopback, kind: str, code: str, status: int) -> None:
    """An error of ECR's own has the code that AWS gives it, and a redirect is not followed."""
    user.faults["ecr.GetAuthorizationToken"] = Fault(kind)
    assert error_of(client("ecr").get_authorization_token)[::2] == (code, status)
    assert not user.issued
    assert user.count("elsewhere") == 0


def test_a_denial_says_what_and_who(user: Loopback) -> None:
    """The message names principal and action."""
    user.faults["*"] = Fault("denied")
    _, message, _ = error_of(client("ecr").get_authorization_token)
    words = f"User: {USER_ARN} is not authorized to perform: ecr:GetAuthorizationToken on resource"
    assert message.startswith(words)
    assert error_of(client("sts").get_caller_identity)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("kind", "error"), [("reset", "ConnectionClosedError"), ("hang", "ReadTimeoutError")]
)
def test_a_fault_breaks_the_connection(user: Loopback, kind: str, error: str) -> None:
    """A connection that is reset or hangs ends as botocore's own error."""
    user.faults["ecr"] = Fault(kind)
    with pytest.raises(BotoCoreError) as caught:
        client("ecr", read_timeout=0.3).get_authorization_token()
    assert type(caught.value).__name__ == error


@pytest.mark.parametrize("kind", ["half", "html"])
def test_a_fault_breaks_the_answer(user: Loopback, kind: str) -> None:
    """Botocore takes an answer that it cannot read for one with nothing in it."""
    user.faults["ecr"] = Fault(kind, status=200)
    response = client("ecr").get_authorization_token()
    assert "authorizationData" not in response
    user.faults["ecr"] = Fault("html")
    assert error_of(client("ecr").get_authorization_token)[2] == 502


def test_half_an_answer_is_shorter_than_it_says(user: Loopback) -> None:
    """The connection closes before the promised length."""
    user.faults["*"] = Fault("half")
    with pytest.raises(http.client.IncompleteRead):
        ask(user, "GET", "/anything")


def test_a_reset_is_a_reset(user: Loopback) -> None:
    """The client sees RST, not an orderly end."""
    user.faults["*"] = Fault("reset")
    with socket.create_connection(("127.0.0.1", user.port)) as connection:
        connection.sendall(b"GET /anything HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


SPOILT: dict[str, Callable[[dict[str, Any]], bool]] = {
    "wrong-user": lambda entry: base64.b64decode(entry["authorizationToken"])[:6] == b"robot:",
    "no-expiry": lambda entry: "expiresAt" not in entry,
    "past-expiry": lambda entry: entry["expiresAt"].timestamp() < time.time(),
    "no-token": lambda entry: "authorizationToken" not in entry,
    "not-base64": lambda entry: "%" in entry["authorizationToken"],
    "huge-token": lambda entry: len(entry["authorizationToken"]) > 100 * 1024,
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_fault_spoils_the_token(user: Loopback, kind: str) -> None:
    """The answer is well-formed and wrong in one place, and right the next time."""
    for service, region in (("ecr", REGION), ("ecr-public", "us-east-1")):
        user.faults[service] = Fault(kind, times=1)
        data = client(service, region).get_authorization_token()["authorizationData"]
        entry = data[0] if isinstance(data, list) else data
        assert SPOILT[kind](entry)
        assert login(client(service, region).get_authorization_token())[0] == "AWS"


def test_a_fault_ends_after_its_times(user: Loopback) -> None:
    """Each call uses up one of the fault's times."""
    user.faults["ecr"] = Fault("throttled", times=2)
    ecr = client("ecr")
    for _ in range(2):
        assert error_of(ecr.get_authorization_token)[0] == "ThrottlingException"
    assert login(ecr.get_authorization_token())[0] == "AWS"


def test_following_a_redirect_shows(user: Loopback) -> None:
    """Whoever goes where the redirect points is recorded there."""
    user.faults["ecr"] = Fault("redirect")
    headers = {"X_Amz_Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}
    status, _, answer = ask(user, "POST", "/", "{}", **headers)
    assert status == 307
    assert answer["Location"] == f"http://localhost:{user.port}/elsewhere"
    assert ask(user, "POST", "/elsewhere", "{}", **headers)[0] == 200
    assert user.count("elsewhere") == 1


@pytest.mark.parametrize("service", ["imds", "container"])
def test_faults_reach_the_metadata_services(
    aws: Loopback, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metadata service that fails gives no credentials."""
    aws.instance_role = aws.container_role = "builder"
    aws.faults[service] = Fault("500")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    if service == "container":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.container_url)
        with pytest.raises(CredentialRetrievalError):
            botocore.session.Session().get_credentials()
    else:
        assert botocore.session.Session().get_credentials() is None
    assert aws.count(service) > 0


def test_an_unknown_fault_is_a_mistake() -> None:
    """A misspelt kind fails where it is written."""
    with pytest.raises(ValueError, match="unknown fault kind: 'denyed'"):
        Fault("denyed")
    assert {Fault(kind).kind for kind in FAULT_KINDS} == FAULT_KINDS


def test_latency_is_waited_for(user: Loopback) -> None:
    """The most particular key decides how long an answer takes."""
    user.latency = {"ecr": 0.2, "*": 0.0}
    ecr, sts = client("ecr"), client("sts")
    began = time.monotonic()
    sts.get_caller_identity()
    between = time.monotonic()
    ecr.get_authorization_token()
    assert between - began < 0.2 <= time.monotonic() - between


# Proxy


@pytest.fixture
def proxy(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve as a trusted HTTPS proxy, with no endpoint set."""
    authority, pem = trustme.CA(), str(bare / "server.pem")
    authority.issue_cert(*ENDPOINTS).private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(str(bare / "ca.pem"))
    with Loopback(certificate=(pem, pem)) as loopback:
        monkeypatch.setenv("HTTPS_PROXY", loopback.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bare / "ca.pem"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", USER_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", USER_SECRET)
        yield loopback


@pytest.mark.parametrize(
    ("settings", "host"),
    list(
        zip(
            ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}),
            ENDPOINTS,
            strict=True,
        )
    ),
)
def test_a_proxied_call_shows_its_host(
    proxy: Loopback, settings: dict[str, bool], host: str
) -> None:
    """The name asked for is recorded, and one tunnel carries several calls."""
    ecr = client("ecr", "us-west-2", **settings)
    ecr.get_authorization_token()
    ecr.get_authorization_token()
    assert [call.host for call in proxy.calls] == [host, host]
    assert proxy.connects == [host]


def test_a_proxied_host_takes_its_own_region_only(proxy: Loopback) -> None:
    """A credential scope for another region than the host's is refused."""
    ecr = client("ecr", "us-west-2")
    ecr.meta.events.register(
        "choose-signer.ecr.*", lambda context, **_: context.update(signing={"region": "eu-west-1"})
    )
    assert error_of(ecr.get_authorization_token)[0] == "InvalidSignatureException"
    assert proxy.count("ecr") == 1


def test_a_tunnel_has_one_name(proxy: Loopback) -> None:
    """What the Host header says inside the tunnel does not rename the host."""
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=5, context=trust)
    connection.set_tunnel(ENDPOINTS[0], 443)
    connection.request("GET", "/anything", headers={"Host": "other.example.com"})
    assert connection.getresponse().status == 404
    connection.close()
    assert proxy.calls[0].host == ENDPOINTS[0]


def test_without_a_certificate_nothing_is_tunnelled(
    user: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt is recorded all the same."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("HTTPS_PROXY", user.url)
    with pytest.raises(BotoCoreError):
        client("ecr").get_authorization_token()
    assert user.connects == [f"api.ecr.{REGION}.amazonaws.com"]
    assert user.calls == []


# Control


def test_settings_and_calls_over_http(user: Loopback) -> None:
    """Another process can change what a test can."""
    settings = {
        "latency": {"ecr": 0},
        "faults": {"ecr": "denied", "sts": {"kind": "throttled", "times": 1}},
        "token_life": 60,
        "clock_offset": 5,
        "instance_role": "builder",
    }
    assert ask(user, "POST", "/_loopback/set", json.dumps(settings))[0] == 200
    assert error_of(client("ecr").get_authorization_token)[0] == "AccessDeniedException"
    assert user.faults["sts"] == Fault("throttled", times=1)
    assert (user.token_life, user.clock_offset, user.instance_role) == (60.0, 5.0, "builder")
    (call,) = json.loads(ask(user, "GET", "/_loopback/calls")[1])
    assert (call["service"], call["principal"]) == ("ecr", USER_ARN)
    assert ask(user, "GET", "/_loopback/nothing")[0] == 404


@pytest.mark.parametrize("text", ['{"calls": []}', '{"faults": {"ecr": "denyed"}}', "[1]", "{"])
def test_a_setting_that_does_not_exist_changes_nothing(user: Loopback, text: str) -> None:
    """A mistake is answered with 400."""
    assert ask(user, "POST", "/_loopback/set", text)[0] == 400
    assert user.faults == {}


def test_a_login_is_verified_for_nginx(user: Loopback) -> None:
    """The answer is the registry's, and leaves no record."""
    _, password = login(client("ecr").get_authorization_token())

    def verify(host: str, login_text: str) -> int:
        header = "Basic " + base64.b64encode(login_text.encode()).decode()
        headers = {"Authorization": header, "X_Registry_Host": host}
        return ask(user, "GET", "/_loopback/verify", **headers)[0]

    assert verify(PRIVATE, f"AWS:{password}") == 200
    assert verify("public.ecr.aws", f"AWS:{password}") == 401
    assert verify(PRIVATE, "AWS:other") == 401
    status, _, headers = ask(user, "GET", "/_loopback/verify", X_Registry_Host=PRIVATE)
    assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert user.count("ecr") == len(user.calls) == 1


# HTTP and life


def test_what_no_service_knows_is_not_found(aws: Loopback) -> None:
    """A stray request is recorded, so that it cannot go unseen."""
    assert ask(aws, "GET", "/favicon.ico")[0] == 404
    assert aws.calls[0].operation == "GET /favicon.ico"


def test_two_hundred_connections_at_once(aws: Loopback) -> None:
    """None is refused and none waits for another."""
    aws.latency["imds"] = 0.3
    barrier, statuses = threading.Barrier(200), []

    def one() -> None:
        barrier.wait()
        statuses.append(ask(aws, "PUT", "/latest/api/token")[0])

    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [400] * 200
    assert aws.count("imds") == 200


@pytest.mark.usefixtures("bare")
def test_stopping_is_quick_and_ends_hanging_calls() -> None:
    """Open connections end with the stand-in."""
    with Loopback() as aws:
        aws.faults["*"] = Fault("hang")
        idle = socket.create_connection(("127.0.0.1", aws.port))
        hanging = socket.create_connection(("127.0.0.1", aws.port))
        hanging.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        while not aws.calls:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    for connection in (idle, hanging):
        with connection:
            connection.settimeout(2)
            assert connection.recv(1) == b""


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_as_a_program(number: signal.Signals) -> None:
    """It prints its address, serves, and ends silently on either signal."""
    command = [sys.executable, aws_loopback.__file__, "--token-life", "60"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        session: Any = botocore.session.Session()
        session.set_credentials(USER_KEY, USER_SECRET)
        ecr = session.create_client("ecr", REGION, endpoint_url=url)
        expires = ecr.get_authorization_token()["authorizationData"][0]["expiresAt"]
        ecr.close()
        process.send_signal(number)
        rest = process.communicate(timeout=5)
    assert expires.timestamp() == pytest.approx(time.time() + 60, abs=5)
    assert process.returncode == 0
    assert rest == ("", "")

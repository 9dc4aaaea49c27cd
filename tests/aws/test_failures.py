"""Every way to fail: what the user is told on stdout and stderr, within the deadline."""

import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from ecr_credential_helper import errors
from tests.aws.test_sources import (
    ASKED,
    BASE,
    CHECK_KEY,
    DEADLINE,
    GIVE_SOME,
    HOP,
    HOST,
    INSIDE,
    MARKS,
    NAME,
    NO_CREDENTIALS,
    OUTSIDE,
    POD_TOKEN,
    PULL,
    SEE_THE_SOURCE,
    SSO_ENDED,
    SSO_LINES,
    SSO_LOGIN,
    UNKNOWN_KEY,
    Arrange,
    container,
    in_words,
    instance,
    login,
    no_change,
    plain,
    pod_identity,
    profile,
    script,
    settings,
    source_profile,
    sso_session,
    web_identity,
    without_keys,
    write_aws,
)
from tests.loopback import (
    ACCOUNT,
    MFA_CODE,
    USER_ARN,
    Fault,
    Loopback,
    iso_time,
    tls_context,
)
from tests.support.helper import Helper, assert_no_secret, finish

PUBLIC = "public.ecr.aws"
PROXIED = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
ENDPOINT = "https://api.ecr.us-west-2.amazonaws.com/"
NOBODY = "http://127.0.0.1:1"
MFA_SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/developer"
PROXY_PASSWORD = "canary-proxy-password"


@dataclass(frozen=True)
class Failure:
    """A way to fail, and the cause and hint that the user is told."""

    name: str
    arrange: Arrange
    cause: str
    hint: str
    host: str = HOST


def both(first: Arrange, second: Arrange) -> Arrange:
    """Return what arranges both."""

    def arrange(helper: Helper, aws: Loopback) -> None:
        first(helper, aws)
        second(helper, aws)

    return arrange


def env(first: Arrange = no_change, **variables: str | None) -> Arrange:
    """Return what sets these variables (None: takes them away), and lets botocore try once."""

    def arrange(helper: Helper, aws: Loopback) -> None:
        first(helper, aws)
        helper.env.setdefault("AWS_MAX_ATTEMPTS", "1")
        for name, value in variables.items():
            if value is None:
                helper.env.pop(name, None)
            else:
                helper.env[name] = value.format(home=helper.home)

    return arrange


def fault(kind: str, service: str = "ecr", status: int = 502) -> Arrange:
    """Return what lets a service fail for good."""

    def arrange(_: Helper, aws: Loopback) -> None:
        aws.faults[service] = Fault(kind, status=status)

    return env(arrange)


def proxied(helper: Helper, _: Loopback) -> None:
    """Send the helper to AWS's real endpoints, with the loopback as their proxy."""
    helper.env |= {name: value for name, value in helper.proxy.items() if value is not None}
    del helper.env["AWS_ENDPOINT_URL"]


def config(*lines: str) -> Arrange:
    """Return what chooses a profile of these lines."""
    return lambda helper, _: profile(helper, *lines)


def process(*lines: str) -> Arrange:
    """Return what chooses a profile with this shell script as its credential_process."""
    return lambda helper, _: profile(helper, f"credential_process = {script(helper, *lines)}")


def no_keys(helper: Helper, _: Loopback) -> None:
    """Leave no credentials anywhere."""
    without_keys(helper)


def broken_config(helper: Helper, _: Loopback) -> None:
    """Leave an AWS config file that cannot be parsed."""
    write_aws(helper, "config", "[profile test")


def expired_session(helper: Helper, aws: Loopback) -> None:
    """Put temporary keys into the environment that are past their time."""
    key = aws.issue_key(USER_ARN, -1)
    helper.env |= {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": str(key.session_token),
    }


def broken_session(helper: Helper, aws: Loopback) -> None:
    """Put a session token into the environment that was copied with a line break."""
    expired_session(helper, aws)
    helper.env["AWS_SESSION_TOKEN"] = "canary of a session token\n"


def skewed(seconds: float) -> Arrange:
    """Return what lets AWS's clock run ahead."""

    def arrange(_: Helper, aws: Loopback) -> None:
        aws.clock_offset = seconds

    return arrange


def wrong_host(helper: Helper, aws: Loopback) -> None:
    """Let the proxy answer with a certificate for another host."""
    proxied(helper, aws)
    authority = trustme.CA()
    certificate = authority.issue_cert("elsewhere.example.com")
    chain, key = helper.home / "chain.pem", helper.home / "key.pem"
    helper.env["AWS_CA_BUNDLE"] = str(helper.home / "ca.pem")
    authority.cert_pem.write_to_path(helper.env["AWS_CA_BUNDLE"])
    certificate.private_key_pem.write_to_path(str(key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    aws.tls = tls_context((chain, key))


def proxy_without_tunnel(helper: Helper, aws: Loopback) -> None:
    """Let the proxy refuse to open a tunnel."""
    proxied(helper, aws)
    aws.tls = None


def role_with_mfa(helper: Helper, aws: Loopback) -> None:
    """Declare a role that asks for an MFA code."""
    aws.add_role(PULL, mfa_serial=MFA_SERIAL)
    lines = (f"role_arn = {PULL}", f"mfa_serial = {MFA_SERIAL}", "source_profile = base")
    profile(helper, *lines, *BASE)


def no_sso_role(helper: Helper, aws: Loopback) -> None:
    """Declare IAM Identity Center, where the role is not assigned."""
    sso_session(helper, aws)
    aws.sso_roles.clear()


def sso_behind_a_role(helper: Helper, aws: Loopback) -> None:
    """Declare a chain of roles that begins with IAM Identity Center, where no session runs."""
    sso_session(helper, aws)
    aws.sso_access_tokens.clear()
    path = helper.home / ".aws" / "config"
    chain = (
        f"[profile test]\nrole_arn = {PULL}\nsource_profile = hop\n"
        f"[profile hop]\nrole_arn = {HOP}\nsource_profile = base\n"
    )
    path.write_text(chain + path.read_text().replace("[profile test]", "[profile base]"))


def login_behind_a_role(helper: Helper, aws: Loopback) -> None:
    """Declare a role whose profile is one of `aws login`, where no session runs."""
    login(helper, aws)
    aws.login_sessions.clear()
    path = helper.home / ".aws" / "config"
    chain = f"[profile test]\nrole_arn = {PULL}\nsource_profile = base\n"
    path.write_text(chain + path.read_text().replace("[profile test]", "[profile base]"))


def pod_token_with_line_break(helper: Helper, aws: Loopback) -> None:
    """Declare EKS Pod Identity with a token file that ends in a line break."""
    pod_identity(helper, aws)
    (helper.home / "eks-pod-identity-token").write_text(f"{POD_TOKEN}\n")


def settings_lines(*lines: str) -> Arrange:
    """Return what writes the settings file of the helper."""

    def arrange(helper: Helper, _: Loopback) -> None:
        settings(helper, *lines)

    return arrange


def assumed_role(helper: Helper, aws: Loopback) -> None:
    """Declare a role in the settings file of the helper."""
    aws.add_role(PULL)
    settings(helper, "[[registry]]", 'match = "*"', f'role_arn = "{PULL}"')


ASSUMING = f"sts:AssumeRole for role {PULL} of the keys in the environment"
AS_KEYS = f"{ASKED} the keys in the environment"
AS_KEYS_THERE = AS_KEYS.replace("eu-west-1", "us-west-2")
AS_KEYS_PUBLIC = AS_KEYS.replace("eu-west-1", "us-east-1").replace("ecr:", "ecr-public:")
SEARCH = "the search for AWS credentials of"
CANNOT_BE_USED = "the AWS settings of profile test cannot be used:"
CORRECT_CONFIG = "correct the AWS config file (~/.aws/config, or AWS_CONFIG_FILE)"
RUN_PROCESS = "run the credential_process of that profile by itself"
NOT_AWS = "was answered by something that is not AWS"
SEE_WHAT = "see what answers in place of AWS: a proxy, a captive portal, AWS_ENDPOINT_URL"
REACH = "see whether this machine reaches the endpoint: network, firewall, proxy, VPC endpoint"
LATER = "try again later: the trouble is on the side of AWS"
LIMITS = "try again later: AWS limits how often"
RENEW = "renew the AWS credentials: they are temporary, and have expired"
EXPIRED = (
    "was refused, the AWS credentials have expired: "
    "The security token included in the request is expired"
)
SKEWED = f"{AS_KEYS} was refused, the clock of this machine is wrong by about 3600 s: Signature"
SET_CLOCK = "set the clock of this machine, best by NTP"
TLS = f"was not sent, TLS failed: SSL validation failed for {ENDPOINT}"
NAME_CA = "where a proxy re-signs TLS, name its CA in AWS_CA_BUNDLE"
PROXY = "did not get through the proxy: Failed to connect to proxy URL:"
CHECK_PROXY = "check the proxy settings: HTTPS_PROXY and NO_PROXY"
NO_PROFILE = "the AWS profile nobody does not exist"
LIST_PROFILES = (
    "name a profile that is in the AWS config file: `aws configure list-profiles` lists them"
)
NO_MFA = "profile test needs an MFA code, and there is no terminal to ask for it"
PASS_MFA = (
    "pass MFA in a terminal first, its session is shared: "
    "aws sts get-caller-identity --profile test"
)
WRONG_SIGNATURE = (
    "was refused, the signature is wrong: The request signature we calculated does not match the "
    "signature you provided. Check your AWS Secret Access Key and signing method"
)


def not_authorized(action: str, who: str = USER_ARN) -> str:
    """Return IAM's refusal of an action."""
    return (
        f"was denied: User: {who} is not authorized to perform: {action} on resource: * because "
        f"no identity-based policy allows the {action} action"
    )


FAILURES = [
    # No credentials, or a source of them that fails.
    Failure("no-credentials", no_keys, NO_CREDENTIALS, GIVE_SOME),
    Failure("imds-broken", both(instance, fault("500", "imds")), NO_CREDENTIALS, GIVE_SOME),
    Failure("imds-silent", both(instance, fault("hang", "imds")), NO_CREDENTIALS, GIVE_SOME),
    Failure("unknown-profile", env(AWS_PROFILE="nobody"), NO_PROFILE, LIST_PROFILES),
    Failure(
        "unknown-profile-of-the-settings-file",
        settings_lines("[[registry]]", 'match = "*"', 'profile = "nobody"'),
        NO_PROFILE,
        LIST_PROFILES,
    ),
    Failure(
        "broken-config-file",
        broken_config,
        "the AWS settings of the default profile cannot be used: "
        "Unable to parse config file: HOME/.aws/config",
        CORRECT_CONFIG,
    ),
    Failure(
        "half-a-pair-of-keys",
        env(AWS_SECRET_ACCESS_KEY=None),
        "the keys in the environment cannot be used: "
        "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither of them",
    ),
    Failure(
        "half-a-pair-of-keys-in-a-file",
        config("aws_access_key_id = AKIAIOSFODNN7EXAMPLE"),
        f"{CANNOT_BE_USED} Partial credentials found in config-file, missing: "
        "aws_secret_access_key",
        CORRECT_CONFIG,
    ),
    Failure(
        "unknown-source_profile",
        config(f"role_arn = {PULL}", "source_profile = gone"),
        f'{CANNOT_BE_USED} The source_profile "gone" referenced in the profile "test" '
        "does not exist",
        CORRECT_CONFIG,
    ),
    Failure(
        "unknown-credential_source",
        config(f"role_arn = {PULL}", "credential_source = Moon"),
        f'{CANNOT_BE_USED} The credential source "Moon" referenced in profile "test" is not valid',
        CORRECT_CONFIG,
    ),
    Failure(
        "unknown-sso_session",
        config(*SSO_LINES, "sso_session = gone"),
        f'{CANNOT_BE_USED} The specified sso-session does not exist: "gone"',
        CORRECT_CONFIG,
    ),
    Failure(
        "sso-role-not-assigned",
        no_sso_role,
        "sso:GetRoleCredentials for profile test was denied: No access",
        "have the permission set of that profile assigned to you in IAM Identity Center",
    ),
    Failure(
        "sso-portal-is-a-web-page",
        both(sso_session, fault("html", "sso", 200)),
        f"{SEARCH} profile test {NOT_AWS}",
        SEE_WHAT,
    ),
    Failure(
        "sso-behind-a-role",
        sso_behind_a_role,
        SSO_ENDED.replace("test", "base"),
        SSO_LOGIN.replace("test", "base"),
    ),
    Failure(
        "login-behind-a-role",
        login_behind_a_role,
        "the login session of profile base has expired or was never started, "
        "run `aws login --profile base`",
        "log in again: aws login --profile base",
    ),
    Failure(
        "web-identity-token-missing",
        both(web_identity, env(AWS_WEB_IDENTITY_TOKEN_FILE="{home}/gone")),
        f"{SEARCH} role {PULL} (web identity) failed, HOME/gone: No such file or directory",
        SEE_THE_SOURCE,
    ),
    Failure(
        "pod-identity-token-with-a-line-break",
        pod_token_with_line_break,
        f"{SEARCH} the default profile failed: Auth token value is not a legal header value",
        SEE_THE_SOURCE,
    ),
    Failure(
        "container-endpoint-elsewhere",
        both(container, env(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://example.com/")),
        f"{SEARCH} the default profile failed: Unsupported host 'example.com'. Can only retrieve "
        "metadata from a loopback address or one of these hosts: 169.254.170.2, 169.254.170.23, "
        "fd00:ec2::23, localhost",
        SEE_THE_SOURCE,
    ),
    Failure(
        "credential_process-fails-in-silence",
        process("exit 1"),
        "the credential_process of profile test failed: it said nothing",
        RUN_PROCESS,
    ),
    Failure(
        "credential_process-steers-the-terminal",
        process(r"printf 'no\033[31m way\n\n  out.\n' >&2", "exit 1"),
        "the credential_process of profile test failed: no [31m way out",
        RUN_PROCESS,
    ),
    Failure(
        "credential_process-prints-junk",
        process("echo You have to log in first."),
        "the credential_process of profile test printed something that is not JSON",
        RUN_PROCESS,
    ),
    Failure(
        "credential_process-prints-a-list",
        process("echo '[]'"),
        "the credential source of profile test gave something that is no credentials: "
        "'list' object has no attribute 'get'",
        SEE_THE_SOURCE,
    ),
    Failure(
        "credential_process-prints-too-little",
        process("""echo '{"Version": 1, "AccessKeyId": "AKIA"}'"""),
        "the credential_process of profile test failed: "
        "Missing required key in response: 'SecretAccessKey'",
        RUN_PROCESS,
    ),
    Failure(
        "credential_process-is-not-there",
        config("credential_process = /no/such/program --for me"),
        f"{SEARCH} profile test failed, /no/such/program: No such file or directory",
        SEE_THE_SOURCE,
    ),
    Failure("mfa-without-a-terminal", role_with_mfa, NO_MFA, PASS_MFA),
    Failure(
        "sts-unreachable",
        env(source_profile, AWS_ENDPOINT_URL_STS=NOBODY),
        f'{SEARCH} profile test got no answer: Could not connect to the endpoint URL: "{NOBODY}/"',
        REACH,
    ),
    Failure(
        "sts-throttled",
        both(source_profile, fault("throttled", "sts")),
        "sts:AssumeRole for profile test was throttled: Rate exceeded",
        LIMITS,
    ),
    Failure(
        "sts-is-a-web-page",
        both(source_profile, fault("html", "sts", 200)),
        f"{SEARCH} profile test {NOT_AWS}",
        SEE_WHAT,
    ),
    Failure(
        "role-of-the-settings-file",
        settings_lines("[[registry]]", 'match = "*"', f'role_arn = "{PULL}"'),
        f"sts:AssumeRole for role {PULL} of the keys in the environment was denied: User: "
        f"{USER_ARN} is not authorized to perform: sts:AssumeRole on resource: {PULL} because no "
        "identity-based policy allows the sts:AssumeRole action",
        "let the role's trust policy name this identity, and allow it sts:AssumeRole",
    ),
    Failure(
        "sts-unreachable-for-the-role-of-the-settings-file",
        env(assumed_role, AWS_ENDPOINT_URL_STS=NOBODY),
        f'{ASSUMING} got no answer: Could not connect to the endpoint URL: "{NOBODY}/"',
        REACH,
    ),
    Failure(
        "sts-does-not-resolve-for-the-role-of-the-settings-file",
        env(assumed_role, AWS_ENDPOINT_URL_STS="http://sts.invalid"),
        f"{ASSUMING} was not sent, the name does not resolve: Could not connect to the endpoint "
        'URL: "http://sts.invalid/"',
        "check the region in the host name, AWS_ENDPOINT_URL and this machine's DNS",
    ),
    Failure(
        "sts-resets-for-the-role-of-the-settings-file",
        both(assumed_role, fault("reset", "sts")),
        f"{ASSUMING} got no answer: Connection was closed before we received a valid response from "
        'endpoint URL: "AWS/"',
        REACH,
    ),
    Failure(
        "sts-is-a-web-page-for-the-role-of-the-settings-file",
        both(assumed_role, fault("html", "sts", 200)),
        f"{ASSUMING} {NOT_AWS}",
        SEE_WHAT,
    ),
    Failure(
        "ecr-unreachable-for-the-role-of-the-settings-file",
        env(assumed_role, AWS_ENDPOINT_URL_ECR=NOBODY),
        f"{ASKED} role {PULL} of the keys in the environment got no answer: Could not connect to "
        f'the endpoint URL: "{NOBODY}/"',
        REACH,
    ),
    # ECR says no.
    Failure(
        "denied",
        fault("denied"),
        f"{AS_KEYS} {not_authorized('ecr:GetAuthorizationToken')}",
        "allow ecr:GetAuthorizationToken to this identity in IAM",
    ),
    Failure("unknown-key", env(AWS_ACCESS_KEY_ID="AKIA"), f"{AS_KEYS} {UNKNOWN_KEY}", CHECK_KEY),
    Failure(
        "wrong-secret",
        env(AWS_SECRET_ACCESS_KEY="wrong"),
        f"{AS_KEYS} {WRONG_SIGNATURE}",
        "check the secret access key, and the clock of this machine",
    ),
    Failure("expired-session", expired_session, f"{AS_KEYS} {EXPIRED}", RENEW),
    Failure("throttled", fault("throttled"), f"{AS_KEYS} was throttled: Rate exceeded", LIMITS),
    Failure(
        "internal-failure",
        fault("500"),
        f"{AS_KEYS} failed with ServerException: Internal failure",
        LATER,
    ),
    Failure(
        "clock-behind",
        skewed(3600),
        f"{SKEWED} expired: TIME is now earlier than TIME (TIME - 5 min.)",
        SET_CLOCK,
    ),
    Failure(
        "clock-ahead",
        skewed(-3600),
        f"{SKEWED} not yet current: TIME is still later than TIME (TIME + 5 min.)",
        SET_CLOCK,
    ),
    # Nobody answers, or somebody else does.
    Failure("web-page-with-502", fault("html"), f"{AS_KEYS} {NOT_AWS}", SEE_WHAT),
    Failure("redirect", fault("redirect"), f"{AS_KEYS} {NOT_AWS}", SEE_WHAT),
    Failure("web-page-with-200", fault("html", status=200), f"{AS_KEYS} {NOT_AWS}", SEE_WHAT),
    Failure(
        "connection-reset",
        fault("reset"),
        f"{AS_KEYS} got no answer: Connection was closed before we received a valid response from "
        'endpoint URL: "AWS/"',
        REACH,
    ),
    Failure(
        "connection-refused",
        env(AWS_ENDPOINT_URL=NOBODY),
        f'{AS_KEYS} got no answer: Could not connect to the endpoint URL: "{NOBODY}/"',
        REACH,
    ),
    Failure(
        "name-does-not-resolve",
        env(AWS_ENDPOINT_URL="http://ecr.invalid"),
        f"{AS_KEYS} was not sent, the name does not resolve: Could not connect to the endpoint "
        'URL: "http://ecr.invalid/"',
        "check the region in the host name, AWS_ENDPOINT_URL and this machine's DNS",
    ),
    Failure(
        "untrusted-authority",
        env(proxied, AWS_CA_BUNDLE=None),
        f"{AS_KEYS_THERE} {TLS} [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        "unable to get local issuer certificate (_ssl.c)",
        NAME_CA,
        PROXIED,
    ),
    Failure(
        "certificate-of-another-host",
        env(wrong_host),
        f"{AS_KEYS_THERE} {TLS} hostname 'api.ecr.us-west-2.amazonaws.com' doesn't match "
        "'elsewhere.example.com'",
        NAME_CA,
        PROXIED,
    ),
    Failure(
        "no-authority-file",
        env(proxied, AWS_CA_BUNDLE="{home}/gone.pem"),
        f"{AS_KEYS_THERE} {TLS} [Errno 2] No such file or directory",
        NAME_CA,
        PROXIED,
    ),
    Failure(
        "proxy-refuses-connections",
        env(proxied, HTTPS_PROXY=f"http://developer:{PROXY_PASSWORD}@127.0.0.1:1"),
        f'{AS_KEYS_THERE} {PROXY} "http://[redacted]@127.0.0.1:1"',
        CHECK_PROXY,
        PROXIED,
    ),
    Failure(
        "proxy-of-another-kind",
        env(proxied, HTTPS_PROXY=f"socks5://developer:{PROXY_PASSWORD}@127.0.0.1:1"),
        f'{AS_KEYS_THERE} {PROXY} "http://socks5://[redacted]@127.0.0.1:1"',
        CHECK_PROXY,
        PROXIED,
    ),
    Failure(
        "proxy-opens-no-tunnel",
        env(proxy_without_tunnel),
        f'{AS_KEYS_THERE} {PROXY} "AWS"',
        CHECK_PROXY,
        PROXIED,
    ),
    Failure(
        "session-token-with-a-line-break",
        env(broken_session),
        f"{AS_KEYS} got no answer: An HTTP Client raised an unhandled exception: "
        r"Invalid header value b'[redacted]\n'",
        REACH,
    ),
    # A public registry: Docker goes on without credentials.
    Failure(
        "public-denied",
        fault("denied", "ecr-public"),
        f"{AS_KEYS_PUBLIC} {not_authorized('ecr-public:GetAuthorizationToken')}",
        "allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken to this identity "
        "in IAM",
        PUBLIC,
    ),
    Failure("public-no-credentials", no_keys, NO_CREDENTIALS, GIVE_SOME, PUBLIC),
    Failure("public-unknown-profile", env(AWS_PROFILE="nobody"), NO_PROFILE, LIST_PROFILES, PUBLIC),
    Failure(
        "public-unreachable",
        env(AWS_ENDPOINT_URL=NOBODY),
        f'{AS_KEYS_PUBLIC} got no answer: Could not connect to the endpoint URL: "{NOBODY}/"',
        REACH,
        PUBLIC,
    ),
    Failure("public-mfa", role_with_mfa, NO_MFA, PASS_MFA, PUBLIC),
    Failure(
        "public-broken-settings-file",
        settings_lines("[[registry]]"),
        'HOME/settings.toml: [[registry]] number 1: key "match" is missing',
        "in the settings file: say which hosts the entry is for",
        PUBLIC,
    ),
    Failure(
        "public-timeout-is-no-number",
        env(AWS_ECR_TIMEOUT="soon"),
        "AWS_ECR_TIMEOUT is 'soon', which is no number of seconds",
        "set AWS_ECR_TIMEOUT to a number of seconds above 0, or unset it",
        PUBLIC,
    ),
]


def untimed(streams: tuple[str, str]) -> tuple[str, ...]:
    """Return both streams without the times that they name."""
    stamps = r"\d{8}T\d{6}Z"
    return tuple(
        re.sub(r"3(599|601) s", "3600 s", re.sub(stamps, "TIME", text)) for text in streams
    )


every_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)


@every_failure
def test_a_failure_is_put_into_words(failure: Failure, helper: Helper, aws: Loopback) -> None:
    """Each failure has its own cause and hint, on the streams where the caller looks for them."""
    failure.arrange(helper, aws)
    started = time.monotonic()
    result = helper.get(failure.host)
    assert time.monotonic() - started < DEADLINE
    found = failure.host != PUBLIC and failure.cause != NO_CREDENTIALS
    assert untimed(plain(result, helper, aws)) == in_words(failure.cause, failure.hint, found=found)
    assert result.status == 1
    assert_no_secret(result, aws)


def test_the_failures_are_told_apart() -> None:
    """No two failures of private registries that differ in what to do share their cause."""
    told = {(failure.cause, failure.hint) for failure in FAILURES if failure.host != PUBLIC}
    assert len({cause for cause, _ in told}) == len(told)


@pytest.mark.parametrize("mark", [*MARKS, None])
def test_the_advice_depends_on_being_in_a_container(
    mark: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each of the marks of a container is found, the hop limit is thought of."""
    monkeypatch.setattr(os.path, "exists", lambda path: path == mark)
    assert errors.NoAWSCredentials().hint == (INSIDE if mark else OUTSIDE)


def test_no_credentials_found_is_told_the_same_from_memory(helper: Helper, aws: Loopback) -> None:
    """The search that is not repeated within a minute is told as the search itself was."""
    instance(helper, aws)
    aws.instance_role = None
    first, second = helper.get(HOST), helper.get(HOST)
    assert first == second
    assert aws.count("imds", "GetRole") == 1


# Hanging


def silent(service: str, arrange: Arrange = no_change) -> Arrange:
    """Return what lets a service accept requests and never answer."""
    return both(arrange, fault("hang", service))


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port, and never say anything on it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def hang(name: str, arrange: Arrange, asked: str, host: str = HOST) -> Failure:
    """Return the failure of a service that never answers."""
    hint = "see what hangs (credential_process, IMDS, proxy, network), or raise AWS_ECR_TIMEOUT"
    return Failure(name, arrange, f"{asked} got no answer within 1 s", hint, host)


HANGS = [
    hang("ecr", silent("ecr"), AS_KEYS),
    hang("sts", silent("sts", source_profile), f"{SEARCH} profile test"),
    hang("sts-for-the-settings-file", silent("sts", assumed_role), ASSUMING),
    hang("sso", silent("sso", sso_session), f"{SEARCH} profile test"),
    hang("container", silent("container", container), f"{SEARCH} the default profile"),
    hang("public", silent("ecr-public"), AS_KEYS_PUBLIC, PUBLIC),
]


@pytest.mark.parametrize("failure", HANGS, ids=lambda failure: failure.name)
def test_what_hangs_is_given_up(failure: Failure, helper: Helper, aws: Loopback) -> None:
    """Within AWS_ECR_TIMEOUT a service that never answers is given up, and named."""
    failure.arrange(helper, aws)
    helper.env["AWS_ECR_TIMEOUT"] = "1"
    started = time.monotonic()
    result = helper.get(failure.host)
    assert time.monotonic() - started < 8
    found = failure.host != PUBLIC
    assert plain(result, helper, aws) == in_words(failure.cause, failure.hint, found=found)


def test_a_silent_proxy_is_given_up(helper: Helper, aws: Loopback) -> None:
    """A proxy that takes the connection and says nothing holds nobody beyond the deadline."""
    proxied(helper, aws)
    with silent_port() as port:
        helper.env |= {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "AWS_ECR_TIMEOUT": "1"}
        started = time.monotonic()
        result = helper.get(PROXIED)
    assert time.monotonic() - started < 8
    assert result.out == f"{NAME}: {AS_KEYS_THERE} got no answer within 1 s\n"


def test_a_silent_imds_with_patience_is_given_up(helper: Helper, aws: Loopback) -> None:
    """Whatever patience the settings have with IMDS, the deadline is the deadline."""
    silent("imds", instance)(helper, aws)
    helper.env |= {"AWS_METADATA_SERVICE_TIMEOUT": "60", "AWS_ECR_TIMEOUT": "1"}
    started = time.monotonic()
    result = helper.get(HOST)
    assert time.monotonic() - started < 8
    assert result.out == f"{NAME}: {SEARCH} the default profile got no answer within 1 s\n"


def is_running(process: int) -> bool:
    """Say whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def ended(process: int) -> bool:
    """Wait until a process has ended, for a while."""
    end = time.monotonic() + 5
    while is_running(process) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_running(process)


def process_ids(path: Path, lines: int) -> list[int]:
    """Wait until so many process ids are in a file, and return them."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if path.exists() and path.read_text().count("\n") >= lines:
            return [int(line) for line in path.read_text().split()]
        time.sleep(0.02)
    raise AssertionError(f"{path} does not hold {lines} lines")


HANGING = ("echo $$ >$HOME/ids", "sleep 600 & echo $! >>$HOME/ids", "wait")


def test_a_hanging_credential_process_is_ended(helper: Helper, aws: Loopback) -> None:
    """At the deadline the credential_process is ended, and what it started too."""
    process(*HANGING)(helper, aws)
    started = time.monotonic()
    result = helper.run("get", stdin=HOST.encode(), env={"AWS_ECR_TIMEOUT": "2"})
    assert 1.5 < time.monotonic() - started < 10
    assert result.out == f"{NAME}: {SEARCH} profile test got no answer within 2 s\n"
    assert all(map(ended, process_ids(helper.home / "ids", 2)))


def test_an_interrupted_get_ends_its_credential_process(helper: Helper, aws: Loopback) -> None:
    """Ctrl-C during a get ends the credential_process, and leaves no word."""
    process(*HANGING)(helper, aws)
    with helper.popen("get") as running:
        assert running.stdin is not None
        running.stdin.write(HOST.encode())
        running.stdin.close()
        running.stdin = None
        children = process_ids(helper.home / "ids", 2)
        running.send_signal(signal.SIGINT)
        result = finish(running)
    assert (result.status, result.out, result.err) == (130, "", "")
    assert all(map(ended, children))


# MFA


class Terminal:
    """A pseudo-terminal that is the controlling terminal of a helper's session.

    Stdin and stdout of the helper are pipes, as Docker gives them; only stderr is the terminal.
    """

    def __init__(self, helper: Helper) -> None:
        self.answer, answer = os.pipe()
        question, self.question = os.pipe()
        self.process, self.screen = pty.fork()
        if self.process == 0:  # pragma: no cover - the child
            try:
                os.dup2(question, 0)
                os.dup2(answer, 1)
                os.execve(helper.executable, [str(helper.executable), "get"], helper.env)
            finally:
                os._exit(127)
        os.close(answer)
        os.close(question)
        os.write(self.question, HOST.encode())
        os.close(self.question)

    def shows(self, text: str) -> str:
        """Read the screen until `text` is on it, and return all that was read."""
        seen, end = "", time.monotonic() + 20
        while text not in seen and time.monotonic() < end:
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    seen += os.read(self.screen, 4096).decode()
                except OSError:  # the last process on the terminal has ended
                    break
        assert text in seen
        return seen

    def echoes(self) -> bool:
        """Say whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.screen)[3] & termios.ECHO)

    def types(self, text: str) -> None:
        """Type `text` and the enter key."""
        os.write(self.screen, text.encode() + b"\n")

    def end(self) -> tuple[int, str]:
        """Wait for the helper's end; return its status and what it wrote on stdout."""
        with os.fdopen(self.answer) as answer:
            out = answer.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), out


@contextmanager
def terminal(helper: Helper) -> Iterator[Terminal]:
    """Run `get` on a terminal of its own; whatever happens, it ends."""
    running = Terminal(helper)
    killer = threading.Timer(40, os.kill, (running.process, signal.SIGKILL))
    killer.start()
    try:
        yield running
    finally:
        killer.cancel()
        os.close(running.screen)


def mfa_session(helper: Helper) -> Path:
    """Return the file that holds the role's session, by the AWS CLI's rule for its name."""
    wishes = {"RoleArn": PULL, "SerialNumber": MFA_SERIAL}
    name = hashlib.sha1(json.dumps(wishes, sort_keys=True).encode()).hexdigest()
    return helper.home / ".aws" / "cli" / "cache" / f"{name}.json"


def pass_mfa(helper: Helper, aws: Loopback) -> str:
    """Leave the session that the AWS CLI keeps after MFA, and return the ARN of its principal."""
    arn = "arn:aws:sts::444455556666:assumed-role/pull/botocore-session-1"
    key = aws.issue_key(arn, 3600)
    session = {
        "Credentials": {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret,
            "SessionToken": key.session_token,
            "Expiration": iso_time(time.time() + 3600).replace("Z", "UTC"),
        },
        "AssumedRoleUser": {"AssumedRoleId": "AROA:botocore-session-1", "Arn": arn},
    }
    path = mfa_session(helper)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(session))
    return arn


def test_an_mfa_code_is_asked_for_on_the_terminal(helper: Helper, aws: Loopback) -> None:
    """The code is asked once on the terminal, unseen, and the session serves the next runs."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows(f"Enter MFA code for {MFA_SERIAL}: ")
        assert not running.echoes()
        running.types(MFA_CODE)
        status, out = running.end()
        assert running.echoes()
    (token,) = aws.issued
    assert status == 0
    assert json.loads(out) == {"ServerURL": HOST, "Username": "AWS", "Secret": token}
    assert mfa_session(helper).is_file()
    later = helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert later.status == 0
    assert aws.count("sts") == 1


def test_a_wrong_mfa_code_is_refused(helper: Helper, aws: Loopback) -> None:
    """A wrong code is AWS's to refuse, on stdout in one line, and nothing is kept of it."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        running.types("654321")
        status, out = running.end()
    assert status == 1
    assert out == (
        f"{NAME}: sts:AssumeRole for profile test was denied: MultiFactorAuthentication failed "
        "with invalid MFA one time pass code\n"
    )
    assert not mfa_session(helper).exists()


def test_an_unanswered_prompt_gives_the_terminal_back(helper: Helper, aws: Loopback) -> None:
    """At the deadline an MFA prompt is given up, and the terminal shows again what is typed."""
    role_with_mfa(helper, aws)
    helper.env["AWS_ECR_TIMEOUT"] = "2"
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        status, out = running.end()
        assert running.echoes()
    assert status == 1
    assert out == f"{NAME}: {SEARCH} profile test got no answer within 2 s\n"


def test_an_interrupted_prompt_gives_the_terminal_back(helper: Helper, aws: Loopback) -> None:
    """Ctrl-C at an MFA prompt ends the run without a word, and the terminal shows typing again."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        running.types("\x03")
        status, out = running.end()
        assert running.echoes()
    assert (status, out) == (130, "")


def test_an_mfa_session_of_the_aws_cli_is_used(helper: Helper, aws: Loopback) -> None:
    """Who passed MFA in the AWS CLI is not asked again here: its session file is found and used."""
    role_with_mfa(helper, aws)
    arn = pass_mfa(helper, aws)
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")
    assert [(call.service, call.principal) for call in aws.calls] == [("ecr", arn)]


# Retries, endpoints


@pytest.mark.parametrize(
    ("variables", "calls"),
    [
        ({}, 3),
        ({"AWS_MAX_ATTEMPTS": "2"}, 2),
        ({"AWS_MAX_ATTEMPTS": "1"}, 1),
    ],
    ids=str,
)
def test_attempts_keep_their_meaning(
    variables: dict[str, str], calls: int, helper: Helper, aws: Loopback
) -> None:
    """There are three attempts by default, and botocore's variable changes that as ever."""
    aws.faults["ecr"] = Fault("500")
    assert helper.get(HOST, env=variables).status == 1
    assert aws.count("ecr") == calls


@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
@pytest.mark.parametrize("place", ["variable", "profile"])
def test_retry_modes_keep_their_meaning(
    mode: str, place: str, helper: Helper, aws: Loopback
) -> None:
    """Retries are standard where no setting says otherwise; the user agent tells the mode."""
    if place == "profile":
        write_aws(helper, "config", "[default]", f"retry_mode = {mode}")
    elif mode != "standard":
        helper.env["AWS_RETRY_MODE"] = mode
    assert helper.get(HOST).status == 0
    assert f"cfg/retry-mode#{mode}" in aws.calls[0].user_agent


def test_retries_of_the_profile_keep_their_meaning(helper: Helper, aws: Loopback) -> None:
    """What the AWS config file says of retries counts, as it does for botocore."""
    write_aws(helper, "config", "[default]", "max_attempts = 2", "retry_mode = standard")
    aws.faults["ecr"] = Fault("500")
    assert helper.get(HOST).status == 1
    assert aws.count("ecr") == 2


def test_a_passing_trouble_is_passed(helper: Helper, aws: Loopback) -> None:
    """A call that fails once for a moment is repeated, and the user hears nothing of it."""
    aws.faults["ecr"] = Fault("500", times=1)
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, "api.ecr.us-west-2.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "api.ecr-fips.us-west-2.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "ecr.us-west-2.api.aws"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "ecr-fips.us-west-2.api.aws",
        ),
    ],
    ids=str,
)
def test_the_variables_of_endpoints_keep_their_meaning(
    variables: dict[str, str], endpoint: str, helper: Helper, aws: Loopback
) -> None:
    """A plain host name leaves FIPS and dual stack to the user's own settings."""
    result = helper.get(PROXIED, env=helper.proxy | variables)
    assert (result.status, result.err) == (0, "")
    assert aws.connects == [endpoint]


def test_no_proxy_keeps_its_meaning(helper: Helper, aws: Loopback) -> None:
    """NO_PROXY leads past a proxy that would refuse."""
    helper.env |= {"HTTP_PROXY": NOBODY, "AWS_MAX_ATTEMPTS": "1"}
    assert helper.get(HOST).status == 1
    assert helper.get(HOST, env={"NO_PROXY": "127.0.0.1"}).status == 0
    assert aws.count("ecr") == 1

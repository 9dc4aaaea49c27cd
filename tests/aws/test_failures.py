"""Every way to fail: what the user is told on stdout and stderr, within the deadline."""

import os
import re
import time

import pytest

from ecr_credential_helper import errors
from tests.aws.failures import (
    AS_KEYS,
    AS_KEYS_PUBLIC,
    AS_KEYS_THERE,
    ASSUMING,
    ENDPOINT,
    NOBODY,
    PROXIED,
    PROXY_PASSWORD,
    PUBLIC,
    SEARCH,
    Failure,
    assumed_role,
    both,
    broken_config,
    broken_session,
    config,
    env,
    expired_session,
    fault,
    login_behind_a_role,
    no_keys,
    no_sso_role,
    pod_token_with_line_break,
    process,
    proxied,
    proxy_without_tunnel,
    role_with_mfa,
    settings_lines,
    skewed,
    sso_behind_a_role,
    wrong_host,
)
from tests.aws.test_sources import (
    ASKED,
    CHECK_KEY,
    DEADLINE,
    GIVE_SOME,
    HOST,
    INSIDE,
    MARKS,
    NO_CREDENTIALS,
    OUTSIDE,
    PULL,
    SEE_THE_SOURCE,
    SSO_ENDED,
    SSO_LINES,
    SSO_LOGIN,
    UNKNOWN_KEY,
    container,
    in_words,
    instance,
    plain,
    source_profile,
    sso_session,
    web_identity,
)
from tests.loopback import (
    USER_ARN,
    Loopback,
)
from tests.support import needs
from tests.support.helper import Helper, assert_no_secret

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
OF_POSIX = ("credential_process-is-not-there", "mfa-without-a-terminal", "public-mfa")
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
    # Nothing answers, or something that is not AWS.
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
    """Return both streams without the times that they name.

    A clock that is an hour wrong is so by some seconds more or less, which a slow machine needs.
    """
    stamps, about_an_hour = r"\d{8}T\d{6}Z", r"3(5[7-9]|6[0-2])\d s"
    return tuple(re.sub(about_an_hour, "3600 s", re.sub(stamps, "TIME", text)) for text in streams)


every_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)


@every_failure
def test_a_failure_is_put_into_words(failure: Failure, helper: Helper, aws: Loopback) -> None:
    """Each failure has its own cause and hint, on the streams where the caller looks for them."""
    if failure.name in OF_POSIX:
        needs.check("POSIX")
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
    """With any mark of a container, the hint names the hop limit."""
    monkeypatch.setattr(os.path, "exists", lambda path: path == mark)
    assert errors.NoAWSCredentials().hint == (INSIDE if mark else OUTSIDE)


def test_no_credentials_found_is_told_the_same_from_memory(helper: Helper, aws: Loopback) -> None:
    """A search that is not repeated within a minute reports the same message as the first one."""
    instance(helper, aws)
    aws.instance_role = None
    first, second = helper.get(HOST), helper.get(HOST)
    assert first == second
    assert aws.count("imds", "GetRole") == 1

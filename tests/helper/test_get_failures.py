"""What `get` tells the caller when it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.loopback import ACCOUNT, USER_SECRET, Fault, Loopback, role_arn_of
from tests.support.answers import (
    KEYS,
    NO_KEYS,
    ONCE,
    PRIVATE,
    PUBLIC,
    assert_answered,
    assert_not_found_because,
    assert_refused,
    write,
)
from tests.support.helper import Helper


@dataclass(frozen=True)
class Trouble:
    """One way for `get` to fail: what causes it, and what the message has to name.

    `env` and `files` (below HOME) may hold `{refusing}`, an address where nobody listens.
    """

    named: tuple[str, ...]
    fault: Fault | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def arrange(self, helper: Helper, aws: Loopback, refusing: str) -> dict[str, str | None]:
        """Cause the trouble; return the environment that `get` is to run in."""
        if self.fault:
            aws.faults["ecr"] = aws.faults["ecr-public"] = self.fault
        for name, text in self.files.items():
            write(helper.home / name, text)
        env = {name: value and value.format(refusing=refusing) for name, value in self.env.items()}
        return {**ONCE, **env}


def faulty(kind: str, *named: str, status: int = 502) -> Trouble:
    """Return the trouble of a service that answers by a fault of the loopback."""
    return Trouble(("GetAuthorizationToken", *named), fault=Fault(kind, status=status))


def credential_process(script: str, *named: str) -> Trouble:
    """Return the trouble of a credential_process that runs `script` in a shell."""
    process = f"[default]\ncredential_process = /bin/sh .aws/process {USER_SECRET}\n"
    named = ("credential", *named)
    return Trouble(named, env=NO_KEYS, files={".aws/config": process, ".aws/process": script})


SSO_PROFILE = """\
[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Pull
[sso-session corp]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
"""
MFA_PROFILE = f"""\
[profile base]
{KEYS}
[profile dev]
role_arn = {role_arn_of("pull")}
source_profile = base
mfa_serial = arn:aws:iam::{ACCOUNT}:mfa/developer
"""
IN_DEV = {**NO_KEYS, "AWS_PROFILE": "dev"}

TROUBLES = {
    "denied": faulty("denied", "denied"),
    "throttled": faulty("throttled", "throttled"),
    "expired-token": faulty("expired-token", "expired"),
    "500": faulty("500"),
    "reset": faulty("reset"),
    "half": faulty("half"),
    "html-502": faulty("html"),
    "html-200": faulty("html", status=200),
    "html-403": faulty("html", status=403),
    "redirect": faulty("redirect"),
    "wrong-user": faulty("wrong-user", "user"),
    "no-expiry": faulty("no-expiry"),
    "past-expiry": faulty("past-expiry", "expired"),
    "no-token": faulty("no-token", "token"),
    "not-base64": faulty("not-base64", "token"),
    "refused": Trouble(("GetAuthorizationToken",), env={"AWS_ENDPOINT_URL": "{refusing}"}),
    "proxy-refused": Trouble(
        ("GetAuthorizationToken",), env={"AWS_ENDPOINT_URL": None, "HTTPS_PROXY": "{refusing}"}
    ),
    "bad-endpoint": Trouble((), env={"AWS_ENDPOINT_URL": "not a url"}),
    "wrong-secret": Trouble(("signature",), env={"AWS_SECRET_ACCESS_KEY": USER_SECRET[::-1]}),
    "unknown-key": Trouble(("access key",), env={"AWS_ACCESS_KEY_ID": "AKIANOBODYEXAMPLE000"}),
    "half-a-key": Trouble((), env={"AWS_SECRET_ACCESS_KEY": None}),
    "unknown-profile": Trouble(("profile", "nobody"), env={**NO_KEYS, "AWS_PROFILE": "nobody"}),
    "profile-of-two-lines": Trouble((), env={**NO_KEYS, "AWS_PROFILE": "no\nbody"}),
    "unknown-default-profile": Trouble(
        ("profile", "nobody"), env={**NO_KEYS, "AWS_DEFAULT_PROFILE": "nobody"}
    ),
    "broken-config": Trouble(
        ("config",), files={".aws/config": f"[profile dev\n{KEYS}"}, env=IN_DEV
    ),
    "broken-credentials": Trouble(
        (), files={".aws/credentials": f"no section\n{KEYS}"}, env=NO_KEYS
    ),
    "binary-config": Trouble((), files={".aws/config": "\0\x01\x02\ufeff"}, env=IN_DEV),
    "unknown-source-profile": Trouble(
        ("nobody",),
        files={".aws/config": MFA_PROFILE.replace("= base", "= nobody")},
        env=IN_DEV,
    ),
    "role-denied": Trouble(
        ("AssumeRole", "denied", "dev"),
        files={".aws/config": MFA_PROFILE.partition("mfa_serial")[0]},
        env=IN_DEV,
    ),
    "mfa-without-terminal": Trouble(
        ("MFA", "dev", "terminal"), files={".aws/config": MFA_PROFILE}, env=IN_DEV
    ),
    "sso-never-logged-in": Trouble(
        ("SSO", "aws sso login --profile dev"), files={".aws/config": SSO_PROFILE}, env=IN_DEV
    ),
    "sso-by-default-profile": Trouble(
        ("SSO", "aws sso login --profile dev"),
        files={".aws/config": SSO_PROFILE},
        env={**NO_KEYS, "AWS_DEFAULT_PROFILE": "dev"},
    ),
    "sso-of-the-default": Trouble(
        ("SSO", "aws sso login"),
        files={".aws/config": SSO_PROFILE.replace("profile dev", "default")},
        env=NO_KEYS,
    ),
    "process-fails": credential_process("echo one >&2; echo two >&2; exit 3\n"),
    "process-fails-in-colour": credential_process(r"printf '\033[31mred\033[0m\r\n' >&2; exit 3"),
    "process-missing": Trouble(
        ("credential",),
        files={".aws/config": "[default]\ncredential_process = /nonexistent/process\n"},
        env=NO_KEYS,
    ),
    "process-says-nothing": credential_process("exit 0\n"),
    "process-says-no-json": credential_process('echo "secret: $1"\n'),
    "process-says-a-list": credential_process("echo '[]'\n"),
    "process-says-half": credential_process("""echo '{"Version": 1, "AccessKeyId": "AKIA"}'\n"""),
    "process-says-version-2": credential_process("""echo '{"Version": 2}'\n"""),
    "process-fails-with-secret": credential_process('echo "bad secret: $1" >&2; exit 1\n'),
}


# The contract promises a hint for the others: these have nothing that a user could do.
HINT_IS_OPTIONAL = {
    *("500", "half", "html-502", "html-200", "html-403", "redirect", "bad-endpoint"),
    *("wrong-user", "no-expiry", "past-expiry", "no-token", "not-base64"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_failure_is_one_line_that_names_its_cause(
    helper: Helper, aws: Loopback, refusing: str, name: str
) -> None:
    """Stdout names the call, the region, the identity and the result, and no secret."""
    trouble = TROUBLES[name]
    env = trouble.arrange(helper, aws, refusing)
    result = helper.get(PRIVATE, env=env)
    cause = assert_refused(result, aws)
    for word in trouble.named:
        assert word in cause
    assert result.err or name in HINT_IS_OPTIONAL
    if "GetAuthorizationToken" in trouble.named:
        assert "eu-west-1" in cause
    assert "internal error" not in cause
    assert aws.count("elsewhere") == 0


@pytest.mark.parametrize(
    "name",
    [
        *("denied", "throttled", "reset", "html-502", "wrong-user", "refused", "wrong-secret"),
        *("unknown-profile", "broken-config", "role-denied", "mfa-without-terminal"),
        *("sso-never-logged-in", "process-fails", "process-says-a-list"),
    ],
)
def test_a_public_host_is_pulled_from_anonymously_whatever_fails(
    helper: Helper, aws: Loopback, refusing: str, name: str
) -> None:
    """Stdout is `not found`, so that Docker goes on anonymously; the cause is on stderr."""
    trouble = TROUBLES[name]
    env = trouble.arrange(helper, aws, refusing)
    result = helper.get(PUBLIC, env=env)
    cause = assert_not_found_because(result, aws)
    for word in trouble.named:
        assert word in cause
    assert result.err.count("\n") == 2 or name in HINT_IS_OPTIONAL
    assert "internal error" not in cause


@pytest.mark.parametrize("host", [PRIVATE, PUBLIC])
def test_without_aws_credentials_the_cause_and_the_way_out_are_on_stderr(
    helper: Helper, aws: Loopback, host: str
) -> None:
    """Stdout is `not found`; stderr says what is missing and, in a hint, what to do."""
    result = helper.get(host, env=NO_KEYS)
    assert "no AWS credentials" in assert_not_found_because(result, aws)
    assert result.err.splitlines()[1].startswith("hint: ")
    assert aws.calls == []


def test_a_machine_without_a_role_has_no_credentials(helper: Helper, aws: Loopback) -> None:
    """A metadata service without a role means no credentials, and is no error."""
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None})
    assert "no AWS credentials" in assert_not_found_because(result, aws)


def test_temporary_credentials_stay_secret_too(helper: Helper, aws: Loopback) -> None:
    """A session token is in no message, whatever AWS says to it."""
    key = aws.issue_key(f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/session", 3600)
    aws.faults["ecr"] = Fault("denied")
    env = {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": key.session_token,
    }
    assert "assumed-role/pull/session" in assert_refused(helper.get(PRIVATE, env=env), aws)


def test_tls_that_nobody_vouches_for_is_not_trusted(helper: Helper, aws: Loopback) -> None:
    """A proxy with an untrusted certificate gets no request, and the message says TLS."""
    env = {**ONCE, **helper.proxy, "AWS_CA_BUNDLE": None}
    cause = assert_refused(helper.get(PRIVATE.replace("eu-west-1", "us-west-2"), env=env), aws)
    assert "TLS" in cause
    assert aws.calls == []


def test_a_ca_bundle_that_is_not_there_is_pointed_at(helper: Helper, aws: Loopback) -> None:
    """AWS_CA_BUNDLE is what the user has to correct, so cause or hint names it."""
    env = {**ONCE, **helper.proxy, "AWS_CA_BUNDLE": "/nonexistent/ca.pem"}
    result = helper.get(PRIVATE, env=env)
    assert "AWS_CA_BUNDLE" in assert_refused(result, aws) + result.err
    assert aws.calls == []


@pytest.mark.parametrize("kind", ["throttled", "500", "reset"])
def test_what_passes_is_tried_again(helper: Helper, aws: Loopback, kind: str) -> None:
    """One transient fault costs a second call, and no failure."""
    aws.faults["ecr"] = Fault(kind, times=1)
    assert_answered(helper.get(PRIVATE), PRIVATE, aws)
    assert aws.count("ecr") == 2


def test_a_redirect_is_not_followed(helper: Helper, aws: Loopback) -> None:
    """A signed request never goes to another host than the one that was asked."""
    aws.faults["ecr"] = Fault("redirect")
    assert_refused(helper.get(PRIVATE, env=ONCE), aws)
    assert aws.count("elsewhere") == 0

"""What the tests of failures share: how each is brought about, and words of the messages."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.aws.test_sources import (
    ASKED,
    BASE,
    HOP,
    HOST,
    POD_TOKEN,
    PULL,
    Arrange,
    login,
    no_change,
    pod_identity,
    profile,
    script,
    settings,
    sso_session,
    without_keys,
    write_aws,
)
from tests.loopback import (
    ACCOUNT,
    USER_ARN,
    Fault,
    Loopback,
    iso_time,
    tls_context,
)
from tests.support.helper import Helper

PUBLIC = "public.ecr.aws"
PROXIED = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
ENDPOINT = "https://api.ecr.us-west-2.amazonaws.com/"
NOBODY = "http://127.0.0.1:1"
MFA_SERIAL = f"arn:aws:iam::{ACCOUNT}:mfa/developer"
PROXY_PASSWORD = "canary-proxy-password"


ASSUMING = f"sts:AssumeRole for role {PULL} of the keys in the environment"
AS_KEYS = f"{ASKED} the keys in the environment"
AS_KEYS_THERE = AS_KEYS.replace("eu-west-1", "us-west-2")
AS_KEYS_PUBLIC = AS_KEYS.replace("eu-west-1", "us-east-1").replace("ecr:", "ecr-public:")
SEARCH = "the search for AWS credentials of"


@dataclass(frozen=True)
class Failure:
    """A way to fail, and the cause and hint that the user is told."""

    name: str
    arrange: Arrange
    cause: str
    hint: str
    host: str = HOST


def both(first: Arrange, second: Arrange) -> Arrange:
    """Return an arrangement that makes both."""

    def arrange(helper: Helper, aws: Loopback) -> None:
        first(helper, aws)
        second(helper, aws)

    return arrange


def env(first: Arrange = no_change, **variables: str | None) -> Arrange:
    """Return an arrangement that sets these variables (None: unset); botocore tries once."""

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
    """Return an arrangement in which a service fails on every call."""

    def arrange(_: Helper, aws: Loopback) -> None:
        aws.faults[service] = Fault(kind, status=status)

    return env(arrange)


def proxied(helper: Helper, _: Loopback) -> None:
    """Send the helper to AWS's real endpoints, with the loopback as their proxy."""
    helper.env |= {name: value for name, value in helper.proxy.items() if value is not None}
    del helper.env["AWS_ENDPOINT_URL"]


def config(*lines: str) -> Arrange:
    """Return an arrangement that chooses a profile of these lines."""
    return lambda helper, _: profile(helper, *lines)


def process(*lines: str) -> Arrange:
    """Return an arrangement of a profile whose credential_process is this shell script."""
    return lambda helper, _: profile(helper, f"credential_process = {script(helper, *lines)}")


def no_keys(helper: Helper, _: Loopback) -> None:
    """Leave no credentials anywhere."""
    without_keys(helper)


def broken_config(helper: Helper, _: Loopback) -> None:
    """Leave an AWS config file that cannot be parsed."""
    write_aws(helper, "config", "[profile test")


def expired_session(helper: Helper, aws: Loopback) -> None:
    """Put expired temporary keys into the environment."""
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
    """Return an arrangement in which AWS's clock is ahead."""

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
    """Return an arrangement that writes the settings file of the helper."""

    def arrange(helper: Helper, _: Loopback) -> None:
        settings(helper, *lines)

    return arrange


def assumed_role(helper: Helper, aws: Loopback) -> None:
    """Declare a role in the settings file of the helper."""
    aws.add_role(PULL)
    settings(helper, "[[registry]]", 'match = "*"', f'role_arn = "{PULL}"')


def silent(service: str, arrange: Arrange = no_change) -> Arrange:
    """Return an arrangement in which a service accepts requests and never answers."""
    return both(arrange, fault("hang", service))


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

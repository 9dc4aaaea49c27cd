"""STS: roles assumed from a profile, with conditions, and by a web identity."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.loopback import ACCOUNT, MFA_CODE, USER_ARN, Loopback, role_arn_of, session_arn

from .clients import REGION, caller, client, error_of, write_config

ROLE = "arn:aws:iam::444455556666:role/pull"


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

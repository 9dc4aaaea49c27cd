"""IAM Identity Center: credentials for an access token, and its renewal."""

import hashlib
import json
from pathlib import Path

import pytest
from botocore import UNSIGNED
from botocore.exceptions import UnauthorizedSSOTokenError

from tests.loopback import ACCOUNT, Loopback

from .clients import caller, client, error_of, iso, write_config


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

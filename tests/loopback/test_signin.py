"""The sign-in service: the renewal of a login session, and its proof of possession."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.exceptions import LoginRefreshRequired

from tests.loopback import ACCOUNT, USER_ARN, Loopback
from tests.support.keys import dpop_key

from .clients import REGION, caller, client, error_of, iso, write_config


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
    pem = dpop_key()
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

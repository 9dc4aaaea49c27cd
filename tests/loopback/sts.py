"""STS: roles, web identities and the identity of the caller."""

import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from .errors import BAD_IDENTITY_TOKEN, DENIED, Refusal, denial
from .formats import account_of, iso_time, random_id, session_arn, xml_reply
from .model import MFA_CODE, Asked, Reply, Role
from .signature import signer
from .state import State


def assume_role(aws: State, asked: Asked) -> Reply:
    """Answer AssumeRole, if the role is declared and its conditions are met."""
    arn, form = str(asked.body.get("RoleArn")), asked.body
    role, caller = aws.roles.get(arn), signer(asked)[0]
    if role is None or role.web_identity_token or form.get("ExternalId") != role.external_id:
        raise denial(caller.arn, "sts:AssumeRole", arn)
    if role.mfa_serial is not None:
        if form.get("SerialNumber") != role.mfa_serial:
            raise denial(caller.arn, "sts:AssumeRole", arn)
        if form.get("TokenCode") != MFA_CODE:
            message = "MultiFactorAuthentication failed with invalid MFA one time pass code."
            raise Refusal(DENIED, message)
    return session_reply(aws, asked, role)


def assume_role_with_web_identity(aws: State, asked: Asked) -> Reply:
    """Answer AssumeRoleWithWebIdentity, which is not signed: the token is the proof of identity."""
    role = aws.roles.get(str(asked.body.get("RoleArn")))
    if role is None or role.web_identity_token is None:
        raise Refusal(DENIED, "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    if asked.body.get("WebIdentityToken") != role.web_identity_token:
        raise Refusal(BAD_IDENTITY_TOKEN)
    return session_reply(aws, asked, role)


def session_reply(aws: State, asked: Asked, role: Role) -> Reply:
    """Return the session of a role, as both operations of STS word it."""
    life = float(asked.body.get("DurationSeconds", aws.session_life))
    arn = session_arn(role.arn, str(asked.body.get("RoleSessionName", "session")))
    key = aws.issue_key(arn, life)
    credentials = {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret,
        "SessionToken": key.session_token,
        "Expiration": iso_time(key.expires or 0.0),
    }
    user = {"AssumedRoleId": f"{random_id('AROA')}:session", "Arn": arn}
    return sts_result(asked.operation, {"Credentials": credentials, "AssumedRoleUser": user})


def get_caller_identity(_aws: State, asked: Asked) -> Reply:
    """Answer who signed the request."""
    arn = signer(asked)[0].arn
    identity = {"UserId": random_id("AIDA"), "Account": account_of(arn), "Arn": arn}
    return sts_result(asked.operation, identity)


def sts_result(operation: str, result: Mapping[str, Any]) -> Reply:
    """Return the result of an operation of STS."""
    inside = f"<{operation}Result>{xml_members(result)}</{operation}Result>"
    metadata = xml_members({"ResponseMetadata": {"RequestId": str(uuid.uuid4())}})
    return xml_reply(f"{operation}Response", inside + metadata)


def xml_members(members: Mapping[str, Any]) -> str:
    """Return a mapping as nested elements."""
    return "".join(
        f"<{name}>{xml_members(value) if isinstance(value, dict) else escape(str(value))}</{name}>"
        for name, value in members.items()
    )

"""Formats that several services share: times, random identifiers, ARNs, replies, credentials."""

import base64
import json
import secrets
import time
from typing import Any

from .model import ACCOUNT, Key, Reply


def basic_time(moment: float) -> str:
    """Return a time as SigV4 writes it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def iso_time(moment: float) -> str:
    """Return a time as STS and the metadata services write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def random_id(prefix: str) -> str:
    """Return an identifier such as ASIA7..., twenty characters long."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(20 - len(prefix)))


def random_text(size: int) -> str:
    """Return base64 of so many random bytes."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def session_arn(role_arn: str, session: str) -> str:
    """Return the ARN of a role's session."""
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{resource.rpartition('/')[2]}/{session}"


def role_arn_of(name: str, account: str = ACCOUNT) -> str:
    """Return the ARN of a role of the account."""
    return f"arn:aws:iam::{account}:role/{name}"


def account_of(arn: str) -> str:
    """Return the account in an ARN."""
    return arn.split(":")[4]


def json_reply(body: object, *, status: int = 200) -> Reply:
    """Return a JSON response."""
    return Reply(status, json.dumps(body).encode())


def xml_reply(element: str, inside: str, *, status: int = 200) -> Reply:
    """Return an XML response of STS."""
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
    body = f'<{element} xmlns="{namespace}">{inside}</{element}>'
    return Reply(status, body.encode(), "text/xml")


def metadata_credentials(key: Key) -> dict[str, Any]:
    """Return a key as both metadata services write it."""
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret,
        "Token": key.session_token,
        "Expiration": iso_time(key.expires or 0.0),
    }


def camel_case_credentials(key: Key) -> dict[str, Any]:
    """Return a key as the SSO portal and the sign-in service write it."""
    return {
        "accessKeyId": key.access_key_id,
        "secretAccessKey": key.secret,
        "sessionToken": key.session_token,
    }

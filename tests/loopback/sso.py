"""IAM Identity Center: the SSO portal and SSO OIDC."""

from .errors import BAD_REQUEST, DENIED, UNAUTHORIZED, Refusal
from .formats import camel_case_credentials, json_reply, random_text, role_arn_of, session_arn
from .model import Asked, Reply
from .state import State


def get_role_credentials(aws: State, asked: Asked) -> Reply:
    """Answer the SSO portal: credentials of a role, for an access token."""
    token = asked.request.headers.get("x-amz-sso_bearer_token", "")
    if aws.sso_access_tokens.get(token, 0.0) <= aws.now():
        raise Refusal(UNAUTHORIZED, "Session token not found or invalid")
    account, role = str(asked.body.get("account_id")), str(asked.body.get("role_name"))
    if (account, role) not in aws.sso_roles:
        raise Refusal(DENIED, "No access")
    name = f"AWSReservedSSO_{role}_0123456789abcdef"
    key = aws.issue_key(session_arn(role_arn_of(name, account), "developer"), aws.session_life)
    credentials = camel_case_credentials(key) | {"expiration": int((key.expires or 0) * 1000)}
    return json_reply({"roleCredentials": credentials})


def create_token(aws: State, asked: Asked) -> Reply:
    """Answer SSO OIDC: a new access token for a refresh token."""
    form = asked.body
    if form.get("grantType") != "refresh_token" or not form.get("clientSecret"):
        raise Refusal(BAD_REQUEST)
    if form.get("refreshToken") not in aws.sso_refresh_tokens:
        raise Refusal(UNAUTHORIZED, "Invalid refresh token provided")
    token = random_text(48)
    aws.add_sso_session(token, expires_in=aws.session_life)
    answer = {"tokenType": "Bearer", "expiresIn": int(aws.session_life)}
    return json_reply(answer | {"accessToken": token, "refreshToken": form["refreshToken"]})

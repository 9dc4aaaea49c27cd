"""The container credentials endpoint of ECS tasks and of EKS Pod Identity."""

from .errors import NOT_FOUND, UNAUTHORIZED, Refusal
from .formats import account_of, json_reply, metadata_credentials, role_arn_of, session_arn
from .model import Asked, Reply
from .state import State


def get_container_credentials(aws: State, asked: Asked) -> Reply:
    """Answer the credential endpoint of ECS tasks and of EKS Pod Identity."""
    if aws.container_role is None:
        raise Refusal(NOT_FOUND)
    wanted = aws.container_authorization
    if wanted is not None and asked.request.headers.get("authorization") != wanted:
        raise Refusal(UNAUTHORIZED)
    role = role_arn_of(aws.container_role)
    key = aws.kept_key(session_arn(role, "container"))
    owner = {"RoleArn": role, "AccountId": account_of(role)}
    return json_reply(metadata_credentials(key) | owner)

"""The EC2 instance metadata service (IMDSv2): the role of the instance and its credentials."""

from .errors import BAD_REQUEST, NOT_FOUND, UNAUTHORIZED, Refusal
from .formats import (
    iso_time,
    json_reply,
    metadata_credentials,
    random_text,
    role_arn_of,
    session_arn,
)
from .model import INSTANCE_ID, Asked, Reply
from .state import State


def put_metadata_token(aws: State, asked: Asked) -> Reply:
    """Answer IMDSv2's request for a session token."""
    life = asked.request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
    if not life.isdecimal():
        raise Refusal(BAD_REQUEST)
    token = random_text(40)
    aws.metadata_tokens[token] = aws.now() + int(life)
    ttl = {"x-aws-ec2-metadata-token-ttl-seconds": life}
    return Reply(200, token.encode(), "text/plain", ttl)


def get_instance_role(aws: State, asked: Asked) -> Reply:
    """Answer IMDS: the name of the instance's role."""
    return Reply(200, instance_role(aws, asked).encode(), "text/plain")


def get_instance_credentials(aws: State, asked: Asked) -> Reply:
    """Answer IMDS: the credentials of the instance's role."""
    role = instance_role(aws, asked)
    if asked.request.path.rpartition("/")[2] != role:
        raise Refusal(NOT_FOUND)
    key = aws.kept_key(session_arn(role_arn_of(role), INSTANCE_ID))
    updated = {"Code": "Success", "LastUpdated": iso_time(aws.now()), "Type": "AWS-HMAC"}
    return json_reply(updated | metadata_credentials(key))


def instance_role(aws: State, asked: Asked) -> str:
    """Return the role of the instance to a request that carries a good token."""
    token = asked.request.headers.get("x-aws-ec2-metadata-token", "")
    if aws.metadata_tokens.get(token, 0.0) <= aws.now():
        raise Refusal(UNAUTHORIZED)
    if aws.instance_role is None:
        raise Refusal(NOT_FOUND)
    return aws.instance_role

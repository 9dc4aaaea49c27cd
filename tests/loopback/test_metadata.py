"""The instance metadata service: its session tokens and the role of the instance."""

import botocore.session

from tests.loopback import INSTANCE_ID, Loopback, role_arn_of, session_arn

from .clients import ask, caller


def test_an_instance_has_a_role_or_none(aws: Loopback) -> None:
    """Botocore finds the credentials of the instance's role by itself."""
    assert botocore.session.Session().get_credentials() is None
    aws.instance_role = "builder"
    assert caller() == session_arn(role_arn_of("builder"), INSTANCE_ID)
    assert aws.count("imds", "PutToken") == 2
    assert aws.count("imds", "GetCredentials") == 1


def test_instance_metadata_wants_a_token(aws: Loopback) -> None:
    """Nothing is read without a session token that is still good."""
    aws.instance_role = "builder"
    path = "/latest/meta-data/iam/security-credentials/"
    assert ask(aws, "GET", path)[0] == 401
    assert ask(aws, "PUT", "/latest/api/token")[0] == 400
    life = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}
    token = ask(aws, "PUT", "/latest/api/token", **life)[1].decode()
    assert ask(aws, "GET", path, X_aws_ec2_metadata_token=token)[:2] == (200, b"builder")
    assert ask(aws, "GET", path + "other", X_aws_ec2_metadata_token=token)[0] == 404
    aws.clock_offset = 61
    assert ask(aws, "GET", path, X_aws_ec2_metadata_token=token)[0] == 401


def test_an_instance_keeps_its_credentials_until_near_their_end(aws: Loopback) -> None:
    """A client that asks again has the same key; another role has another."""

    def key() -> str:
        found = botocore.session.Session().get_credentials()
        assert found is not None
        return str(found.get_frozen_credentials().access_key)

    aws.instance_role = "builder"
    first = key()
    assert key() == first
    aws.instance_role = "other"
    assert key() != first
    aws.instance_role = "builder"
    assert key() == first
    aws.clock_offset = aws.session_life - 299
    assert key() != first

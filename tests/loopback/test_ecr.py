"""ECR and ECR Public: the tokens that they give and the registries that accept them."""

import base64
import json
import time

import pytest

from tests.loopback import ACCOUNT, USER_ARN, Loopback

from .clients import PRIVATE, REGION, client, error_of, login


def test_ecr_gives_a_token_that_its_registry_takes(user: Loopback) -> None:
    """The token has ECR's form and size, and is good in every account of its region."""
    response = client("ecr").get_authorization_token()
    username, password = login(response)
    entry = response["authorizationData"][0]
    content = json.loads(base64.b64decode(password))
    assert username == "AWS"
    assert 1800 <= len(password) <= 2600
    assert set(content) == {"payload", "datakey", "version", "type", "expiration"}
    assert entry["proxyEndpoint"] == f"https://{PRIVATE}"
    assert entry["expiresAt"].timestamp() == pytest.approx(time.time() + 43200, abs=5)
    assert content["expiration"] == int(entry["expiresAt"].timestamp())
    assert user.issued[password].principal == USER_ARN
    assert user.accepts(PRIVATE, "AWS", password)
    assert user.accepts(f"444455556666.dkr-ecr-fips.{REGION}.on.aws:443", "AWS", password)


def test_a_registry_refuses_other_regions_users_and_tokens(user: Loopback) -> None:
    """What is not this token, for this region, in its time, is not let in."""
    _, password = login(client("ecr").get_authorization_token())
    assert not user.accepts(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", "AWS", password)
    assert not user.accepts("public.ecr.aws", "AWS", password)
    assert not user.accepts("registry.example.com", "AWS", password)
    assert not user.accepts(PRIVATE, "aws", password)
    assert not user.accepts(PRIVATE, "AWS", password[:-4])
    user.clock_offset = 43201
    assert not user.accepts(PRIVATE, "AWS", password)


def test_a_closed_registry_takes_its_own_account_alone(user: Loopback) -> None:
    """Another account's principal is let in only while a policy may do so; ECR Public has none."""
    other = f"444455556666.dkr.ecr.{REGION}.amazonaws.com"
    password = login(client("ecr").get_authorization_token())[1]
    public = login(client("ecr-public", "us-east-1").get_authorization_token())[1]
    assert user.accepts(other, "AWS", password)
    user.closed = True
    assert not user.accepts(other, "AWS", password)
    assert user.accepts(PRIVATE, "AWS", password)
    assert user.accepts("public.ecr.aws", "AWS", public)


def test_ecr_answers_for_each_registry_asked_for(user: Loopback) -> None:
    """Each of registryIds has an entry, with the registry's address in its partition."""
    ids = ["444455556666", "777788889999"]
    data = client("ecr", "cn-north-1").get_authorization_token(registryIds=ids)["authorizationData"]
    hosts = [f"https://{account}.dkr.ecr.cn-north-1.amazonaws.com.cn" for account in ids]
    assert [entry["proxyEndpoint"] for entry in data] == hosts
    assert user.calls[0].body == {"registryIds": ids}


def test_ecr_public_answers_one_entry_and_only_in_its_regions(user: Loopback) -> None:
    """ECR Public answers an object where ECR answers a list."""
    response = client("ecr-public", "us-east-1").get_authorization_token()
    username, password = login(response)
    assert isinstance(response["authorizationData"], dict)
    assert user.accepts("public.ecr.aws", username, password)
    assert not user.accepts(f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", username, password)
    code, _, _ = error_of(client("ecr-public", "eu-west-1").get_authorization_token)
    assert code == "InvalidSignatureException"

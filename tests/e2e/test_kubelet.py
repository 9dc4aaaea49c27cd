"""The login that the kubelet gets works at the registry: as the node, as a service account."""

import json

import pytest

from tests.loopback import ACCOUNT, Loopback

from .clients import ClientUser, Seed
from .rig import PRIVATE

ROLE = f"arn:aws:iam::{ACCOUNT}:role/image-pull"
TOKEN = "header.claims.signature"


@pytest.mark.parametrize("with_token", [False, True], ids=["node", "service-account"])
def test_the_answer_opens_the_registry(
    client_user: ClientUser,
    newcomer: ClientUser,
    aws: Loopback,
    seed: Seed,
    *,
    with_token: bool,
) -> None:
    """A node with credentials, or without any but with a token, pulls by the login it is given."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    node = newcomer if with_token else client_user
    request = {
        "kind": "CredentialProviderRequest",
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "image": seed.image,
        "serviceAccountToken": TOKEN if with_token else "",
        "serviceAccountAnnotations": {"eks.amazonaws.com/ecr-role-arn": ROLE},
    }

    answer = node.run(node.helper, "kubelet", stdin=json.dumps(request)).stdout
    login = json.loads(answer)["auth"][PRIVATE]
    node.use_password(PRIVATE, login["password"])
    node.docker("pull", seed.image)

    assert login["username"] == "AWS"
    assert node.image_id(seed.image) == seed.id
    node.docker("rmi", seed.image)
    assert node.calls() == []

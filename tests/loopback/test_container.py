"""The container credentials endpoint: the role of the container."""

import pytest

from tests.loopback import Loopback, role_arn_of, session_arn

from .clients import ask, caller


def test_a_container_has_a_role(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore finds the credentials of the container's role, with its authorization."""
    aws.container_role, aws.container_authorization = "task", "pod-token"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.container_url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token")
    assert caller() == session_arn(role_arn_of("task"), "container")
    assert ask(aws, "GET", "/container/credentials", Authorization="other")[0] == 401
    aws.container_role = None
    assert ask(aws, "GET", "/container/credentials", Authorization="pod-token")[0] == 404

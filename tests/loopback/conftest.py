"""Fixtures of the tests of the stand-in: it serves, and the environment points at it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import USER_KEY, USER_SECRET, Loopback
from tests.support.helper import make_authority


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Take all credentials out of the environment; return a home directory to put some in."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def aws(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:  # noqa: ARG001
    """Serve, with the environment pointing at the stand-in and no keys in it."""
    with Loopback() as loopback:
        for name, value in loopback.environment().items():
            monkeypatch.setenv(name, value)
        yield loopback


@pytest.fixture
def user(aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """Serve, with the default user's keys in the environment."""
    for name, value in aws.environment(with_keys=True).items():
        monkeypatch.setenv(name, value)
    return aws


@pytest.fixture
def trusted(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve TLS, with the trust for it and the default user's keys in the environment.

    The certificate is for the address, and for AWS's own names; nothing points there yet.
    """
    authority = make_authority(bare)
    monkeypatch.setenv("AWS_CA_BUNDLE", authority.bundle)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", USER_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", USER_SECRET)
    with Loopback(certificate=(authority.chain, authority.key)) as loopback:
        yield loopback

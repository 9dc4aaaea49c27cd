"""What the tests of the installed executable are given."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def refusing() -> Iterator[str]:
    """Return an address at which connections are refused for the length of the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"

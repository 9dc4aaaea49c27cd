"""`erase` and `list`."""

import pytest

from tests.loopback import Loopback
from tests.support.answers import (
    FOREIGN,
    LIMIT,
    NO_KEYS,
    PRIVATE,
    PUBLIC,
)
from tests.support.helper import Helper


@pytest.mark.parametrize(
    "server_url",
    [
        PRIVATE,
        f"{PRIVATE}\n",
        f"https://{PRIVATE}/v2/",
        PUBLIC,
        *FOREIGN,
        "\\",
        "a\tb",
        "a" * LIMIT,
    ],
    ids=lambda server_url: server_url[:60],
)
def test_erase_may_always_be_repeated(helper: Helper, aws: Loopback, server_url: str) -> None:
    """`docker logout` erases twice, and of any host: nothing to forget is no error."""
    for _ in range(2):
        result = helper.run("erase", stdin=server_url.encode())
        assert (result.stdout, result.stderr, result.status) == (b"", b"", 0)
    assert aws.calls == []


def test_list_without_tokens_is_an_empty_object_and_reads_nothing(helper: Helper) -> None:
    """The answer is `{}` and never `null`, and comes though stdin stays open and empty."""
    result = helper.run("list", stdin=None)
    assert (result.stdout, result.stderr, result.status) == (b"{}\n", b"", 0)


@pytest.mark.parametrize("stdin", [b"", b"unused", b"\0" * LIMIT])
def test_list_does_not_care_what_is_on_stdin(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """Docker sends `unused`, docker-py nothing; neither matters, and the network is not asked."""
    result = helper.run("list", stdin=stdin, env=NO_KEYS)
    assert (result.stdout, result.stderr, result.status) == (b"{}\n", b"", 0)
    assert aws.calls == []

"""What hangs is given up at the deadline, and its processes are ended."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.aws.failures import (
    AS_KEYS,
    AS_KEYS_PUBLIC,
    AS_KEYS_THERE,
    ASSUMING,
    PROXIED,
    PUBLIC,
    SEARCH,
    Failure,
    assumed_role,
    process,
    proxied,
    silent,
)
from tests.aws.test_sources import (
    HOST,
    NAME,
    Arrange,
    container,
    in_words,
    instance,
    plain,
    source_profile,
    sso_session,
)
from tests.loopback import (
    Loopback,
)
from tests.support.helper import Helper, finish
from tests.support.processes import PATIENCE, ended, process_ids


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port, and never send anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def hang(name: str, arrange: Arrange, asked: str, host: str = HOST) -> Failure:
    """Return the failure of a service that never answers."""
    hint = "see what hangs (credential_process, IMDS, proxy, network), or raise AWS_ECR_TIMEOUT"
    return Failure(name, arrange, f"{asked} got no answer within {PATIENCE} s", hint, host)


HANGS = [
    hang("ecr", silent("ecr"), AS_KEYS),
    hang("sts", silent("sts", source_profile), f"{SEARCH} profile test"),
    hang("sts-for-the-settings-file", silent("sts", assumed_role), ASSUMING),
    hang("sso", silent("sso", sso_session), f"{SEARCH} profile test"),
    hang("container", silent("container", container), f"{SEARCH} the default profile"),
    hang("public", silent("ecr-public"), AS_KEYS_PUBLIC, PUBLIC),
]


@pytest.mark.parametrize("failure", HANGS, ids=lambda failure: failure.name)
def test_what_hangs_is_given_up(failure: Failure, helper: Helper, aws: Loopback) -> None:
    """Within AWS_ECR_TIMEOUT a service that never answers is given up, and the message names it."""
    failure.arrange(helper, aws)
    helper.env["AWS_ECR_TIMEOUT"] = PATIENCE
    started = time.monotonic()
    result = helper.get(failure.host)
    assert time.monotonic() - started < 15
    found = failure.host != PUBLIC
    assert plain(result, helper, aws) == in_words(failure.cause, failure.hint, found=found)


def test_a_silent_proxy_is_given_up(helper: Helper, aws: Loopback) -> None:
    """A proxy that accepts the connection and never answers is given up at the deadline."""
    proxied(helper, aws)
    with silent_port() as port:
        helper.env |= {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "AWS_ECR_TIMEOUT": PATIENCE}
        started = time.monotonic()
        result = helper.get(PROXIED)
    assert time.monotonic() - started < 15
    assert result.out == f"{NAME}: {AS_KEYS_THERE} got no answer within {PATIENCE} s\n"


def test_a_silent_imds_with_patience_is_given_up(helper: Helper, aws: Loopback) -> None:
    """However long the timeout for IMDS is, the deadline of the helper holds."""
    silent("imds", instance)(helper, aws)
    helper.env |= {"AWS_METADATA_SERVICE_TIMEOUT": "60", "AWS_ECR_TIMEOUT": PATIENCE}
    started = time.monotonic()
    result = helper.get(HOST)
    assert time.monotonic() - started < 15
    assert result.out == f"{NAME}: {SEARCH} the default profile got no answer within {PATIENCE} s\n"


HANGING = ("echo $$ >$HOME/ids", "sleep 600 & echo $! >>$HOME/ids", "wait")


def test_a_hanging_credential_process_is_ended(helper: Helper, aws: Loopback) -> None:
    """At the deadline the credential_process is ended, and what it started too."""
    process(*HANGING)(helper, aws)
    started = time.monotonic()
    result = helper.run("get", stdin=HOST.encode(), env={"AWS_ECR_TIMEOUT": PATIENCE})
    assert 4.5 < time.monotonic() - started < 15
    assert result.out == f"{NAME}: {SEARCH} profile test got no answer within {PATIENCE} s\n"
    assert all(map(ended, process_ids(helper.home / "ids", 2)))


def test_an_interrupted_get_ends_its_credential_process(helper: Helper, aws: Loopback) -> None:
    """Ctrl-C during a get ends the credential_process, and prints nothing."""
    process(*HANGING)(helper, aws)
    with helper.popen("get") as running:
        assert running.stdin is not None
        running.stdin.write(HOST.encode())
        running.stdin.close()
        running.stdin = None
        children = process_ids(helper.home / "ids", 2)
        running.send_signal(signal.SIGINT)
        result = finish(running)
    assert (result.status, result.out, result.err) == (130, "", "")
    assert all(map(ended, children))

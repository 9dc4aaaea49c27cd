"""The server: the record of calls, many connections at once, its end, and its own program."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.loopback import USER_ARN, USER_KEY, USER_SECRET, Fault, Loopback

from .clients import REGION, ask, ask_at_once, client

REPOSITORY = Path(__file__).parents[2]


def test_calls_are_recorded(user: Loopback) -> None:
    """A record says who asked what, where and of which region."""
    client("ecr").get_authorization_token()
    client("sts", "us-west-2").get_caller_identity()
    first, second = user.calls
    assert (first.service, first.operation) == ("ecr", "GetAuthorizationToken")
    assert (first.region, second.region) == (REGION, "us-west-2")
    assert first.principal == USER_ARN
    assert first.host == f"127.0.0.1:{user.port}"
    assert "otocore" in first.user_agent
    assert user.count("ecr") == user.count("ecr", "GetAuthorizationToken") == 1
    assert user.count("ecr", "DescribeImages") == user.count("imds") == 0


def test_what_no_service_knows_is_not_found(aws: Loopback) -> None:
    """A stray request is recorded, so that it cannot go unseen."""
    assert ask(aws, "GET", "/favicon.ico")[0] == 404
    assert aws.calls[0].operation == "GET /favicon.ico"


def test_two_hundred_connections_at_once(aws: Loopback) -> None:
    """None is refused and none waits for another."""
    aws.latency["imds"] = 0.3
    answers = ask_at_once(aws, 200, "PUT", "/latest/api/token")
    assert [status for status, _ in answers] == [400] * 200
    assert aws.count("imds") == 200


@pytest.mark.usefixtures("bare")
def test_stopping_is_quick_and_ends_hanging_calls() -> None:
    """Open connections end with the stand-in."""
    with Loopback() as aws:
        aws.faults["*"] = Fault("hang")
        idle = socket.create_connection(("127.0.0.1", aws.port))
        hanging = socket.create_connection(("127.0.0.1", aws.port))
        hanging.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        while not aws.calls:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 1
    for connection in (idle, hanging):
        with connection:
            connection.settimeout(2)
            assert connection.recv(1) == b""


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_as_a_program(number: signal.Signals) -> None:
    """It prints its address, serves, and ends silently on either signal."""
    command = [sys.executable, "-m", "tests.loopback", "--token-life", "60"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        session: Any = botocore.session.Session()
        session.set_credentials(USER_KEY, USER_SECRET)
        ecr = session.create_client("ecr", REGION, endpoint_url=url)
        expires = ecr.get_authorization_token()["authorizationData"][0]["expiresAt"]
        ecr.close()
        process.send_signal(number)
        rest = process.communicate(timeout=5)
    assert expires.timestamp() == pytest.approx(time.time() + 60, abs=5)
    assert process.returncode == 0
    assert rest == ("", "")

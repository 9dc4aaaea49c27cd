"""TLS on the port itself, beside plain HTTP."""

import contextlib
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.loopback import USER_ARN, Loopback

from .clients import caller, client


@pytest.fixture
def secure(trusted: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """Serve TLS on the port itself, with the endpoint set to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", trusted.https_url)
    return trusted


def test_calls_under_tls(secure: Loopback) -> None:
    """A client finds the services there, its signature is good, and nothing is tunnelled."""
    ecr = client("ecr")
    ecr.get_authorization_token()
    ecr.get_authorization_token()
    assert caller() == USER_ARN
    assert [call.service for call in secure.calls] == ["ecr", "ecr", "sts"]
    assert {call.host for call in secure.calls} == {f"127.0.0.1:{secure.port}"}
    assert secure.connects == []


def test_one_port_takes_both(secure: Loopback, bare: Path) -> None:
    """What a connection begins with decides, for that connection."""
    trust = ssl.create_default_context(cafile=str(bare / "ca.pem"))
    for url in (secure.url, secure.https_url, secure.url):
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"{url}/anything", timeout=5, context=trust)
        assert answer.value.code == 404
        answer.value.close()
    assert [call.operation for call in secure.calls] == ["GET /anything"] * 3


def test_the_certificate_is_for_the_address(secure: Loopback, bare: Path) -> None:
    """A client that knows the authority sees another name refused."""
    trust = ssl.create_default_context(cafile=str(bare / "ca.pem"))
    with (
        socket.create_connection(("127.0.0.1", secure.port), timeout=5) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        trust.wrap_socket(connection, server_hostname="localhost")
    assert secure.calls == []


def test_silent_and_broken_handshakes_end(secure: Loopback) -> None:
    """Neither keeps others from being served, or the stand-in from ending."""
    address = ("127.0.0.1", secure.port)
    with socket.create_connection(address), socket.create_connection(address, timeout=5) as broken:
        broken.sendall(b"\x16no handshake")
        with contextlib.suppress(ConnectionResetError):
            while broken.recv(100):
                pass
        client("ecr").get_authorization_token()
    assert secure.count("ecr") == 1


def test_without_a_certificate_there_is_no_tls(user: Loopback) -> None:
    """The handshake is answered like any request that is none."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", user.port, timeout=5, context=ssl._create_unverified_context()
    )
    with pytest.raises(ssl.SSLError):
        connection.request("GET", "/anything")
    assert user.calls == []

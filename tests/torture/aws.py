"""An AWS that fails, or is not AWS: every fault, at every endpoint that a get calls."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.aws.test_sources import (
    Arrange,
    container,
    instance,
    login,
    no_change,
    source_profile,
    sso_session,
    web_identity,
)
from tests.loopback import Fault, Loopback, iso_time
from tests.support.entries import entry_files
from tests.support.helper import Helper, Result

from .workspace import HOST, NOT_FOUND, Figures, Workspace

PUBLIC = "public.ecr.aws"
TIMEOUT = 4.0
GRACE = 6.0  # for a busy machine to start and end a process
FAULTS = ("500", "throttled", "reset", "hang", "half", "html", "redirect", "denied")
SPOILT = ("wrong-user", "no-expiry", "past-expiry", "no-token", "not-base64", "huge-token")
ECR_FAULTS = (*FAULTS, "expired-token", *SPOILT)


def old_sso_session(helper: Helper, aws: Loopback) -> None:
    """Declare an SSO session that has to be renewed on the way."""
    sso_session(helper, aws)
    (cached,) = (helper.home / ".aws").glob("*/cache/*.json")
    ended = json.loads(cached.read_text()) | {"expiresAt": iso_time(time.time() - 60)}
    cached.write_text(json.dumps(ended))


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that a get calls, and the settings that lead there."""

    service: str
    arrange: Arrange
    host: str = HOST
    faults: tuple[str, ...] = FAULTS
    tls: bool = True


ENDPOINTS = [
    Endpoint("ecr", no_change, faults=ECR_FAULTS),
    Endpoint("ecr-public", no_change, PUBLIC, ECR_FAULTS),
    Endpoint("sts.AssumeRole", source_profile),
    Endpoint("sts.AssumeRoleWithWebIdentity", web_identity),
    Endpoint("sso", sso_session),
    Endpoint("sso-oidc", old_sso_session),
    Endpoint("signin", login),
    Endpoint("imds", instance, tls=False),
    Endpoint("container", container, tls=False),
]


def assert_refused(endpoint: Endpoint, result: Result, seconds: float) -> None:
    """Assert that a get failed with one cause, in time."""
    assert seconds < TIMEOUT + GRACE, f"{endpoint.service} took {seconds:.1f} s"
    assert result.status == 1, result
    assert result.stdout.count(b"\n") == 1, result
    assert 1 <= result.stderr.count(b"\n") <= 2, result
    if endpoint.host == PUBLIC:
        assert result.stdout == NOT_FOUND


def one_fault(workspace: Workspace, endpoint: Endpoint, kind: str) -> float:
    """Let an endpoint fail in one way, then work; return how long the failed get took."""
    with workspace.rack(endpoint.arrange) as rack:
        rack.env["AWS_ECR_TIMEOUT"] = f"{TIMEOUT:g}"
        rack.aws.faults[endpoint.service] = Fault(kind)
        started = time.monotonic()
        result = rack.get(endpoint.host)
        seconds = time.monotonic() - started
        calls = list(rack.aws.calls)
        assert any(endpoint.service.startswith(call.service) for call in calls), (endpoint, kind)
        assert all(call.service != "elsewhere" for call in calls), (endpoint, kind)
        assert_refused(endpoint, result, seconds)
        rack.aws.faults.clear()
        if "no AWS credentials" not in result.err:  # which is remembered for a minute
            rack.answered(rack.get(endpoint.host), endpoint.host)
    return seconds


def wrong_certificate(workspace: Workspace, endpoint: Endpoint, bundle: str | None) -> None:
    """Let a server without the right certificate answer in place of an endpoint."""
    with workspace.rack(endpoint.arrange) as rack:
        for name, value in (rack.proxy | {"AWS_CA_BUNDLE": bundle}).items():
            rack.env.pop(name, None)
            rack.env |= {name: value} if value else {}
        rack.env |= {"AWS_ECR_TIMEOUT": f"{TIMEOUT:g}"}
        started = time.monotonic()
        result = rack.get(endpoint.host)
        assert_refused(endpoint, result, time.monotonic() - started)
        assert rack.aws.connects
        assert not rack.aws.calls
        assert "TLS failed" in result.err, result


@contextlib.contextmanager
def dripping() -> Iterator[str]:
    """Serve answers that come a byte at a time and never end; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.1)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=[server.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def drips(workspace: Workspace) -> Figures:
    """Limit the time of a whole answer, not only of the wait for its next byte."""
    with workspace.rack() as rack, dripping() as url:
        rack.env |= {"AWS_ENDPOINT_URL": url, "AWS_ECR_TIMEOUT": "2"}
        started = time.monotonic()
        result = rack.get(HOST)
        assert_refused(ENDPOINTS[0], result, time.monotonic() - started)
        assert "got no answer within 2 s" in result.out
    return {"endless answers": 1}


def far_future(workspace: Workspace) -> Figures:
    """Accept no expiry beyond the twelve hours that AWS documents."""
    with workspace.rack() as rack:
        for life in (1e6, 1e9, 1e11, 1e18):
            rack.aws.token_life = life
            rack.run("erase", stdin=HOST.encode())
            result = rack.get(HOST)
            if result.status == 0:
                rack.answered(result)
                for file in entry_files(rack.cache):
                    times = [line.split()[1] for line in file.read_bytes().splitlines()[-5:-3]]
                    assert int(times[1]) - int(times[0]) <= 43_200, (life, times)
            else:
                assert_refused(ENDPOINTS[0], result, 0)
    return {"expiries too far": 4}


def run(workspace: Workspace) -> Figures:
    """Go through every endpoint and every fault, and through TLS with the wrong certificate."""
    cases = [(endpoint, kind) for endpoint in ENDPOINTS for kind in endpoint.faults]
    times = [one_fault(workspace, endpoint, kind) for endpoint, kind in workspace.some(cases)]
    impostors = [
        (endpoint, bundle)
        for endpoint in ENDPOINTS
        for bundle in (None, workspace.authority.bundle)
        # The authority knows the name of ECR Public.
        if endpoint.tls and (bundle is None or endpoint.host != PUBLIC)
    ]
    for endpoint, bundle in workspace.some(impostors):
        wrong_certificate(workspace, endpoint, bundle)
    figures: Figures = {
        "endpoints": len(ENDPOINTS),
        "faults": len(times),
        "slowest, in seconds": round(max(times), 1),
        "deadline, in seconds": TIMEOUT,
        "redirects followed": 0,
        "TLS with a wrong name or CA": len(workspace.some(impostors)),
    }
    return figures | (drips(workspace) | far_future(workspace) if workspace.whole else {})

"""Faults and latency: what a client sees of each."""

import base64
import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError
from botocore.parsers import ResponseParserError

from tests.loopback import FAULT_KINDS, USER_ARN, Fault, Loopback
from tests.loopback.ecr import TOKEN_FAULTS as SPOILT_TOKENS
from tests.loopback.errors import FAULT_REASONS
from tests.loopback.faults import TRANSPORT_FAULTS

from .clients import REGION, ask, client, error_of, login


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("denied", "AccessDeniedException", 400),
        ("throttled", "ThrottlingException", 400),
        ("429", "429", 429),
        ("500", "ServerException", 500),
        ("503", "ServiceUnavailable", 503),
        ("expired-token", "ExpiredTokenException", 400),
        ("redirect", "307", 307),
    ],
)
def test_a_fault_is_an_error(user: Loopback, kind: str, code: str, status: int) -> None:
    """An error of ECR's own has the code that AWS gives it, and a redirect is not followed."""
    user.faults["ecr.GetAuthorizationToken"] = Fault(kind)
    assert error_of(client("ecr").get_authorization_token)[::2] == (code, status)
    assert not user.issued
    assert user.count("elsewhere") == 0


def test_a_denial_says_what_and_who(user: Loopback) -> None:
    """The message names principal and action."""
    user.faults["*"] = Fault("denied")
    _, message, _ = error_of(client("ecr").get_authorization_token)
    words = f"User: {USER_ARN} is not authorized to perform: ecr:GetAuthorizationToken on resource"
    assert message.startswith(words)
    assert error_of(client("sts").get_caller_identity)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("kind", "error"), [("reset", "ConnectionClosedError"), ("hang", "ReadTimeoutError")]
)
def test_a_fault_breaks_the_connection(user: Loopback, kind: str, error: str) -> None:
    """A connection that is reset or hangs ends as botocore's own error."""
    user.faults["ecr"] = Fault(kind)
    with pytest.raises(BotoCoreError) as caught:
        client("ecr", read_timeout=0.3).get_authorization_token()
    assert type(caught.value).__name__ == error


@pytest.mark.parametrize("kind", ["half", "html"])
def test_a_fault_breaks_the_answer(user: Loopback, kind: str) -> None:
    """Botocore takes an answer that it cannot read for one with nothing in it."""
    user.faults["ecr"] = Fault(kind, status=200)
    response = client("ecr").get_authorization_token()
    assert "authorizationData" not in response
    user.faults["ecr"] = Fault("html")
    assert error_of(client("ecr").get_authorization_token)[2] == 502


def test_half_an_answer_is_shorter_than_it_says(user: Loopback) -> None:
    """The connection closes before the promised length."""
    user.faults["*"] = Fault("half")
    with pytest.raises(http.client.IncompleteRead):
        ask(user, "GET", "/anything")


def test_a_reset_is_a_reset(user: Loopback) -> None:
    """The client sees RST, not an orderly end."""
    user.faults["*"] = Fault("reset")
    with socket.create_connection(("127.0.0.1", user.port)) as connection:
        connection.sendall(b"GET /anything HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


TOKEN_FAULTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "wrong-user": lambda entry: base64.b64decode(entry["authorizationToken"])[:6] == b"robot:",
    "no-expiry": lambda entry: "expiresAt" not in entry,
    "past-expiry": lambda entry: entry["expiresAt"].timestamp() < time.time(),
    "no-token": lambda entry: "authorizationToken" not in entry,
    "not-base64": lambda entry: "%" in entry["authorizationToken"],
    "huge-token": lambda entry: len(entry["authorizationToken"]) > 100 * 1024,
}


@pytest.mark.parametrize("kind", TOKEN_FAULTS)
def test_a_fault_spoils_the_token(user: Loopback, kind: str) -> None:
    """The answer is well-formed and wrong in one place, and right the next time."""
    for service, region in (("ecr", REGION), ("ecr-public", "us-east-1")):
        user.faults[service] = Fault(kind, times=1)
        data = client(service, region).get_authorization_token()["authorizationData"]
        entry = data[0] if isinstance(data, list) else data
        assert TOKEN_FAULTS[kind](entry)
        assert login(client(service, region).get_authorization_token())[0] == "AWS"


def test_a_fault_ends_after_its_times(user: Loopback) -> None:
    """Each call uses up one of the fault's times."""
    user.faults["ecr"] = Fault("throttled", times=2)
    ecr = client("ecr")
    for _ in range(2):
        assert error_of(ecr.get_authorization_token)[0] == "ThrottlingException"
    assert login(ecr.get_authorization_token())[0] == "AWS"


def test_a_fault_ends_after_its_seconds() -> None:
    """They count from the first call that it hits, however late that is."""
    fault = Fault("500", seconds=6)
    assert [fault.hits(now) for now in (1000, 1003, 1005.9, 1006, 1007)] == [True] * 3 + [False] * 2
    both = Fault("500", seconds=6, times=2)
    assert [both.hits(now) for now in (0, 1, 2)] == [True, True, False]
    slow = Fault("500", seconds=6, times=2)
    assert [slow.hits(now) for now in (0, 7, 8)] == [True, False, False]
    assert slow.times == 1
    with pytest.raises(ValueError, match="a fault cannot last 0 seconds"):
        Fault("500", seconds=0)


def test_a_service_recovers_in_time(user: Loopback) -> None:
    """A call after the fault's seconds is answered, and a less particular fault comes to light."""
    user.faults = {"ecr": Fault("500", seconds=0.3)}
    ecr = client("ecr")
    time.sleep(0.4)
    assert error_of(ecr.get_authorization_token)[2] == 500
    time.sleep(0.4)
    assert login(ecr.get_authorization_token())[0] == "AWS"
    user.faults["*"] = Fault("denied")
    assert error_of(ecr.get_authorization_token)[0] == "AccessDeniedException"


ASKING: dict[str, tuple[str, str]] = {
    "sso": ("GET", "/federation/credentials"),
    "sso-oidc": ("POST", "/token"),
    "signin": ("POST", "/v1/token"),
    "imds": ("PUT", "/latest/api/token"),
    "container": ("GET", "/container/credentials"),
}


@pytest.mark.parametrize("service", ASKING)
def test_a_service_is_unavailable_or_has_too_many_requests(aws: Loopback, service: str) -> None:
    """The first is worded as its protocol has it, and the second has no words."""
    method, path = ASKING[service]
    aws.faults[service] = Fault("503", times=1)
    status, body, answer = ask(aws, method, path)
    assert (status, b"temporary failure" in body) == (503, True)
    code = None if service in ("imds", "container") else "ServiceUnavailable"
    assert answer.get("x-amzn-ErrorType") == code
    aws.faults[service] = Fault("429", times=1)
    status, body, answer = ask(aws, method, path)
    assert (status, body, answer.get("x-amzn-ErrorType")) == (429, b"", None)


def test_sts_is_unavailable_or_has_too_many_requests(user: Loopback) -> None:
    """Its error is the receiver's, and without a body botocore finds no XML to read."""
    user.faults["sts"] = Fault("503")
    with pytest.raises(ClientError) as caught:
        client("sts").get_caller_identity()
    error: Any = caught.value.response["Error"]
    assert (error["Type"], error["Code"]) == ("Receiver", "ServiceUnavailable")
    user.faults["sts"] = Fault("429")
    with pytest.raises(ResponseParserError):
        client("sts").get_caller_identity()


@pytest.mark.parametrize("kind", FAULT_REASONS)
def test_an_error_says_when_to_try_again(aws: Loopback, kind: str) -> None:
    """Retry-After is on an error that a fault causes if it says so, and is sent as it stands."""
    for service, (method, path) in ASKING.items():
        aws.faults[service] = Fault(kind, retry_after="in 3 s")
        status, _, answer = ask(aws, method, path)
        assert status >= 400
        assert answer["Retry-After"] == "in 3 s"
        aws.faults[service] = Fault(kind)
        assert "Retry-After" not in ask(aws, method, path)[2]


@pytest.mark.parametrize("kind", ["html", "no-token"])
def test_only_a_faults_own_error_says_when_to_try_again(aws: Loopback, kind: str) -> None:
    """A page of some proxy does not, and neither does a refusal of the service's own."""
    aws.faults["imds"] = Fault(kind, retry_after="3", status=503)
    status, _, answer = ask(aws, "PUT", "/latest/api/token")
    assert status >= 400
    assert "Retry-After" not in answer


def test_following_a_redirect_shows(user: Loopback) -> None:
    """Whoever goes where the redirect points is recorded there."""
    user.faults["ecr"] = Fault("redirect")
    headers = {"X_Amz_Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}
    status, _, answer = ask(user, "POST", "/", "{}", **headers)
    assert status == 307
    assert answer["Location"] == f"http://localhost:{user.port}/elsewhere"
    assert ask(user, "POST", "/elsewhere", "{}", **headers)[0] == 200
    assert user.count("elsewhere") == 1


@pytest.mark.parametrize("service", ["imds", "container"])
def test_faults_reach_the_metadata_services(
    aws: Loopback, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A metadata service that fails gives no credentials."""
    aws.instance_role = aws.container_role = "builder"
    aws.faults[service] = Fault("500")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    if service == "container":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.container_url)
        with pytest.raises(CredentialRetrievalError):
            botocore.session.Session().get_credentials()
    else:
        assert botocore.session.Session().get_credentials() is None
    assert aws.count(service) > 0


def test_an_unknown_fault_is_a_mistake() -> None:
    """A misspelt kind fails where it is written."""
    with pytest.raises(ValueError, match="unknown fault kind: 'denyed'"):
        Fault("denyed")
    assert {Fault(kind).kind for kind in FAULT_KINDS} == FAULT_KINDS


def test_every_kind_of_fault_is_caused_somewhere() -> None:
    """The kinds are those of the tables that cause them, and the size of a token."""
    tables = {*FAULT_REASONS, *TRANSPORT_FAULTS, *SPOILT_TOKENS}
    assert tables | {"huge-token"} == FAULT_KINDS


def test_latency_is_waited_for(user: Loopback) -> None:
    """The most particular key decides how long an answer takes."""
    user.latency = {"ecr": 0.2, "*": 0.0}
    ecr, sts = client("ecr"), client("sts")
    began = time.monotonic()
    sts.get_caller_identity()
    between = time.monotonic()
    ecr.get_authorization_token()
    assert between - began < 0.2 <= time.monotonic() - between

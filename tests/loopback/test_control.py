"""Control over HTTP: settings, the record of calls, and the check of a login."""

import base64
import json

import pytest

from tests.loopback import USER_ARN, Fault, Loopback, Quota

from .clients import PRIVATE, ask, client, error_of, login


def test_settings_and_calls_over_http(user: Loopback) -> None:
    """Another process can change what a test can."""
    settings = {
        "latency": {"ecr": 0},
        "faults": {"ecr": "denied", "sts": {"kind": "throttled", "times": 1}},
        "token_life": 60,
        "payload_bytes": 3700,
        "clock_offset": 5,
        "instance_role": "builder",
    }
    assert ask(user, "POST", "/_loopback/set", json.dumps(settings))[0] == 200
    assert error_of(client("ecr").get_authorization_token)[0] == "AccessDeniedException"
    assert user.faults["sts"] == Fault("throttled", times=1)
    assert user.payload_bytes == 3700
    assert (user.token_life, user.clock_offset, user.instance_role) == (60.0, 5.0, "builder")
    (call,) = json.loads(ask(user, "GET", "/_loopback/calls")[1])
    assert (call["service"], call["principal"]) == ("ecr", USER_ARN)
    assert ask(user, "GET", "/_loopback/nothing")[0] == 404


def test_quotas_and_the_ends_of_faults_over_http(user: Loopback) -> None:
    """A quota, a fault's seconds and its Retry-After are numbers and text in JSON."""
    settings = {
        "faults": {"sts": {"kind": "503", "seconds": 60, "times": 2, "retry_after": "3"}},
        "quotas": {"ecr": {"rate": 0.001, "burst": 1}},
    }
    assert ask(user, "POST", "/_loopback/set", json.dumps(settings))[0] == 200
    assert user.faults == {"sts": Fault("503", seconds=60, times=2, retry_after="3")}
    assert user.quotas == {"ecr": Quota(rate=0.001, burst=1)}
    assert error_of(client("sts").get_caller_identity)[::2] == ("ServiceUnavailable", 503)
    assert login(client("ecr").get_authorization_token())[0] == "AWS"
    assert error_of(client("ecr").get_authorization_token)[0] == "ThrottlingException"


@pytest.mark.parametrize(
    "text",
    [
        '{"calls": []}',
        '{"faults": {"ecr": "denyed"}}',
        '{"faults": {"ecr": {"kind": "500", "seconds": "6"}}}',
        '{"faults": {"ecr": {"kind": "500", "first_hit": 1}}}',
        '{"quotas": {"ecr": {"rate": "4", "burst": 4}}}',
        '{"quotas": {"ecr": {"rate": 4}}}',
        '{"quotas": {"ecr": {"rate": 4, "burst": 0}}}',
        "[1]",
        "{",
    ],
)
def test_a_setting_that_does_not_exist_changes_nothing(user: Loopback, text: str) -> None:
    """A mistake is answered with 400."""
    assert ask(user, "POST", "/_loopback/set", text)[0] == 400
    assert user.faults == {}
    assert user.quotas == {}


def test_a_login_is_verified_for_nginx(user: Loopback) -> None:
    """The answer is the registry's, and leaves no record."""
    _, password = login(client("ecr").get_authorization_token())

    def verify(host: str, login_text: str) -> int:
        header = "Basic " + base64.b64encode(login_text.encode()).decode()
        headers = {"Authorization": header, "X_Registry_Host": host}
        return ask(user, "GET", "/_loopback/verify", **headers)[0]

    assert verify(PRIVATE, f"AWS:{password}") == 200
    assert verify("public.ecr.aws", f"AWS:{password}") == 401
    assert verify(PRIVATE, "AWS:other") == 401
    status, _, headers = ask(user, "GET", "/_loopback/verify", X_Registry_Host=PRIVATE)
    assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic")
    assert user.count("ecr") == len(user.calls) == 1

"""Control over HTTP: settings, the record of calls, and the check of a login."""

import base64
import json

import pytest

from tests.loopback import USER_ARN, Fault, Loopback

from .clients import PRIVATE, ask, client, error_of, login


def test_settings_and_calls_over_http(user: Loopback) -> None:
    """Another process can change what a test can."""
    settings = {
        "latency": {"ecr": 0},
        "faults": {"ecr": "denied", "sts": {"kind": "throttled", "times": 1}},
        "token_life": 60,
        "clock_offset": 5,
        "instance_role": "builder",
    }
    assert ask(user, "POST", "/_loopback/set", json.dumps(settings))[0] == 200
    assert error_of(client("ecr").get_authorization_token)[0] == "AccessDeniedException"
    assert user.faults["sts"] == Fault("throttled", times=1)
    assert (user.token_life, user.clock_offset, user.instance_role) == (60.0, 5.0, "builder")
    (call,) = json.loads(ask(user, "GET", "/_loopback/calls")[1])
    assert (call["service"], call["principal"]) == ("ecr", USER_ARN)
    assert ask(user, "GET", "/_loopback/nothing")[0] == 404


@pytest.mark.parametrize("text", ['{"calls": []}', '{"faults": {"ecr": "denyed"}}', "[1]", "{"])
def test_a_setting_that_does_not_exist_changes_nothing(user: Loopback, text: str) -> None:
    """A mistake is answered with 400."""
    assert ask(user, "POST", "/_loopback/set", text)[0] == 400
    assert user.faults == {}


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

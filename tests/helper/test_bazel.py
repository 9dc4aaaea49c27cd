"""Bazel's protocol through the program: a URI on stdin, headers on stdout, errors on stderr."""

import base64
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from tests.loopback import Fault, Loopback
from tests.support.answers import KEYS, NAME, NO_KEYS, ONCE, PRIVATE, PUBLIC, write
from tests.support.entries import LIFE, rewrite
from tests.support.helper import Helper, Result, assert_no_secret
from tests.test_bazel_protocol import REFUSED, SERVED, WITHOUT_HEADER

BLOB = f"https://{PRIVATE}/v2/app/blobs/sha256:{'0' * 64}"
TOKEN = f"https://{PUBLIC}/token/?service={PUBLIC}&scope=repository:a/b:pull"

# What EngFlow's Credential Helpers Specification says of a request and of an answer. It allows more
# members, and says that there should be none.
REQUEST = {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]}
HEADERS = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
ANSWER = {
    "type": "object",
    "properties": {"headers": HEADERS, "expires": {"type": "string"}},
    "additionalProperties": False,
}


def ask(helper: Helper, uri: str, env: Mapping[str, str | None] | None = None) -> Result:
    """Ask as Bazel does: one JSON object, without a line ending."""
    request = {"uri": uri}
    jsonschema.validate(request, REQUEST)
    return helper.run("get", stdin=json.dumps(request).encode(), env=env)


def answer_in(result: Result) -> dict[str, Any]:
    """Return an answer that Bazel takes: one object by the specification, and exit status 0."""
    assert result.status == 0
    jsonschema.validate(result.answer, ANSWER)
    return result.answer


def token_in(result: Result) -> str:
    """Return the token in the one header of an answer, which is that of a login as AWS."""
    (kind,), (value,) = answer_in(result)["headers"], answer_in(result)["headers"].values()
    assert kind == "Authorization"
    (header,) = [value] if isinstance(value, str) else value
    basic, _, login = header.partition(" ")
    user, _, token = base64.b64decode(login, validate=True).decode().partition(":")
    assert (basic, user) == ("Basic", "AWS")
    return token


def expiry_in(result: Result) -> float:
    """Return the time in an answer in epoch seconds, read as strictly as Bazel does."""
    return datetime.strptime(answer_in(result)["expires"], "%Y-%m-%dT%H:%M:%S%z").timestamp()


def cause(result: Result, aws: Loopback) -> str:
    """Return what Bazel shows of a failure, which is stderr; stdout is empty."""
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"{NAME}: ")
    assert len(result.err.splitlines()) <= 2
    assert_no_secret(result, aws)
    return result.err


@pytest.mark.parametrize("uri", SERVED)
def test_a_uri_of_ecr_gets_the_header_of_a_login(helper: Helper, aws: Loopback, uri: str) -> None:
    """The token is one that AWS issued, for twelve hours but a minute."""
    result = ask(helper, uri)
    assert token_in(result) in aws.issued
    assert result.err == ""
    assert result.out.count("\n") == 1
    assert -10 < expiry_in(result) - (time.time() + LIFE - 60) <= 1


@pytest.mark.parametrize("uri", WITHOUT_HEADER)
def test_public_images_need_no_header(helper: Helper, aws: Loopback, uri: str) -> None:
    """But where ECR Public takes a login; AWS is not asked."""
    assert answer_in(ask(helper, uri)) == {}
    assert aws.calls == []


@pytest.mark.parametrize("uri", REFUSED)
def test_any_other_uri_is_refused(helper: Helper, aws: Loopback, uri: str) -> None:
    """The reason is on stderr, without what else is in the URI, and AWS is not asked."""
    said = cause(ask(helper, uri), aws)
    assert "password" not in said
    assert "X-Amz-Signature" not in said
    assert (aws.calls, aws.connects) == ([], [])


def test_the_cache_is_that_of_docker(helper: Helper, aws: Loopback) -> None:
    """A token that Docker got serves Bazel, and the other way round."""
    token = helper.get(PRIVATE).answer["Secret"]
    assert token_in(ask(helper, BLOB)) == token
    assert token_in(ask(helper, PRIVATE)) == token
    assert token_in(ask(helper, TOKEN)) == helper.get(PUBLIC).answer["Secret"]
    assert aws.count("ecr") + aws.count("ecr-public") == 2


@pytest.mark.parametrize("age", [0.1, 0.49])
def test_the_time_is_the_tokens_own(helper: Helper, age: float) -> None:
    """What is left of it, and not what a new one has."""
    helper.get(PRIVATE)
    rewrite(helper.cache, age=age * LIFE)
    assert -10 < expiry_in(ask(helper, BLOB)) - (time.time() + (1 - age) * LIFE - 60) <= 1


def test_a_request_may_have_more_in_it(helper: Helper, aws: Loopback) -> None:
    """Members that are not known, and white space around it, are no reason to fail."""
    request = json.dumps({"more": [1], "uri": BLOB}, indent=2)
    result = helper.run("get", stdin=f"\r\n {request}\n".encode())
    assert token_in(result) in aws.issued


@pytest.mark.parametrize("text", ["{}", "{", '{"uri":7}', '{"URI":"https://x/"}', f"[{BLOB!r}]"])
def test_what_is_no_request_is_a_server_url_that_is_not_ecrs(helper: Helper, text: str) -> None:
    """A program of Docker's protocol gets Docker's answer."""
    result = helper.get(text)
    assert (result.out, result.err, result.status) == (
        "credentials not found in native keychain\n",
        "",
        1,
    )


def test_a_name_of_ones_own_is_ecrs(helper: Helper, aws: Loopback) -> None:
    """The settings file says which registry it is, and by that whether it takes a login there."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "settings.toml")
    write(
        helper.home / "settings.toml",
        f'[[registry]]\nmatch = "images.example.com"\nregistry = "{PRIVATE}"\n'
        f'[[registry]]\nmatch = "public.example.com"\nregistry = "{PUBLIC}"\n',
    )
    assert token_in(ask(helper, "https://images.example.com/v2/")) in aws.issued
    assert answer_in(ask(helper, "https://public.example.com/v2/")) == {}
    assert token_in(ask(helper, "https://public.example.com/token/")) in aws.issued
    assert "example.org is no registry" in cause(ask(helper, "https://example.org/v2/"), aws)
    assert "443" in cause(ask(helper, "http://images.example.com/v2/"), aws)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("denied"), "was denied"),
        (Fault("throttled"), "was throttled"),
        (Fault("500"), "GetAuthorizationToken"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_is_told_on_stderr(
    helper: Helper, aws: Loopback, fault: Fault, said: str
) -> None:
    """The same cause and hint as everywhere, where Bazel looks for them."""
    aws.faults = {"ecr": fault, "ecr-public": fault}
    assert said in cause(ask(helper, BLOB, ONCE), aws)

    result = ask(helper, TOKEN, ONCE)  # where it is for all, it goes on without
    assert answer_in(result) == {}
    assert said in result.err
    assert_no_secret(result, aws)


def test_without_aws_credentials_public_images_can_still_be_had(
    helper: Helper, aws: Loopback
) -> None:
    """And private ones have a cause."""
    assert "no AWS credentials found" in cause(ask(helper, BLOB, NO_KEYS), aws)
    result = ask(helper, TOKEN, NO_KEYS)
    assert answer_in(result) == {}
    assert "no AWS credentials found" in result.err


def test_a_mistake_in_the_settings_file_is_told(helper: Helper, aws: Loopback) -> None:
    """It is never overlooked for a private registry."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "settings.toml")
    write(helper.home / "settings.toml", "[[registry]]\nmatsch = 1\n")
    assert "settings.toml" in cause(ask(helper, BLOB), aws)
    assert answer_in(ask(helper, TOKEN)) == {}


def test_it_gives_up_before_bazel_does(helper: Helper, aws: Loopback) -> None:
    """Bazel waits for ten seconds, by default; AWS_ECR_TIMEOUT is the user's word."""
    aws.faults = {"ecr": Fault("hang")}
    assert " 9 s" in cause(ask(helper, BLOB), aws)
    assert " 1 s" in cause(ask(helper, BLOB, {"AWS_ECR_TIMEOUT": "1"}), aws)


def test_the_profile_of_a_registry_pays_here_too(helper: Helper, aws: Loopback) -> None:
    """The settings file is the same as Docker's."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "settings.toml")
    write(helper.home / "settings.toml", f'[[registry]]\nmatch = "{PRIVATE}"\nprofile = "prod"\n')
    write(helper.home / ".aws/credentials", f"[prod]\n{KEYS}")
    assert token_in(ask(helper, BLOB, NO_KEYS)) in aws.issued

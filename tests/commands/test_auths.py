"""auths: logins for what takes no helper, in three forms, each as strict as its reader."""

import base64
import json
from typing import Any

import pytest

from tests.aws.test_sources import without_keys
from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support.answers import PRIVATE, PUBLIC, write
from tests.support.entries import LIFE, rewrite
from tests.support.helper import Helper, Result, assert_no_secret
from tests.support.terminal import on_a_terminal, without_colour

OTHER = "444455556666.dkr.ecr.us-east-1.amazonaws.com"
SAME_REGION = "777788889999.dkr.ecr.eu-west-1.amazonaws.com"


def auths(helper: Helper, *arguments: str, **env: str | None) -> Result:
    """Run the command; its stdin is a pipe that stays open."""
    return helper.run("auths", *arguments, env=env, stdin=None)


def document_in(result: Result) -> dict[str, Any]:
    """Return the one JSON object that was printed, without a word beside it."""
    assert (result.status, result.err) == (0, "")
    return result.answer


def tokens_in(logins: dict[str, Any]) -> dict[str, str]:
    """Return the token for each host of a config.json, as Docker reads it in DOCKER_AUTH_CONFIG.

    Docker drops all of that variable if there is a member beside `auths`, or an entry that is not
    an `auth` alone.
    """
    assert list(logins) == ["auths"]
    tokens = {}
    for host, entry in logins["auths"].items():
        assert list(entry) == ["auth"]
        user, _, token = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        assert user == "AWS"
        tokens[host] = token
    return tokens


def test_it_prints_what_docker_login_would_keep(helper: Helper, aws: Loopback) -> None:
    """A login for each host, under the name by which a client looks for it."""
    printed = document_in(auths(helper, PRIVATE, OTHER, f"https://{PUBLIC}:443/"))
    tokens = tokens_in(printed)
    assert list(tokens) == [PRIVATE, OTHER, PUBLIC]
    assert all(aws.accepts(host, "AWS", token) for host, token in tokens.items())


def test_one_token_serves_a_region(helper: Helper, aws: Loopback) -> None:
    """And the cache is that of `get`, whose token is printed."""
    token = helper.get(PRIVATE).answer["Secret"]
    tokens = tokens_in(document_in(auths(helper, PRIVATE, SAME_REGION, PRIVATE.upper())))
    assert tokens == {PRIVATE: token, SAME_REGION: token}
    assert helper.get(SAME_REGION).answer["Secret"] == token
    assert aws.count("ecr") == 1


def test_it_writes_no_file_but_the_cache(helper: Helper) -> None:
    """Where none is kept, nothing is left at all."""
    document_in(auths(helper, PRIVATE, AWS_ECR_DISABLE_CACHE="1"))
    assert helper.files() == []


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_what_is_kept_elsewhere_begins_young(share: float, helper: Helper, aws: Loopback) -> None:
    """A token past half its life is renewed first; while AWS cannot, it is printed as it is."""
    (first,) = tokens_in(document_in(auths(helper, PRIVATE))).values()
    rewrite(helper.cache, age=share * LIFE)
    aws.faults = {"ecr": Fault("503")}
    result = auths(helper, PRIVATE, AWS_MAX_ATTEMPTS="1")
    assert tokens_in(result.answer) == {PRIVATE: first}
    assert "the token in the cache is still valid" in result.err
    aws.faults = {}
    (second,) = tokens_in(document_in(auths(helper, PRIVATE))).values()
    assert second != first


@pytest.mark.parametrize(
    ("arguments", "metadata"),
    [
        (["--kubernetes-secret", "ecr"], {"name": "ecr"}),
        (
            ["--kubernetes-secret", "a.b-c", "--namespace", "flux-system"],
            {"name": "a.b-c", "namespace": "flux-system"},
        ),
    ],
)
def test_a_secret_of_kubernetes(
    helper: Helper, aws: Loopback, arguments: list[str], metadata: dict[str, str]
) -> None:
    """Its type is the one that the kubelet looks into for a pull."""
    secret = document_in(auths(helper, PRIVATE, OTHER, *arguments))
    data = secret.pop("data")
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "kubernetes.io/dockerconfigjson",
    }
    assert list(data) == [".dockerconfigjson"]
    tokens = tokens_in(json.loads(base64.b64decode(data[".dockerconfigjson"], validate=True)))
    assert list(tokens) == [PRIVATE, OTHER]
    assert set(tokens.values()) <= set(aws.issued)


def test_user_and_password_in_one_line(helper: Helper, aws: Loopback) -> None:
    """A program splits it at the first colon."""
    result = auths(helper, PRIVATE, "--user-password")
    assert (result.status, result.err, result.out.count("\n")) == (0, "", 1)
    user, token = result.out.rstrip("\n").split(":", 1)
    assert user == "AWS"
    assert token in aws.issued


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "HOST"),
        ([PRIVATE, OTHER, "--user-password"], "--user-password is for one HOST"),
        ([PRIVATE, "--user-password", "--kubernetes-secret", "x"], "not allowed"),
        ([PRIVATE, "--namespace", "x"], "--namespace goes with --kubernetes-secret"),
        ([PRIVATE, "--kubernetes-secret", ""], "'' is no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "Ecr"], "'Ecr' is no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "a_b"], "no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "a\n"], "no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "a-"], "no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "a..b"], "no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "a" * 253], None),
        ([PRIVATE, "--kubernetes-secret", "a" * 254], "no name of a Secret"),
        ([PRIVATE, "--kubernetes-secret", "x", "--namespace", "a.b"], "no name of a namespace"),
        ([PRIVATE, "--kubernetes-secret", "x", "--namespace", "a" * 63], None),
        ([PRIVATE, "--kubernetes-secret", "x", "--namespace", "a" * 64], "no name of a namespace"),
    ],
)
def test_wrong_arguments_are_told(
    helper: Helper, aws: Loopback, arguments: list[str], said: str | None
) -> None:
    """Before AWS is asked, and with nothing printed."""
    result = auths(helper, *arguments)
    assert result.status == (2 if said else 0)
    if said:
        assert said in result.err
        assert (result.out, aws.calls) == ("", [])


@pytest.mark.parametrize("host", ["ghcr.io", "https://index.docker.io/v1/", f"u@{PRIVATE}"])
def test_another_registry_is_refused(helper: Helper, aws: Loopback, host: str) -> None:
    """It is named, and the others are not printed either."""
    result = auths(helper, PRIVATE, host)
    assert (result.status, result.out) == (1, "")
    assert "is no host of Amazon ECR" in result.err
    assert_no_secret(result, aws)


def test_one_that_fails_fails_all(helper: Helper, aws: Loopback) -> None:
    """Half of the logins would be taken for all of them."""
    helper.get(PRIVATE)
    aws.faults = {"ecr": Fault("denied")}
    for more in ([], ["--kubernetes-secret", "ecr"]):
        result = auths(helper, PRIVATE, OTHER, *more)
        assert (result.status, result.out) == (1, "")
        assert "was denied" in result.err
        assert "444455556666" in result.err or "us-east-1" in result.err
        assert_no_secret(result, aws)


def test_no_credentials_are_a_failure_for_public_images_too(helper: Helper) -> None:
    """Who asks for a login is told that there is none."""
    without_keys(helper)
    result = auths(helper, PUBLIC)
    assert (result.status, result.out) == (1, "")
    assert "no AWS credentials found" in result.err


def test_the_settings_file_says_who_pays(helper: Helper, aws: Loopback) -> None:
    """And gives a registry a name of the user's own, under which it is printed."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "settings.toml")
    write(
        helper.home / "settings.toml",
        f'[[registry]]\nmatch = "images.example.com"\nregistry = "{PRIVATE}"\n',
    )
    assert list(tokens_in(document_in(auths(helper, "images.example.com:8443")))) == [
        "images.example.com:8443"
    ]
    assert aws.count("ecr") == 1


@pytest.mark.parametrize("columns", [60, 140])
def test_on_a_terminal_it_says_what_that_is(helper: Helper, columns: int) -> None:
    """After the secret, in lines as wide as the terminal; a pipe gets no warning."""
    shown = without_colour(on_a_terminal(helper, "auths", PRIVATE, columns=columns).out)
    printed, _, warning = shown.partition("docker-credential-ecr: ")
    assert list(tokens_in(json.loads(printed))) == [PRIVATE]
    assert "this is a secret" in " ".join(warning.split())
    assert all(len(line) <= columns for line in warning.splitlines())
    assert ACCOUNT in printed

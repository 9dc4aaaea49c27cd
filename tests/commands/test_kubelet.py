"""The kubelet credential provider: a request on stdin, a response on stdout.

What the kubelet sends, and how it judges the answer, is that of kubernetes/kubernetes,
pkg/credentialprovider/plugin/plugin.go and pkg/credentialprovider/keyring.go: unknown fields are
refused, apiVersion has to be the provider's own, auth is matched with the image by host and port,
and stderr is logged where the exit status is not 0.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ecr_credential_helper import registry
from ecr_credential_helper.commands import kubelet
from tests.loopback import ACCOUNT, USER_ARN, Fault, Loopback
from tests.support.helper import Helper, Result, assert_no_secret

PRIVATE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = f"{PRIVATE}/team/app"
PUBLIC = "public.ecr.aws"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pull"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/ecr-credential-provider"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"
TOKEN = "header.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6YTpiIn0.signature"
ANNOTATION = "eks.amazonaws.com/ecr-role-arn"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
NODE_CONFIG, ACCOUNTS_CONFIG = (
    Path(__file__).parents[2] / "packaging" / "kubelet" / f"credential-provider-config{kind}.yaml"
    for kind in ("", "-service-accounts")
)
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
FIELDS = {"kind", "apiVersion", "cacheKeyType", "cacheDuration", "auth"}


def request(image: str = IMAGE, version: str = "v1", **more: object) -> bytes:
    """Return what a kubelet sends."""
    group = "credentialprovider.kubelet.k8s.io"
    head = {"kind": "CredentialProviderRequest", "apiVersion": f"{group}/{version}"}
    return json.dumps({**head, "image": image, **more}).encode() + b"\n"


def ask(helper: Helper, data: bytes, env: Mapping[str, str | None] | None = None) -> Result:
    """Run the provider as the kubelet does."""
    return helper.run("kubelet", stdin=data, env=env)


def response(result: Result, version: str = "v1") -> dict[str, Any]:
    """Return the answer after what the kubelet checks of it."""
    assert (result.status, result.err) == (0, "")
    answer = result.answer
    assert set(answer) == FIELDS
    assert answer["kind"] == "CredentialProviderResponse"
    assert answer["apiVersion"] == f"credentialprovider.kubelet.k8s.io/{version}"
    assert answer["cacheKeyType"] == "Registry"
    return answer


def cause(result: Result, aws: Loopback) -> str:
    """Return what the kubelet logs of a failure, which is stderr alone."""
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("docker-credential-ecr: ")
    assert len(result.err.splitlines()) <= 2
    assert_no_secret(result, aws)
    assert TOKEN not in result.err
    return result.err


def principal(result: Result, aws: Loopback, server: str = PRIVATE) -> str:
    """Return for whom the token in an answer was issued."""
    return aws.issued[response(result)["auth"][server]["password"]].principal


# The node's own identity


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_of_ecr_gets_a_login_in_the_version_that_asked(
    helper: Helper, aws: Loopback, version: str
) -> None:
    """The answer speaks the request's apiVersion and holds user and token for the host."""
    answer = response(ask(helper, request(version=version)), version)

    assert list(answer["auth"]) == [PRIVATE]
    login = answer["auth"][PRIVATE]
    assert set(login) == {"username", "password"}
    assert login["username"] == "AWS"
    assert aws.issued[login["password"]].principal == USER_ARN


def test_the_kubelet_keeps_an_answer_for_half_of_what_is_left(
    helper: Helper, aws: Loopback
) -> None:
    """A fresh token of 12 hours is kept for 6, an aging one for less; AWS is asked once."""
    fresh = response(ask(helper, request()))["cacheDuration"]
    again = response(ask(helper, request()))["cacheDuration"]

    assert fresh in ("6h0m0s", "5h59m59s", "5h59m58s")
    assert again in (fresh, "5h59m59s", "5h59m58s", "5h59m57s")
    assert aws.count("ecr") == 1


@pytest.mark.parametrize(
    ("life", "duration"),
    [(0, "0h0m0s"), (59, "0h0m59s"), (3600, "1h0m0s"), (3725, "1h2m5s"), (43200, "12h0m0s")],
)
def test_durations_are_those_of_go(life: int, duration: str) -> None:
    """Go's time.ParseDuration reads what is printed, seconds for seconds."""
    assert kubelet._duration(life) == duration


@pytest.mark.parametrize(
    ("image", "server"),
    [
        (f"{PRIVATE}/app:1", PRIVATE),
        (f"{PRIVATE}/app@sha256:{'0' * 64}", PRIVATE),
        (f"{PRIVATE}:443/app", f"{PRIVATE}:443"),
        (f"https://{PRIVATE}/app", PRIVATE),
        (PRIVATE, PRIVATE),
    ],
)
def test_the_login_is_for_host_and_port_as_the_image_has_them(
    helper: Helper, image: str, server: str
) -> None:
    """The kubelet matches the keys of auth with the image: port with port, host with host."""
    assert list(response(ask(helper, request(image)))["auth"]) == [server]


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "docker.io/library/nginx",
        "ghcr.io/team/app",
        f"{PRIVATE}.evil.com/app",
        f"user@{PRIVATE}/app",
        f"{PRIVATE}@evil.com/app",
        f"evil.com/{PRIVATE}/app",
    ],
)
def test_what_is_not_ecr_gets_an_empty_answer(helper: Helper, aws: Loopback, image: str) -> None:
    """There is no login and no failure, nothing to keep, and AWS is not asked."""
    answer = response(ask(helper, request(image)))

    assert (answer["auth"], answer["cacheDuration"]) == ({}, "0s")
    assert aws.calls == []


def test_a_node_without_a_home_directory_still_pulls(helper: Helper, tmp_path: Path) -> None:
    """A kubelet that systemd started has no HOME."""
    env = {"HOME": None, "AWS_ECR_CACHE_DIR": str(tmp_path / "kept")}

    assert response(ask(helper, request(), env))["auth"]


def test_the_settings_file_holds_here_too(helper: Helper) -> None:
    """A name of one's own in front of ECR is served under that name."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "settings.toml")
    (helper.home / "settings.toml").write_text(
        f'[[registry]]\nmatch = "images.example.com"\nregistry = "{PRIVATE}"\n'
    )

    answer = response(ask(helper, request("images.example.com/app")))

    assert list(answer["auth"]) == ["images.example.com"]


# A service account's identity


def test_the_token_of_a_service_account_becomes_the_role_of_its_annotation(
    helper: Helper, aws: Loopback
) -> None:
    """The annotation's role comes before the variable's; one unsigned call to STS gets it."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    data = request(serviceAccountToken=TOKEN, serviceAccountAnnotations={ANNOTATION: ROLE})

    result = ask(helper, data, {"AWS_ECR_ROLE_ARN": OTHER_ROLE, **NO_KEYS})

    assert principal(result, aws) == SESSION
    asked = [(call.operation, call.principal) for call in aws.calls]
    assert asked == [("AssumeRoleWithWebIdentity", None), ("GetAuthorizationToken", SESSION)]
    assert aws.calls[0].region in (None, "eu-west-1")


def test_the_nodes_own_credentials_are_not_even_looked_for(helper: Helper, aws: Loopback) -> None:
    """A service account's pull neither waits for the node's credentials nor fails with them."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    asked = helper.home / "asked"
    config = helper.home / "aws-config"
    config.write_text(f"[default]\ncredential_process = touch {asked}\n")
    data = request(serviceAccountToken=TOKEN, serviceAccountAnnotations={ANNOTATION: ROLE})

    result = ask(helper, data, {"AWS_CONFIG_FILE": str(config), **NO_KEYS})

    assert principal(result, aws) == SESSION
    assert not asked.exists()


@pytest.mark.parametrize("annotations", [{}, None, {"else": "x"}])
def test_without_an_annotation_the_variable_names_the_role(
    helper: Helper, aws: Loopback, annotations: dict[str, str] | None
) -> None:
    """AWS_ECR_ROLE_ARN is the role of the service accounts that name none."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    data = request(serviceAccountToken=TOKEN, serviceAccountAnnotations=annotations)

    assert principal(ask(helper, data, {"AWS_ECR_ROLE_ARN": ROLE}), aws) == SESSION


def test_service_accounts_share_no_token_with_each_other_or_the_node(
    helper: Helper, aws: Loopback
) -> None:
    """Each account asks for itself, whatever is kept; nothing of theirs is kept."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    aws.add_role(OTHER_ROLE, web_identity_token="other.token.here")
    one = request(serviceAccountToken=TOKEN, serviceAccountAnnotations={ANNOTATION: ROLE})
    two = request(
        serviceAccountToken="other.token.here", serviceAccountAnnotations={ANNOTATION: OTHER_ROLE}
    )

    node = ask(helper, request())
    kept = helper.files()
    first, second, again = ask(helper, one), ask(helper, two), ask(helper, one)

    assert principal(node, aws) == USER_ARN
    assert principal(first, aws) == principal(again, aws) == SESSION
    assert principal(second, aws) == SESSION.replace("/pull/", "/other/")
    assert len({result.out for result in (node, first, second, again)}) == 4
    assert helper.files() == kept
    assert principal(ask(helper, request()), aws) == USER_ARN


def test_a_token_that_sts_refuses_gets_nothing_although_one_is_kept(
    helper: Helper, aws: Loopback
) -> None:
    """A forged token, or a role of somebody else, is for STS to judge, every time."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    good = request(serviceAccountToken=TOKEN, serviceAccountAnnotations={ANNOTATION: ROLE})
    forged = request(serviceAccountToken="forged", serviceAccountAnnotations={ANNOTATION: ROLE})
    ask(helper, request())
    ask(helper, good)

    line = cause(ask(helper, forged), aws)

    assert f"sts:AssumeRoleWithWebIdentity for role {ROLE} of the service account" in line
    assert "hint: check the role's trust policy" in line


def test_a_service_account_without_a_role_is_not_given_the_nodes(
    helper: Helper, aws: Loopback
) -> None:
    """A token without a role is a mistake that is named, not a pull as the node."""
    line = cause(ask(helper, request(serviceAccountToken=TOKEN)), aws)

    assert "no role to assume" in line
    assert ANNOTATION in line
    assert "AWS_ECR_ROLE_ARN" in line
    assert aws.calls == []


@pytest.mark.parametrize("arn", ["pull", "arn:aws:iam::1:user/x", "arn:x\n:role/y", 7])
def test_a_role_that_is_none_is_refused_unasked(helper: Helper, aws: Loopback, arn: object) -> None:
    """An annotation is anybody's text: it is judged before it goes to AWS, and stays one line."""
    data = request(serviceAccountToken=TOKEN, serviceAccountAnnotations={ANNOTATION: arn})

    result = ask(helper, data)

    assert "role" in cause(result, aws)
    assert aws.count("ecr") == 0


# What can go wrong


@pytest.mark.parametrize("image", [IMAGE, f"{PUBLIC}/team/app"])
def test_a_denial_is_told_on_stderr(helper: Helper, aws: Loopback, image: str) -> None:
    """What AWS says is what the kubelet logs; for a public image too, whose pull goes on."""
    aws.faults = {"ecr": Fault("denied"), "ecr-public": Fault("denied")}

    line = cause(ask(helper, request(image)), aws)

    assert "GetAuthorizationToken" in line
    assert "was denied" in line


def test_no_credentials_are_told_on_stderr(helper: Helper, aws: Loopback) -> None:
    """A node without a role is named as such."""
    assert "no AWS credentials found" in cause(ask(helper, request(), NO_KEYS), aws)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        PRIVATE.encode(),
        b"[" * 100_000,
        request().replace(b"CredentialProviderRequest", b"CredentialProviderResponse"),
        request(version="v2"),
        request(image=""),
        request(serviceAccountToken=["x"]),
        request(serviceAccountToken=TOKEN, serviceAccountAnnotations=[ANNOTATION]),
    ],
)
def test_what_is_no_request_is_refused(helper: Helper, aws: Loopback, data: bytes) -> None:
    """Anything but a request of a known version is a failure in one line, and a hint."""
    assert "hint: " in cause(ask(helper, data), aws)
    assert aws.calls == []


@pytest.mark.parametrize("data", [request(), json.dumps(json.loads(request()), indent=2).encode()])
def test_a_request_sent_to_get_is_told_where_to_go(helper: Helper, data: bytes) -> None:
    """The kubelet logs stderr: one line there says which argument is missing."""
    result = helper.run("get", stdin=data)

    assert result.status == 1
    assert result.err.count("\n") == 1
    assert "args: [kubelet]" in result.err
    assert b"CredentialProviderRequest" in result.stdout


def test_help_reads_no_request(helper: Helper) -> None:
    """`kubelet --help` is for people, and does not wait for a kubelet."""
    result = helper.run("kubelet", "--help", stdin=None)

    assert result.status == 0
    assert "args: [kubelet]" in " ".join(result.out.split())


# The provider's configuration


def provider_in(path: Path) -> dict[str, Any]:
    """Return the one provider of a configuration for the kubelet."""
    document = import_module("yaml").safe_load(path.read_text())
    assert document.keys() == {"apiVersion", "kind", "providers"}
    assert document["apiVersion"] == "kubelet.config.k8s.io/v1"
    assert document["kind"] == "CredentialProviderConfig"
    [provider] = document["providers"]
    assert isinstance(provider, dict)
    return provider


def matches(glob: str, image: str) -> bool:
    """Whether the kubelet asks a provider with this entry in matchImages about an image."""
    labels, parts = (text.partition("/")[0].split(".") for text in (glob, image))
    return len(labels) == len(parts) and all(map(fnmatchcase, parts, labels))


@pytest.mark.parametrize("path", [NODE_CONFIG, ACCOUNTS_CONFIG], ids=["node", "accounts"])
def test_the_configuration_that_is_shipped_works(helper: Helper, aws: Loopback, path: Path) -> None:
    """Name, arguments, environment and version of the provider are those that answer."""
    provider = provider_in(path)
    variables = {each["name"]: each["value"] for each in provider.get("env", [])}
    assert variables.pop("AWS_ECR_CACHE_DIR", None) in (None, "/var/cache/ecr-credential-helper")
    aws.add_role(variables.get("AWS_ECR_ROLE_ARN", ROLE), web_identity_token=TOKEN)
    version = provider["apiVersion"].rpartition("/")[2]
    with_token = "tokenAttributes" in provider
    data = request(version=version, **({"serviceAccountToken": TOKEN} if with_token else {}))

    result = helper.run(*provider["args"], stdin=data, env=variables, argv0=provider["name"])

    assert any(matches(glob, IMAGE) for glob in provider["matchImages"])
    assert principal(result, aws) == (
        SESSION.replace("pull", "image-pull") if with_token else USER_ARN
    )
    assert provider["defaultCacheDuration"] == "0s"


def test_the_configuration_names_every_registry_that_is_known() -> None:
    """Each form of ECR host that AWS gives out is matched, and no other host of AWS is."""
    globs = provider_in(NODE_CONFIG)["matchImages"]
    hosts = [f"{ACCOUNT}.dkr.ecr.region-1.{suffix}" for suffix in registry._SUFFIXES]
    hosts += [f"{ACCOUNT}.dkr-ecr.region-1.{suffix}" for suffix in registry._DUAL_STACK_SUFFIXES]
    hosts += [f"{ACCOUNT}.dkr.ecr-fips.region-1.amazonaws.com", *registry._PUBLIC_HOSTS]

    assert [host for host in hosts if not any(matches(glob, host) for glob in globs)] == []
    assert [glob for glob in globs if not any(matches(glob, host) for host in hosts)] == [
        "*.dkr-ecr-fips.*.on.aws"
    ]
    assert all(registry.registry_of(host) for host in hosts)
    assert not any(matches(glob, "sts.eu-west-1.amazonaws.com") for glob in globs)


@pytest.mark.parametrize("path", [NODE_CONFIG, ACCOUNTS_CONFIG], ids=["node", "accounts"])
def test_the_manual_shows_the_configuration_that_is_shipped(path: Path) -> None:
    """What is copied from the page is what the tests above have run."""
    manual = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text()

    assert f"```yaml\n{path.read_text()}```\n" in manual
    assert path.name in manual


def test_the_command_that_the_manual_shows_works(helper: Helper) -> None:
    """A request over two lines, as a shell sends it from the page, is answered."""
    manual = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text()
    text = manual.partition("$ echo '")[2].partition("'")[0]

    assert list(response(ask(helper, text.encode()))["auth"]) == [PRIVATE]


def test_the_configuration_for_service_accounts_passes_the_role_on() -> None:
    """The annotation that the code reads is one that the kubelet is told to send."""
    attributes = provider_in(ACCOUNTS_CONFIG)["tokenAttributes"]

    assert attributes["serviceAccountTokenAudience"] == "sts.amazonaws.com"
    assert attributes["optionalServiceAccountAnnotationKeys"] == [kubelet.ROLE_ANNOTATION]
    assert attributes["cacheType"] in ("Token", "ServiceAccount")

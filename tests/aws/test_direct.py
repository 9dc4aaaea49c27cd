"""The direct lane: where it is taken, and that nobody can tell it from botocore."""

import contextlib
import json
import os
import random
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
import trustme
from botocore import auth
from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import ReadOnlyCredentials

from ecr_credential_helper.aws import direct, ecr
from ecr_credential_helper.aws.token_request import Answer, TokenRequest
from ecr_credential_helper.registry import Registry
from ecr_credential_helper.settings import Target
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.environment import HARMLESS
from tests.aws import test_sources
from tests.aws.test_sources import SOURCES, Source, plain
from tests.loopback import Fault, Loopback, session_arn
from tests.support.entries import entry_files, entry_in
from tests.support.helper import Authority, Helper, Result
from tests.support.trust import trusting

HOST = test_sources.HOST
BOTOCORE = Path(botocore.__file__).parent
# It says nothing to botocore, and counts in no key; but no one says it, so the lane is not taken.
OFF: dict[str, str | None] = {"AWS_CSM_ENABLED": "false"}
DIRECT = {
    *("environment", "web-identity", "imds"),
    *("container-authorization-token", "pod-identity-authorization-file"),
}
# What botocore adds for its own statistics, and its name.
STATISTICS = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "canary-secret"}
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)


def taken(aws: Loopback) -> bool:
    """Whether the last call of ECR was that of the lane."""
    calls = [call for call in aws.calls if call.service.startswith("ecr")]
    return "Botocore" not in calls[-1].user_agent


# The same request


class Stop(Exception):  # noqa: N818 - it is how a request is caught
    """A request that is not sent; `parts` are its method, URL, headers and body."""

    def __init__(self, *parts: Any) -> None:
        super().__init__("not sent")
        self.parts = parts


def ours(target: Target, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Return the request for a token that the lane would send."""

    def stop(_: object, *parts: Any, **__: object) -> Answer:
        raise Stop(*parts)

    monkeypatch.setattr(direct._Lane, "ask", stop)
    with pytest.raises(Stop) as caught:
        direct._Lane(TokenRequest(target, Deadline())).token()
    return caught.value.parts


def theirs(session: botocore.session.Session, target: Target) -> tuple[Any, ...]:
    """Return the request for a token that botocore would send, with the keys of the environment."""

    def stop(request: AWSPreparedRequest, **_: object) -> None:
        headers = {name: _text(value) for name, value in request.headers.items()}
        raise Stop(request.method, request.url, headers, request.body)

    names = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
    client = ecr._client(session, target, ReadOnlyCredentials(*map(os.environ.get, names)))
    client.meta.events.register("before-send", stop)
    try:
        client.get_authorization_token()
    except Stop as stopped:
        return stopped.parts
    raise AssertionError("nothing was sent")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take all AWS settings away, and AWS's library in C, with which botocore would sign."""
    monkeypatch.setitem(auth.AUTH_TYPE_MAPS, "v4", auth.SigV4Auth)
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.fixture(scope="module")
def session() -> botocore.session.Session:
    """Return a session of botocore, made as for a cache miss."""
    registry = Registry("host", region="eu-west-1")
    return ecr.session_for(TokenRequest(Target(registry), Deadline()))


def regions() -> list[str]:
    """Return every region that botocore knows, in all partitions."""
    data = json.loads((BOTOCORE / "data" / "partitions.json").read_text())
    names = [region for partition in data["partitions"] for region in partition["regions"]]
    assert {"eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"} <= set(names)
    return [name for name in names if not name.endswith("-global")]


def registries(region: str) -> Iterator[Registry]:
    """Return the registries of a region: as every host name can describe them, and ECR Public."""
    # Elsewhere there are no dual-stack registries, and botocore's data differ with its age.
    elsewhere = region.startswith(("eu-iso", "eusc-", "us-iso"))
    for fips in (False, True):
        for dual_stack in (False,) if elsewhere else (False, True):
            yield Registry("host", region=region, fips=fips, dual_stack=dual_stack)
    yield Registry("host", service="ecr-public", region=region)


@pytest.mark.parametrize("region", regions())
def test_both_send_the_same_request(
    region: str, bare: pytest.MonkeyPatch, session: botocore.session.Session
) -> None:
    """Every region, FIPS and dual stack, ECR and ECR Public: endpoint, headers, body, signature."""
    dice = random.Random(region)
    for registry in registries(region):
        characters = [chr(number) for number in range(33, 127)]
        access_key, secret_key = ("".join(dice.choices(characters, k=size)) for size in (20, 40))
        bare.setenv("AWS_ACCESS_KEY_ID", access_key)
        bare.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
        bare.delenv("AWS_SESSION_TOKEN", raising=False)
        if dice.random() < 0.5:
            bare.setenv("AWS_SESSION_TOKEN", "".join(dice.choices([*characters, " "], k=700)))
        now = dice.randrange(2**32)
        bare.setattr("time.time", lambda now=now: now)
        clock = datetime.fromtimestamp(now, UTC)
        bare.setattr(auth, "get_current_datetime", lambda clock=clock: clock)
        with bare.context() as patched:
            method, url, headers, body = ours(Target(registry), patched)
        other_method, other_url, other_headers, other_body = theirs(session, Target(registry))
        assert (method, url, body) == (other_method, other_url, other_body)
        sent = {name.lower(): value for name, value in headers.items() if name != "Host"}
        expected = {name.lower(): value for name, value in other_headers.items()}
        assert set(expected) - set(sent) == STATISTICS | {"content-length"}
        for name in (*STATISTICS, "content-length"):
            del expected[name]
        assert sent == expected


@pytest.mark.parametrize("region", ["aws-global", "eu-west-99", "mars-1", "", "../x"])
def test_a_region_that_botocore_does_not_know_is_its_own_to_judge(
    region: str, bare: pytest.MonkeyPatch
) -> None:
    """No endpoint is made up for it."""
    bare.setenv("AWS_ACCESS_KEY_ID", "a")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "b")
    noted: list[str] = []
    request = TokenRequest(Target(Registry("host", region=region)), Deadline(), noted.append)
    assert direct.authorization_token(request) is None
    assert noted == [f"not asked directly: botocore does not know {region}"]
    assert request.source == ""


ODD = ("canary-plain", "a b+c/d=e&f%g~h", "line\nbreak\n", "caf\u00e9 \u20ac", "'\"<>")


@pytest.mark.parametrize("region", ["", "ap-south-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("token", ODD)
@pytest.mark.parametrize("name", ["", "job+1=,.@-"])
def test_both_show_the_same_web_identity(
    region: str, token: str, name: str, bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The endpoint of STS and each parameter, as the server reads them, whatever the token is."""
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    bare.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    bare.setenv("AWS_ROLE_ARN", test_sources.PULL)
    for variable, value in (("AWS_DEFAULT_REGION", region), ("AWS_ROLE_SESSION_NAME", name)):
        if value:
            bare.setenv(variable, value)
    bare.setattr("time.time", lambda: 1764000000.9)
    target = Target(Registry("host", region="eu-west-1"))
    with bare.context() as patched:
        method, url, headers, body = ours(target, patched)

    def stop(request: AWSPreparedRequest, **_: object) -> None:
        raise Stop(request.method, request.url, request.headers, request.body)

    session = ecr.session_for(TokenRequest(target, Deadline()))
    events: Any = session
    events.register("before-send.sts", stop)
    found = session.get_credentials()
    assert found
    with pytest.raises(Stop) as caught:
        found.get_frozen_credentials()
    other_method, other_url, other_headers, other_body = caught.value.parts
    assert (method, url) == (other_method, other_url)
    assert headers["Content-Type"] == _text(other_headers["Content-Type"])
    assert parse_qs(body.decode(), strict_parsing=True) == parse_qs(_text(other_body))


OTHER = "the endpoint of the container is another"
DOUBTS = {
    "legacy": ({"AWS_STS_REGIONAL_ENDPOINTS": "legacy"}, "AWS_STS_REGIONAL_ENDPOINTS is set"),
    "host": (
        {FULL_URI: "http://metadata.example.com/x"},
        "the endpoint of the container is another",
    ),
    "https": ({FULL_URI: "https://localhost/x"}, "the endpoint of the container is another"),
    "local": ({FULL_URI: "http://127.0.0.2/x"}, "the endpoint of the container is another"),
    "path": ({RELATIVE_URI: "/a/../b"}, "a URL is not plain"),
    "line": (
        {FULL_URI: "http://localhost:9/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nEvil: b"},
        "what is to be sent to localhost is not plain",
    ),
    "token": (
        {**KEYS, "AWS_SESSION_TOKEN": "a\nEvil: b", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        "what is to be sent to 127.0.0.1 is not plain",
    ),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_must_not_be_sent_is_not(name: str, bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection is made: to another host than botocore would, or with a line too many."""
    variables, doubt = DOUBTS[name]
    if name == "legacy":
        (tmp_path / "token").write_text("canary")
        variables = {
            **variables,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ROLE_ARN": test_sources.PULL,
        }
    for variable, value in variables.items():
        bare.setenv(variable, value)
    bare.setattr(socket, "create_connection", lambda *_: pytest.fail("it was connected to"))
    noted: list[str] = []
    target = Target(Registry("host", region="eu-west-1"))
    assert direct.authorization_token(TokenRequest(target, Deadline(), noted.append)) is None
    assert noted == [f"not asked directly: {doubt}"]


class Recorder(socketserver.ThreadingTCPServer):
    """A server that keeps what it is sent, and refuses it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        self.heard: list[bytes] = []


class _Recording(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        heard = b""
        while not heard.endswith(b"\r\n\r\n{}"):
            heard += self.request.recv(65536)
        self.server.heard.append(heard)  # type: ignore[attr-defined]
        self.request.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}")


@contextlib.contextmanager
def recorder() -> Iterator[Recorder]:
    """Run a recorder for the length of a `with` block."""
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def test_on_the_wire_only_the_name_and_statistics_differ(helper: Helper) -> None:
    """The bytes that are sent, line by line: what is signed, and what http.client adds."""
    helper.env["AWS_SESSION_TOKEN"] = "canary-session-token"
    with recorder() as server:
        helper.env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_address[1]}"
        for variables in ({}, OFF):
            assert helper.get(HOST, env=variables).status == 1
    assert len(server.heard) == 2
    lane, other = (heard.decode().split("\r\n") for heard in server.heard)
    assert (lane[0], lane[-1]) == (other[0], other[-1]) == ("POST / HTTP/1.1", "{}")
    ours, theirs = (dict(line.split(": ", 1) for line in lines[1:-2]) for lines in (lane, other))
    ours, theirs = ({k.lower(): v for k, v in headers.items()} for headers in (ours, theirs))
    assert "Botocore" in theirs["user-agent"]
    assert "Botocore" not in ours["user-agent"]
    assert set(theirs) - set(ours) == STATISTICS - {"user-agent"}
    assert set(ours) <= set(theirs)
    moment, signature = re.compile(r"\d{8}T\d{6}Z|(?<=/)\d{8}(?=/)"), re.compile("[0-9a-f]{64}$")
    for name in set(ours) - STATISTICS:  # the loopback checks signatures, in every other test
        values = (signature.sub("", moment.sub("", sent[name])) for sent in (ours, theirs))
        assert len(set(values)) == 1, name


# The same outcome


def outcome(helper: Helper, aws: Loopback, env: Mapping[str, str | None]) -> tuple[Any, ...]:
    """Return what a cold get leaves: its streams, whose token it is, and what is kept."""
    result = helper.get(HOST, env=env)
    entries = {file.name: entry_in(file) for file in entry_files(helper.cache)}
    kept = {name: (entry.source, entry.expires - entry.issued) for name, entry in entries.items()}
    for file in entry_files(helper.cache):
        file.unlink()
    if result.status:
        return result.status, plain(result, helper, aws), kept
    token = result.answer["Secret"]
    assert {entry.token for entry in entries.values()} == {token}
    return result.status, result.err, aws.issued[token].principal, kept


@every_source
def test_the_lane_leaves_what_botocore_leaves(
    source: Source, helper: Helper, aws: Loopback
) -> None:
    """Over the table of sources: the principal, the entries, their names, sources and lives."""
    source.declare(helper, aws)
    lane = outcome(helper, aws, {})
    assert taken(aws) == (source.name in DIRECT)
    calls = len(aws.calls)
    assert outcome(helper, aws, OFF) == lane
    assert not taken(aws)
    assert calls <= len(aws.calls) - calls or source.name not in DIRECT


@every_source
def test_the_lane_fails_as_botocore_fails(source: Source, helper: Helper, aws: Loopback) -> None:
    """Over the table of sources, spoilt: status, texts, what is kept; and no call is made twice."""
    source.declare(helper, aws)
    source.spoil(helper, aws)
    lane = outcome(helper, aws, {})
    calls = [(call.service, call.operation) for call in aws.calls]
    aws.calls.clear()
    assert outcome(helper, aws, OFF) == lane
    assert calls == [(call.service, call.operation) for call in aws.calls]


FINAL = {
    "ecr": (
        *("denied", "redirect", "html", "no-token", "no-expiry", "past-expiry", "wrong-user"),
        "not-base64",
    ),
    "sts": ("denied", "redirect", "html"),
    "imds": ("redirect", "html"),
    "container": ("redirect", "html"),
}
DECLARE = {
    "ecr": test_sources.no_change,
    "sts": test_sources.web_identity,
    "imds": test_sources.instance,
    "container": test_sources.container,
}


@pytest.mark.parametrize(
    ("service", "kind"), [(service, kind) for service, kinds in FINAL.items() for kind in kinds]
)
def test_what_was_answered_is_not_asked_again(
    service: str, kind: str, helper: Helper, aws: Loopback
) -> None:
    """An answer that is no token is told as ever, after as many calls as without the lane."""
    DECLARE[service](helper, aws)
    aws.faults[service] = Fault(kind, status=200)
    lane = outcome(helper, aws, {})
    calls = [(call.service, call.operation) for call in aws.calls]
    aws.calls.clear()
    assert outcome(helper, aws, OFF) == lane
    assert lane[0] == 1
    assert calls == [(call.service, call.operation) for call in aws.calls]


@pytest.mark.parametrize("service", FINAL)
def test_what_aws_asks_for_is_obeyed(service: str, helper: Helper, aws: Loopback) -> None:
    """What the lane was told to wait, botocore waits before it asks for the first time."""
    DECLARE[service](helper, aws)
    aws.faults[service] = Fault("503", times=1, retry_after="1")
    assert helper.get(HOST).status == 0
    first, second = [call for call in aws.calls if call.service == service][:2]
    assert first.operation == second.operation
    assert second.time - first.time >= 1


@pytest.mark.parametrize(
    ("service", "kind"), [*((service, "reset") for service in FINAL), ("ecr", "half")]
)
def test_a_call_that_was_cut_off_counts_as_one(
    service: str, kind: str, helper: Helper, aws: Loopback
) -> None:
    """The number of tries that a message tells is the number of calls."""
    DECLARE[service](helper, aws)
    aws.faults[service] = Fault(kind)
    result = helper.get(HOST, env={"AWS_ECR_TIMEOUT": "6"})
    tried = re.search(r"\(tried (\d+) times in", result.out + result.err)
    assert tried
    assert int(tried[1]) == aws.count(service) > 1
    assert "closed before we received a valid response" in result.out + result.err


@pytest.mark.parametrize("service", ["sts", "imds", "container"])
def test_credentials_that_end_soon_are_botocores_to_renew(
    service: str, helper: Helper, aws: Loopback
) -> None:
    """In their last quarter of an hour botocore asks anew, so the lane leaves them to it."""
    DECLARE[service](helper, aws)
    aws.session_life = 840
    assert helper.get(HOST).status == 0
    assert not taken(aws)


# Where it is taken

IGNORED = {
    **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), "us-west-2"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "169.254.169.254"),
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_SDK_LOAD_CONFIG": "1",
    "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
    "AWS_LAMBDA_FUNCTION_NAME": "build",
    "AWS_CA_BUNDLE": "",
    "HTTPS_PROXY": "",
    "AWS_PROFILE": "",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/not-asked-for",
}
DOUBTFUL = {
    **dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1"),
    "AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    "AWS_USE_FIPS_ENDPOINT": "false",
    "AWS_USE_DUALSTACK_ENDPOINT": "false",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    "AWS_DATA_PATH": "/nowhere",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "3",
    "AWS_METADATA_SERVICE_TIMEOUT": "2",
    "AWS_CREDENTIAL_EXPIRATION": "2999-01-01T00:00:00Z",
    "AWS_SOMETHING_NEW": "1",
    "AWS_CSM_ENABLED": "false",
}
FILES = (".aws/config", ".aws/credentials", ".boto", ".aws/models/ecr/x.json", "named")


@pytest.mark.parametrize("name", IGNORED)
def test_what_decides_nothing_costs_nothing(name: str, helper: Helper, aws: Loopback) -> None:
    """The lane is taken in spite of variables that cannot change the request."""
    assert helper.get(HOST, env={name: IGNORED[name]}).status == 0
    assert taken(aws)


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_variable_that_may_decide_is_left_to_botocore(
    name: str, helper: Helper, aws: Loopback
) -> None:
    """Whatever is not understood, be it without effect, is botocore's."""
    env = {"NO_PROXY": "127.0.0.1", name: DOUBTFUL[name]}
    assert helper.get(HOST, env=env).status == 0
    assert not taken(aws)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_decide_is_left_to_botocore(
    name: str, helper: Helper, aws: Loopback
) -> None:
    """An AWS file, an empty one too, is botocore's to read."""
    path = helper.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}" if name.endswith("json") else "")
    env = {"AWS_CONFIG_FILE": str(path)} if name == "named" else {}
    assert helper.get(HOST, env=env).status == 0
    assert not taken(aws)


@pytest.mark.parametrize(
    "url", ["{}/path", "{}/?a=b", "http://user:word@127.0.0.1:{port}", "HTTP://127.0.0.1:{port}"]
)
def test_an_endpoint_that_is_more_than_a_host_is_left_to_botocore(
    url: str, helper: Helper, aws: Loopback
) -> None:
    """Whatever becomes of it there."""
    helper.env["AWS_ENDPOINT_URL"] = url.format(aws.url, port=aws.port)
    lane, off = (helper.get(HOST, env=variables) for variables in ({}, OFF))
    assert (lane.status, lane.err) == (off.status, off.err)
    assert all("Botocore" in call.user_agent for call in aws.calls)


@pytest.mark.parametrize("line", ['profile = "prod"', f'role_arn = "{test_sources.PULL}"'])
def test_the_settings_file_decides_before_the_environment(
    line: str, helper: Helper, aws: Loopback
) -> None:
    """With keys in the environment too, a profile or role that is named for the host counts."""
    aws.add_role(test_sources.PULL)
    test_sources.settings(helper, "[[registry]]", 'match = "*"', line)
    result = helper.get(HOST)
    if "prod" in line:
        assert "the AWS profile prod does not exist" in result.out
    else:
        asked = aws.issued[result.answer["Secret"]].principal
        assert asked == session_arn(test_sources.PULL, "ecr-credential-helper")
        assert not taken(aws)


def test_the_log_says_which_way_was_taken_and_why(helper: Helper, aws: Loopback) -> None:
    """AWS_ECR_LOG_FILE names what was in doubt."""
    log = helper.home / "log"
    helper.env |= {"AWS_ECR_LOG_FILE": str(log), "AWS_ECR_DISABLE_CACHE": "1"}
    assert helper.get(HOST).status == 0
    assert "not asked directly" not in log.read_text()
    assert helper.get(HOST, env={"AWS_RETRY_MODE": "standard"}).status == 0
    assert "not asked directly: AWS_RETRY_MODE is set" in log.read_text()
    assert taken(aws) is False


def test_botocore_reads_no_variable_that_the_lane_passes_by() -> None:
    """Of the harmless variables, those that botocore reads are few, and change no such request."""
    without_effect = {
        *("AWS_DEFAULT_REGION", "AWS_STS_REGIONAL_ENDPOINTS"),  # the lane reads them too
        *("AWS_EXECUTION_ENV", "AWS_SDK_UA_APP_ID"),  # the user agent
        "AWS_REGION",  # read for defaults_mode alone
        *("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"),  # of Amazon S3
        *("AWS_DISABLE_REQUEST_COMPRESSION", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES"),  # of others
        *("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS"),
        *("AWS_S3_USE_ARN_REGION", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"),
        "AWS_SIGV4A_SIGNING_REGION_SET",  # of services that sign with SigV4a
        "AWS_NEW_RETRIES_2026",  # the pauses of a retry mode that is not used here
        "AWS_LAMBDA_FUNCTION_NAME",  # a header for X-Ray
    }
    source = "\n".join(path.read_text() for path in BOTOCORE.rglob("*.py"))
    read = {name for name in HARMLESS if name in source}
    assert {name for name in read if not name.startswith(direct._STEERING)} <= without_effect
    assert {"AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS", "AWS_CREDENTIAL_EXPIRATION"} <= read


# Trust


@pytest.fixture
def secure(helper: Helper, aws: Loopback, authority: Authority, tmp_path: Path) -> Helper:
    """Return the executable, led to the loopback over TLS, which trusts the tests' authority."""
    helper.env["AWS_ENDPOINT_URL"] = aws.https_url
    helper.executable = trusting(helper.executable, tmp_path / "trusting", authority.bundle)
    return helper


def certificates(secure: Helper) -> Path:
    """Return the file of the authorities that the executable trusts."""
    (file,) = secure.executable.parent.parent.rglob("cacert.pem")
    return file


def test_tls_is_asked_directly(secure: Helper, aws: Loopback) -> None:
    """With a certificate of Amazon's the lane is taken."""
    assert helper_ok(secure.get(HOST), aws)
    assert taken(aws)


def test_another_authority_is_botocores_to_trust(secure: Helper, aws: Loopback) -> None:
    """Where Amazon's own do not vouch, all those that botocore trusts may."""
    bundle = certificates(secure)
    text = bundle.read_text()
    bundle.write_text(text.replace('# Label: "Amazon Root CA 1"', '# Label: "Somebody else"'))
    assert helper_ok(secure.get(HOST), aws)
    assert not taken(aws)


def test_only_amazons_authorities_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """These five, of those that botocore trusts; names are checked, and TLS is of today."""
    used: list[ssl.SSLContext] = []
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", lambda self, *_, **__: used.append(self))
    with socket.socket() as unused:
        direct._secured(unused, b"host")
    (context,) = used
    names = str(context.get_ca_certs())
    for number in range(1, 5):
        assert f"Amazon Root CA {number}" in names
    assert "Starfield Services Root Certificate Authority - G2" in names
    assert len(context.get_ca_certs()) == 5
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_no_trust_is_not_no_instance(helper: Helper, aws: Loopback) -> None:
    """An instance's endpoint with a certificate that nobody vouches for is told as that."""
    test_sources.instance(helper, aws)
    helper.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.https_url
    lane, other = (helper.get(HOST, env=variables) for variables in ({}, OFF))
    assert (lane.status, lane.out) == (other.status, other.out)
    assert "no AWS credentials" not in lane.out + lane.err


def test_a_certificate_for_another_name_is_refused(helper: Helper, tmp_path: Path) -> None:
    """The name in the certificate must be that of the endpoint, whoever vouches for it."""
    authority, ca, pem = trustme.CA(), tmp_path / "ca.pem", str(tmp_path / "other.pem")
    authority.issue_cert("127.0.0.3", "localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    authority.cert_pem.write_to_path(str(ca))
    helper.executable = trusting(helper.executable, tmp_path / "trusting", ca)
    with Loopback(certificate=(pem, pem)) as aws:
        result = helper.get(HOST, env={"AWS_ENDPOINT_URL": aws.https_url})
        assert result.status == 1
        assert "TLS failed" in result.out
        assert aws.calls == []


def helper_ok(result: Result, aws: Loopback) -> bool:
    """Whether a get was answered with a token of the loopback."""
    assert (result.status, result.err) == (0, "")
    return result.answer["Secret"] in aws.issued


class Flood(socketserver.StreamRequestHandler):
    """A server whose answer never ends."""

    def handle(self) -> None:
        """Answer until nobody listens."""
        self.rfile.readline()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" " * 65536)


class Cut(socketserver.StreamRequestHandler):
    """A server that sends a whole token, and less than it said it would."""

    def handle(self) -> None:
        """Answer with a token."""
        self.rfile.readline()
        body = json.dumps(
            {"authorizationData": [{"authorizationToken": "QVdTOngx", "expiresAt": 2e9}]}
        ).encode()
        head = f"HTTP/1.1 200 OK\r\nDate: {formatdate()}\r\nContent-Length: {len(body) + 9}\r\n\r\n"
        self.wfile.write(head.encode() + body)


@pytest.mark.parametrize(
    ("server", "doubt", "left"),
    [
        (Flood, "the answer of 127.0.0.1 is encoded or too large", 0),
        (Cut, "the answer of 127.0.0.1 has status 200, or is cut", 1),
    ],
)
def test_an_answer_is_bounded_and_whole(
    server: type[socketserver.StreamRequestHandler],
    doubt: str,
    left: int,
    bare: pytest.MonkeyPatch,
) -> None:
    """No more is read than any token needs, and no less than was promised."""
    for name, value in KEYS.items():
        bare.setenv(name, value)
    noted: list[str] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), server) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True).start()
        bare.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{serving.server_address[1]}")
        target = Target(Registry("host", region="eu-west-1"))
        request = TokenRequest(target, Deadline(), noted.append)
        assert direct.authorization_token(request) is None
        serving.shutdown()
    assert noted == [f"not asked directly: {doubt}"]
    assert len(request.answers) == left

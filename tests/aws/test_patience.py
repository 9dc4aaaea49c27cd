"""Patience: what may pass is tried again until the deadline, and what cannot is told at once."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest
from botocore import exceptions as botocore_errors
from hypothesis import given
from hypothesis import strategies as st

from ecr_credential_helper.aws import retries
from ecr_credential_helper.aws.backoff import asked_pause, dice, pause
from tests.aws.failures import (
    assumed_role,
    both,
    broken_session,
    config,
    env,
    expired_session,
    fault,
    proxied,
    proxy_without_tunnel,
    wrong_host,
)
from tests.aws.test_sources import (
    HOST,
    NAME,
    NOT_FOUND,
    Arrange,
    container,
    forget_sso,
    forget_user,
    instance,
    login,
    no_change,
    source_profile,
    sso_session,
    web_identity,
)
from tests.loopback import Fault, Loopback, Quota
from tests.support.entries import secret_of, started
from tests.support.helper import Authority, Helper, finish
from tests.torture.aws import old_sso_session

STUMBLES = 6  # seconds
SOON = {"AWS_ECR_TIMEOUT": "6"}
TRIED = re.compile(r"\(tried (\d+) times in (\d+) s\)$")


# The waits


@given(
    failures=st.integers(1, 10**6),
    whole=st.floats(0.1, 1e6),
    share=st.floats(0, 1),
    throttled=st.booleans(),
    asked=st.floats(0, 100),
    number=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_leaves_time_for_an_answer(  # noqa: PLR0913 - as the policy has them
    failures: int,
    whole: float,
    share: float,
    *,
    throttled: bool,
    asked: float,
    number: float,
) -> None:
    """It is never shorter than AWS asked for, and never so long that the try comes too late."""
    left = whole * share
    wait = pause(failures, left, whole, throttled=throttled, asked=asked, dice=lambda: number)
    last = min(3.0, whole / 8)
    if wait is None:
        assert left - asked < last
    else:
        assert asked <= wait <= asked + 5.0
        assert wait <= left - last / 4 + 1e-6


@pytest.mark.parametrize(
    ("throttled", "windows"),
    [(True, [1, 2, 4, 5, 5, 5]), (False, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])],
)
def test_the_window_doubles(throttled: bool, windows: list[float]) -> None:  # noqa: FBT001
    """Full jitter: any part of a window, which begins where the AWS SDKs' does."""
    for number in (0.0, 0.5, 0.999):
        waits = [
            pause(failures, 1000, 1000, throttled=throttled, dice=partial(float, number))
            for failures in range(1, len(windows) + 1)
        ]
        assert waits == pytest.approx([number * window for window in windows])


def test_the_last_try_is_spread_over_the_last_three_seconds() -> None:
    """Where a wait would pass the deadline it ends before it, at a random moment, and once."""
    numbers = iter([0.9, 0.0, 0.9, 0.99])
    first, second = (
        pause(9, 4.0, 25, throttled=True, dice=lambda: next(numbers)) for _ in range(2)
    )
    assert first == pytest.approx(4 - 3 / 4)
    assert second == pytest.approx(4 - 3 * (0.25 + 0.75 * 0.99))
    assert pause(10, 2.9, 25, throttled=True) is None


def test_the_dice_are_even() -> None:
    """From 0 to 1, and not 1 itself."""
    rolls = [dice() for _ in range(2000)]
    assert 0 <= min(rolls) < 0.01
    assert 0.99 < max(rolls) < 1
    assert 0.45 < sum(rolls) / len(rolls) < 0.55


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "3"}, 3),
        ({"retry-after": " 120 "}, 120),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "Sun, 29 Mar 2020 01:30:00 GMT"}, 0),
        *[
            ({"retry-after": text}, 0)
            for text in ("", "-1", "soon", "٣", "1.5", "Sun, 99 Mar 2020")
        ],
    ],
)
def test_what_aws_asks_for_is_read(headers: dict[str, str], seconds: float) -> None:
    """Retry-After is seconds or a date; what is neither is no wish."""
    assert asked_pause(headers) == seconds


def test_a_date_in_the_future_is_waited_for() -> None:
    """By the clock of this machine, as there is no other at hand."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3500 < asked_pause({"retry-after": date}) <= 3600


# What may pass


def served(
    tmp_path: Path, authority: Authority, troubles: Sequence[tuple[str, Arrange, Fault]]
) -> dict[str, float]:
    """Start a `get` for each trouble, each with an AWS of its own; assert that each is answered.

    A trouble has a name, whose first word is the service that is in it. Return for how long each
    asked.
    """
    seconds = {}
    with contextlib.ExitStack() as stack:
        gets = []
        for number, (name, arrange, fault) in enumerate(troubles):
            aws = stack.enter_context(Loopback(certificate=(authority.chain, authority.key)))
            home = tmp_path / str(number)
            home.mkdir()
            helper = Helper(home, aws, authority)
            arrange(helper, aws)
            aws.faults[name.split()[0]] = fault
            (process,) = stack.enter_context(started(helper, 1, HOST, env={}))
            gets.append((name, aws, process))
        for name, aws, process in gets:
            result = finish(process)
            assert (name, result.status, result.err) == (name, 0, "")
            assert secret_of(result.answer) in aws.issued
            seconds[name] = aws.calls[-1].time - aws.calls[0].time
    return seconds


def test_a_stumbling_ecr_is_outlasted(tmp_path: Path, authority: Authority) -> None:
    """Six seconds of errors, of throttling, of connections that are cut: and then the token."""
    kinds = ("500", "503", "throttled", "429", "reset", "half", "html")
    faults = [(f"ecr {kind}", no_change, Fault(kind, seconds=STUMBLES)) for kind in kinds]
    for name, seconds in served(tmp_path, authority, faults).items():
        assert seconds >= STUMBLES, name


STEPS = [
    ("sts AssumeRole", source_profile),
    ("sts AssumeRoleWithWebIdentity", web_identity),
    ("sts of the settings file", assumed_role),
    ("sso", sso_session),
    ("sso-oidc", old_sso_session),
    ("signin", login),
    ("imds", instance),
    ("container", container),
]
METADATA = ("imds", "container")


@pytest.mark.parametrize("kind", ["500", "throttled", "503", "reset"])
def test_a_stumbling_step_on_the_way_is_outlasted(
    kind: str, tmp_path: Path, authority: Authority
) -> None:
    """STS, SSO, sign-in and the metadata of instance and container are given the same time."""
    faults = [
        # The metadata endpoints have no error codes.
        (
            name,
            arrange,
            Fault("429" if kind == "throttled" and name in METADATA else kind, seconds=2),
        )
        for name, arrange in STEPS
    ]
    for name, seconds in served(tmp_path, authority, faults).items():
        assert seconds >= 2, name


def test_forty_machines_share_four_calls_a_second(helper: Helper, aws: Loopback) -> None:
    """Forty caches, one quota: each is served within its 25 seconds."""
    aws.quotas["ecr"] = Quota(rate=4, burst=4)
    with contextlib.ExitStack() as stack:
        machines: list[subprocess.Popen[bytes]] = []
        for number in range(40):
            cache = {"AWS_ECR_CACHE_DIR": f"{helper.cache}-{number}"}
            machines += stack.enter_context(started(helper, 1, HOST, env=cache))
        results = [finish(machine) for machine in machines]
    assert [(result.status, result.err) for result in results] == [(0, "")] * 40
    assert len({secret_of(result.answer) for result in results}) == 40
    assert aws.count("ecr") > 40  # some were throttled, or this tests nothing


def name_server(server: socket.socket, well: float) -> None:
    """Answer every question for an address: a failure until `well`, and then 127.0.0.1."""
    while True:
        try:
            question, client = server.recvfrom(512)
        except OSError:
            return
        end = question.index(b"\0", 12) + 5
        is_address = question[end - 4 : end - 2] == b"\0\x01"
        if time.monotonic() < well:
            head, records = b"\x81\x82" + question[4:6] + bytes(6), b""
        elif is_address:
            head = b"\x81\x80" + question[4:6] + b"\0\x01" + bytes(4)
            records = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x7f\0\0\x01"
        else:
            head, records = b"\x81\x80" + question[4:6] + bytes(6), b""
        server.sendto(question[:2] + head + question[12:end] + records, client)


@pytest.mark.needs("Linux", "root", "unshare --mount")
def test_a_stumbling_name_server_is_outlasted(helper: Helper, aws: Loopback) -> None:
    """Six seconds in which no name resolves, as at the start of a machine."""
    resolver = helper.home / "resolv.conf"
    resolver.write_text("nameserver 127.53.0.1\noptions timeout:1 attempts:1\n")
    script = f"mount --bind {resolver} /etc/resolv.conf && exec {helper.executable} get"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.53.0.1", 53))
        well = time.monotonic() + STUMBLES
        threading.Thread(target=name_server, args=(server, well), daemon=True).start()
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            env=helper.env | {"AWS_ENDPOINT_URL": f"http://ecr.example.test:{aws.port}"},
            input=HOST.encode(),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert time.monotonic() >= well
    assert aws.count("ecr") == 1


@pytest.mark.parametrize("kind", ["500", "throttled", "reset"])
def test_the_message_says_how_often_and_how_long(kind: str, helper: Helper, aws: Loopback) -> None:
    """At the deadline the last failure is told, with the number of tries."""
    aws.faults["ecr"] = Fault(kind)
    result = helper.get(HOST, env=SOON)
    assert result.status == 1
    tried = TRIED.search(result.out.rstrip())
    assert tried
    assert int(tried[1]) == aws.count("ecr") > 1
    assert int(tried[2]) <= 6


def test_a_call_that_hangs_after_others_failed_has_their_cause(
    helper: Helper, aws: Loopback
) -> None:
    """What was learnt is not lost when the deadline comes."""
    aws.faults["ecr.GetAuthorizationToken"] = Fault("throttled", times=2)
    aws.faults["ecr"] = Fault("hang")
    result = helper.get(HOST, env={"AWS_ECR_TIMEOUT": "8"})
    assert "was throttled" in result.out
    assert result.out.endswith("(tried 3 times in 8 s)\n")


@pytest.mark.parametrize("wish", ["2", "date"])
def test_what_aws_asks_for_is_obeyed(wish: str, helper: Helper, aws: Loopback) -> None:
    """Retry-After, in seconds or as a date."""
    if wish == "date":
        wish = format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True)
    aws.faults["ecr"] = Fault("throttled", times=1, retry_after=wish)
    assert helper.get(HOST).status == 0
    first, second = (call.time for call in aws.calls)
    assert second - first >= 2


def test_a_wish_beyond_the_deadline_is_told_at_once(helper: Helper, aws: Loopback) -> None:
    """Waiting for less than AWS asks for would be of no use."""
    aws.faults["ecr"] = Fault("throttled", retry_after="3600")
    result = helper.get(HOST)
    assert "was throttled" in result.out
    assert aws.count("ecr") == 1


# What cannot pass


def no_such_profile(helper: Helper, _: Loopback) -> None:
    """Choose a profile that is nowhere."""
    helper.env["AWS_PROFILE"] = "nowhere"


FINAL: dict[str, Arrange] = {
    "denied": fault("denied"),
    "expired keys": expired_session,
    "unknown key": forget_user,
    "no such profile": no_such_profile,
    "SSO ended": both(sso_session, forget_sso),
    "another certificate": wrong_host,
    "proxy refuses": proxy_without_tunnel,
    "unknown authority": both(proxied, env(AWS_CA_BUNDLE=None)),
    "session token with a line break": broken_session,
    "redirect": fault("redirect"),
    "a page that says yes": fault("html", status=200),
    "no JSON": config("credential_process = echo hello"),
    "no role in the container": both(container, fault("denied", "container")),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_cannot_pass_is_told_at_once(name: str, helper: Helper, aws: Loopback) -> None:
    """One call at most of each kind, and no word of tries."""
    FINAL[name](helper, aws)
    helper.env.pop("AWS_MAX_ATTEMPTS", None)
    host = HOST.replace("eu-west-1", "us-west-2") if "AWS_ENDPOINT_URL" not in helper.env else HOST
    result = helper.get(host)
    assert result.status == 1
    assert result.out.startswith(NAME)
    assert "tried" not in result.out + result.err
    assert max((aws.count(call.service) for call in aws.calls), default=0) <= 1


def test_a_machine_without_metadata_is_not_asked_again(helper: Helper, refusing: str) -> None:
    """Most machines are no instances: there the end of the search is told at once."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        del helper.env[name]
    result = helper.get(HOST, env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": refusing})
    assert result.out == f"{NOT_FOUND}\n"
    assert "no AWS credentials found" in result.err


def test_metadata_that_fail_to_the_end_are_no_lack_of_credentials(
    helper: Helper, aws: Loopback
) -> None:
    """An instance has a role: that it could not be asked is the cause, and is not remembered."""
    instance(helper, aws)
    aws.faults["imds"] = Fault("500")
    result = helper.get(HOST, env=SOON)
    assert "answered with status 500" in result.out
    assert TRIED.search(result.out.rstrip())
    aws.faults.clear()
    assert helper.get(HOST).status == 0


def test_the_number_of_attempts_for_metadata_keeps_its_meaning(
    helper: Helper, aws: Loopback
) -> None:
    """AWS_METADATA_SERVICE_NUM_ATTEMPTS is the user's word: twice the token, twice the role."""
    instance(helper, aws)
    aws.faults["imds"] = Fault("500")
    result = helper.get(HOST, env={"AWS_METADATA_SERVICE_NUM_ATTEMPTS": "2"})
    assert result.out == f"{NOT_FOUND}\n"
    assert aws.count("imds") == 4


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error with its cause."""
    error.__cause__ = cause
    return error


def unreachable(cause: Exception) -> Exception:
    """Return botocore's error where no connection was made."""
    return caused(botocore_errors.EndpointConnectionError(endpoint_url="x"), cause)


def tls(cause: Exception) -> Exception:
    """Return botocore's error where TLS failed."""
    return caused(botocore_errors.SSLError(endpoint_url="x", error=cause), cause)


def proxy(cause: Exception) -> Exception:
    """Return botocore's error where the proxy failed."""
    return caused(botocore_errors.ProxyConnectionError(proxy_url="x", error=cause), cause)


@pytest.mark.parametrize(
    ("make", "cause", "final"),
    [
        (unreachable, socket.gaierror(socket.EAI_AGAIN, "try again"), False),
        (unreachable, socket.gaierror(socket.EAI_NONAME, "not known"), True),
        (unreachable, ConnectionRefusedError(), False),
        (unreachable, OSError(101, "network is unreachable"), False),
        (tls, ssl.SSLCertVerificationError("not trusted"), True),
        (tls, ssl.SSLError("wrong version number"), True),
        (tls, ssl.SSLEOFError("cut"), False),
        (tls, ConnectionResetError(), False),
        (tls, TimeoutError(), False),
        (proxy, OSError("Tunnel connection failed: 407"), True),
        (proxy, ConnectionRefusedError(), False),
        (proxy, socket.gaierror(socket.EAI_NONAME, "not known"), True),
        (
            lambda cause: caused(botocore_errors.HTTPClientError(error=cause), cause),
            ValueError(),
            True,
        ),
        (
            lambda cause: caused(botocore_errors.HTTPClientError(error=cause), cause),
            ConnectionResetError(),
            False,
        ),
    ],
)
def test_only_what_may_pass_is_tried_again(
    make: Callable[[Exception], Exception],
    cause: Exception,
    final: bool,  # noqa: FBT001
) -> None:
    """A name server that fails for now, a connection that is cut; but no name that is unknown."""
    assert retries.is_final(make(cause)) == final

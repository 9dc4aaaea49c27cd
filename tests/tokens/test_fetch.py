"""When a token is renewed, when the one at hand is served, and by whose clock."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from ecr_credential_helper import verbs
from ecr_credential_helper.aws import direct
from ecr_credential_helper.aws.authorization import token_in
from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import Registry
from ecr_credential_helper.settings import Target, target_of
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.tokens import fetch
from ecr_credential_helper.tokens.cache import Cache, Key
from tests.loopback import Fault, Loopback, basic_credentials
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    entry_files,
    entry_in,
    rewrite,
    secret_of,
)
from tests.support.helper import Helper, assert_no_secret

IN_LINE: dict[str, str | None] = {"AWS_ECR_DISABLE_BACKGROUND_REFRESH": "1"}
AGING_AGE = LIFE * 3 // 4
REQUEST = TokenRequest(Target(Registry(HOST, region="eu-west-1")), Deadline())
LATE_AGE = LIFE - LIFE // 16


@pytest.mark.parametrize("age", [0, 60, LIFE // 2 - 300])
def test_a_fresh_token_is_served(helper: Helper, aws: Loopback, age: int) -> None:
    """In the first half of its life a token is answered, and nothing is started."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=age)
    files = helper.files()
    assert secret_of(helper.get(HOST).answer) == first
    assert secret_of(helper.get(HOST, env=IN_LINE).answer) == first
    assert helper.files() == files
    assert aws.count("ecr") == 1


@pytest.mark.parametrize(
    ("age", "env"),
    [
        (LIFE // 8 * 5 + 1, IN_LINE),
        (AGING_AGE, IN_LINE),
        (LIFE - LIFE // 8 + 1, {}),
        (LATE_AGE, {}),
        (LIFE - 59, {}),
        (LIFE, {}),
        (LIFE * 30, {}),
        (-60, {}),
        (-LIFE, {}),
    ],
)
def test_an_old_token_is_renewed_in_line(
    helper: Helper, aws: Loopback, age: int, env: dict[str, str | None]
) -> None:
    """In its last eighth, dead, from the future, or with no refresh behind, it is renewed first."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=age)
    second = helper.get(HOST, env=env)
    assert secret_of(second.answer) not in ("", first)
    assert second.stderr == b""
    assert aws.count("ecr") == 2
    assert {entry_in(file).token for file in entry_files(helper.cache)} == {
        secret_of(second.answer)
    }
    assert len(helper.files()) == 4


@pytest.mark.parametrize("fault", ["500", "throttled", "reset", "html", "no-token", "past-expiry"])
def test_while_aws_is_away_a_late_token_is_served(
    helper: Helper, aws: Loopback, fault: str
) -> None:
    """When AWS gives no valid answer the cached token is served, with one line on stderr."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=LATE_AGE)
    aws.faults["ecr"] = Fault(fault)
    result = helper.get(HOST)
    assert secret_of(result.answer) == first
    assert result.err.count("\n") == 1
    assert "the token in the cache is still valid" in result.err
    for seconds in re.findall(r"tried \d+ times in (\d+) s", result.err):
        assert int(seconds) <= 3  # of the 25 that there are without a token at hand
    assert_no_secret(result, aws, token_expected=True)
    aws.faults.clear()
    assert secret_of(helper.get(HOST).answer) != first


def test_while_nothing_answers_a_late_token_is_served(helper: Helper, aws: Loopback) -> None:
    """With a network that is down, or that drops everything, the cached token is served too."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=LATE_AGE)
    aws.faults["ecr"] = Fault("hang")
    assert secret_of(helper.get(HOST, env={"AWS_ECR_TIMEOUT": "1"}).answer) == first
    aws.stop()
    assert secret_of(helper.get(HOST).answer) == first


@pytest.mark.parametrize("age", [LIFE - 59, LIFE + 1, LIFE * 3, -60])
def test_a_dead_token_is_never_served(helper: Helper, aws: Loopback, age: int) -> None:
    """In its last minute, past its expiry or from the future, no failure brings it back."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=age)
    aws.faults["ecr"] = Fault("reset")
    result = helper.get(HOST, env={"AWS_ECR_TIMEOUT": "2"})
    assert result.status == 1
    assert first not in result.out + result.err
    assert result.out.startswith("docker-credential-ecr: ")


@pytest.mark.parametrize(("age", "env"), [(LATE_AGE, {}), (AGING_AGE, IN_LINE)])
@pytest.mark.parametrize("fault", ["denied", "expired-token"])
def test_what_aws_denies_is_not_served(
    helper: Helper, aws: Loopback, fault: str, age: int, env: dict[str, str | None]
) -> None:
    """A denial by AWS is an error, although the cached token is still valid."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=age)
    aws.faults["ecr"] = Fault(fault)
    result = helper.get(HOST, env=env)
    assert result.status == 1
    assert first not in result.out + result.err
    assert result.out.startswith("docker-credential-ecr: ")


def test_a_late_token_of_the_region_does_not_serve_a_second_account(
    helper: Helper, aws: Loopback
) -> None:
    """What another host may take over has to be fresh."""
    first = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=AGING_AGE)
    assert secret_of(helper.get(OTHER_ACCOUNT).answer) != first
    assert aws.count("ecr") == 2


# By whose clock


@pytest.mark.parametrize("offset", [-240, 0, 240])
def test_life_is_measured_by_the_servers_clock(
    helper: Helper, aws: Loopback, offset: float
) -> None:
    """A token of ten minutes lives for ten minutes here, whatever time it is there."""
    aws.clock_offset, aws.token_life = offset, 600
    before = time.time()
    assert helper.get(HOST).status == 0
    for file in entry_files(helper.cache):
        entry = entry_in(file)
        assert before - 1 <= entry.issued <= time.time()
        assert 595 <= entry.expires - entry.issued <= 602


@pytest.mark.parametrize("hours", [-24, -1, 0, 1, 24])
def test_the_date_header_says_what_time_it_is_there(hours: int) -> None:
    """The life of a token is its expiry less the answer's Date, a day off as well as an hour."""
    there = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)
    data = {
        "authorizationToken": basic_credentials("AWS", "dG9rZW4="),
        "expiresAt": there + timedelta(hours=12),
    }
    for date, life in (
        (format_datetime(there, usegmt=True), LIFE),
        (format_datetime(there + timedelta(hours=1), usegmt=True), LIFE - 3600),
        (format_datetime(there - timedelta(hours=1), usegmt=True), LIFE),  # no token has more
    ):
        answer = {"authorizationData": [data]}
        token = token_in(answer, {"date": date}, REQUEST)
        assert (token.secret, token.life) == ("dG9rZW4=", life)


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": ""}])
def test_without_a_date_header_our_clock_counts(headers: dict[str, str]) -> None:
    """An answer that does not say when it was given was given now."""
    data = {
        "authorizationToken": basic_credentials("AWS", "dG9rZW4="),
        "expiresAt": datetime.now(UTC) + timedelta(hours=1),
    }
    token = token_in({"authorizationData": [data]}, headers, REQUEST)
    assert 3590 <= token.life <= 3600


class Clock:
    """A clock that a test sets: epoch seconds, `ahead` of the real one."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the time that this clock shows."""
        return time.time() + self.ahead

    def govern(self, patch: pytest.MonkeyPatch) -> None:
        """Make it the clock of the file system too, for all that is kept from now on."""
        real = Directory.replace

        def replace(directory: Directory, source: str, target: str) -> None:
            if source.endswith(".tmp"):
                directory.touch(source, self())
            real(directory, source, target)

        patch.setattr(Directory, "replace", replace)


@contextmanager
def environment(helper: Helper, **more: str) -> Iterator[None]:
    """Give the tests' own process the environment of the helper."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**helper.env, **more}.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize("wrong", [-86400.0, 0.0, 86400.0])
def test_a_day_in_the_life_of_a_token(
    helper: Helper, aws: Loopback, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    """By a clock that is a day off and stays so, a token is used and renewed just as well."""
    clock, told = Clock(), list[str]()
    clock.govern(monkeypatch)
    request, calls = HOST.encode(), []
    with environment(helper, AWS_ECR_DISABLE_BACKGROUND_REFRESH="1"):
        for hours in (0.0, 1.0, 5.9, 7.6, 13.4, 15.2, 21.1, 27.5, 40.0):
            clock.ahead = wrong + hours * 3600
            verbs.get(request, Context(clock, told.append))
            calls.append(aws.count("ecr"))
        assert told == []
    assert calls == [1, 1, 1, 2, 2, 3, 3, 4, 5]


def test_a_clock_that_was_set_back_costs_a_call(helper: Helper, aws: Loopback) -> None:
    """A token that claims to come from the future is not used, though it may live long."""
    clock = Clock()
    with environment(helper):
        clock.ahead = 7200
        first = verbs.get(HOST.encode(), Context(clock, print))
        clock.ahead = 0
        second = verbs.get(HOST.encode(), Context(clock, print))
    assert first != second
    assert aws.count("ecr") == 2


# The rest of a renewal


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", "1e300", "1,5"])
def test_a_timeout_that_is_none_is_an_error(helper: Helper, aws: Loopback, text: str) -> None:
    """A bad AWS_ECR_TIMEOUT is named, and a fresh token is served in spite of it."""
    bad: dict[str, str | None] = {"AWS_ECR_TIMEOUT": text}
    result = helper.get(HOST, env=bad)
    assert result.status == 1
    assert f"AWS_ECR_TIMEOUT is {text!r}" in result.out
    assert aws.calls == []
    helper.get(HOST)
    assert helper.get(HOST, env=bad).status == 0


def test_what_another_process_fetched_meanwhile_is_taken(
    helper: Helper, aws: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the lock the cache is read again before anything is asked."""
    helper.get(HOST)
    target = target_of(HOST)
    assert target is not None
    monkeypatch.setattr(fetch, "_ask", None)
    with environment(helper):
        context = Context(time.time, print)
        entry = context.fetch(target)
        assert entry.token in aws.issued
        context.cache.remove(HOST)
        assert context.fetch(target).token == entry.token
        kept = context.cache.load(Key(HOST, context.identity))
    assert kept is not None
    assert kept.token == entry.token
    assert aws.count("ecr") == 1


def test_a_renewal_sweeps_the_cache(helper: Helper) -> None:
    """Tokens of identities that are gone go too, half a day later."""
    gone: dict[str, str | None] = {"AWS_SESSION_NAME_OF_THE_PAST": "1"}
    helper.get(HOST, env=gone)
    assert len(entry_files(helper.cache)) == 2
    (helper.cache / "notes.txt").write_text("mine")
    past = time.time() - LIFE - 3601
    for file in helper.cache.iterdir():
        os.utime(file, (past, past))
    helper.get(HOST)
    assert len(entry_files(helper.cache)) == 2
    assert (helper.cache / "notes.txt").read_text() == "mine"
    assert helper.run("list", env=gone).stdout == b"{}\n"


def test_a_cache_that_cannot_be_written_is_told_once(tmp_path: Path, helper: Helper) -> None:
    """Two entries are to be kept and one line says that neither is."""
    told: list[str] = []
    (tmp_path / "file").touch()
    with environment(helper):
        context = Context(time.time, told.append)
        context.cache = Cache(str(tmp_path / "file" / "cache"))
        verbs.get(HOST.encode(), context)
    assert len(told) == 1
    assert str(tmp_path / "file" / "cache") in told[0]


def test_a_failure_of_the_thread_reaches_the_caller(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong while asking comes out as it is, and nothing is kept."""

    def fail(_: object) -> None:
        raise HelperError("the reason")

    monkeypatch.setattr(direct, "authorization_token", fail)
    with environment(helper), pytest.raises(HelperError, match="the reason"):
        verbs.get(HOST.encode(), Context(time.time, print))
    assert entry_files(helper.cache) == []

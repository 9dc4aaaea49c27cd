"""The background refresh: one process, detached, silent, and soon ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ecr_credential_helper.context import Context
from ecr_credential_helper.tokens import background
from ecr_credential_helper.tokens.cache import Key
from tests.loopback import USER_KEY, USER_SECRET, Fault, Loopback, role_arn_of
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    entry_files,
    entry_in,
    rewrite,
    secret_of,
    stampede,
    until,
)
from tests.support.helper import Helper
from tests.tokens.test_docker_login import password

CROWD = 200
AGING_AGE = LIFE * 3 // 4

on_linux = pytest.mark.needs("Linux")  # processes are looked at in /proc


def refreshers(helper: Helper) -> list[int]:
    """Return the processes that refresh a token in this helper's home directory."""
    home = f"HOME={helper.home}".encode()
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            variables = Path("/proc", name, "environ").read_bytes().split(b"\0")
            if background.VERB.encode() in command and home in variables:
                found.append(int(name))
    return found


@pytest.fixture
def aging(helper: Helper) -> Iterator[str]:
    """Return a token past its half life; wait at the end for what was started to end."""
    secret = secret_of(helper.get(HOST).answer)
    rewrite(helper.cache, age=AGING_AGE)
    yield secret
    if sys.platform == "linux":
        until(lambda: not refreshers(helper))


def renewed(helper: Helper, old: str) -> bool:
    """Whether the host's token is another one."""
    return all(entry_in(file).token != old for file in entry_files(helper.cache, HOST))


def marks(helper: Helper) -> list[Path]:
    """Return the marks that say that a refresh is under way, or failed."""
    return list(helper.cache.glob("*.refresh"))


def test_an_aging_token_is_served_and_renewed_behind(
    helper: Helper, aws: Loopback, aging: str
) -> None:
    """The old token is answered at once, the next get has the new one, and all marks are gone."""
    result = helper.get(HOST)
    assert (secret_of(result.answer), result.stderr) == (aging, b"")
    until(lambda: renewed(helper, aging))
    until(lambda: len(helper.files()) == 4)
    second = secret_of(helper.get(HOST).answer)
    assert second in aws.issued
    assert second != aging
    assert secret_of(helper.get(OTHER_ACCOUNT).answer) == second
    assert aws.count("ecr") == 2


def test_two_hundred_start_one_refresh(
    helper: Helper, aws: Loopback, aging: str, tmp_path: Path
) -> None:
    """When two hundred gets pass the half life at once, all are answered and AWS is asked once."""
    answers = stampede(helper, CROWD, HOST, tmp_path / "crowd", env={})
    secrets = {secret_of(answer) for answer in answers}
    until(lambda: renewed(helper, aging))
    until(lambda: not marks(helper))
    assert aging in secrets
    assert secrets <= set(aws.issued)
    assert aws.count("ecr") == 2


@on_linux
def test_a_refresh_holds_nobody(helper: Helper, aws: Loopback, aging: str) -> None:
    """A client that reads to the end does not wait, and the refresh inherits no streams."""
    aws.answers.clear()
    reading, writing = os.pipe()
    with helper.popen("get", stderr=writing) as process:
        os.close(writing)
        stdout, _ = process.communicate(HOST.encode(), 30)
    with open(reading, "rb") as stderr:
        assert stderr.read() == b""
    assert aging.encode() in stdout
    until(lambda: aws.count("ecr") == 2)
    (pid,) = refreshers(helper)
    assert not renewed(helper, aging)
    assert len(marks(helper)) == 1
    assert os.getsid(pid) == os.getpgid(pid) == pid
    links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
    assert links == [os.devnull] * 3
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0"
    descriptors = os.listdir(f"/proc/{pid}/fd")
    assert not [
        name for name in descriptors if os.readlink(f"/proc/{pid}/fd/{name}").startswith("pipe:")
    ]
    assert secret_of(helper.get(HOST).answer) == aging
    assert refreshers(helper) == [pid]
    aws.answers.set()
    until(lambda: not refreshers(helper))


@on_linux
def test_a_refresh_inherits_no_pipe(helper: Helper, aws: Loopback, aging: str) -> None:
    """A descriptor inherited from the client is closed when the get ends, not with the refresh."""
    aws.answers.clear()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with subprocess.Popen(
        [helper.executable, "get"],
        env=helper.env,
        pass_fds=[writing],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        os.close(writing)
        stdout, _ = process.communicate(HOST.encode(), 30)
    assert aging.encode() in stdout
    until(lambda: aws.count("ecr") == 2)
    with open(reading, "rb", buffering=0) as held:
        assert held.read(1) == b""
    assert len(refreshers(helper)) == 1
    aws.answers.set()


@on_linux
def test_a_failed_refresh_is_tried_again_after_a_minute(
    helper: Helper, aws: Loopback, aging: str
) -> None:
    """Within 60 seconds of a failure gets only serve; after that the next one starts a refresh."""
    aws.faults["ecr"] = Fault("denied")

    def tried(times: int) -> bool:
        return aws.count("ecr") == 1 + times and not refreshers(helper)

    for times in (1, 2):
        for _ in range(4):
            result = helper.get(HOST)
            assert (secret_of(result.answer), result.stderr) == (aging, b"")
            until(partial(tried, times))
        (mark,) = marks(helper)
        assert mark.stat().st_mode & 0o777 == 0o600
        old = time.time() - 61
        os.utime(mark, (old, old))
    aws.faults.clear()
    assert secret_of(helper.get(HOST).answer) == aging
    until(lambda: renewed(helper, aging))
    until(lambda: not marks(helper))
    assert aws.count("ecr") == 4


def test_a_refresh_is_patient(helper: Helper, aws: Loopback, aging: str) -> None:
    """While AWS throttles, the one process that was started asks again and again."""
    aws.faults["ecr"] = Fault("throttled", seconds=3)
    assert secret_of(helper.get(HOST).answer) == aging
    until(lambda: renewed(helper, aging))
    until(lambda: not marks(helper))
    assert aws.count("ecr") > 2


@on_linux
def test_a_refresh_that_goes_on_keeps_its_mark(helper: Helper, aws: Loopback, aging: str) -> None:
    """However long it takes, no second process is started beside it."""
    aws.answers.clear()
    helper.get(HOST)
    until(lambda: aws.count("ecr") == 2)
    (mark,) = marks(helper)
    for _ in range(2):
        old = time.time() - 61
        os.utime(mark, (old, old))
        until(lambda: time.time() - mark.stat().st_mtime < 10)
    assert secret_of(helper.get(HOST).answer) == aging
    assert len(refreshers(helper)) == 1
    aws.answers.set()


@on_linux
@pytest.mark.parametrize("age", [61, -86400])
def test_a_refresh_that_dies_is_followed_by_another(
    helper: Helper, aws: Loopback, aging: str, age: float
) -> None:
    """The mark of a killed process counts for a minute; one from the future does not."""
    aws.answers.clear()
    helper.get(HOST)
    until(lambda: aws.count("ecr") == 2)
    (pid,) = refreshers(helper)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not refreshers(helper))
    aws.answers.set()
    assert secret_of(helper.get(HOST).answer) == aging
    assert refreshers(helper) == []
    (mark,) = marks(helper)
    os.utime(mark, (time.time() - age, time.time() - age))
    assert secret_of(helper.get(HOST).answer) == aging
    until(lambda: renewed(helper, aging) and not marks(helper))
    assert aws.count("ecr") == 3


def test_a_place_taken_by_a_directory_refreshes_in_line(
    helper: Helper, aws: Loopback, aging: str
) -> None:
    """Where no mark can be set, the get itself renews."""
    (entry,) = entry_files(helper.cache, HOST)
    mark = entry.with_name(f"{entry.name}.refresh")
    mark.mkdir()
    os.utime(mark, (1, 1))
    assert secret_of(helper.get(HOST).answer) not in ("", aging)
    assert aws.count("ecr") == 2


@pytest.mark.parametrize("value", ["1", "0"])
def test_the_background_can_be_turned_off(
    helper: Helper, aws: Loopback, aging: str, value: str
) -> None:
    """With any value the refresh is in line; with an empty one it is not."""
    env = {"AWS_ECR_DISABLE_BACKGROUND_REFRESH": value}
    assert secret_of(helper.get(HOST, env=env).answer) not in ("", aging)
    assert aws.count("ecr") == 2
    rewrite(helper.cache, age=AGING_AGE)
    aging = entry_in(entry_files(helper.cache, HOST)[0]).token
    empty = {"AWS_ECR_DISABLE_BACKGROUND_REFRESH": ""}
    assert secret_of(helper.get(HOST, env=empty).answer) == aging
    until(lambda: renewed(helper, aging))


@on_linux
def test_a_refresh_never_asks_for_a_code(helper: Helper, aws: Loopback) -> None:
    """For a role with MFA it ends by itself; an inline refresh reports it without a prompt."""
    role = role_arn_of("careful")
    serial = "arn:aws:iam::111122223333:mfa/developer"
    aws.add_role(role, mfa_serial=serial)
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text(
        f"[profile careful]\nrole_arn = {role}\nmfa_serial = {serial}\n"
        "source_profile = keys\n[profile keys]\n"
        f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"
    )
    env = {"AWS_PROFILE": "careful", "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    secret = password(int(time.time()) + 7200)
    helper.store(HOST, "AWS", secret, env=env)
    rewrite(helper.cache, age=AGING_AGE)
    served = helper.get(HOST, env=env)
    assert (secret_of(served.answer), served.stderr) == (secret, b"")
    until(lambda: not refreshers(helper))
    assert len(marks(helper)) == 1
    rewrite(helper.cache, age=LIFE - LIFE // 16)
    late = helper.get(HOST, env=env)
    assert secret_of(late.answer) == secret
    assert "needs an MFA code" in late.err
    assert "MFA code:" not in late.err
    assert aws.calls == []


def test_the_verb_refreshes_only_what_is_old(helper: Helper, aws: Loopback) -> None:
    """Whoever starts it by hand gets no output, and a fresh token is left alone."""
    first = secret_of(helper.get(HOST).answer)
    assert helper.run(background.VERB, HOST).stdout == b""
    assert not renewed(helper, first)
    assert secret_of(helper.get(HOST).answer) == first
    rewrite(helper.cache, age=AGING_AGE)
    assert helper.run(background.VERB, HOST).stdout == b""
    assert renewed(helper, first)
    assert helper.run(background.VERB, "docker.io").stdout == b""
    assert aws.count("ecr") == 2


def test_a_mark_is_set_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that come at the same time one sets the mark; it counts for sixty seconds."""
    monkeypatch.setenv("AWS_ECR_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(0o700)
    started: list[list[str]] = []
    monkeypatch.setattr(background, "detach", started.append)
    start, ahead = time.time(), [0.0]
    key = Key(HOST, b"me\n")
    context = Context(lambda: start + ahead[0], print)
    for seconds, times in ((0, 1), (0, 1), (58, 1), (62, 2), (-62, 3)):
        ahead[0] = seconds
        assert background.start(key, context.cache, context.clock)
        assert len(started) == times
    assert started[0] == [background.VERB, HOST]
    background.unmark(key, context.cache)
    background.unmark(key, context.cache)
    assert list((tmp_path / "cache").iterdir()) == []
    (tmp_path / "cache").chmod(0o755)
    assert not background.start(key, context.cache, context.clock)
    assert len(started) == 3

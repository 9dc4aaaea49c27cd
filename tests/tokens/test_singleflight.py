"""Singleflight: of many processes that need a token, one asks; without a lock each may ask."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_credential_helper.tokens.singleflight import SingleFlight
from tests.loopback import Loopback
from tests.support.entries import (
    HOST,
    LIFE,
    entry_files,
    rewrite,
    secret_of,
    stampede,
    started,
    until,
)
from tests.support.helper import Helper, finish

CROWD = 200

# So long that no process of a crowd gives up on its turn, however slow the machine.
LONG_TIMEOUT: dict[str, str | None] = {"AWS_ECR_TIMEOUT": "120"}


def test_only_one_is_in_the_air(tmp_path: Path) -> None:
    """Two bodies under one lock never run at the same time, and each runs."""
    inside: list[int] = []
    most: list[int] = []

    def run() -> None:
        for _ in range(10):
            with SingleFlight(str(tmp_path / "cache"), "lock", 60):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 60
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_locks_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Another region's flight is no reason to wait."""
    with (
        SingleFlight(str(tmp_path / "cache"), "one", 0),
        SingleFlight(str(tmp_path / "cache"), "two", 0),
    ):
        names = sorted(file.name for file in (tmp_path / "cache").iterdir())
    assert names == ["one", "two"]


def test_an_error_lets_go_of_the_lock(tmp_path: Path) -> None:
    """The body's own error comes out, and the next flight need not wait."""
    for _ in range(2):
        with (
            pytest.raises(FileNotFoundError, match="mine"),
            SingleFlight(str(tmp_path / "cache"), "lock", 600),
        ):
            raise FileNotFoundError("mine")
    assert list((tmp_path / "cache").iterdir()) == []


def below_a_file(path: Path) -> None:
    """Make the directory impossible."""
    path.parent.write_bytes(b"")


def wide_open(path: Path) -> None:
    """Let others enter the directory."""
    path.mkdir(parents=True)
    path.chmod(0o777)


def lock_is_a_directory(path: Path) -> None:
    """Put a directory in the lock's place."""
    (path / "lock").mkdir(mode=0o700, parents=True)
    path.chmod(0o700)


def lock_is_a_link(path: Path) -> None:
    """Put a link in the lock's place."""
    path.mkdir(parents=True, mode=0o700)
    (path / "lock").symlink_to(path / "elsewhere")


@pytest.mark.parametrize("arrange", [below_a_file, wide_open, lock_is_a_directory, lock_is_a_link])
def test_a_lock_that_cannot_be_had_is_done_without(
    tmp_path: Path, arrange: Callable[[Path], None]
) -> None:
    """The body runs once, at once, and its errors come out as they are."""
    path, ran = tmp_path / "parent" / "cache", []
    arrange(path)
    with SingleFlight(str(path), "lock", 600):
        ran.append(1)
    assert ran == [1]
    with pytest.raises(PermissionError, match="mine"), SingleFlight(str(path), "lock", 600):
        raise PermissionError("mine")
    assert not (path / "elsewhere").exists()


def test_a_file_system_without_locks_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locking itself fails, the body runs all the same."""

    def fail(_: int, __: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    ran = []
    with SingleFlight(str(tmp_path / "cache"), "lock", 600):
        ran.append(1)
    assert ran == [1]


def test_the_wait_is_bounded(tmp_path: Path) -> None:
    """A lock that is never released is waited for until the timeout, then done without."""
    path, ran = str(tmp_path / "cache"), []
    with SingleFlight(path, "lock", 600):
        for seconds in (0, 0.1):
            with SingleFlight(path, "lock", seconds):
                ran.append(1)
        assert os.path.exists(f"{path}/lock")
    assert ran == [1, 1]
    assert not os.path.exists(f"{path}/lock")


def test_the_lock_on_a_removed_file_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After locking a file that was removed meanwhile, the lock of the new file is taken."""
    path, real, tries = tmp_path / "cache", fcntl.flock, []

    def remove_then_lock(file: int, operation: int) -> None:
        tries.append(file)
        if len(tries) == 1:
            (path / "lock").unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with (
        SingleFlight(str(path), "lock", 600),
        open(path / "lock", "rb") as other,
        pytest.raises(BlockingIOError),
    ):
        real(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(tries) == 2


# Whole processes


def test_of_two_hundred_one_asks(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """Two hundred cold gets at once, then two hundred past expiry, are one call each."""
    answers = stampede(helper, CROWD, HOST, tmp_path / "cold", env=LONG_TIMEOUT)
    assert aws.count("ecr") == 1
    (first,) = {secret_of(answer) for answer in answers}
    assert first in aws.issued
    rewrite(helper.cache, age=LIFE + 10)
    answers = stampede(helper, CROWD, HOST, tmp_path / "expired", env=LONG_TIMEOUT)
    assert aws.count("ecr") == 2
    (second,) = {secret_of(answer) for answer in answers}
    assert second in aws.issued
    assert second != first
    assert len(list(helper.cache.iterdir())) == len(entry_files(helper.cache)) == 2


@pytest.mark.needs("Linux")
def test_a_leader_that_is_killed_harms_nobody(helper: Helper, aws: Loopback) -> None:
    """While the leader waits for a slow AWS it is killed: one of the others asks, all answer."""
    aws.latency["ecr"] = 60
    with started(helper, 1, HOST, env=LONG_TIMEOUT) as (leader,):
        until(lambda: aws.count("ecr") == 1)
        with started(helper, 8, HOST, env=LONG_TIMEOUT) as others:
            until(lambda: all(holds(other.pid, helper.cache) for other in others))
            assert aws.count("ecr") == 1
            aws.latency.clear()
            leader.send_signal(signal.SIGKILL)
            assert finish(leader).status == -signal.SIGKILL
            secrets = {secret_of(finish(other).answer) for other in others}
    assert len(secrets) == 1
    assert aws.count("ecr") == 2
    assert len(list(helper.cache.iterdir())) == 2


def holds(pid: int, directory: Path) -> bool:
    """Whether a process has a directory open, as it has while it waits for its turn."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return str(directory) in links


def test_a_lock_that_is_never_let_go_costs_half_the_time(helper: Helper, aws: Loopback) -> None:
    """A get waits for its turn no longer than half of AWS_ECR_TIMEOUT, then asks by itself."""
    helper.get(HOST)
    (region,) = entry_files(helper.cache, "ecr_eu-west-1")
    name = f"{region}.lock"
    for file in entry_files(helper.cache):
        file.unlink()
    holder = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    result = helper.get(HOST, env={"AWS_ECR_TIMEOUT": "4"})
    os.close(holder)
    assert secret_of(result.answer) in aws.issued
    assert result.stderr == b""
    assert aws.count("ecr") == 2


def test_a_place_taken_by_a_directory_costs_a_call(
    helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """Without a lock every process answers, and what it got is kept."""
    helper.get(HOST)
    (region,) = entry_files(helper.cache, "ecr_eu-west-1")
    for file in entry_files(helper.cache):
        file.unlink()
    (helper.cache / f"{region.name}.lock").mkdir()
    answers = stampede(helper, 4, HOST, tmp_path / "crowd", env=LONG_TIMEOUT)
    assert all(secret_of(answer) in aws.issued for answer in answers)
    calls = aws.count("ecr")
    assert 2 <= calls <= 5
    assert secret_of(helper.get(HOST).answer) in aws.issued
    assert aws.count("ecr") == calls

"""Singleflight: of many processes that need a token, one asks, and all get what it got."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_credential_helper.errors import (
    CredentialsNotFound,
    Denied,
    HelperError,
    NoAWSCredentials,
)
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.tokens.singleflight import SingleFlight
from tests.loopback import Fault, Loopback
from tests.support.entries import (
    HOST,
    LIFE,
    crowd,
    entry_files,
    rewrite,
    secret_of,
    stampede,
    started,
    until,
)
from tests.support.helper import Helper, finish

CROWD = 200 if os.name == "posix" else 20  # Wine starts one or two in a second

# So long that no process of a crowd gives up on its turn, however slow the machine.
LONG_TIMEOUT: dict[str, str | None] = {"AWS_ECR_TIMEOUT": "120"}


def test_only_one_is_in_the_air(tmp_path: Path) -> None:
    """Two bodies under one lock never run at the same time, and each runs."""
    inside: list[int] = []
    most: list[int] = []

    def run() -> None:
        for _ in range(10):
            with SingleFlight(str(tmp_path / "cache"), "lock", Deadline()):
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
        SingleFlight(str(tmp_path / "cache"), "one", Deadline()),
        SingleFlight(str(tmp_path / "cache"), "two", Deadline()),
    ):
        names = sorted(file.name for file in (tmp_path / "cache").iterdir())
    assert names == ["one", "two"]


def test_an_error_lets_go_of_the_lock(tmp_path: Path) -> None:
    """The body's own error comes out, and the next flight need not wait."""
    for _ in range(2):
        with (
            pytest.raises(FileNotFoundError, match="mine"),
            SingleFlight(str(tmp_path / "cache"), "lock", Deadline()),
        ):
            raise FileNotFoundError("mine")
    assert list((tmp_path / "cache").iterdir()) == []


needs_posix = pytest.mark.needs("POSIX")


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


@pytest.mark.parametrize(
    "arrange",
    [
        below_a_file,
        pytest.param(wide_open, marks=needs_posix),
        lock_is_a_directory,
        pytest.param(lock_is_a_link, marks=needs_posix),
    ],
)
def test_a_lock_that_cannot_be_had_is_done_without(
    tmp_path: Path, arrange: Callable[[Path], None]
) -> None:
    """The body runs once, at once, and its errors come out as they are."""
    path, ran = tmp_path / "parent" / "cache", []
    arrange(path)
    with SingleFlight(str(path), "lock", Deadline()):
        ran.append(1)
    assert ran == [1]
    with pytest.raises(PermissionError, match="mine"), SingleFlight(str(path), "lock", Deadline()):
        raise PermissionError("mine")
    assert not (path / "elsewhere").exists()


@pytest.mark.needs("POSIX")
def test_a_file_system_without_locks_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locking itself fails, the body runs all the same."""
    import fcntl

    def fail(_: int, __: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    ran = []
    with SingleFlight(str(tmp_path / "cache"), "lock", Deadline()):
        ran.append(1)
    assert ran == [1]


def deadline(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Deadline:
    """Return a deadline of so many seconds."""
    monkeypatch.setenv("AWS_ECR_TIMEOUT", str(seconds))
    return Deadline()


def test_the_wait_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its own deadline a process that waits raises what the holder says of itself."""
    path = str(tmp_path / "cache")
    with SingleFlight(path, "lock", Deadline()) as flight:
        for error in (Denied("it hangs", "see why"), HelperError("it still hangs, ümlaut ☃")):
            flight.report(error)
            with (
                pytest.raises(type(error)) as raised,
                SingleFlight(path, "lock", deadline(monkeypatch, 0.1)),
            ):
                pytest.fail("it went on without the lock")
            assert (raised.value.message, raised.value.hint) == (error.message, error.hint)
        assert os.path.exists(f"{path}/lock")
    assert not os.path.exists(f"{path}/lock")


def test_a_holder_that_says_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first report there is nothing to pass on but that another process asks."""
    path = str(tmp_path / "cache")
    with (
        SingleFlight(path, "lock", Deadline()),
        pytest.raises(HelperError, match=r"another process .* within 0\.1 s"),
        SingleFlight(path, "lock", deadline(monkeypatch, 0.1)),
    ):
        pytest.fail("it went on without the lock")


@pytest.mark.needs("POSIX")
def test_a_holder_that_no_longer_writes_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped holds nobody up for longer than five seconds; less, if hurried."""
    path = str(tmp_path / "cache")
    stopped = SingleFlight(path, "lock", Deadline())
    stopped.__enter__()
    stopped.report(HelperError("it hangs"))
    with SingleFlight(path, "lock", deadline(monkeypatch, 3)) as flight:
        assert os.path.exists(f"{path}/lock")
        stopped.__exit__(None, None, None)  # it goes on, and leaves the other's file alone
        assert os.path.exists(f"{path}/lock")
        flight.report(HelperError("it goes on"))
    assert not os.path.exists(f"{path}/lock")


def test_a_halt_of_the_machine_is_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing runs at all, or hardly, a holder cannot write: nobody passes it by for that."""
    path, now, halts = str(tmp_path / "cache"), time.monotonic(), list[float]()
    holder = SingleFlight(path, "lock", Deadline())
    holder.__enter__()
    holder.report(HelperError("it asks"))

    def halt(seconds: float) -> None:
        halts.append(seconds)
        if len(halts) == 4:
            holder.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", halt)
    monkeypatch.setattr(time, "monotonic", lambda: now + 60 * len(halts))
    with SingleFlight(path, "lock", deadline(monkeypatch, 1000)):
        assert len(halts) == 4


def waiting(path: str, count: int, outcomes: list[object]) -> list[threading.Thread]:
    """Start threads that wait for the lock, and add the error that they raise, or None."""

    def wait() -> None:
        try:
            with SingleFlight(path, "lock", Deadline()):
                outcomes.append(None)
        except HelperError as error:
            outcomes.append((type(error), error.message, error.hint))

    threads = [threading.Thread(target=wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize(
    "error",
    [
        HelperError("it was throttled", "try later"),
        Denied("it was denied"),
        CredentialsNotFound("nothing is there", "put something there"),
        NoAWSCredentials(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failure_is_shared(tmp_path: Path, error: HelperError) -> None:
    """Whoever waited raises the same error; nobody else holds the lock in between."""
    path, outcomes = str(tmp_path / "cache"), list[object]()
    with contextlib.suppress(type(error)), SingleFlight(path, "lock", Deadline()):
        threads = waiting(path, 8, outcomes)
        time.sleep(0.5)
        assert outcomes == []
        raise error
    for thread in threads:
        thread.join()
    assert outcomes == [(type(error), error.message, error.hint)] * 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_what_befalls_one_process_is_not_shared(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C, or too little memory, says nothing about AWS: one of the others goes on."""
    path, outcomes = str(tmp_path / "cache"), list[object]()
    with contextlib.suppress(error), SingleFlight(path, "lock", Deadline()):
        threads = waiting(path, 3, outcomes)
        raise error
    for thread in threads:
        thread.join()
    assert outcomes == [None] * 3


LATER = (
    "import sys, time\n"
    "from ecr_credential_helper.system.deadline import Deadline\n"
    "from ecr_credential_helper.tokens.singleflight import SingleFlight\n"
    "clock = lambda: time.time() + float(sys.argv[2])\n"
    "with SingleFlight(sys.argv[1], 'lock', Deadline(), clock): print('asks')\n"
)


@pytest.mark.parametrize("ahead", [0, 3600, -3600])
def test_whoever_comes_later_asks_anew(tmp_path: Path, ahead: float) -> None:
    """A process that was started after a failure does not share it, whatever its clock says."""
    path = str(tmp_path / "cache")
    with pytest.raises(Denied), SingleFlight(path, "lock", Deadline()):
        raise Denied("no")
    command = [sys.executable, "-c", LATER, path, str(ahead)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("asks\n", "")


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"failed",
        b"failed x\nDenied\nno\n\n",
        b"\xff\n\n\n\n",
        b"failed nan\nX\nno\n\n",
        b"x" * 99999,
    ],
    ids=lambda report: str(report[:12]),
)
def test_a_report_that_is_none_is_none(tmp_path: Path, report: bytes) -> None:
    """Whatever is in the file of the lock, whoever gets the lock may ask."""
    path = tmp_path / "cache"
    path.mkdir(mode=0o700)
    (path / "lock").write_bytes(report)
    with SingleFlight(str(path), "lock", Deadline()):
        assert (path / "lock").read_bytes() == b""


@pytest.mark.needs("POSIX")
def test_the_lock_on_a_removed_file_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After locking a file that was removed meanwhile, the lock of the new file is taken."""
    import fcntl

    path, real, tries = tmp_path / "cache", fcntl.flock, []

    def remove_then_lock(file: int, operation: int) -> None:
        tries.append(file)
        if len(tries) == 1:
            (path / "lock").unlink()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with (
        SingleFlight(str(path), "lock", Deadline()),
        open(path / "lock", "rb") as other,
        pytest.raises(BlockingIOError),
    ):
        real(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(tries) == 2


# Whole processes


def test_of_a_crowd_one_asks(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
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
    assert len(entry_files(helper.cache)) == 2
    assert len(list(helper.cache.iterdir())) == 3  # and the mark of a sweep


def test_of_a_crowd_one_is_denied(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """What AWS tells the one that asks is told by all, in the same words."""
    aws.faults["ecr"] = Fault("denied")
    results = crowd(helper, CROWD, HOST, tmp_path / "denied", env=LONG_TIMEOUT)
    assert aws.count("ecr") == 1
    (result,) = set(results)
    assert result.status == 1
    assert "was denied" in result.out
    assert "allow ecr:GetAuthorizationToken" in result.err
    assert helper.get(HOST) == result
    assert aws.count("ecr") == 2  # whoever comes later asks


@pytest.mark.parametrize("kind", ["throttled", "500"])
def test_a_crowd_has_the_patience_of_one(
    kind: str, helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """While AWS throttles for five seconds, or fails, one process asks and asks again, for all."""
    aws.faults["ecr"] = Fault(kind, seconds=5)
    answers = stampede(helper, CROWD, HOST, tmp_path / "crowd", env=LONG_TIMEOUT)
    assert len({secret_of(answer) for answer in answers}) == 1
    assert len(aws.issued) == 1
    times = [call.time for call in aws.calls]
    assert times[-1] - times[0] >= 5
    # One that begins with a pause of 50 ms at most makes some ten calls in that time.
    assert 2 <= len(times) <= 20


def test_who_waits_does_so_until_its_own_deadline(
    helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """An answer that comes late, but in time, is one for all."""
    aws.latency["ecr"] = 7
    stampede(helper, 5, HOST, tmp_path / "crowd", env={"AWS_ECR_TIMEOUT": "13"})
    assert aws.count("ecr") == 1


def test_all_who_wait_for_a_silent_aws_say_so(
    helper: Helper, aws: Loopback, tmp_path: Path
) -> None:
    """At the deadline each has the cause, and AWS was asked once."""
    aws.faults["ecr"] = Fault("hang")
    results = crowd(helper, 40, HOST, tmp_path / "crowd", env={"AWS_ECR_TIMEOUT": "9"})
    assert {result.status for result in results} == {1}
    (cause,) = {result.out for result in results}
    assert cause.endswith("as the keys in the environment got no answer within 9 s\n")
    assert aws.count("ecr") == 1


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
    assert len(list(helper.cache.iterdir())) == 3


@pytest.mark.needs("Linux")
def test_a_leader_that_is_killed_while_it_pauses_harms_nobody(
    helper: Helper, aws: Loopback
) -> None:
    """In the middle of its backoff the leader is killed: one other takes over, not all."""
    aws.faults["ecr"] = Fault("throttled", retry_after="100")
    with started(helper, 1, HOST, env=LONG_TIMEOUT) as (leader,):
        until(lambda: aws.count("ecr") == 1)
        with started(helper, 8, HOST, env=LONG_TIMEOUT) as others:
            until(lambda: all(holds(other.pid, helper.cache) for other in others))
            assert aws.count("ecr") == 1
            leader.send_signal(signal.SIGKILL)
            until(lambda: aws.count("ecr") == 2)
            time.sleep(2)
            assert aws.count("ecr") == 2
            aws.faults.clear()
            (second,) = [other for other in others if leads(other.pid)]
            second.send_signal(signal.SIGKILL)
            secrets = {secret_of(finish(other).answer) for other in others if other is not second}
    assert len(secrets) == 1
    assert aws.count("ecr") == 3


def leads(pid: int) -> bool:
    """Whether a process has a connection open, or a second thread: it asks AWS."""
    return len(os.listdir(f"/proc/{pid}/task")) > 1


@pytest.mark.needs("Linux")
def test_a_leader_that_is_stopped_holds_nobody_up(helper: Helper, aws: Loopback) -> None:
    """Ctrl-Z in a get by hand: the others wait some seconds, and then one of them asks."""
    aws.latency["ecr"] = 60
    with started(helper, 1, HOST, env=LONG_TIMEOUT) as (leader,):
        until(lambda: aws.count("ecr") == 1)
        leader.send_signal(signal.SIGSTOP)
        aws.latency.clear()
        with started(helper, 8, HOST, env=LONG_TIMEOUT) as others:
            secrets = {secret_of(finish(other).answer) for other in others}
        assert len(secrets) == 1
        assert aws.count("ecr") == 2


def holds(pid: int, directory: Path) -> bool:
    """Whether a process has a directory open, as it has while it waits for its turn."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return str(directory) in links


@pytest.mark.needs("POSIX")
def test_a_lock_that_is_never_let_go_costs_some_seconds(helper: Helper, aws: Loopback) -> None:
    """If what holds the lock is not this program, or was stopped, a get asks by itself in time."""
    import fcntl

    helper.get(HOST)
    (region,) = entry_files(helper.cache, "ecr_eu-west-1")
    name = f"{region}.lock"
    for file in entry_files(helper.cache):
        file.unlink()
    holder = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    result = helper.get(HOST)
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

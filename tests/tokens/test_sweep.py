"""Sweeping the cache: seldom, within bounds, and never at the cost of a token that is in use."""

import contextlib
import multiprocessing
import os
import stat
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.tokens import sweep
from ecr_credential_helper.tokens.cache import SWEPT, Cache, Entry, Key
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    PUBLIC,
    entry_files,
    secret_of,
)
from tests.support.helper import Helper

HOUR = 3600.0
CROWD = 50
TURNS = 20
KEY = Key(HOST, b"me\n")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache in a directory that exists."""
    (tmp_path / "cache").mkdir(0o700)
    return Cache(str(tmp_path / "cache"))


def key_of(number: int) -> Key:
    """Return one key of many."""
    return Key(f"{number:012}.{HOST}", b"me\n")


def keep(cache: Cache, key: Key, *, written: float = 0.0, served: float | None = None) -> Path:
    """Keep an entry under a key; it was written and last served so many seconds ago."""
    now = time.time()
    cache.save(key, Entry(int(now), int(now) + LIFE, "env", "t"))
    file = Path(cache.path, key.name)
    os.utime(file, (now - (written if served is None else served), now - written))
    return file


def names(cache: Cache) -> set[str]:
    """Return the names of all files but the mark."""
    return set(os.listdir(cache.path)) - {SWEPT}


# When


def test_there_is_one_sweep_in_ten_minutes(cache: Cache) -> None:
    """The time of a file in the directory says when the last one was."""
    now = time.time()
    for later, swept in ((0, True), (1, False), (599, False), (601, True), (1200, False)):
        dead = keep(cache, KEY, written=20 * HOUR)
        cache.sweep(now + later)
        assert dead.exists() is not swept, later
    cache.sweep(now + 1202)
    assert not dead.exists()


@pytest.mark.parametrize("ahead", [700, 1e9])
def test_a_mark_from_the_future_does_not_count(cache: Cache, ahead: float) -> None:
    """A clock that was wrong once does not end the sweeps."""
    dead, mark = keep(cache, KEY, written=20 * HOUR), Path(cache.path, SWEPT)
    mark.touch(0o600)
    os.utime(mark, (time.time() + ahead,) * 2)
    cache.sweep(time.time())
    assert not dead.exists()
    assert abs(mark.stat().st_mtime - time.time()) < 60


def test_the_mark_is_private_and_no_link(cache: Cache, tmp_path: Path) -> None:
    """A link in its place is replaced; what it leads to is neither made nor touched."""
    target, mark = tmp_path / "target", Path(cache.path, SWEPT)
    target.touch()
    os.utime(target, (1, 1))
    for to in (target, tmp_path / "nowhere", Path("/dev/zero")):
        mark.unlink(missing_ok=True)
        mark.symlink_to(to)
        os.utime(mark, (1, 1), follow_symlinks=False)
        old = os.umask(0)
        cache.sweep(time.time())
        os.umask(old)
        status = mark.lstat()
        assert (stat.S_ISREG(status.st_mode), status.st_mode & 0o777) == (True, 0o600)
        assert status.st_size == 0
    assert target.stat().st_mtime == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("failing", ["remove", "open_lock", "touch"])
def test_where_no_mark_can_be_set_there_is_no_sweep(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It would remove nothing, each time anew."""
    keep(cache, KEY, written=20 * HOUR)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Directory, failing, refuse)
    monkeypatch.setattr(sweep, "_sweep", lambda *_: pytest.fail("it swept"))
    for _ in range(2):
        cache.sweep(time.time())


@pytest.mark.parametrize("failing", ["names", "status", "replace", "remove"])
def test_a_sweep_that_fails_harms_nobody(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It is no error, the live stay, and there is no next one for ten minutes."""
    keep(cache, KEY, written=20 * HOUR)
    live = keep(cache, key_of(1))
    calls = 0

    def refuse(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise PermissionError

    monkeypatch.setattr(Directory, failing, refuse)
    for _ in range(2):
        cache.sweep(time.time())
    assert live.exists()
    assert calls == (2 if failing in ("status", "remove") else 1)


# What goes


def test_the_dead_and_the_debris_go(cache: Cache) -> None:
    """Live, young and foreign files stay."""
    now, directory = time.time(), Path(cache.path)

    def entry(subject: str, age: float) -> str:
        return keep(cache, Key(subject, b"someone\nelse\n"), written=age).name

    def other(name: str, age: float) -> str:
        (directory / name).touch(0o600)
        os.utime(directory / name, (now - age, now - age))
        return name

    stay = {entry(HOST, 0), entry("ecr_eu-west-1", 12.9 * HOUR), entry(PUBLIC, -12.9 * HOUR)}
    go = {entry(OTHER_ACCOUNT, 13.1 * HOUR), entry("no_credentials", 100 * HOUR)}
    go.add(entry(OTHER_REGION, -13.1 * HOUR))
    for kind in ("0123456789abcdef.tmp", "lock", "refresh"):
        stay |= {other(f"{KEY.name}.{kind}", 600), other(f"{key_of(1).name}.{kind}", -600)}
        go |= {other(f"{key_of(2).name}.{kind}", 7200), other(f"{key_of(3).name}.{kind}", -7200)}
    for name in ("notes.lock", "draft.tmp", "cache.json", "tool.refresh", ".tmp", f"{HOST}.bak"):
        stay.add(other(name, 720000))
    stay.add(other(f"{HOST}.fedcba98765432", 3600))  # of a version to come, perhaps
    go.add(other(f"{HOST}.0edcba98765432", 14 * HOUR))
    cache.sweep(now)
    assert names(cache) == stay
    assert not go & stay


def make_link(path: Path) -> None:
    """Make a link to nothing."""
    path.symlink_to("/none")


def test_a_sweep_goes_on_past_what_it_cannot_remove(cache: Cache) -> None:
    """A directory, a link or a pipe in the place of an entry stays and does not stop it."""
    dead = {keep(cache, key_of(number), written=20 * HOUR).name for number in range(20)}
    kinds: list[Callable[[Path], None]] = [Path.mkdir, os.mkfifo, make_link]
    odd = set()
    for number, make in enumerate(kinds):
        for name in ("0123456789abcd", "0123456789abcd.lock"):
            path = Path(cache.path, f"{number}.odd.{name}")
            make(path)
            os.utime(path, (1, 1), follow_symlinks=False)
            if not name.endswith(".lock") or make is Path.mkdir:
                odd.add(path.name)
    cache.sweep(time.time())
    assert names(cache) == odd
    assert not dead & odd


def test_beyond_the_bound_those_go_that_were_used_least_recently(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of their last use counts, be it of their writing or of their serving."""
    monkeypatch.setattr(sweep, "KEPT", 10)
    by_use = [
        *(keep(cache, key_of(number), written=10 * HOUR, served=9 * HOUR) for number in range(3)),
        *(keep(cache, key_of(number), written=8 * HOUR) for number in range(3, 6)),
        keep(cache, key_of(6), written=7 * HOUR, served=-200 * HOUR),
        *(keep(cache, key_of(number), written=12 * HOUR, served=6 * HOUR) for number in (7, 8)),
        *(keep(cache, key_of(number), written=5 * HOUR, served=11 * HOUR) for number in (9, 10)),
        *(keep(cache, key_of(number), written=12 * HOUR, served=3 * HOUR) for number in (11, 12)),
        keep(cache, key_of(13)),
    ]
    keep(cache, key_of(14), written=20 * HOUR, served=0)  # dead
    cache.sweep(time.time())
    assert names(cache) == {file.name for file in by_use[-10:]}


def test_at_the_bound_nothing_goes(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what was not used for long: it is still good."""
    monkeypatch.setattr(sweep, "KEPT", 10)
    for number in range(10):
        keep(cache, key_of(number), written=12 * HOUR)
    cache.sweep(time.time())
    assert len(names(cache)) == 10


def test_an_entry_in_use_stays_whatever_their_number(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written or served within two hours, also by a clock that is a little ahead."""
    monkeypatch.setattr(sweep, "KEPT", 0)
    used = {
        *(keep(cache, key_of(number), written=1.9 * HOUR).name for number in range(20)),
        *(
            keep(cache, key_of(number), written=12 * HOUR, served=1.9 * HOUR).name
            for number in (20, 21)
        ),
        *(keep(cache, key_of(number), written=12 * HOUR, served=-HOUR).name for number in (22, 23)),
        keep(cache, key_of(24), written=-HOUR, served=9 * HOUR).name,
    }
    keep(cache, key_of(25), written=2.1 * HOUR)
    keep(cache, key_of(26), written=12 * HOUR, served=-5 * HOUR)
    cache.sweep(time.time())
    assert names(cache) == used


# How much


def many(cache: Cache, number: int, *, age: float) -> None:
    """Leave so many files that have the names of entries."""
    moment = time.time() - age
    for place in range(number):
        file = os.path.join(cache.path, key_of(place).name)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(file, (moment, moment))


def test_a_sweep_looks_at_so_many_files_and_reads_none(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20,000, and each sweep at others; all that it does to the directory is counted."""
    calls: Counter[str] = Counter()
    seen: set[str] = set()

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            calls[function.__name__] += 1
            if function.__name__ == "stat":
                seen.add(str(arguments[0]))
            return function(*arguments, **options)

        return call

    many(cache, 20_000, age=HOUR)
    for name in ("open", "stat", "read", "listdir", "unlink", "replace", "utime"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    now = time.time()
    cache.sweep(now)
    # The directory and the mark are opened, and the mark is looked at.
    assert calls == {"open": 2, "stat": 4096 + 1, "listdir": 1, "unlink": 1, "utime": 1}
    for turn in range(1, 60):
        cache.sweep(now + turn % 2 * 700)
    assert calls["stat"] == 60 * 4097
    assert calls["open"] == 120
    assert len(seen) > 19_000
    calls.clear()
    cache.sweep(now + 700)
    assert calls == {"open": 1, "stat": 1}


def test_the_number_of_entries_comes_down_to_the_bound(cache: Cache) -> None:
    """From 20,000, in a few sweeps; and from there it goes no further."""
    many(cache, 20_000, age=3 * HOUR)
    now, left = time.time(), []
    for turn in range(16):
        cache.sweep(now + 601 * turn)
        left.append(len(names(cache)))
    assert left[0] == 20_000 - 4096 + 4000 * 4096 // 20_000
    assert left == sorted(left, reverse=True)
    assert left[-1] == 4000


# Use


def is_noted(file: Path) -> bool:
    """Whether a file's time of access is a whole second; the kernel's own has a fraction."""
    return file.stat().st_atime_ns % 10**9 == 0


@pytest.mark.parametrize(
    ("before", "noted"),
    [(0, False), (0.9, False), (1.1, True), (9, True), (-0.9, False), (-2, True)],
)
def test_a_get_notes_that_an_entry_was_served(
    helper: Helper, before: float, *, noted: bool
) -> None:
    """At most once an hour, in the time of access; the time of change stays."""
    helper.get(HOST)
    (file,) = entry_files(helper.cache, HOST)
    written = time.time_ns() - int(10.5 * HOUR * 1e9)
    was = int((time.time() - before * HOUR) * 1e9)
    os.utime(file, ns=(was, written))
    assert secret_of(helper.get(HOST).answer)
    status = file.stat()
    assert status.st_mtime_ns == written
    assert is_noted(file) is noted
    assert not noted or abs(status.st_atime - time.time()) < 60


@pytest.mark.parametrize(
    ("arguments", "host", "noted"),
    [
        (["list"], "", False),
        (["status"], "", False),
        (["warm", HOST], "", False),
        (["get"], OTHER_ACCOUNT, False),
        (["get"], HOST, True),
    ],
)
def test_only_the_get_of_its_host_notes_it(
    helper: Helper, arguments: list[str], host: str, *, noted: bool
) -> None:
    """Neither does what lists entries, nor the get of another host of the region."""
    helper.get(HOST)
    files = entry_files(helper.cache)
    for file in files:
        os.utime(file, (time.time() - 5 * HOUR, time.time() - 6 * HOUR))
    assert helper.run(*arguments, stdin=host.encode()).status == 0
    assert [is_noted(file) for file in files] == [noted, False]


def test_what_cannot_be_noted_is_served(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that can only be read costs no answer."""
    keep(cache, KEY, written=5 * HOUR)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert cache.load(KEY, served=time.time()) is not None


# At the same time


@pytest.mark.parametrize("meanwhile", ["written", "served", "removed"])
@pytest.mark.parametrize("dead", [True, False])
def test_what_changes_before_it_is_removed_stays(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, meanwhile: str, *, dead: bool
) -> None:
    """Between a look at an entry and its removal another process writes or serves a token."""
    monkeypatch.setattr(sweep, "KEPT", 0)
    file = keep(cache, KEY, written=(20 if dead else 5) * HOUR)
    real, done = Directory.replace, list[str]()

    def replace(directory: Directory, source: str, target: str) -> None:
        if not done:
            done.append(source)
            if meanwhile == "written":
                keep(cache, KEY)
            elif meanwhile == "served":
                assert cache.load(KEY, served=time.time())
            else:
                cache.remove(HOST)
        real(directory, source, target)

    monkeypatch.setattr(Directory, "replace", replace)
    cache.sweep(time.time())
    assert done
    assert names(cache) == ({KEY.name} if meanwhile != "removed" else set())
    assert file.exists() is (meanwhile != "removed")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("more", [True, False])
def test_an_entry_that_is_put_back_takes_no_place(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, *, links: bool, more: bool
) -> None:
    """Where there is one that is newer still it stays, but on a file system without links."""
    keep(cache, KEY, written=20 * HOUR)
    real, done = Directory.replace, list[str]()
    first, second = (Entry(int(time.time()), int(time.time()) + LIFE, "env", t) for t in "ab")

    def replace(directory: Directory, source: str, target: str) -> None:
        if done:
            return real(directory, source, target)
        done.append(source)
        cache.save(KEY, first)
        real(directory, source, target)
        return cache.save(KEY, second) if more else None

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Directory, "replace", replace)
    if not links:
        monkeypatch.setattr(Directory, "link", refuse)
    cache.sweep(time.time())
    kept = cache.load(KEY)
    assert kept is not None
    assert kept.token == ("b" if more and links else "a")
    assert names(cache) == {KEY.name}


def take_part(path: str, number: int, start: float) -> None:
    """Keep tokens over dead ones, sweep and read, in turn; no token may be gone for good."""
    cache, key = Cache(path), key_of(number)
    sweep.KEPT = 0
    while time.time() < start:
        time.sleep(0.01)
    for turn in range(TURNS):
        with contextlib.suppress(FileNotFoundError):  # another process has it in its hands
            keep(cache, key, written=(20 if turn % 2 else 5) * HOUR)
        Path(path, SWEPT).unlink(missing_ok=True)
        cache.sweep(time.time())
        now = int(time.time())
        cache.save(key, Entry(now, now + LIFE, "env", f"{number}-{turn}"))
        for _ in range(3):
            cache.load(key_of((number + turn) % CROWD), served=time.time())
        entry = cache.load(key) or again(cache, key)
        assert entry is not None, f"the token of {number} is lost in turn {turn}"
        assert entry.token == f"{number}-{turn}"


def again(cache: Cache, key: Key) -> Entry | None:
    """Read once more what another process may just have in its hands."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if entry := cache.load(key):
            return entry
        time.sleep(0.01)
    return None


def test_a_crowd_that_sweeps_loses_no_token(cache: Cache) -> None:
    """Fifty processes write, sweep and read at once, with no room for an entry that is not used."""
    context = multiprocessing.get_context("fork")
    start = time.time() + 1
    crowd = [
        context.Process(target=take_part, args=(cache.path, number, start))
        for number in range(CROWD)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert [process.exitcode for process in crowd] == [0] * CROWD
    assert names(cache) == {key_of(number).name for number in range(CROWD)}

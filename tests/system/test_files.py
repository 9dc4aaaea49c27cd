"""The module system.files: only files that are the user's alone are read and written."""

import os
import re
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from ecr_credential_helper.system.files import Directory, UntrustedError
from tests.support.entries import HOST, entry_files
from tests.support.helper import Helper

NOBODY = 65534
needs_root = pytest.mark.needs("root")  # to give files away


def mode_of(path: Path) -> int:
    """Return the permission bits of a file, of a link's own if it is one."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory that is ours alone, with one file in it."""
    path = tmp_path / "ours"
    path.mkdir(0o700)
    (path / "file").touch(0o600)
    (path / "file").write_bytes(b"content")
    return path


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_what_is_made_is_narrow_from_the_start(tmp_path: Path, umask: int) -> None:
    """Directories, parents included, are 0700 and files 0600 whatever the umask."""
    old = os.umask(umask)
    try:
        with Directory(str(tmp_path / "a" / "b"), create=True) as directory:
            directory.create("file", b"content")
            os.close(directory.open_lock("lock"))
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o700
    assert mode_of(tmp_path / "a" / "b" / "file") == 0o600
    assert mode_of(tmp_path / "a" / "b" / "lock") == 0o600


def test_an_existing_directory_is_left_as_it_is(tmp_path: Path) -> None:
    """A directory that is too wide is refused, not narrowed behind its owner's back."""
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide").chmod(0o755)
    with pytest.raises(UntrustedError, match="other users"):
        Directory(str(tmp_path / "wide"), create=True)
    assert mode_of(tmp_path / "wide") == 0o755


@pytest.mark.parametrize("mode", [0o710, 0o720, 0o740, 0o701, 0o702, 0o704, 0o777, 0o1777])
def test_a_directory_that_others_may_enter_is_refused(directory: Path, mode: int) -> None:
    """Each of the six bits for others is one too many."""
    directory.chmod(mode)
    with pytest.raises(UntrustedError):
        Directory(str(directory))


@pytest.mark.parametrize("mode", [0o610, 0o620, 0o640, 0o601, 0o602, 0o604, 0o666])
def test_a_file_that_others_may_touch_is_refused(directory: Path, mode: int) -> None:
    """Each of the six bits for others is one too many."""
    (directory / "file").chmod(mode)
    with Directory(str(directory)) as ours, pytest.raises(UntrustedError):
        ours.read("file", 100)


@needs_root
def test_what_belongs_to_another_user_is_refused(directory: Path) -> None:
    """Neither a file nor a directory of another user is trusted, though root may read both."""
    os.chown(directory / "file", NOBODY, -1)
    with Directory(str(directory)) as ours, pytest.raises(UntrustedError, match="another user"):
        ours.read("file", 100)
    os.chown(directory, NOBODY, -1)
    with pytest.raises(UntrustedError, match="another user"):
        Directory(str(directory))


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_a_link_to_a_directory_is_refused(directory: Path, tmp_path: Path, ending: str) -> None:
    """However its name is spelt, and even if it leads to a directory that is ours."""
    (tmp_path / "link").symlink_to(directory)
    for create in (False, True):
        with pytest.raises(OSError, match=r"link|directory"):
            Directory(f"{tmp_path}/link{ending}", create=create)


def test_a_link_above_the_directory_is_followed(directory: Path, tmp_path: Path) -> None:
    """A home directory may well be a link: only the last step must not be one."""
    (tmp_path / "link").symlink_to(directory.parent)
    with Directory(str(tmp_path / "link" / "ours")) as ours:
        assert ours.read("file", 100) == b"content"


def test_a_link_to_a_file_is_refused(directory: Path, tmp_path: Path) -> None:
    """No read, write or lock goes through a link, and its target is left alone."""
    target = tmp_path / "target"
    target.touch(0o600)
    (directory / "link").symlink_to(target)
    (directory / "dangling").symlink_to(tmp_path / "nothing")
    with Directory(str(directory)) as ours:
        for name in ("link", "dangling"):
            with pytest.raises(OSError, match="symbolic links"):
                ours.read(name, 100)
            with pytest.raises(FileExistsError):
                ours.create(name, b"data")
            with pytest.raises(OSError, match="symbolic links"):
                ours.open_lock(name)
        ours.remove("link")
        ours.replace("file", "dangling")
    assert target.read_bytes() == b""
    assert not (tmp_path / "nothing").exists()
    assert (directory / "dangling").read_bytes() == b"content"


def test_what_is_no_file_is_refused_at_once(directory: Path) -> None:
    """A pipe with no writer does not hold the reader, a directory is no file, nor is a device."""
    os.mkfifo(directory / "pipe", 0o600)
    (directory / "directory").mkdir(0o700)
    with Directory(str(directory)) as ours:
        for name in ("pipe", "directory"):
            with pytest.raises(UntrustedError, match="not a regular file"):
                ours.read(name, 100)


@pytest.mark.parametrize(("size", "readable"), [(0, True), (99, True), (100, True), (101, False)])
def test_a_file_has_a_limit(directory: Path, size: int, *, readable: bool) -> None:
    """A file up to the limit is read whole, a larger one not at all."""
    (directory / "file").write_bytes(b"x" * size)
    with Directory(str(directory)) as ours:
        if readable:
            assert ours.read("file", 100) == b"x" * size
        else:
            with pytest.raises(UntrustedError):
                ours.read("file", 100)


def test_a_file_is_made_once(directory: Path) -> None:
    """Making what is there is an error and changes nothing; removing what is not there is fine."""
    with Directory(str(directory)) as ours:
        with pytest.raises(FileExistsError):
            ours.create("file", b"other")
        assert ours.read("file", 100) == b"content"
        ours.create("large", b"y" * 3_000_000)
        ours.remove("file")
        ours.remove("file")
        assert sorted(ours.names()) == ["large"]
    assert (directory / "large").read_bytes() == b"y" * 3_000_000


def test_the_directory_is_held_and_not_its_name(directory: Path, tmp_path: Path) -> None:
    """What is put in the directory's place later is neither read nor written."""
    with Directory(str(directory)) as ours:
        directory.rename(tmp_path / "moved")
        directory.mkdir(0o700)
        (directory / "file").write_bytes(b"planted")
        assert ours.read("file", 100) == b"content"
        ours.create("new", b"data")
        ours.replace("new", "newer")
    assert (tmp_path / "moved" / "newer").read_bytes() == b"data"
    assert [file.name for file in directory.iterdir()] == ["file"]


def test_no_descriptor_is_left_open(directory: Path) -> None:
    """Neither success nor refusal leaves a descriptor behind, and none is inherited."""
    before = set(os.listdir("/dev/fd"))
    with Directory(str(directory)) as ours:
        ours.read("file", 100)
        with pytest.raises(FileExistsError):
            ours.create("file")
        lock = ours.open_lock("lock")
        assert not os.get_inheritable(lock)
        os.close(lock)
    ours.close()
    directory.chmod(0o755)
    with pytest.raises(UntrustedError):
        Directory(str(directory))
    assert len(os.listdir("/dev/fd")) == len(before)


def test_many_make_the_same_directory_at_once(tmp_path: Path) -> None:
    """Whoever comes second finds the directory made, at every level of the path."""
    start, opened = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        with Directory(str(tmp_path / "a" / "b" / "c" / "d"), create=True) as directory:
            opened.append(directory.path)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8


def test_a_lock_is_known_again_unless_it_was_replaced(directory: Path) -> None:
    """An open file is what its name stands for, until that is removed or replaced."""
    with Directory(str(directory)) as ours:
        lock = ours.open_lock("lock")
        again = ours.open_lock("lock")
        assert ours.is_same("lock", lock)
        assert ours.is_same("lock", again)
        ours.remove("lock")
        assert not ours.is_same("lock", lock)
        os.close(ours.open_lock("lock"))
        assert not ours.is_same("lock", lock)
        os.close(lock)
        os.close(again)


UNFINISHED = " <unfinished ...>"
SYNCED = re.compile(r"(?:fsync|fdatasync)\(\d+<(.*)>\) += 0")
RENAMED = re.compile(r'rename\w*\((?:\d+<(.*?)>, )?"([^"]*)", (?:\d+<(.*?)>, )?"([^"]*)".*\) += 0')


def calls_in(trace: str) -> list[str]:
    """Return the calls in a trace of strace, in the order in which they ended.

    Where another thread came in between, strace writes one call as two lines.
    """
    calls, begun = [], {}
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        if call.endswith(UNFINISHED):
            begun[thread] = call.removesuffix(UNFINISHED)
            continue
        if call.lstrip().startswith("<... "):
            call = begun.pop(thread) + call.partition(" resumed>")[2]
        calls.append(call)
    return calls


def test_a_call_in_two_lines_is_one() -> None:
    """Under load the end of one thread falls into a call of another."""
    trace = (
        "7 fsync(4</c/a.tmp> <unfinished ...>\n"
        "8 +++ exited with 0 +++\n"
        "7 <... fsync resumed>)            = 0\n"
        '7 rename("/c/a.tmp", "/c/a") = 0\n'
    )
    exited, synced, renamed = calls_in(trace)
    assert exited == "+++ exited with 0 +++"
    assert SYNCED.search(synced)
    assert RENAMED.search(renamed)


def disk_order(helper: Helper, *arguments: str, stdin: bytes = b"") -> list[tuple[str, ...]]:
    """Run the executable; return what it synced, (path,), and renamed, (from, to), in its order."""
    trace = helper.home.with_name("trace")
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2"
    command = ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", str(trace)]
    subprocess.run(
        [*command, str(helper.executable), *arguments], env=helper.env, input=stdin, check=True
    )
    order: list[tuple[str, ...]] = []
    for call in calls_in(trace.read_text()):
        if synced := SYNCED.search(call):
            order.append((synced[1],))
        elif renamed := RENAMED.search(call):
            places = (renamed[1] or "", renamed[2]), (renamed[3] or "", renamed[4])
            order.append(tuple(os.path.join(*place) for place in places))
    return order


@pytest.mark.needs("Linux", "strace")
def test_an_entry_is_on_the_disk_before_it_has_its_name(helper: Helper) -> None:
    """Else a machine that loses power may keep the name, and nothing in it."""
    order = disk_order(helper, "get", stdin=HOST.encode())
    renames = [step for step in order if len(step) == 2 and step[0].endswith(".tmp")]
    assert {step[1] for step in renames} == {str(path) for path in entry_files(helper.cache)}
    for step in renames:
        assert (step[0],) in order[: order.index(step)]


@pytest.mark.needs("Linux", "strace")
def test_config_json_and_its_new_name_are_on_the_disk(helper: Helper) -> None:
    """The file is synced before its rename, and the directory after it."""
    order = disk_order(helper, "configure", HOST)
    config = helper.home / ".docker" / "config.json"
    (rename,) = (step for step in order if len(step) == 2)
    assert rename[1] == str(config)
    assert order == [(rename[0],), rename, (str(config.parent),)]

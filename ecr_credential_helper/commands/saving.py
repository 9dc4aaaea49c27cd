"""Saves files that are not this program's alone: all of them or none, over nothing unseen.

Programs of ours that save at once wait for each other. If another program has changed a file since
it was read, its change stays: the edit is made again, in what it left.
"""

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.system.files import BINARY, patiently
from ecr_credential_helper.tokens.cache import digest

# Errors of a rename that fails because of what the file or its directory is: a bind mount, a
# directory that is not ours. The file itself may still be writable.
_NO_RENAME = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)
_PATIENCE = 10.0  # seconds to wait for others; an edit takes some milliseconds
_PAUSE = 0.01


Result = TypeVar("Result")


class Change(NamedTuple):
    """What a file is to hold: `new`, made from `old`, its content when it was read.

    None for `old` means that there was no file, None for `new` that there is to be none.
    """

    path: str
    old: bytes | None
    new: bytes | None


class DamagedError(OSError):
    """A file that may have neither its old nor its new content."""


class ChangedError(OSError):
    """A file that another program has changed since it was read."""


def read(path: str) -> bytes | None:
    """Return the content of a file, None if there is no file. Raises HelperError."""
    try:
        return _content(path)
    except OSError as error:
        raise HelperError(
            f"cannot read {path}: {error.strerror or error}",
            "see who may read it, and whose it is: sudo and containers often leave root's behind",
        ) from error


def edit(edited: Callable[[], tuple[list[Change], Result]]) -> Result:
    """Save the changes that `edited` makes to the files that it reads; return its result.

    It is called again when another program has changed one of them meanwhile. Raises HelperError.
    """
    deadline = None
    while True:
        changes, result = edited()
        try:
            _save([change for change in changes if change.new != change.old])
        except ChangedError as error:
            deadline = deadline or time.monotonic() + _PATIENCE
            if time.monotonic() > deadline:
                raise HelperError(f"{error}", "run this again when that has ended") from error
            continue
        return result


def _save(changes: list[Change]) -> None:
    """Save all changes or none. Raises ChangedError, HelperError."""
    done: list[Change] = []
    with contextlib.ExitStack() as locks:
        try:
            for directory in sorted({os.path.dirname(os.path.realpath(c.path)) for c in changes}):
                make_directory(directory)
                locks.enter_context(_locked(directory))
            for change in changes:
                _put(change)
                done.append(change)
        except OSError as error:
            _take_back(done)
            if isinstance(error, ChangedError):
                raise
            raise _failure(changes[len(done)].path, error) from error


def _take_back(done: list[Change]) -> None:
    """Undo what was saved before another file could not be. Raises HelperError."""
    for change in reversed(done):
        try:
            _put(Change(change.path, change.new, change.old))
        except OSError as error:
            raise _failure(change.path, DamagedError(error.errno, error.strerror)) from error


def _failure(path: str, error: OSError) -> HelperError:
    if isinstance(error, DamagedError):
        return HelperError(
            f"cannot save {path}, which may be damaged now: {error.strerror}",
            "see what is in it before Docker is used again",
        )
    return HelperError(
        f"cannot save {path}: {error.strerror or error}",
        "nothing was changed; see who may write there: `ls -ld` of the file and directory",
    )


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold the lock of a directory, which programs of ours take; where there is none, do without.

    It leaves no file behind, and is gone with the process.
    """
    if sys.platform == "win32":
        with _mutex(directory):
            yield
        return
    import fcntl

    try:
        file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # one that may be entered, and not read
        yield
        return
    try:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
            except OSError:  # NFS locks no directory
                break
            else:
                break
        yield
    finally:
        os.close(file)


if sys.platform == "win32":
    import ctypes

    @contextlib.contextmanager
    def _mutex(directory: str) -> Iterator[None]:
        """Hold a lock that has the name of a directory, which Windows cannot lock itself."""
        windows = ctypes.WinDLL("kernel32")
        windows.CreateMutexW.restype = ctypes.c_void_p
        name = f"ecr-credential-helper {digest(os.path.normcase(directory).encode())}"
        lock = ctypes.c_void_p(windows.CreateMutexW(None, 0, name))
        windows.WaitForSingleObject(lock, int(_PATIENCE * 1000))
        try:
            yield
        finally:
            windows.ReleaseMutex(lock)
            windows.CloseHandle(lock)


def _put(change: Change) -> None:
    """Replace the content of one file.

    If its directory allows a rename, the file is the old or the new one at every moment. Otherwise
    the file itself is written to. Raises OSError; DamagedError if the content may be neither.
    """
    path, old, data = os.path.realpath(change.path), change.old, change.new
    if data is None:
        _check_unchanged(path, old)
        patiently(lambda: os.unlink(path))
        return
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        _write_beside(temporary, path, data)
        _check_unchanged(path, old)
        patiently(lambda: os.replace(temporary, path))
    except OSError as error:
        _unlink(temporary)
        if old is None or isinstance(error, ChangedError) or error.errno not in _NO_RENAME:
            raise
        _check_unchanged(path, old)
        _write_over(path, old, data)
        return
    _sync(os.path.dirname(path))


def make_directory(path: str) -> None:
    """Make a directory and its parents with mode 0700. Raises OSError."""
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directory(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    if sys.platform == "win32":
        return
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _inherit_owner(file, parent)
    finally:
        os.close(file)


def _content(path: str) -> bytes | None:
    """Return the content of a file, None if there is no file. Raises OSError."""
    try:
        with patiently(lambda: open(path, "rb")) as file:
            return file.read()
    except FileNotFoundError:
        return None


def _check_unchanged(path: str, old: bytes | None) -> None:
    """Raise ChangedError if the content is no longer `old`: a `docker login` must not get lost."""
    if _content(path) != old:
        raise ChangedError(f"another program keeps changing {path}")


def _write_beside(temporary: str, path: str, data: bytes) -> None:
    """Make the file `temporary` with the content `data`, and with owner and mode of `path`.

    If there is no file `path` yet, under root the owner is that of the directory; the mode is 0600.
    """
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
    try:
        if os.path.exists(path):
            _copy_status(os.stat(path), file)
        else:
            _inherit_owner(file, os.path.dirname(path))
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def _copy_status(status: os.stat_result, file: int) -> None:
    if sys.platform == "win32":
        return
    own = os.fstat(file)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(file, status.st_uid, status.st_gid)
    os.fchmod(file, stat.S_IMODE(status.st_mode))


def _inherit_owner(file: int, directory_path: str) -> None:
    """Give what root has made, open as `file`, to the owner of the directory that it is in.

    Otherwise, under sudo with the user's HOME kept, the user's Docker could not read it.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    owner = os.stat(directory_path or os.curdir)
    try:
        os.fchown(file, owner.st_uid, owner.st_gid)
    except OSError:  # a file system without owners
        pass


def _write_over(path: str, old: bytes, data: bytes) -> None:
    """Write `data` over `old`, the content of the file `path`, and truncate it to its new length.

    If the file grows, white space is appended first, so that a full disk changes nothing. If it
    shrinks, `data` is padded with white space over the rest of the old content in the same write: a
    program that is killed at any point leaves JSON, and no secret that was to be removed.

    Raises OSError if nothing was changed, DamagedError if that is not certain.
    """
    file = os.open(path, os.O_RDWR | BINARY)
    try:
        try:
            _write_all(file, b" " * (len(data) - len(old)), len(old))
            os.fsync(file)
            _write_all(file, data.ljust(len(old)))
        except OSError as error:
            _write_back(file, old, error)
            raise
        os.ftruncate(file, len(data))
        os.fsync(file)
    finally:
        os.close(file)


def _write_back(file: int, old: bytes, error: OSError) -> None:
    """Restore the content `old` of the open `file` after `error`. Raises DamagedError."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        if os.read(file, len(old)) != old:
            _write_all(file, old)
        os.ftruncate(file, len(old))
        os.fsync(file)
    except OSError:
        raise DamagedError(error.errno, error.strerror) from error


def _write_all(file: int, data: bytes, at: int = 0) -> None:
    """Write `data` into the open `file`, from the byte `at` on. Raises OSError."""
    os.lseek(file, at, os.SEEK_SET)
    while data:
        data = data[os.write(file, data) :]


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _sync(directory_path: str) -> None:
    """Flush a rename to disk, on systems where a directory can be opened for that."""
    try:
        file = os.open(directory_path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(file)
    except OSError:
        pass
    finally:
        os.close(file)

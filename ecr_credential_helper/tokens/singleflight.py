"""Singleflight: of many processes that need the same token at once, only one asks AWS.

It holds the lock on a file, and what it learns there is in that file: how it fails, if it fails,
and until then what its error would be at that moment. A process that waits for the lock

- finds the token in the cache, if it came;
- raises the same error, if it did not: whoever was started before a flight failed does not ask AWS
  again, whoever was started later does;
- takes over, if the holder died: the kernel releases its lock, and one of those who wait gets it;
- takes over, if the holder no longer runs, though it lives: it writes four times a second;
- raises at its own deadline the error that the holder would raise.

The lock only saves calls; files are correct because each is written whole and then renamed. So if
the lock cannot be taken (no permission, a file system without locks), the work goes on without it.
"""

import errno
import os
import sys
import time

from ecr_credential_helper.errors import HelperError, rebuilt
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.system.processes import age

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.25
_SILENCE = 5.0  # a holder that writes nothing for so long, as one who waits sees it, is stopped
_REMEMBERED = 60.0  # seconds; for a process that runs long, a failure is no news for longer
_REPORT_LIMIT = 16 * 1024
_REPORT_LINES = 5
_LOCKED_BYTE = 2**31 - 2  # on Windows: far from the report, for nobody can read a locked byte


class SingleFlight:
    """Hold the lock `name` in the directory `path` while the body of a `with` runs.

    Waits for it until `deadline`. If the body raises a HelperError, so do those who wait. `clock`
    gives epoch seconds.

    Entering it raises the HelperError that another process ended with.
    """

    def __init__(
        self, path: str, name: str, deadline: Deadline, clock: "Callable[[], float]" = time.time
    ) -> None:
        self._path = path
        self._name = name
        self._deadline = deadline
        self._clock = clock
        self._directory: Directory | None = None
        self._lock: int | None = None
        self._entered = clock()

    def __enter__(self) -> "SingleFlight":
        try:
            self._directory = Directory(self._path, create=True)
        except OSError:
            return self
        try:
            self._lock = self._acquire(self._directory)
        except BaseException:
            self._directory.close()
            raise
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not self._directory:
            return
        if self._lock is not None:
            if isinstance(error, HelperError):
                _write(self._lock, f"failed {self._clock()!r}", error)
            elif sys.platform != "win32":  # there, no open file can be removed
                _remove(self._directory, self._name, self._lock)
            os.close(self._lock)
            if sys.platform == "win32" and not isinstance(error, HelperError):
                _remove_closed(os.path.join(self._path, self._name))
        self._directory.close()

    def report(self, error: HelperError) -> None:
        """Let those who wait know that this process runs, and what its error would be now."""
        if self._lock is not None:
            _write(self._lock, "asking", error)

    def _acquire(self, directory: Directory) -> int | None:
        """Return the descriptor that holds the lock, None if it cannot be taken.

        Raises HelperError: how the holder failed, or would now that it is too late.
        """
        wait, written, looked, silent = 0.0, 0, time.monotonic(), 0.0
        while True:
            try:
                lock = directory.open_lock(self._name)
            except OSError:
                return None
            try:
                held = _try_lock(lock)
                if held and directory.is_same(self._name, lock):
                    self._raise_failure(lock)
                    os.ftruncate(lock, 0)
                    return lock
                if not held:
                    changed = os.fstat(lock).st_mtime_ns
                    # On a machine that is busy, or was halted, the holder had no more of its time.
                    silent += min(time.monotonic() - looked, _LONGEST_PAUSE)
                    looked = time.monotonic()
                    if changed != written:
                        written, silent = changed, 0.0
                    elif silent > self._silence:
                        _pass_by(directory, self._name, lock)
                    if not self._deadline.left:
                        raise self._overdue(lock)
            except OSError:
                os.close(lock)
                return None
            except HelperError:
                os.close(lock)
                raise
            # A holder that got the token removed the file: the lock on that locks nothing.
            os.close(lock)
            self._deadline.beat()
            time.sleep(min(wait, self._deadline.left))
            wait = min(max(_FIRST_PAUSE, self._deadline.passed / 10), _LONGEST_PAUSE)

    @property
    def _silence(self) -> float:
        """After how many seconds without a report a holder is passed by."""
        return max(1.0, min(_SILENCE, self._deadline.seconds / 2))

    def _raise_failure(self, lock: int) -> None:
        """Raise the error that the last holder ended with, if this process was there by then."""
        ended, error = _read(lock)
        if error and ended is not None:
            passed = age()  # first: whatever delays this process in between makes it no older
            now = self._clock()
            started = min(self._entered, now - passed)
            if max(started, now - _REMEMBERED) <= ended <= now:
                raise error

    def _overdue(self, lock: int) -> HelperError:
        """Return the error that the holder would raise now."""
        _, error = _read(lock)
        return error or HelperError(
            f"another process that asks AWS got no answer within {self._deadline.seconds:g} s",
            "see what it does, or raise AWS_ECR_TIMEOUT",
        )


def _write(lock: int, state: str, error: HelperError) -> None:
    """Write what others get from `_read`. If that fails, they ask for themselves."""
    lines = (state, type(error).__name__, error.message, error.hint, "")
    report = "\n".join(lines).encode("utf-8", "replace")
    try:
        os.lseek(lock, 0, os.SEEK_SET)
        os.ftruncate(lock, os.write(lock, report))
    except OSError:
        pass


def _read(lock: int) -> tuple[float | None, HelperError | None]:
    """Return what the holder wrote last: when it failed, if it did, and its error. Raises OSError.

    What is no such report, or the half of one, is as good as none.
    """
    os.lseek(lock, 0, os.SEEK_SET)
    lines = os.read(lock, _REPORT_LIMIT).decode("utf-8", "replace").split("\n")
    if len(lines) != _REPORT_LINES:
        return None, None
    state, kind, message, hint, _ = lines
    try:
        ended = float(state.removeprefix("failed ")) if state != "asking" else None
    except ValueError:
        return None, None
    return ended, rebuilt(kind, message, hint)


def _remove(directory: Directory, name: str, lock: int) -> None:
    """Remove the file that `lock` is open on, if it still has its `name`."""
    try:
        if directory.is_same(name, lock):
            directory.remove(name)
    except OSError:
        pass


def _pass_by(directory: Directory, name: str, lock: int) -> None:
    """Let a new file be locked in place of one that is held for ever.

    Raises OSError on Windows, so that this process goes on without a lock.
    """
    if sys.platform == "win32":
        raise OSError("an open file cannot be removed")
    _remove(directory, name, lock)


def _remove_closed(path: str) -> None:
    """Remove a file on Windows, unless another process has opened it by now."""
    try:
        os.unlink(path)
    except OSError:
        pass


def _try_lock(file: int) -> bool:
    """Take the lock on an open file; False if another process has it.

    Raises OSError if the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (0, errno.EACCES):  # Wine gives no reason, Windows that one
                raise
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Singleflight: of many processes that need the same token at once, only one asks AWS.

The lock only saves calls; files are correct because each is written whole and then renamed. So if
the lock cannot be taken (no permission, NFS without locks, a wait that takes too long), the work
goes on without it.
"""

import os
import sys
import time

from ecr_credential_helper.system.files import Directory

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05


class SingleFlight:
    """Hold the lock `name` in the directory `path` while the body of a `with` runs.

    Waits for it at most `seconds`; the body runs in any case. The kernel releases the lock when its
    holder dies.
    """

    def __init__(self, path: str, name: str, seconds: float) -> None:
        self.path = path
        self.name = name
        self.seconds = seconds
        self._directory: Directory | None = None
        self._lock: int | None = None

    def __enter__(self) -> None:
        try:
            self._directory = Directory(self.path, create=True)
        except OSError:
            return
        self._lock = _acquire(self._directory, self.name, self.seconds)

    def __exit__(self, *_: object) -> None:
        if self._directory:
            if self._lock is not None:
                _release(self._directory, self.name, self._lock)
            self._directory.close()


def _acquire(directory: Directory, name: str, seconds: float) -> int | None:
    """Return the descriptor that holds the lock, None if it cannot be taken."""
    end = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            lock = directory.open_lock(name)
        except OSError:
            return None
        try:
            # A holder removes the file when it is done: the lock on a removed file locks nothing.
            if _try_lock(lock) and directory.is_same(name, lock):
                return lock
        except OSError:
            os.close(lock)
            return None
        os.close(lock)
        if time.monotonic() >= end:
            return None
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _release(directory: Directory, name: str, lock: int) -> None:
    try:
        directory.remove(name)
    except OSError:
        pass
    os.close(lock)


def _try_lock(file: int) -> bool:
    """Take the lock on an open file; False if another process has it.

    Raises OSError if the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

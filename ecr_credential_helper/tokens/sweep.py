"""Sweep the cache directory: drop dead entries, entries in excess, and what killed processes left.

A sweep follows a call to AWS. What it costs does not grow with the directory: there is one in ten
minutes, it looks at no more than so many files, and it reads none. It begins anywhere among them,
so that the next ones get to the rest.

No file needs to be read. An entry is never changed, only replaced, so its time of change says when
its token was kept; and no token lives longer than twelve hours after that. A time that is as far in
the future is from a clock that was wrong, and its token is of no use either.

Any number of processes may sweep, read and write at the same time.
"""

import os
import stat

from ecr_credential_helper.system.files import Directory

from .cache import SWEPT, is_debris, subject_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE = 600.0  # seconds from one sweep to the next
LOOKED_AT = 4096  # files, in one sweep
KEPT = 4000  # entries; beyond that, those go that have not been used for longest
IN_USE = 2 * 3600.0  # seconds: an entry that was written or served since stays in any case

_LONGEST_LIFE = 13 * 3600.0  # of a token, with an hour to spare
_DEBRIS_AGE = 3600.0


class _File:
    """What was seen of a file: `age` since its last change, `unused` since its last use.

    A time in the future is from a clock that was wrong. It counts as one so far in the past.
    """

    __slots__ = ("age", "name", "status", "unused")

    def __init__(self, name: str, status: os.stat_result, now: float) -> None:
        self.name = name
        self.status = status
        self.age = abs(now - status.st_mtime)
        self.unused = min(self.age, abs(now - status.st_atime))


def sweep(path: str, now: float) -> None:
    """Sweep the directory `path` at `now`, in epoch seconds, unless it has just been. Never fails.

    It is marked as swept first: where no file can be made, none can be removed either, and each
    sweep would be in vain.
    """
    try:
        with Directory(path) as directory:
            if _is_due(directory, now):
                _mark(directory, now)
                _sweep(directory, now)
    except OSError:
        return


def _is_due(directory: Directory, now: float) -> bool:
    """Whether the last sweep is long past, or as far in the future. Raises OSError."""
    try:
        return abs(now - directory.changed(SWEPT)) > PAUSE
    except FileNotFoundError:
        return True


def _mark(directory: Directory, now: float) -> None:
    """Note that the directory is swept at `now`. Raises OSError.

    The file is made anew: the last one may be root's, or a link.
    """
    directory.remove(SWEPT)
    os.close(directory.open_lock(SWEPT))
    directory.touch(SWEPT, now)


def _sweep(directory: Directory, now: float) -> None:
    """Drop those of the files that are of no use. Raises OSError if they cannot be listed."""
    names = directory.names()
    entries = [name for name in names if subject_of(name)]
    debris = [name for name in names if is_debris(name)]
    found = []
    for file in _some(directory, entries + debris, now):
        if subject_of(file.name):
            if stat.S_ISREG(file.status.st_mode):  # else it is not ours
                found.append(file)
        elif file.unused > _DEBRIS_AGE:
            _remove(directory, file.name)
    dead = [file for file in found if file.age > _LONGEST_LIFE]
    spare = [file for file in found if file.age <= _LONGEST_LIFE and file.unused > IN_USE]
    spare.sort(key=lambda file: file.unused, reverse=True)
    # Where not all entries were looked at, these have their part of the room.
    room = KEPT * len(found) // len(entries) if entries else 0
    for file in dead + spare[: max(0, len(found) - len(dead) - room)]:
        _remove_entry(directory, file)


def _some(directory: Directory, names: list[str], now: float) -> "Iterator[_File]":
    """Yield as many of the files as a sweep looks at, from any of them on."""
    start = int.from_bytes(os.urandom(4)) % (len(names) or 1)
    for name in (names[start:] + names[:start])[:LOOKED_AT]:
        try:
            status = directory.status(name)
        except OSError:  # it is gone
            continue
        yield _File(name, status, now)


def _remove(directory: Directory, name: str) -> None:
    """Remove a lock, mark or temporary file; one that is in use again costs a call to AWS."""
    try:
        directory.remove(name)
    except OSError:
        pass


def _remove_entry(directory: Directory, file: _File) -> None:
    """Remove an entry, but not one that was written or served since it was looked at.

    However late it is looked at, by the time of its removal the name may be that of another
    process's new entry. So the file is renamed first: that takes one file, and then it can be seen
    which. If it is not the one that was to go, it gets its name back, unless there is an entry that
    is newer still. A `get` in between finds none and asks AWS.
    """
    taken = f"{file.name}.{os.urandom(8).hex()}.tmp"
    try:
        directory.replace(file.name, taken)
        if _traits(directory.status(taken)) == _traits(file.status):
            directory.remove(taken)
        else:
            _put_back(directory, taken, file.name)
    except OSError:  # another process was faster, or nothing can be removed
        pass


def _put_back(directory: Directory, taken: str, name: str) -> None:
    """Give an entry its name back, unless there is another by now. Raises OSError."""
    try:
        directory.link(taken, name)
    except FileExistsError:
        pass
    except OSError:  # a file system without links; the other would be as good, if there is one
        directory.replace(taken, name)
    directory.remove(taken)


def _traits(status: os.stat_result) -> tuple[int, int, int]:
    """Return what is different of another file, and of the same one once it was served."""
    return status.st_ino, status.st_mtime_ns, status.st_atime_ns

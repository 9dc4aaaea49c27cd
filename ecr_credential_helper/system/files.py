"""Private files in a private directory: safe against links, other users and swapped directories.

On POSIX a directory is kept open by its descriptor and files are named relative to it, so a path
that is replaced in between cannot lead elsewhere. On Windows, where the access list of the user's
profile protects the files, the path itself is used. There a file that another process has open can
be neither replaced nor removed, so that is tried again for a moment.
"""

import errno
import os
import stat
import sys
import time

_POSIX = os.name == "posix"
BINARY = getattr(os, "O_BINARY", 0)  # else Windows changes the ends of lines
_READ = os.O_RDONLY | BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_USE_IS_NOTED = 3600.0  # seconds: a time of access that is right to within this is not set again
_PATIENCE = 2.0  # seconds; a file of the cache is open for less than a hundredth of one
_PAUSE = 0.01

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class UntrustedError(OSError):
    """A file or directory that is not private: another user owns it or has access to it.

    Also a file that is not a regular file, or is larger than expected.
    """


class Directory:
    """A directory that this user owns and nobody else can access, open until `close`.

    Raises OSError if it cannot be opened, UntrustedError if others own it or can access it. With
    `create` it is made if it is missing, with its parents, with mode 0700 at most.
    """

    __slots__ = ("_at", "path")

    def __init__(self, path: str, *, create: bool = False) -> None:
        if _POSIX:  # with a trailing slash, open() would follow a link
            path = path.rstrip("/") or path
        self.path = path
        self._at: int | None = None
        if create:
            make_directory(path)
        if _POSIX:
            self._at = os.open(path, _READ | _DIRECTORY)
            try:
                _trust(os.fstat(self._at))
            except UntrustedError:
                self.close()
                raise
        elif not os.path.isdir(path):  # no name, as of a cache that is off, is no directory either
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def close(self) -> None:
        """Close the directory's descriptor."""
        if self._at is not None:
            os.close(self._at)
            self._at = None

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str, limit: int, used: float | None = None) -> bytes:
        """Return the content of a file. Raises OSError, also if it is larger than `limit` bytes.

        `used` is a time to note as that of the file's last access, at most once an hour.
        """
        file = patiently(lambda: os.open(self._name(name), _READ, dir_fd=self._at))
        try:
            status = os.fstat(file)
            _trust(status)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                raise UntrustedError(f"{name} is not a regular file, or is too large")
            data = os.read(file, limit)
            if used is not None and abs(used - status.st_atime) > _USE_IS_NOTED:
                _note_use(file, status, used)
            return data
        finally:
            os.close(file)

    def create(self, name: str, data: bytes = b"") -> None:
        """Create a file, with mode 0600 from the start; write and sync `data`. Raises OSError."""
        file = os.open(self._name(name), _CREATE, 0o600, dir_fd=self._at)
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        finally:
            os.close(file)

    def replace(self, source: str, target: str) -> None:
        """Rename `source` over `target`. Raises OSError."""
        source, target, at = self._name(source), self._name(target), self._at
        patiently(lambda: os.replace(source, target, src_dir_fd=at, dst_dir_fd=at))

    def link(self, source: str, target: str) -> None:
        """Give the file `source` the name `target` too. Raises OSError, also if that is taken."""
        source, target, at = self._name(source), self._name(target), self._at
        os.link(source, target, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=not _POSIX)

    def remove(self, name: str) -> None:
        """Remove a file; it need not exist. Raises OSError."""
        try:
            patiently(lambda: os.unlink(self._name(name), dir_fd=self._at))
        except FileNotFoundError:
            pass

    def names(self) -> list[str]:
        """Return the names of all files. Raises OSError."""
        return os.listdir(self.path if self._at is None else self._at)

    def status(self, name: str) -> os.stat_result:
        """Return size, times and kind of a file; of a link itself. Raises OSError."""
        return os.stat(self._name(name), dir_fd=self._at, follow_symlinks=False)

    def changed(self, name: str) -> float:
        """Return when a file was last changed, in epoch seconds. Raises OSError."""
        return self.status(name).st_mtime

    def touch(self, name: str, time: float | None = None) -> None:
        """Note `time`, or the present, as that of a file's last change. Raises OSError."""
        times = None if time is None else (time, time)
        os.utime(self._name(name), times, dir_fd=self._at, follow_symlinks=not _POSIX)

    def open_lock(self, name: str) -> int:
        """Return a descriptor of a file to lock, made if it is missing. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | BINARY | getattr(os, "O_NOFOLLOW", 0)
        return patiently(lambda: os.open(self._name(name), flags, 0o600, dir_fd=self._at))

    def is_same(self, name: str, file: int) -> bool:
        """Whether `name` is still the name of the open `file`."""
        try:
            named = self.status(name)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(file))

    def _name(self, name: str) -> str:
        return name if _POSIX else os.path.join(self.path, name)


def open_log(path: str) -> int:
    """Return a descriptor to append to the file `path`, made with mode 0600 if it is missing.

    Raises OSError, UntrustedError if others own it or can access it.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags, 0o600)
    try:
        _trust(os.fstat(file))
    except UntrustedError:
        os.close(file)
        raise
    return file


def make_directory(path: str) -> None:
    """Make a directory and its parents with mode 0700. Raises OSError.

    Under sudo, which may keep the HOME of the user who called it, none is made in that user's
    directories: root would own it, and the user could not enter it. That raises UntrustedError.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path, last = os.path.dirname(path), path
        if path == last:  # a drive that is not there
            break
    if sys.platform != "win32" and "SUDO_UID" in os.environ:
        if os.stat(path or os.curdir).st_uid != os.geteuid():
            raise UntrustedError("it is in a directory of another user (use sudo -H)")
    for directory in reversed(missing):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            continue


def patiently(work: "Callable[[], T]") -> "T":
    """Open, rename or remove a file; on Windows again while another process stands in the way.

    Raises OSError.
    """
    end = time.monotonic() + (0.0 if _POSIX else _PATIENCE)
    while True:
        try:
            return work()
        except PermissionError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


def _note_use(file: int, status: os.stat_result, time: float) -> None:
    """Set an open file's time of access; the rest of its `status` stays.

    The kernel cannot be left to it: file systems are mounted with `relatime`, or `noatime`. Where
    it is not possible (a read-only file system), the file only seems to be used less.
    """
    if not _POSIX:  # only there does utime take a descriptor: a name may be another file's by now
        return
    try:
        os.utime(file, ns=(int(time) * 10**9, status.st_mtime_ns))
    except OSError:
        pass


def _trust(status: os.stat_result) -> None:
    """Raise UntrustedError unless this user owns the file and nobody else has access to it."""
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid():
        raise UntrustedError("it belongs to another user")
    if status.st_mode & _OTHERS:
        mode = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise UntrustedError(f"other users may enter it (chmod {mode} fixes that)")

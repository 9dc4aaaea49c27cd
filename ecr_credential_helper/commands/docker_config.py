"""Docker's config.json, found, read and saved by Docker's own rules (cli/config in docker/cli).

What this program does not know in the file stays exactly as it was.
"""

import errno
import json
import os
import re
import stat
from typing import Any

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.system.environment import NO_HOME

from .hosts import address_of
from .json_text import indent, members, parsed, with_member, without_member

HELPERS, STORE, AUTHS = "credHelpers", "credsStore", "auths"

# Errors of a rename that fails because of what the file or its directory is: a bind mount, a
# directory that is not ours. The file itself may still be writable.
_NO_RENAME = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)
_HARMLESS = ("email",)
_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*"\s*:)|"(?:[^"\\]|\\.)*"')


class DamagedError(OSError):
    """A file that may have neither its old nor its new content."""


class DockerConfig:
    """One config.json: its text, and what Docker reads from it.

    `path` is where Docker looks for it, `old` is the content on disk (None if there is no file),
    `text` is the content to be saved.

    Raises HelperError if there is no home to look in, if it cannot be read, or if Docker could not
    use it.
    """

    def __init__(self, directory: str) -> None:
        if directory.startswith(NO_HOME):
            raise HelperError("no home directory for ~/.docker", "set HOME or DOCKER_CONFIG")
        self.path = os.path.join(directory, "config.json")
        self.old = _read(self.path)
        # Bytes that are not UTF-8 are no error here: they are written back as they were.
        self.text = (self.old or b"").decode("utf-8", "surrogateescape")
        self.empty = not self.text.strip(" \t\r\n")
        if self.empty:
            self.text = "{}\n"
        self._first = self.text
        try:
            self._document = parsed(self.text)
        except ValueError as error:
            raise self._broken(f"not JSON: {error}") from error
        self._check()

    @property
    def helpers(self) -> dict[str, str]:
        """Which helper Docker asks for which host; "" is no helper but config.json itself."""
        return {host: name or "" for host, name in self._table(HELPERS).items()}

    @property
    def store(self) -> str:
        """The helper that Docker asks for every other host, empty if there is none."""
        _, value = self._top(STORE)
        return value or ""

    @property
    def keys(self) -> list[str]:
        """The top-level keys of the document."""
        return list(self._document)

    def passwords(self, addresses: set[str]) -> list[str]:
        """Return the keys of `auths` that hold a secret for one of `addresses` (`address_of`).

        An entry without a secret stays: some clients continue only if there is an entry.
        """
        return [
            key
            for key, entry in self._table(AUTHS).items()
            if address_of(key) in addresses and _holds_secret(entry)
        ]

    def set_helper(self, host: str, name: str) -> None:
        """Make Docker ask the helper `name` for `host`."""
        if not self._table(HELPERS):
            key, _ = self._top(HELPERS)
            self._edit(with_member(self.text, 0, key, "{}"))
        end = indent(self.text)
        lead = end + end.rpartition("\n")[2] if "\n" in end else ""
        place = self._place(HELPERS)
        self._edit(with_member(self.text, place, host, json.dumps(name), (lead, lead and end)))

    def remove_helper(self, host: str) -> None:
        """Make Docker ask no helper for `host`; with the last host, remove the whole table.

        So a table that was empty or null before is not restored: for Docker that is the same as no
        table, and it leaves it out too when it saves the file.
        """
        self._edit(without_member(self.text, self._place(HELPERS), host))
        if not self._table(HELPERS):
            key, _ = self._top(HELPERS)
            self._edit(without_member(self.text, 0, key))

    def remove_password(self, key: str) -> None:
        """Remove the entry `key` from `auths`."""
        self._edit(without_member(self.text, self._place(AUTHS), key))

    def save(self) -> None:
        """Write `text` to disk if it was edited. Raises HelperError."""
        if self.text == self._first:
            return
        data = self.text.encode("utf-8", "surrogateescape")
        try:
            _save(os.path.realpath(self.path), self.old, data)
        except DamagedError as error:
            raise HelperError(
                f"cannot save {self.path}, which may be damaged now: {error.strerror}",
                "see what is in it before Docker is used again",
            ) from error
        except OSError as error:
            raise HelperError(
                f"cannot save {self.path}: {error.strerror or error}",
                "nothing was changed; see who may write there: `ls -ld` of the file and directory",
            ) from error

    def _edit(self, text: str) -> None:
        self.text = text
        self._document = parsed(text)

    def _top(self, name: str) -> tuple[str, Any]:
        """Return the key that Docker reads as `name` (Go ignores the case), and its value."""
        for key, value in self._document.items():
            if key.casefold() == name.casefold():
                return key, value
        return name, None

    def _table(self, name: str) -> dict[str, Any]:
        return self._top(name)[1] or {}

    def _place(self, name: str) -> int:
        """Return the position in the text where the value of `name` begins."""
        key, _ = self._top(name)
        return next((m.value_start for m in members(self.text) if m.key == key), 0)

    def _check(self) -> None:
        """Raise HelperError if Docker would stop, or if clients would read it in different ways."""
        if not isinstance(self._document, dict):
            raise self._broken("not a JSON object")
        for name in (HELPERS, STORE, AUTHS):
            keys = [key for key in self._document if key.casefold() == name.casefold()]
            if len(keys) > 1:
                raise self._broken(f"{' and '.join(keys)} are the same key to Docker")
        for name, kind in ((HELPERS, str), (AUTHS, dict)):
            table = self._top(name)[1]
            if not isinstance(table, dict | None):
                raise self._broken(f"{name} is not an object")
            for key, value in (table or {}).items():
                if not isinstance(value, kind | None):
                    what = "a text" if kind is str else "an object"
                    raise self._broken(f"the value of {key} in {name} is not {what}")
        if not isinstance(self._top(STORE)[1], str | None):
            raise self._broken(f"{STORE} is not a text")

    def _broken(self, what: str) -> HelperError:
        return HelperError(f"{self.path}: {what}", "correct the file by hand; nothing was changed")


def directory(chosen: str | None) -> str:
    """Return where Docker looks for its config.json: `chosen`, DOCKER_CONFIG or ~/.docker.

    Without a home directory the last is below NO_HOME.
    """
    return chosen or os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")


def masked(text: str) -> str:
    """Return config.json with *** for every text that may be a secret.

    These are all texts inside an object or array, except the names of helpers: passwords in
    `auths`, headers and proxies, and what later versions of Docker may store there.
    """
    if not text.strip(" \t\r\n"):
        return text
    for member in reversed(members(text)):
        value = text[member.value_start : member.end]
        if value[0] in "{[" and member.key.casefold() != HELPERS.casefold():
            hidden = _STRINGS.sub(lambda match: match[1] or '"***"', value)
            text = text[: member.value_start] + hidden + text[member.end :]
    return text


def _holds_secret(entry: dict[str, Any] | None) -> bool:
    return any(value for key, value in (entry or {}).items() if key.lower() not in _HARMLESS)


def _read(path: str) -> bytes | None:
    """Return the content of the file, None if there is no file. Raises HelperError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HelperError(
            f"cannot read {path}: {error.strerror or error}",
            "see who may read it, and whose it is: sudo and containers often leave root's behind",
        ) from error


def _save(path: str, old: bytes | None, data: bytes) -> None:
    """Replace the file `path`, whose content was `old`, by one with the content `data`.

    If its directory allows a rename, the file is the old or the new one at every moment. Otherwise
    the file itself is written to. Raises OSError; DamagedError if the content may be neither.
    """
    _make_directory(os.path.dirname(path))
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        _write_beside(temporary, path, data)
        _check_unchanged(path, old)
        os.replace(temporary, path)
    except OSError as error:
        _unlink(temporary)
        if old is None or error.errno not in _NO_RENAME:
            raise
        _write_over(path, old, data)
        return
    _sync(os.path.dirname(path))


def _make_directory(path: str) -> None:
    """Make a directory and its parents with mode 0700. Raises OSError."""
    if not path or os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_directory(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    if os.name != "posix":
        return
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _inherit_owner(file, parent)
    finally:
        os.close(file)


def _check_unchanged(path: str, old: bytes | None) -> None:
    """Raise OSError if the content is no longer `old`: a `docker login` must not get lost."""
    try:
        with open(path, "rb") as file:
            now: bytes | None = file.read()
    except FileNotFoundError:
        now = None
    if now != old:
        raise OSError("another program changed it meanwhile, run this again")


def _write_beside(temporary: str, path: str, data: bytes) -> None:
    """Make the file `temporary` with the content `data`, and with owner and mode of `path`.

    If there is no file `path` yet, under root the owner is that of the directory; the mode is 0600.
    """
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
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
    if os.name != "posix":
        return
    own = os.fstat(file)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(file, status.st_uid, status.st_gid)
    os.fchmod(file, stat.S_IMODE(status.st_mode))


def _inherit_owner(file: int, directory_path: str) -> None:
    """Give what root has made, open as `file`, to the owner of the directory that it is in.

    Otherwise, under sudo with the user's HOME kept, the user's Docker could not read it.
    """
    if os.name != "posix" or os.geteuid() != 0:
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
    file = os.open(path, os.O_RDWR)
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
        if os.pread(file, len(old), 0) != old:
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

"""The token cache: a directory with one small text file for each host and identity.

An entry is the key it was kept under, in full, then the token:

    ecr-credential-helper cache 1
    host 111122223333.dkr.ecr.eu-west-1.amazonaws.com
    (the identity: any number of lines)

    issued 1763913600
    expires 1763956800
    source sso
    token eyJ...
    check 0123456789abcd

Everything up to and including the empty line must equal, byte for byte, what the reader computed
itself. The number after `check` is a checksum of all bytes before it: they are read as one large
number, modulo the prime 2**56 - 5, which detects damage and is one line of C. The number in the
file's name is the same checksum, of the key.

A file that differs from this in any way is a cache miss, never an error.

The file's time of change says when the token was kept, its time of access when `get` last served
it, to within an hour. From these two alone tokens/sweep.py decides what goes.
"""

import os

from ecr_credential_helper.system.files import Directory, UntrustedError

FRESH, AGING, LATE, DEAD = range(4)
SWEPT = "swept"  # the file whose time of change says when the directory was last swept

_VERSION_LINE = b"ecr-credential-helper cache 1\n"
_PRIME = 2**56 - 5
_NAME_DIGITS = 14
_SIZE_LIMIT = 256 * 1024
_MIXER = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio: spreads numbers that are much alike
_LAST_SECONDS = 60
_LAST_TIME = 2**43  # epoch seconds; much larger numbers would overflow in Entry.stage


def digest(data: bytes) -> str:
    """Return the checksum of `data`: fourteen hexadecimal digits."""
    return f"{int.from_bytes(data, 'big') % _PRIME:014x}"


class Key:
    """What an entry is kept under: a subject and an identity.

    The subject is a host; or, for an entry that is not for one host alone, a name with an
    underscore, which no host has. `name` is the file's name, `prefix` the start of its content.
    `spread` is a number from 0 to 1, not 1 itself, that is fixed by the key.
    """

    __slots__ = ("name", "prefix", "spread", "subject")

    def __init__(self, subject: str, identity: bytes) -> None:
        self.subject = subject
        self.prefix = b"%shost %s\n%s\n" % (_VERSION_LINE, subject.encode(), identity)
        checksum = digest(self.prefix)
        self.name = f"{subject}.{checksum}"
        number = int(checksum, 16)
        self.spread = ((number ^ number >> 28) * _MIXER % 2**64 >> 48) / 2**16


class Entry:
    """A token and when it was issued and expires, in epoch seconds of the local clock.

    `source` is the credential source it was requested with, as botocore names it; "docker login"
    for a token that a login stored, "none" for an entry that says that no source was found.
    """

    __slots__ = ("expires", "issued", "source", "token")

    def __init__(self, issued: int, expires: int, source: str, token: str) -> None:
        self.issued = issued
        self.expires = expires
        self.source = source
        self.token = token

    def stage(self, now: float, key: Key) -> int:
        """Return the stage of the token's life at `now`, for whoever keeps it under `key`.

        FRESH: in the first half, or up to five eighths: the key, and so the machine, decides where
        in between, so that a fleet whose tokens are of one age does not refresh them all at once.
        AGING: after that; served, and refreshed. LATE: in the last eighth; refreshed before it is
        served. DEAD: in the last minute, expired, or issued in the future; never served.
        """
        life = self.expires - self.issued
        left = self.expires - now
        if self.issued > now or left <= _LAST_SECONDS:
            return DEAD
        if left < life / 8:
            return LATE
        return AGING if left <= life * (4 - key.spread) / 8 else FRESH


class Cache:
    """The cache directory. Reading never fails; an entry that cannot be read is a miss."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self, key: Key, served: float | None = None) -> Entry | None:
        """Return the entry under `key`, None if there is none that can be trusted.

        Who is going to serve it gives the time as `served`, which is noted.
        """
        try:
            with Directory(self.path) as directory:
                return decode(directory.read(key.name, _SIZE_LIMIT, served), key.prefix)
        except (OSError, ValueError):
            return None

    def save(self, key: Key, entry: Entry) -> None:
        """Keep `entry` under `key`: whole, or not at all. Raises OSError."""
        content = encode(entry, key.prefix)
        if len(content) > _SIZE_LIMIT:
            raise OSError("it is too large")
        with Directory(self.path, create=True) as directory:
            temporary = f"{key.name}.{os.urandom(8).hex()}.tmp"
            try:
                directory.create(temporary, content)
                directory.replace(temporary, key.name)
            except OSError:
                directory.remove(temporary)
                raise

    def remove(self, subject: str) -> None:
        """Drop every entry of `subject`, whichever identity it was for. Raises OSError."""
        try:
            with Directory(self.path) as directory:
                for name in directory.names():
                    if subject_of(name) == subject:
                        directory.remove(name)
        except (FileNotFoundError, NotADirectoryError, UntrustedError):
            return

    def hosts(self) -> list[str]:
        """Return the hosts of all entries, of all identities, sorted, each once."""
        try:
            with Directory(self.path) as directory:
                subjects = {subject_of(name) for name in directory.names()}
        except OSError:
            return []
        return sorted(subject for subject in subjects if subject and "_" not in subject)

    def entries(self) -> list[tuple[Key, bytes, Entry]]:
        """Return every entry with its key and the identity in it, sorted by subject.

        Raises OSError if the directory cannot be read or trusted.
        """
        found = []
        with Directory(self.path) as directory:
            for name in sorted(directory.names()):
                try:
                    entry = _read(directory, name)
                except (OSError, ValueError):
                    continue
                if entry:
                    found.append(entry)
        return found

    def clear(self) -> int:
        """Drop all entries, and temporary files of killed processes; return the number of entries.

        Raises OSError.
        """
        dropped = 0
        with Directory(self.path) as directory:
            for name in directory.names():
                if subject_of(name):
                    directory.remove(name)
                    dropped += 1
                elif name == SWEPT or (is_debris(name) and name.endswith(".tmp")):
                    directory.remove(name)
        return dropped

    def sweep(self, now: float) -> None:
        """Drop what is no longer of use, at most once in ten minutes. Never fails."""
        from .sweep import sweep

        sweep(self.path, now)


class NoCache(Cache):
    """A cache that is always empty: its directory has no name, so nothing is ever found in it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("")

    def save(self, key: Key, entry: Entry) -> None:
        """Keep nothing."""


def subject_of(name: str) -> str:
    """Return the subject of the entry in the file `name`, empty if it is no entry."""
    subject, _, digits = name.rpartition(".")
    return subject if len(digits) == _NAME_DIGITS and not digits.strip("0123456789abcdef") else ""


def encode(entry: Entry, prefix: bytes) -> bytes:
    """Return the content of the file that keeps `entry` under a key's `prefix`."""
    body = prefix + (
        f"issued {entry.issued}\nexpires {entry.expires}\n"
        f"source {entry.source}\ntoken {entry.token}\n"
    ).encode("ascii")
    return b"%scheck %s\n" % (body, digest(body).encode())


def decode(data: bytes, prefix: bytes) -> Entry | None:
    """Return the entry in `data`: the one that `encode` turns into `data` under `prefix`.

    Returns None or raises ValueError if there is no such entry.
    """
    body = data.rpartition(b"check ")[0]
    if not body.startswith(prefix):
        return None
    issued, expires, source, token, _ = body[len(prefix) :].decode("ascii").split("\n")
    entry = Entry(
        int(issued.removeprefix("issued ")),
        int(expires.removeprefix("expires ")),
        source.removeprefix("source "),
        token.removeprefix("token "),
    )
    if max(abs(entry.issued), abs(entry.expires)) > _LAST_TIME:
        return None
    return entry if encode(entry, prefix) == data else None


def is_debris(name: str) -> bool:
    """Whether a file in the cache directory is a temporary file, lock or mark of an entry."""
    entry_name, _, kind = name.rpartition(".")
    if kind == "tmp":
        entry_name = entry_name.rpartition(".")[0]
    return kind in ("tmp", "lock", "refresh") and bool(subject_of(entry_name))


def _read(directory: Directory, name: str) -> tuple[Key, bytes, Entry] | None:
    """Return the entry in the file `name`, with its key and identity; None if it is no entry.

    Raises OSError if it cannot be read, ValueError if it is no entry.
    """
    subject = subject_of(name)
    head = b"%shost %s\n" % (_VERSION_LINE, subject.encode())
    data = directory.read(name, _SIZE_LIMIT) if subject else b""
    prefix = data.partition(b"\n\n")[0] + b"\n\n"
    entry = decode(data, prefix)
    identity = prefix[len(head) : -1]
    key = Key(subject, identity)
    return (key, identity, entry) if entry and (key.prefix, key.name) == (prefix, name) else None

"""Damaged cache entries: a get serves what was stored, unchanged, or asks AWS."""

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from unittest import mock

from ecr_credential_helper import verbs
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.tokens.cache import Cache, Entry, Key, digest, encode
from tests.support.entries import entry_files

from .workspace import HOST, Figures, Workspace

OTHER = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
NOW = 1_800_000_000.0
LIFE = 43_200
TOKEN = "eyJ" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 45
NUMBERS = ("-1", "+1800000000", "1e9", "nan", "1_8", " 1", "0x1", "", "9" * 5000, "-" + "9" * 4000)
HUGE = ("9" * 400, "-" + "9" * 400, "9" * 4000, str(2**63), str(-(2**63)), "99999999999")


class Kept:
    """A cache directory with one entry in it, and a get that can only answer from there."""

    def __init__(self, path: str) -> None:
        os.environ["AWS_ECR_CACHE_DIR"] = path
        self.context = Context(lambda: NOW, lambda _line: None)
        self.key = Key(HOST, self.context.identity)
        self.file = os.path.join(path, self.key.name)
        self.content = encode(Entry(int(NOW) - 60, int(NOW) + LIFE, "env", TOKEN), self.key.prefix)
        Cache(path).save(self.key, Entry(int(NOW) - 60, int(NOW) + LIFE, "env", TOKEN))

    def others(self) -> list[bytes]:
        """Return good entries that are not this one's: other hosts, other identities, other times.

        Each holds another token, which must never be served.
        """
        identity = self.context.identity
        keys = [Key(OTHER, identity), Key(HOST, identity + b"x\n"), Key(HOST, b"")]
        entries = [
            encode(Entry(int(NOW) - 60, int(NOW) + LIFE, "env", "ALIEN"), key.prefix)
            for key in keys
        ]
        past = [(-LIFE, 0), (-LIFE, -1), (-LIFE, 60), (1, LIFE), (LIFE, 2 * LIFE), (0, -LIFE)]
        return entries + [
            encode(Entry(int(NOW) + issued, int(NOW) + expires, "env", "ALIEN"), self.key.prefix)
            for issued, expires in past
        ]

    def put(self, content: bytes) -> None:
        """Replace the content of the entry."""
        file = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(file, content)
        os.close(file)

    def served(self) -> str | None:
        """Return the token that a get answers without asking AWS, None if there is none."""
        try:
            answer = json.loads(verbs.get(HOST.encode(), self.context))
        except HelperError:
            return None
        return str(answer["Secret"])


@contextlib.contextmanager
def alone(workspace: Workspace) -> Iterator[Kept]:
    """Give a cache in a process without AWS: only valid entries are served."""
    asked = mock.patch.object(Context, "fetch", side_effect=HelperError("AWS is away"))
    behind = mock.patch.object(verbs, "_refresh", return_value=True)
    with mock.patch.dict(os.environ), asked, behind:
        yield Kept(str(workspace.path / "damaged"))


def checked(body: bytes) -> bytes:
    """Return a body with a valid checksum line."""
    return b"%scheck %s\n" % (body, digest(body).encode())


def forged(kept: Kept) -> Iterator[bytes]:
    """Yield entries that the helper never writes, each with a valid checksum."""
    body = kept.content[: kept.content.rindex(b"check ")]
    prefix, lines = kept.key.prefix, body[len(kept.key.prefix) :].splitlines(keepends=True)
    for first in range(4):
        for second in range(4):
            if first != second:
                swapped = list(lines)
                swapped[first], swapped[second] = swapped[second], swapped[first]
                yield checked(prefix + b"".join(swapped))
        yield checked(prefix + b"".join(lines[:first] + lines[first + 1 :]))
        yield checked(prefix + b"".join(lines[:first] + lines[first:] + lines[first:]))
    for number in (*NUMBERS[1:], *HUGE):  # -1 would be a time
        yield checked(body.replace(b"issued %d" % (NOW - 60), b"issued " + number.encode()))
    for number in (*NUMBERS, HUGE[1], HUGE[4]):
        yield checked(body.replace(b"expires %d" % (NOW + LIFE), b"expires " + number.encode()))
    for version in (b"0", b"2", b"10", b"", b"-1", b"1 "):
        yield checked(body.replace(b"cache 1\n", b"cache %s\n" % version))
    yield checked(body.replace(b"\n", b"\r\n"))
    yield from kept.others()


def damaged(kept: Kept, dice: random.Random) -> bytes:
    """Return the entry with damage of some kind."""
    content, others = kept.content, kept.others()
    at, size = dice.randrange(len(content)), dice.choice((1, 2, 8, 64, 512, 4096))
    kinds = (
        lambda: content[:at] + os.urandom(size) + content[at + size :],
        lambda: content[:at] + bytes(size) + content[at + size :],
        lambda: content[:at] + content[at + size :],
        lambda: content[:at] + content[max(0, at - size) :],
        lambda: content[:at] + dice.choice(others)[at:],
        lambda: dice.choice(others)[:at] + content[at:],
        lambda: content + os.urandom(size),
        lambda: os.urandom(size) + content,
        lambda: bytes(reversed(content)),
        lambda: os.urandom(size),
    )
    return dice.choice(kinds)()


def contents(kept: Kept, workspace: Workspace) -> Iterator[bytes]:
    """Yield every truncation, every flipped bit, every forgery, and random damage."""
    places = range(len(kept.content))
    yield from (kept.content[:place] for place in workspace.some(places))
    for place in workspace.some(range(8 * len(kept.content))):
        flipped = bytearray(kept.content)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)
    yield from forged(kept)
    for size in (256 * 1024, 256 * 1024 + 1, 4 << 20):
        yield kept.content.ljust(size, b"\n")
        yield checked(kept.content[: kept.content.rindex(b"check ")].ljust(size, b"A"))
    yield from (damaged(kept, workspace.dice) for _ in range(workspace.times(90_000)))


def run(workspace: Workspace) -> Figures:
    """Serve the one good entry, and nothing that is not it to the byte."""
    count, hours, started = 0, 0, time.monotonic()
    workspace.path.mkdir(exist_ok=True)
    with alone(workspace) as kept:
        assert kept.served() == TOKEN
        for content in contents(kept, workspace):
            if content == kept.content:
                continue
            kept.put(content)
            served = kept.served()
            assert served is None, f"served {served[:20]!r} from {content[-3000:]!r}"
            count += 1
        kept.context.cache.sweep(NOW)
        kept.put(kept.content)
        for hours in range(-24, 25):
            kept.context.clock = (NOW + hours * 3600.0).__pos__
            alive = -60 <= hours * 3600 < LIFE - 60
            assert (kept.served() == TOKEN) is alive, hours
    return by_the_executable(workspace) | {
        "damaged entries": count,
        "hours looked at": 2 * hours + 1,
        "entries a second": round(count / (time.monotonic() - started)),
        "tokens served from them": 0,
        "tracebacks": 0,
    }


def by_the_executable(workspace: Workspace) -> Figures:
    """Damage the entries of a real cache: each get answers, with a token of AWS."""
    with workspace.rack() as rack:
        token = rack.answered(rack.get(HOST))
        files = entry_files(rack.cache)
        assert len(files) == 2
        for number in range(workspace.times(120)):
            for file in files:
                content = bytearray(file.read_bytes())
                content[workspace.dice.randrange(len(content))] ^= 1 << number % 8
                file.write_bytes(content)
            renewed = rack.answered(rack.get(HOST))
            assert renewed != token
            token = renewed
        return {"damaged caches, by whole processes": len(rack.results) - 1}

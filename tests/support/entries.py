"""What tests of the cache share: its files between two runs, waiting, and crowds."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ecr_credential_helper.tokens.cache import Entry, decode, encode, subject_of
from tests.support.helper import Helper

HOST = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_ACCOUNT = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_REGION = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
PUBLIC = "public.ecr.aws"
LIFE = 43200


def entry_files(cache: Path, subject: str | None = None) -> list[Path]:
    """Return the entries in a cache directory, those of one subject if it is named."""
    files = sorted(cache.iterdir()) if cache.is_dir() else []
    return [
        file for file in files if subject_of(file.name) and subject in (None, subject_of(file.name))
    ]


def prefix_of(content: bytes) -> bytes:
    """Return what an entry starts with: all up to the empty line, and that."""
    return content.partition(b"\n\n")[0] + b"\n\n"


def entry_in(file: Path) -> Entry:
    """Return the entry in a file, which has to be whole."""
    content = file.read_bytes()
    entry = decode(content, prefix_of(content))
    assert entry is not None
    return entry


def rewrite(cache: Path, *, age: float, life: float = LIFE) -> None:
    """Make every entry one that was issued `age` seconds ago for `life` seconds."""
    for file in entry_files(cache):
        entry = entry_in(file)
        issued = int(time.time() - age)
        aged = Entry(issued, int(issued + life), entry.source, entry.token)
        file.write_bytes(encode(aged, prefix_of(file.read_bytes())))


def secret_of(answer: dict[str, object]) -> str:
    """Return the token in an answer of `get`, which has to be one."""
    assert answer["Username"] == "AWS"
    secret = answer["Secret"]
    assert isinstance(secret, str)
    assert secret
    return secret


def until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to happen; fail if it has not after `seconds`."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def started(
    helper: Helper, size: int, host: str, *, env: Mapping[str, str | None]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run `get` for a host in so many processes, which are killed where the caller leaves them."""
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(size):
            reading, writing = os.pipe()
            os.write(writing, host.encode())
            os.close(writing)
            process = stack.enter_context(helper.popen("get", env=env, stdin=reading))
            stack.callback(process.kill)
            os.close(reading)
            processes.append(process)
        yield processes


def stampede(
    helper: Helper, size: int, host: str, directory: Path, *, env: Mapping[str, str | None]
) -> list[dict[str, object]]:
    """Run `get` for a host in so many processes at once, and return their answers.

    Their streams are files in a new `directory`: as many pipes would be too many descriptors.
    """
    directory.mkdir()
    (directory / "request").write_bytes(host.encode())
    processes = []
    for number in range(size):
        with (
            open(directory / "request", "rb") as stdin,
            open(directory / f"{number}.out", "wb") as stdout,
            open(directory / f"{number}.err", "wb") as stderr,
        ):
            processes.append(
                helper.popen("get", env=env, stdin=stdin, stdout=stdout, stderr=stderr)
            )
    statuses = [process.wait(120) for process in processes]
    errors = {(directory / f"{number}.err").read_bytes() for number in range(size)}
    assert (set(statuses), errors) == ({0}, {b""})
    return [json.loads((directory / f"{number}.out").read_bytes()) for number in range(size)]

"""What tests of the cache share: its files between two runs, waiting, and crowds."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ecr_credential_helper.tokens.cache import Entry, decode, encode, subject_of
from tests.support.helper import Helper, Result

HOST = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_ACCOUNT = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_REGION = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
PUBLIC = "public.ecr.aws"
LIFE = 43200
LARGE = 100


def entry_files(cache: Path, subject: str | None = None) -> list[Path]:
    """Return the entries in a cache directory, those of one subject if it is named."""
    files = sorted(cache.iterdir()) if cache.is_dir() else []
    return [
        file for file in files if subject_of(file.name) and subject in (None, subject_of(file.name))
    ]


def prefix_of(content: bytes) -> bytes:
    """Return what an entry starts with: all up to the empty line, and that."""
    return content.partition(b"\n\n")[0] + b"\n\n"


def spread_of(name: str) -> float:
    """Return where between 1/2 (0) and 5/8 (1) of its life the entry in a file is refreshed."""
    number = int(name.rpartition(".")[2], 16)
    return ((number ^ number >> 28) * 0x9E3779B97F4A7C15 % 2**64 >> 48) / 2**16


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


def crowd(
    helper: Helper, size: int, host: str, directory: Path, *, env: Mapping[str, str | None]
) -> list[Result]:
    """Run `get` for a host in so many processes at once, and return what each leaves.

    Each is told the host when all are started. What they print goes to files in a new `directory`:
    as many pipes would be too many descriptors. A large crowd leaves the processor to other tests.
    """
    gently = size >= LARGE
    directory.mkdir()
    processes, requests = [], []
    for number in range(size):
        reading, writing = os.pipe()
        requests.append(writing)
        with (
            open(reading, "rb") as stdin,
            open(directory / f"{number}.out", "wb") as stdout,
            open(directory / f"{number}.err", "wb") as stderr,
        ):
            processes.append(
                helper.popen(
                    "get", env=env, gently=gently, stdin=stdin, stdout=stdout, stderr=stderr
                )
            )
    for request in requests:
        with open(request, "wb") as stdin:
            stdin.write(host.encode())
    statuses = [process.wait(120) for process in processes]
    return [
        Result(status, *((directory / f"{number}.{name}").read_bytes() for name in ("out", "err")))
        for number, status in enumerate(statuses)
    ]


def stampede(
    helper: Helper, size: int, host: str, directory: Path, *, env: Mapping[str, str | None]
) -> list[dict[str, object]]:
    """Run `get` as `crowd` does, and return the answers: each has to be one."""
    results = crowd(helper, size, host, directory, env=env)
    assert {(result.status, result.stderr) for result in results} == {(0, b"")}
    return [result.answer for result in results]

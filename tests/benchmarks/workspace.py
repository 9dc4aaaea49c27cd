"""A place to measure in: a loopback AWS, the environment that points there, and processes."""

import contextlib
import ctypes
import functools
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.loopback import Loopback
from tests.support.helper import Authority
from tests.support.trust import trusting

from .report import Cost, MissingError

EXECUTABLE = Path(sysconfig.get_path("scripts")) / "docker-credential-ecr"
REGION = "us-west-2"
HOST = f"111122223333.dkr.ecr.{REGION}.amazonaws.com"
BARE = "python -c pass"

WARM_UP = 2
MEMORY_ROUNDS = 11
PR_SET_CHILD_SUBREAPER = 36


def nothing() -> None:
    """Do nothing: what most commands need done before they start."""


@dataclass(frozen=True)
class Command:
    """A process to measure, and what has to be done, unmeasured, before each start of it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stdin: str = os.devnull
    prepare: Callable[[], None] = nothing


class Workspace:
    """A directory of our own with a loopback AWS in it, and the environment that points there.

    Clients reach it by AWS_ENDPOINT_URL, over plain HTTP or, with `tls`, over TLS.
    """

    def __init__(
        self, directory: Path, aws: Loopback, authority: Authority, *, tls: bool = False
    ) -> None:
        self.directory = directory
        self.aws = aws
        self.authority = authority
        self.cache = directory / "cache"
        self.errors = directory / "stderr"
        self.request = directory / "request"
        self.request.write_text(HOST)
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "AWS_ECR_CACHE_DIR": str(self.cache),
            "AWS_EC2_METADATA_DISABLED": "true",
            **aws.environment(),
        }
        if tls:
            self.env["AWS_ENDPOINT_URL"] = aws.https_url

    def get(
        self,
        name: str,
        *,
        program: Path = EXECUTABLE,
        cold: bool = False,
        cache: Path | None = None,
    ) -> Command:
        """Return a `get` of this workspace's host, with its cache removed before it if `cold`."""
        cache = cache or self.cache
        env = {**self.env, "AWS_ECR_CACHE_DIR": str(cache)}
        prepare = functools.partial(shutil.rmtree, cache, ignore_errors=True) if cold else nothing
        return Command(name, (str(program), "get"), env, str(self.request), prepare)

    def python(self, name: str, code: str, program: str | Path = sys.executable) -> Command:
        """Return the run of some code by a Python: that which the helper is installed for."""
        return Command(name, (str(program), "-c", code), self.env)

    def trusting(self, program: Path) -> Path:
        """Return a program in an installation that trusts the loopback's certificate."""
        place = self.directory / f"trusting-{len(list(self.directory.glob('trusting-*')))}"
        try:
            return trusting(program, place, self.authority.bundle)
        except (OSError, ValueError) as error:
            raise MissingError(f"{program}: {error}") from error

    def start(self, command: Command) -> int:
        """Start a process and return its id. Raises MissingError if it cannot be started."""
        output, mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, command.stdin, os.O_RDONLY, mode),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, mode),
            (os.POSIX_SPAWN_OPEN, 2, str(self.errors), output, mode),
        ]
        argv = list(command.argv)
        try:
            return os.posix_spawn(argv[0], argv, command.env, file_actions=actions)
        except OSError as error:
            raise MissingError(f"{argv[0]} does not start: {error.strerror}") from error

    def run(self, command: Command) -> Cost:
        """Run a process to its end. Raises MissingError if it fails: a failure has no cost."""
        command.prepare()
        start = time.perf_counter()
        _, status, usage = os.wait4(self.start(command), 0)
        wall = time.perf_counter() - start
        self.check(command, status)
        return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)

    def check(self, command: Command, status: int) -> None:
        """Raise MissingError if a process failed."""
        if code := os.waitstatus_to_exitcode(status):
            said = self.errors.read_text(errors="replace").strip().rpartition("\n")[2]
            raise MissingError(f"{command.name} ends with status {code}: {said or 'silently'}")

    def rounds(self, commands: Sequence[Command], count: int) -> dict[str, list[Cost]]:
        """Run each command once in each of `count` rounds, after a few that do not count."""
        costs: dict[str, list[Cost]] = {command.name: [] for command in commands}
        for number in range(count + WARM_UP):
            for command in commands:
                cost = self.run(command)
                if number >= WARM_UP:
                    costs[command.name].append(cost)
        return costs

    def peak(self, command: Command) -> float:
        """Return the most memory that a process had resident, in MB (Linux).

        The kernel counts what a process had before exec, so a child of this large one would never
        show less than it. A shell starts it instead and leaves it to us: the floor is the shell.
        """
        command.prepare()
        quoted = f'"$@" <"$0" >{os.devnull} 2>&1 &'
        argv = ("/bin/sh", "-c", quoted, command.stdin, *command.argv)
        with adopting():
            os.waitpid(self.start(Command("sh", argv, command.env)), 0)
            _, status, usage = os.wait4(-1, 0)
        self.check(command, status)
        return usage.ru_maxrss / 1024

    def peaks(self, commands: Sequence[Command]) -> dict[str, list[float]]:
        """Run each command a few times, in turn, and return the peaks of its memory in MB."""
        peaks: dict[str, list[float]] = {command.name: [] for command in commands}
        for _ in range(MEMORY_ROUNDS):
            for command in commands:
                peaks[command.name].append(self.peak(command))
        return peaks


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Make orphans of our descendants our children. Raises MissingError where that is unknown."""
    if sys.platform != "linux":
        raise MissingError("this needs Linux, where a process can adopt orphans")
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def await_orphans() -> int:
    """Wait for every process that was adopted, and return how many there were."""
    number = 0
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            number += 1
    return number

"""What the subjects share: a home with an AWS of its own, and a search for secrets in it."""

import contextlib
import importlib
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.helper.test_secrets import assert_none, aws_secrets, secrets
from tests.loopback import USER_ARN, Loopback
from tests.support.helper import Authority, Helper, Result
from tests.support.needs import has_namespace

HOST = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
NAME = b"docker-credential-ecr"
NOT_FOUND = b"credentials not found in native keychain\n"

T = TypeVar("T")
Figures = dict[str, int | float]


class Rack(Helper):
    """The executable in a home directory of its own, which remembers what every run printed."""

    whole = False

    def __init__(self, home: Path, aws: Loopback, authority: Authority) -> None:
        home.mkdir(parents=True)
        super().__init__(home, aws, authority)
        self.aws = aws
        self.results: list[Result] = []

    def run(self, *arguments: str, **how: Any) -> Result:
        """Run the executable, and remember what it printed."""
        return self.seen(super().run(*arguments, **how))

    def seen(self, result: Result, *, starved: bool = False) -> Result:
        """Remember what a run printed, which is neither a traceback nor a secret.

        With too little memory the interpreter may raise anything, which then has to be told.
        """
        self.results.append(result)
        assert b"Traceback" not in result.stdout + result.stderr, result
        assert starved or b"internal error" not in result.stdout + result.stderr, result
        assert_none(secrets(self, self.aws), result.stderr, "stderr")
        belonging = set(self.aws.issued) if result.status == 0 else set()
        assert_none(secrets(self, self.aws) - belonging, result.stdout, "stdout")
        return result

    def issue(self) -> str:
        """Return a token that somebody else got from AWS, to log in with."""
        return self.aws.issue_token(USER_ARN, "eu-west-1", "ecr")[0]

    def answered(self, result: Result, host: str = HOST) -> str:
        """Return the token that a get answered, which has to be one that AWS gave for the host."""
        assert result.status == 0, result
        token = str(result.answer["Secret"])
        assert result.answer == {"ServerURL": host, "Username": "AWS", "Secret": token}
        assert self.aws.accepts(host, "AWS", token)
        return token


@dataclass
class Workspace:
    """What one subject works with: a directory, its share of the work, and random numbers."""

    path: Path
    authority: Authority
    share: float = 1.0
    dice: random.Random = field(default_factory=lambda: random.Random(8))
    runs: int = 0
    bytes_searched: int = 0

    @property
    def whole(self) -> bool:
        """Whether all of the work is done here, also what has a test of its own."""
        return self.share >= 1

    def times(self, number: int) -> int:
        """Return how often to do what is done `number` times in all of the work."""
        return max(1, round(number * self.share))

    def some(self, all_of_them: Sequence[T], least: int = 1) -> list[T]:
        """Return this workspace's share of a list: all of it, or some at even distances."""
        size = min(len(all_of_them), max(least, round(len(all_of_them) * self.share)))
        return [all_of_them[index * len(all_of_them) // size] for index in range(size)]

    @contextlib.contextmanager
    def rack(self, arrange: Callable[[Helper, Loopback], None] | None = None) -> Iterator[Rack]:
        """Give the executable a home and an AWS; search all it leaves for secrets at the end."""
        self.path.mkdir(exist_ok=True)
        home = self.path / f"{len(os.listdir(self.path))}" / "home"
        with Loopback(certificate=(self.authority.chain, self.authority.key)) as aws:
            rack = Rack(home, aws, self.authority)
            rack.whole = self.whole
            if arrange:
                arrange(rack, aws)
            arranged = contents(home)
            yield rack
            self.runs += len(rack.results)
            self.bytes_searched += search(rack, arranged)


def contents(top: Path) -> dict[Path, bytes]:
    """Return every file below a directory that is a file, and what is in it."""
    found = {}
    for path in top.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found[path] = path.read_bytes()
    return found


def search(rack: Rack, arranged: Mapping[Path, bytes]) -> int:
    """Assert that no file holds a secret that does not belong there; return the bytes searched."""
    every, size = secrets(rack, rack.aws), 0
    for path, data in contents(rack.home).items():
        place = str(path.relative_to(rack.home))
        at_home: set[str] = set()
        if place.startswith(".aws/cli/cache/"):
            at_home = aws_secrets(rack.aws)
        elif place.startswith((".aws/sso/cache/", ".aws/login/cache/")):
            at_home = every - set(rack.aws.issued)
        elif path.parent.name in ("cache", "ecr-credential-helper"):
            at_home = set(rack.aws.issued)
        if arranged.get(path) != data:
            assert_none(every - at_home, data, path)
            assert_none(every, os.fsencode(place), "a file's name")
            size += len(data)
    return size + sum(len(result.stdout) + len(result.stderr) for result in rack.results)


def figures_of(subject: str, workspace: Workspace) -> Figures:
    """Torture one subject; return its figures, with those of the search for secrets."""
    figures: Figures = importlib.import_module(f"{__package__}.{subject}").run(workspace)
    if workspace.runs:
        figures |= {
            "runs searched for secrets": workspace.runs,
            "bytes searched": workspace.bytes_searched,
        }
        figures["secrets found"] = 0
    return figures


def missing() -> list[str]:
    """Return what the full torture needs and this machine lacks."""
    lacking = [program for program in ("strace", "faketime") if not shutil.which(program)]
    lacking += [
        f"unshare {option}" for option in ("--mount", "--user") if not has_namespace(option)
    ]
    return lacking + ([] if os.geteuid() == 0 else ["root"])

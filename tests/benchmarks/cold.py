"""A cold get: beside others that ask AWS, from each source of credentials, in a full cache."""

import functools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecr_credential_helper.tokens.cache import Entry, Key, encode, subject_of

from .report import MissingError, Report
from .sources import workspace
from .workspace import BARE, EXECUTABLE, REGION, Command, Workspace

AWS_CLI = EXECUTABLE.with_name("aws")
FOUR_LINES = f"""\
import botocore.session
client = botocore.session.get_session().create_client("ecr", region_name="{REGION}")
answer = client.get_authorization_token()
print(answer["authorizationData"][0]["authorizationToken"])
"""

ENTRIES = 20_000
LIFE = 43_200
TOKEN_SIZE = 2_000


@dataclass(frozen=True)
class Row:
    """A source of credentials, over plain HTTP or TLS, and the bound of the processor time."""

    source: str
    tls: bool = False
    cpu: float | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.source}, TLS" if self.tls else self.source


# A profile is left to botocore; the other rows show what is saved without it.
ROWS = (
    Row("keys", cpu=5.0),
    Row("keys", tls=True, cpu=6.0),
    Row("ECS"),
    Row("EKS pod identity"),
    Row("IMDS"),
    Row("web identity"),
    Row("profile"),
)


def bench_cold(report: Report, count: int) -> None:
    """Compare a cold get to the AWS CLI and to the least code that asks botocore."""
    with workspace() as here:
        ours = here.get("cold get", cold=True)
        script = here.python("four lines of botocore", FOUR_LINES)
        login = ("ecr", "get-login-password", "--region", REGION)
        cli = Command("aws ecr get-login-password", (str(AWS_CLI), *login), here.env)
        present = AWS_CLI.exists()
        commands = (ours, script, cli) if present else (ours, script)
        costs = here.rounds(commands, count)
        for reference, bound in ((cli, 0.65), (script, 1.05)):
            if reference in commands:
                both = costs[ours.name], costs[reference.name]
                report.costs((ours.name, reference.name), both, {"wall": bound, "cpu": None})
        if not present:
            raise MissingError("against the AWS CLI: awscli is not installed beside this Python")


# By source


def bench_sources(report: Report, count: int, packaged: Path | None) -> None:
    """Compare a cold get from each source to the bare interpreter, in each form of the program."""
    for row in ROWS:
        with report.part(row.name), workspace(row.source, tls=row.tls) as here:
            programs = dict(installations(here, packaged))
            gets = [here.get(name, program=path, cold=True) for name, path in programs.items()]
            bare = here.python(BARE, "pass", programs["venv"].with_name("python"))
            costs = here.rounds((bare, *gets), count)
            for get in gets:
                names = f"{row.name}, {get.name}", bare.name
                both = costs[get.name], costs[bare.name]
                report.costs(names, both, {"cpu": row.cpu, "wall": None})


def installations(here: Workspace, packaged: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield each form of the program, in installations that trust the workspace."""
    yield "venv", here.trusting(EXECUTABLE)
    if packaged is not None:
        yield "packaged", here.trusting(packaged)


# A full cache


def bench_full_cache(report: Report, count: int) -> None:
    """Compare gets where the cache has very many other entries to gets where it has none."""
    with workspace() as here:
        full = here.directory / "full"
        fill(full, ENTRIES)
        others = set(full.iterdir())
        cases = {"cold get": own_entries, "cold get that sweeps": own_files, "warm get": nothing_of}
        for case, removed in cases.items():
            bound = None if removed is own_files else 1.1
            pair = []
            for cache in (full, here.cache):
                get = here.get(f"{case} in {cache.name}", cache=cache)
                here.run(get)
                prepare = functools.partial(remove, removed(cache, others))
                pair.append(Command(get.name, get.argv, get.env, get.stdin, prepare))
            costs = here.rounds(pair, count)
            both = costs[pair[0].name], costs[pair[1].name]
            names = f"{case}, {ENTRIES:,} others", "none"
            report.costs(names, both, {"wall": bound, "cpu": bound})
        if left := sum(not path.exists() for path in others):
            raise MissingError(f"{left} of the {ENTRIES:,} entries are gone")


def own_files(cache: Path, others: set[Path]) -> list[Path]:
    """Return all that a get left in a cache: what it knows from before is gone without them."""
    return [path for path in cache.iterdir() if path not in others]


def own_entries(cache: Path, others: set[Path]) -> list[Path]:
    """Return the entries that a get left in a cache."""
    return [path for path in own_files(cache, others) if subject_of(path.name)]


def nothing_of(cache: Path, others: set[Path]) -> list[Path]:
    """Return nothing."""
    del cache, others
    return []


def remove(paths: Sequence[Path]) -> None:
    """Remove files, if they are there."""
    for path in paths:
        path.unlink(missing_ok=True)


def fill(directory: Path, number: int) -> None:
    """Make a cache with so many entries: of other accounts, on other machines, fresh for hours.

    They are written as the cache itself writes them, but without waiting for the disk.
    """
    dice = random.Random(number)
    directory.mkdir(mode=0o700)
    now = int(time.time())
    for _ in range(number):
        host = f"{dice.randrange(10**12):012}.dkr.ecr.{REGION}.amazonaws.com"
        key = Key(host, f"machine runner {dice.getrandbits(128):032x}\n".encode())
        token = f"{dice.getrandbits(4 * TOKEN_SIZE):0{TOKEN_SIZE}x}"
        path = directory / key.name
        path.touch(mode=0o600)
        path.write_bytes(encode(Entry(now, now + LIFE, "env", token), key.prefix))

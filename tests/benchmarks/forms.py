"""What each form of the program costs, in one table: its size, and a get with it, warm and cold.

`python -m tests.benchmarks.forms DIST [FILE]`, with the directory that `make packages` fills. All
are measured in turn in one run (see bench.py), beside `true` and AWS's helper, if it is in FILE.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.aws_helper import LATENCY, THEIRS, their_get
from tests.benchmarks.report import compare, say
from tests.benchmarks.sources import workspace
from tests.benchmarks.workspace import BARE, Command, Workspace
from tests.support.forms import MACHINE, NAME, unpack

ROUNDS = 60
COLD_ROUNDS = 15
COLUMNS = {"keys": False, "assumed role": False, "IMDS": False, "cold": True}
DIRECTORY = "directory (front door)"
WHEEL = "wheel in a virtual environment"


def size(path: Path) -> str:
    """Return what a directory or a file takes, in MB."""
    said = subprocess.run(
        ["/usr/bin/du", "-sbD", path], capture_output=True, text=True, check=True
    ).stdout
    return f"{int(said.split()[0]) / 1e6:.1f}"


def commands(here: Workspace, programs: Mapping[str, Path], *, cold: bool) -> list[Command]:
    """Return one get for each program, each with a cache of its own, and `true`."""
    found = [Command("true", (shutil.which("true") or "/bin/true",), here.env)]
    for number, (name, program) in enumerate(programs.items()):
        if name == THEIRS:
            found.append(their_get(here, program, cold=cold))
            continue
        cache = here.directory / f"cache-{number}"
        found.append(here.get(name, program=program, cold=cold, cache=cache))
    return found


def measure(programs: Mapping[str, Path]) -> dict[str, dict[str, list[float]]]:
    """Return the wall times of each program in each column, milliseconds."""
    found = {}
    for column, cold in COLUMNS.items():
        with workspace("keys" if cold else column) as here:
            here.aws.latency = {} if cold else dict(LATENCY)
            count = COLD_ROUNDS if cold else ROUNDS
            costs = here.rounds(commands(here, programs, cold=cold), count)
            found[column] = {name: [cost.wall for cost in series] for name, series in costs.items()}
    return found


def start_of(program: Path, venv: Path) -> tuple[list[float], list[float]]:
    """Return the wall times of `version` and of the environment's own Python, milliseconds."""
    with workspace("keys") as here:
        ours = Command("version", (str(program), "version"), here.env)
        bare = here.python(BARE, "pass", venv / "bin" / "python")
        costs = here.rounds((ours, bare), ROUNDS)
    one, other = ([cost.wall for cost in costs[command.name]] for command in (ours, bare))
    return one, other


def main() -> int:
    """Measure what is in a directory of packages, and print it."""
    packages = Path(sys.argv[1]).resolve()
    (archive,) = packages.glob(f"{NAME}-*-linux-{MACHINE}.tar.xz")
    (wheel,) = packages.glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="ecr-forms-") as name:
        work = Path(name)
        (directory,) = unpack(archive, work / "directory").iterdir()
        venv = work / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(venv), "install", "--quiet", str(wheel)]
        subprocess.run(pip, check=True)
        programs = {
            DIRECTORY: directory / NAME,
            WHEEL: venv / "bin" / NAME,
        }
        sizes = {
            DIRECTORY: (size(directory), size(archive)),
            WHEEL: (size(venv), size(wheel)),
        }
        for theirs in map(Path, sys.argv[2:]):
            if theirs.exists():
                programs[THEIRS] = theirs
                sizes[THEIRS] = (size(theirs), "-")
        times = measure(programs)
        start = start_of(directory / NAME, venv)
    say(f"| | on disk, MB | to download, MB | {' | '.join(COLUMNS)} |")
    say("|---" * (3 + len(COLUMNS)) + "|")
    for form in ("true", *programs):
        row = [f"{statistics.median(times[column][form]):.2f}" for column in COLUMNS]
        say(f"| {' | '.join((form, *sizes.get(form, ('', '')), *row))} |")
    warm, cold = times["keys"], times["cold"]
    say("")
    if THEIRS in programs:
        both = warm[DIRECTORY], warm[THEIRS]
        say(str(compare((DIRECTORY, THEIRS), ("warm", "ms"), both, 0.5)))
    over = [ours - floor for ours, floor in zip(warm[DIRECTORY], warm["true"], strict=True)]
    say(f"warm, {DIRECTORY} - true: {statistics.median(over):.2f} ms (bound: 1 ms)")
    both = cold[DIRECTORY], cold[WHEEL]
    say(str(compare((DIRECTORY, WHEEL), ("cold", "ms"), both, 1.0)))
    say(str(compare((f"version, {DIRECTORY}", BARE), ("start", "ms"), start, 1.1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

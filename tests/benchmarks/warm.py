"""A warm get: its time, its memory, and the modules that it loads."""

import importlib.machinery
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ecr_credential_helper.tokens import cache
from tests.loopback import Fault

from .report import MissingError, Report, compare, say
from .sources import workspace
from .workspace import BARE, Command, Workspace, adopting, await_orphans

PACKAGE = "ecr_credential_helper"
AGING_ROUNDS = 200


def bench_warm(report: Report, count: int) -> None:
    """Compare a warm get to the bare interpreter, and that to the floor of any process."""
    with workspace() as here:
        ours, bare = here.get("warm get"), here.python(BARE, "pass")
        floor = Command("true", (shutil.which("true") or "/bin/true",), here.env)
        commands = (ours, bare, floor)
        costs = here.rounds(commands, count)
        for a, b, bound in ((ours, bare, 1.25), (bare, floor, None)):
            both = costs[a.name], costs[b.name]
            report.costs((a.name, b.name), both, {"wall": bound, "cpu": None})
        if here.aws.count("ecr") != 1:
            raise MissingError(f"not warm: ECR was asked {here.aws.count('ecr')} times")
        bench_memory(report, here, commands)
        bench_aging(report, here, (ours, bare), min(count, AGING_ROUNDS))


def bench_memory(report: Report, here: Workspace, commands: Sequence[Command]) -> None:
    """Compare peak memory; the least that could be seen is that of `true`, the last command."""
    peaks = here.peaks(commands)
    ours, bare, floor = (command.name for command in commands)
    for a, b, bound in ((ours, bare, 1.15), (bare, floor, None)):
        both = peaks[a], peaks[b]
        report.line(compare((a, b), ("peak memory", "MB"), both, bound))


def bench_aging(
    report: Report, here: Workspace, commands: tuple[Command, Command], count: int
) -> None:
    """Compare a get past half the token's life, its refresh started by another, to the same."""
    ours, bare = commands
    here.aws.faults["ecr"] = Fault("denied")  # a refresh that failed is not tried again at once
    age(here.cache, 0.7)
    with adopting():
        here.run(ours)
        await_orphans()
    costs = here.rounds(commands, count)
    both = costs[ours.name], costs[bare.name]
    report.costs(("get past half the life", bare.name), both, {"wall": None})


def age(directory: Path, share: float) -> None:
    """Make every token in a cache as old as `share` of its life."""
    if not directory.is_dir():
        raise MissingError("nothing is kept in the cache")
    for path in directory.iterdir():
        data = path.read_bytes()
        prefix = data.partition(b"\n\n")[0] + b"\n\n"
        entry = cache.decode(data, prefix) if cache.subject_of(path.name) else None
        if entry is not None:
            life = entry.expires - entry.issued
            entry.issued = int(time.time() - share * life)
            entry.expires = entry.issued + life
            path.write_bytes(cache.encode(entry, prefix))


def bench_modules(report: Report) -> None:
    """List the modules that a warm get loads beyond those of the bare interpreter."""
    with workspace() as here:
        here.env["PYTHONPROFILEIMPORTTIME"] = "1"
        bare = imported(here, here.python(BARE, "pass"))
        here.run(here.get("the get that fills the cache"))
        modules = [name for name in imported(here, here.get("warm get")) if name not in bare]
    report.modules = {name: kind_of(name) for name in modules}
    for name, kind in report.modules.items():
        say(f"{name:<50} {kind}")
    stray = [name for name, kind in report.modules.items() if kind == "other"]
    report.fact("modules that are neither ours nor built in nor frozen", ", ".join(stray) or "none")


def imported(here: Workspace, command: Command) -> list[str]:
    """Return the modules that a process says (-X importtime) it imported, in order."""
    here.run(command)
    lines = here.errors.read_text().splitlines()
    prefix = "import time:"
    names = [line.rpartition("|")[2].strip() for line in lines if line.startswith(prefix)]
    if len(names) <= 1:
        raise MissingError(f"{command.name} does not say what it imports")
    return names[1:]


def kind_of(module: str) -> str:
    """Return where a module comes from: "ours", "built in", "frozen" or "other"."""
    if module.partition(".")[0] == PACKAGE:
        return "ours"
    if module in sys.builtin_module_names:
        return "built in"
    frozen = importlib.machinery.FrozenImporter.find_spec(module)
    return "other" if frozen is None else "frozen"

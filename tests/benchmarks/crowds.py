"""Many gets at once."""

import os
import time

from .report import Burst, Report
from .sources import workspace
from .warm import age
from .workspace import Workspace, adopting, await_orphans

AT_ONCE = 200


def bench_bursts(report: Report) -> None:
    """Start many gets at once: with nothing in the cache, at half a token's life, past its end."""
    with workspace() as here:
        report.burst(at_once(here, "cold"))
        age(here.cache, 0.7)
        report.burst(at_once(here, "past half the token's life"))
        age(here.cache, 1.1)
        report.burst(at_once(here, "past the token's end"))


def at_once(here: Workspace, name: str) -> Burst:
    """Start many gets at once and see what they did, their detached refreshes too."""
    command = here.get(f"get, {name}")
    before = here.aws.count("ecr")
    with adopting():
        start = time.perf_counter()
        processes = [here.start(command) for _ in range(AT_ONCE)]
        states = [os.waitpid(process, 0)[1] for process in processes]
        seconds = time.perf_counter() - start
        refreshes = await_orphans()
    calls = here.aws.count("ecr") - before
    failed = sum(state != 0 for state in states)
    return Burst(f"{AT_ONCE} gets, {name}", AT_ONCE, failed, calls, refreshes, seconds)

"""A fleet: machines that share a quota, and processes of one machine while AWS is in trouble."""

import time
from pathlib import Path

from tests.loopback import Fault, Quota
from tests.support.helper import Result

from .load import start
from .workspace import HOST, Figures, Rack, Workspace

MACHINES = 200
PROCESSES = 1_000
CALLS_A_SECOND = 4.0
TROUBLE = 10.0  # seconds
PATIENCE = 300
LATENCY = 0.5  # seconds until AWS denies


def left_by(rack: Rack, size: int, caches: list[Path]) -> tuple[list[Result], float]:
    """Run so many gets at once, with these caches in turn.

    Return what each leaves, and in how many seconds all were started.
    """
    rack.env["AWS_ECR_TIMEOUT"] = f"{PATIENCE}"
    began = time.monotonic()
    processes = [
        start(rack, number, HOST, {"AWS_ECR_CACHE_DIR": str(caches[number % len(caches)])})
        for number in range(size)
    ]
    starting = time.monotonic() - began
    statuses = [process.wait(2 * PATIENCE) for process in processes]
    streams = rack.home / "streams"
    results = []
    for number, status in enumerate(statuses):
        out, err = (streams / f"{number}.{name}" for name in ("out", "err"))
        results.append(rack.seen(Result(status, out.read_bytes(), err.read_bytes())))
        out.unlink()
    return results, starting


def machines(workspace: Workspace) -> Figures:
    """Let machines, each with a cache of its own, share a quota."""
    size = workspace.times(MACHINES)
    with workspace.rack() as rack:
        rack.aws.quotas["ecr"] = Quota(rate=CALLS_A_SECOND, burst=CALLS_A_SECOND)
        started = time.monotonic()
        results, _ = left_by(
            rack, size, [rack.home / f"{number}" / "cache" for number in range(size)]
        )
        seconds = time.monotonic() - started
        assert len({rack.answered(result) for result in results}) == size
        calls = rack.aws.count("ecr")
    return {
        "machines at once": size,
        "calls a second that AWS allows": CALLS_A_SECOND,
        "machines served": size,
        "calls a machine": round(calls / size, 1),
        "seconds until the last was served": round(seconds, 1),
    }


def one_cache(workspace: Workspace, fault: Fault) -> Figures:
    """Let the processes of one machine want a token while AWS is in trouble."""
    size = workspace.times(PROCESSES)
    with workspace.rack() as rack:
        rack.aws.faults["ecr"] = fault
        rack.aws.latency["ecr"] = LATENCY if fault.kind == "denied" else 0.0
        left, starting = left_by(rack, size, [rack.cache])
        results = set(left)
        calls = rack.aws.count("ecr")
        if fault.kind == "denied":
            (result,) = results
            assert result.status == 1
            # A process that was started after the end of a flight asks anew, and is right to.
            assert calls <= 1 + starting / LATENCY, (calls, starting)
        else:
            assert len({rack.answered(result) for result in results}) == 1
            assert calls <= 40, calls
    return {f"processes at once, {fault.kind}": size, f"calls to AWS, {fault.kind}": calls}


def run(workspace: Workspace) -> Figures:
    """Let a fleet start, and the processes of one machine."""
    figures = machines(workspace)
    for kind in ("throttled", "500", "reset"):
        figures |= one_cache(workspace, Fault(kind, seconds=TROUBLE * workspace.share))
    return figures | one_cache(workspace, Fault("denied"))

"""Processes that a test waits for."""

import time
from pathlib import Path

PATIENCE = "5"
"""AWS_ECR_TIMEOUT in seconds: a busy machine may take three to get as far as what hangs."""


def is_running(process: int) -> bool:
    """Say whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def ended(process: int) -> bool:
    """Wait up to five seconds for a process to end; say whether it has."""
    end = time.monotonic() + 5
    while is_running(process) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_running(process)


def process_ids(path: Path, lines: int) -> list[int]:
    """Wait until so many process ids are in a file, and return them."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if path.exists() and path.read_text().count("\n") >= lines:
            return [int(line) for line in path.read_text().split()]
        time.sleep(0.02)
    raise AssertionError(f"{path} does not hold {lines} lines")

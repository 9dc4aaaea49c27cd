"""What the helper costs, each time against a reference measured in the same run.

Whole processes are started in turn, A B C A B C, so that a machine that slows down slows down all
of them, and each round gives one ratio. A bound is the contract's; it is reported, never enforced.

`python -m tests.benchmarks.bench`, with the Python that the helper is installed for.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .aws_helper import THEIRS, bench_aws_helper, bench_cold_by_latency, bench_peaks, version
from .cold import ENTRIES, bench_cold, bench_full_cache, bench_sources
from .crowds import AT_ONCE, bench_bursts
from .report import BURST_COLUMNS, LINE_COLUMNS, Report
from .warm import bench_modules, bench_warm
from .workspace import EXECUTABLE

SLOW_SHARE = 4


def describe(report: Report, theirs: Path | None) -> None:
    """Say what is measured, and on what."""
    report.fact("machine", f"{platform.platform()}, {os.cpu_count()} processors")
    report.fact("load before", " ".join(f"{load:.2f}" for load in os.getloadavg()))
    report.fact("python", f"{platform.python_implementation()} {platform.python_version()}")
    for name in ("botocore", "awscli", "ecr-credential-helper"):
        report.fact(name, installed(name))
    report.fact(THEIRS, version(theirs) if theirs and theirs.exists() else "not here")


def installed(distribution: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything that can be measured here, and print it."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100, metavar="N", help="rounds (default: 100)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    parser.add_argument(
        "--packaged", type=Path, metavar="FILE", help="the packaged program, to measure it"
    )
    parser.add_argument(
        "--aws-helper", type=Path, metavar="FILE", help="AWS's own helper, to compare with"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="the sections with this in them")
    options = parser.parse_args(arguments)
    if not EXECUTABLE.exists():
        raise SystemExit(f"{EXECUTABLE} is not installed: run `pip install -e '.[test]' awscli`")
    count = max(8, options.pairs // 5 if options.quick else options.pairs)
    slow = max(4, count // SLOW_SHARE)
    report = Report()
    packaged, theirs = options.packaged, options.aws_helper
    sections: list[tuple[str, str, Callable[..., None], tuple[object, ...]]] = [
        (f"Warm get: {count} rounds", LINE_COLUMNS, bench_warm, (count,)),
        ("Modules of a warm get beyond those of python -c pass", "", bench_modules, ()),
        (f"Cold get: {slow} rounds, latency 0, keys", LINE_COLUMNS, bench_cold, (slow,)),
        (
            f"Cold get by source: {slow} rounds, latency 0",
            LINE_COLUMNS,
            bench_sources,
            (slow, packaged),
        ),
        ("Peak memory of a cold get", LINE_COLUMNS, bench_peaks, (theirs, packaged)),
        (
            f"A cache with {ENTRIES:,} other entries: {slow} rounds, latency 0, keys",
            LINE_COLUMNS,
            bench_full_cache,
            (slow,),
        ),
        (f"{AT_ONCE} gets at once", BURST_COLUMNS, bench_bursts, ()),
        (
            f"AWS's helper, cold, ECR answers after 120 ms: {slow} rounds",
            LINE_COLUMNS,
            bench_cold_by_latency,
            (slow, theirs, packaged),
        ),
        (
            f"AWS's helper, warm and cold: {slow} rounds",
            LINE_COLUMNS,
            bench_aws_helper,
            (slow, theirs, packaged),
        ),
    ]
    describe(report, theirs)
    for title, columns, bench, given in sections:
        if options.only in title:
            with report.section(title, columns):
                bench(report, *given)
    if options.json:
        options.json.write_text(report.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

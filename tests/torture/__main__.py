"""All of it: `python -m tests.torture [--share 0.1] [--only SUBJECT]...`, figures last."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.support.helper import make_authority

from . import SUBJECTS
from .workspace import Workspace, figures_of, missing


def main() -> int:
    """Torture subject by subject; print the figures, and what could not be done."""
    parser = argparse.ArgumentParser(description="The helper under attack, load and fault.")
    parser.add_argument("--share", type=float, default=1.0, help="how much of it (default: all)")
    parser.add_argument("--only", action="append", choices=list(SUBJECTS), metavar="SUBJECT")
    options = parser.parse_args()
    for name in list(os.environ):
        if name.startswith(("AWS_", "BOTO_", "XDG_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    lacking = missing()
    if lacking and os.environ.get("CI") == "true":
        sys.stderr.write(f"not available here, and needed in CI: {', '.join(lacking)}\n")
        return 1
    lines = []
    with tempfile.TemporaryDirectory(prefix="torture-") as top:
        os.environ |= {"HOME": top, "AWS_EC2_METADATA_DISABLED": "true"}
        authority = make_authority(Path(top))
        for subject in options.only or SUBJECTS:
            sys.stdout.write(f"{subject} ...\n")
            sys.stdout.flush()
            workspace, started = (
                Workspace(Path(top) / subject, authority, options.share),
                time.monotonic(),
            )
            figures = figures_of(subject, workspace)
            lines += [f"{subject:8} {name}: {figure:,}" for name, figure in figures.items()]
            lines.append(f"{subject:8} seconds in all: {time.monotonic() - started:.0f}")
    lines += [f"skipped  needs {need}" for need in lacking]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

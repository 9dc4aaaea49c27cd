"""A bounded share of the torture; `make torture` does all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.helper import Authority
from tests.support.needs import lacking

from . import SUBJECTS
from .workspace import Workspace, figures_of, missing

ROOT = Path(__file__).parent.parent.parent


def test_nothing_is_skipped_in_ci() -> None:
    """Where root, strace or faketime are missing, what needs them is left out; never in CI."""
    if lacks := missing():
        lacking(f"missing: {', '.join(lacks)}")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_share_of_the_torture(subject: str, tmp_path: Path, authority: Authority) -> None:
    """Each subject goes through a part of its work without a finding, and did some of it."""
    figures = figures_of(subject, Workspace(tmp_path / subject, authority, SUBJECTS[subject]))
    assert any(figures.values())


@pytest.mark.needs("Linux", "root", "strace", "faketime")
def test_all_of_it_runs_by_one_command() -> None:
    """`make torture`, with next to nothing of each subject: every subject has its figures."""
    command = [sys.executable, "-m", "tests.torture", "--share", "0.00001"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    ended = [line.split()[0] for line in done.stdout.splitlines() if "seconds in all" in line]
    assert ended == list(SUBJECTS)

"""A bounded share of the torture; `make torture` does all of it."""

from pathlib import Path

import pytest

from tests.conftest import Authority
from tests.needs import lacking

from . import SUBJECTS
from .room import Room, figures_of, missing


def test_nothing_is_skipped_in_ci() -> None:
    """Where root, strace or faketime are missing, what needs them is left out; never in CI."""
    if lacks := missing():
        lacking(f"missing: {', '.join(lacks)}")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_share_of_the_torture(subject: str, tmp_path: Path, authority: Authority) -> None:
    """Each subject goes through a part of its work without a finding, and did some of it."""
    figures = figures_of(subject, Room(tmp_path / subject, authority, SUBJECTS[subject]))
    assert any(figures.values())

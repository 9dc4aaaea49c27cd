"""docs/clients.md is the page that the tests of today would write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clients_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page that a run of nothing writes: every row, and a question mark for results."""
    page = tmp_path_factory.mktemp("page") / "clients.md"
    command = [sys.executable, "-m", "pytest", "-m", "client", "--collect-only", "--quiet"]
    subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests"],
        cwd=ROOT,
        env={**os.environ, "CLIENTS_PAGE": str(page)},
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    return page.read_text()


def test_the_page_has_the_rows_and_columns_of_the_tests(collected: str) -> None:
    """A client or an operation that came, went or changed its name: `make clients`."""
    assert clients_page.structure(PAGE.read_text()) == clients_page.structure(collected)


def test_the_page_is_of_a_whole_run_in_which_all_went_well() -> None:
    """No cell says that something failed, or did not run; every client has a version."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines()]
    cells = [cell.strip() for row in rows for cell in row]

    assert cells.count("yes") > 100
    assert not {"**no**", "not run", clients_page.UNKNOWN} & set(cells)
    real = [row for row in rows if len(row) > 4 and row[0].strip() not in ("client", "---")]
    assert [row[0] for row in real if not row[1].strip() or not row[-1].strip()] == []


def test_a_failure_would_show(collected: str) -> None:
    """The comparison is blind to results and versions, and to nothing else."""
    page = PAGE.read_text()
    row = next(line for line in page.splitlines() if line.startswith("| podman of Debian |"))

    assert clients_page.structure(page.replace("yes", "**no**")) == clients_page.structure(page)
    assert clients_page.structure(page.replace(row, "")) != clients_page.structure(collected)
    assert clients_page.structure(page.replace("| yes |", "|  |", 1)) != clients_page.structure(
        page
    )

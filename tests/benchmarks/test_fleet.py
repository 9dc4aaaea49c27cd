"""The simulated fleet: the program goes easy on ECR, and the page shows what comes out."""

import random
import re

import pytest

from ecr_credential_helper.aws import backoff
from ecr_credential_helper.tokens import background, cache, identity
from tests.benchmarks import fleet

MACHINES = 10_000
SHOWN = (100, 1_000, 10_000)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_cold_start_serves_every_machine(seed: int) -> None:
    """Of ten thousand within one second, by the default deadline and with few calls each."""
    outcome = fleet.cold_start(MACHINES, "this program", seed)

    assert len(outcome.took) == MACHINES
    assert outcome.took[-1] <= 25
    assert sum(outcome.calls) <= 7 * MACHINES


def test_a_policy_that_gives_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is simulated is the program's own code, not a copy."""
    real = backoff.pause

    def pause(failures: int, *rest: float, **more: object) -> float | None:
        return None if failures > 3 else real(failures, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(backoff, "pause", pause)

    assert len(fleet.cold_start(MACHINES, "this program").took) < 0.9 * MACHINES


def test_no_machine_is_served_beyond_the_quota_or_after_the_deadline() -> None:
    """Even if all ask ten times a second."""
    outcome = fleet.simulate([0.0] * 2_000, lambda *_: 0.1, patience=2.0)

    assert 1_300 <= len(outcome.took) <= 500 + 2 * 500
    assert outcome.took[-1] <= 2.0


@pytest.mark.parametrize("name", fleet.FLEETS)
def test_refreshes_are_spread(name: str) -> None:
    """Over an eighth of the life, without a rush; a minute later at most, with the next get."""
    found = fleet.refreshes(MACHINES, name)

    assert min(found.ages) >= fleet.LIFE / 2
    assert max(found.ages) <= fleet.LIFE * 5 / 8 + fleet.GET_EVERY
    assert found.most_within(60) <= 1.5 * MACHINES / fleet.EVEN * 60
    assert found.throttled == found.missed == 0
    assert sum(found.slices) == MACHINES
    assert all(0.8 <= count * fleet.SLICES / MACHINES <= 1.2 for count in found.slices)


def test_refreshes_without_the_spread_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment of a refresh is the program's own choice, too."""

    def stage(entry: cache.Entry, now: float, key: cache.Key) -> int:
        del key
        return cache.AGING if now >= entry.issued + fleet.LIFE / 2 else cache.FRESH

    monkeypatch.setattr(cache.Entry, "stage", stage)
    found = fleet.refreshes(MACHINES, "EC2 instances")

    assert found.most_within(60) > 10 * MACHINES / fleet.EVEN * 60


def test_the_first_refresh_is_at_the_first_get_that_is_due() -> None:
    """The search finds what trying each get in turn finds."""
    dice = random.Random(1).random
    for first_line in fleet.containers(20, 1):
        key = cache.Key(fleet.HOST, first_line.encode())
        entry = cache.Entry(0, fleet.LIFE, "env", "token")
        first = dice() * fleet.GET_EVERY
        gets = [first + number * fleet.GET_EVERY for number in range(fleet.LIFE // 60)]

        due = next(get for get in gets if entry.stage(get, key) != cache.FRESH)
        assert fleet.first_refresh(entry, key, first) == due


@pytest.mark.parametrize("name", fleet.FLEETS)
def test_the_identities_have_the_form_of_the_programs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line, as they decide the spread."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    (first_line,) = fleet.FLEETS[name](1, 1)
    simulated = f"{first_line}\n{fleet.SETTINGS}"
    real = identity.current().decode()

    assert re.fullmatch(r"machine \S+ \S+", first_line)
    assert words(simulated) == words(real)


def words(text: str) -> list[str]:
    """Return the first word of each line."""
    return [line.split()[0] for line in text.splitlines()]


def test_the_limits_are_the_programs() -> None:
    """The page names them."""
    page = fleet.PAGE.read_text()

    assert f"{fleet.PATIENCE:g} s of its own start" in page
    assert f"which has {background.SECONDS:g} s" in page


def test_the_page_shows_what_the_simulation_prints() -> None:
    """Row by row; `make fleet` writes it anew. The largest fleet takes too long for a test.

    Another version of botocore may do otherwise than the one that the page names.
    """
    written = fleet.PAGE.read_text().partition(fleet.BEGIN)[2].partition(fleet.END)[0].splitlines()
    shown = [line for line in written if line.startswith("|") and "| 100,000 |" not in line]
    tables = fleet.cold_table(SHOWN), fleet.refresh_table(SHOWN)
    now = [line for table in tables for line in table.markdown().splitlines()]

    if fleet.VERSION not in written:
        shown, now = ([line for line in lines if "botocore" not in line] for lines in (shown, now))
    assert shown == now


def test_the_plot_is_there() -> None:
    """A picture that the page shows, and of a size to keep in a repository."""
    assert f"]({fleet.PLOT.name})" in fleet.PAGE.read_text()
    assert "<svg" in fleet.PLOT.read_text()
    assert fleet.PLOT.stat().st_size < 60_000

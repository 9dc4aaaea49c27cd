"""What ECR sees of a whole fleet: many machines that need a token at once, and hours later again.

The machines live on a virtual clock; what decides when one asks is the program's own code, and
botocore's own for comparison. One seed gives the same figures each time.

`python -m tests.benchmarks.fleet`; with `--write` the figures go into README.md and fleet.svg.
"""

import argparse
import bisect
import heapq
import importlib
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.loaders
from botocore import retryhandler, translate
from botocore.retries import standard

from ecr_credential_helper.aws import backoff
from ecr_credential_helper.system import deadline
from ecr_credential_helper.tokens import background
from ecr_credential_helper.tokens.cache import FRESH, Entry, Key
from tests.benchmarks.report import say

MACHINES = (100, 1_000, 10_000, 100_000)
SEED = 1
PAGE = Path(__file__).with_name("README.md")
PLOT = Path(__file__).with_name("fleet.svg")
VERSION = f"With botocore {botocore.__version__}:"
BEGIN, END = "<!-- fleet: begin -->\n", "<!-- fleet: end -->\n"

# The endpoint: ECR's documented quota of GetAuthorizationToken, for each account and region.
CALLS_A_SECOND = 500.0
BURST = 500.0
LATENCY = 0.12
THROTTLING = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {}}
BAD_REQUEST = 400

STARTED_WITHIN = 1.0
LATER = 5  # seconds; the first rush is over
PATIENCE = deadline._DEFAULT

LIFE = 43_200
ISSUED_WITHIN = 60
GET_EVERY = 60
EVEN = LIFE / 8  # seconds, over which the refreshes are spread
SLICES = 16
HOST = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
# What follows the first line of the identity; see ecr_credential_helper/tokens/identity.py.
SETTINGS = """\
file /root/.aws/config 66305 1835012 158 1763900000000000000 1763900000000000000
file /root/.aws/credentials -
file /root/.config/ecr-credential-helper/config.toml -
file /etc/boto.cfg -
file /root/.boto -
"""

PLOTTED = 10_000
POINTS = 200

# Given the number of failures, and the seconds left of how many, those to wait; None to give up.
Wait = Callable[[int, float, float], float | None]


def ours(seed: int) -> Wait:
    """Return what this program does when it is throttled."""
    dice = random.Random(f"{seed} ours").random

    def wait(failures: int, left: float, whole: float) -> float | None:
        return backoff.pause(failures, left, whole, throttled=True, dice=dice)

    return wait


def standard_mode(seed: int) -> Wait:
    """Return what botocore does in its standard mode, with its own number of attempts."""
    detector = standard.ThrottlingErrorDetector(standard.RetryEventAdapter())
    dice = random.Random(f"{seed} standard").random
    delays = standard.ExponentialBackoff(random=dice, throttling_detector=detector)
    conditions = standard.StandardRetryConditions(max_attempts=standard.DEFAULT_MAX_ATTEMPTS)
    answer: Any = SimpleNamespace(status_code=BAD_REQUEST, headers={})

    def wait(failures: int, left: float, whole: float) -> float | None:
        del left, whole  # botocore knows no deadline
        context = standard.RetryContext(
            failures, parsed_response=dict(THROTTLING), http_response=answer
        )
        return delays.delay_amount(context) if conditions.is_retryable(context) else None

    return wait


def legacy_mode(seed: int) -> Wait:
    """Return what botocore does in its legacy mode, which rolls the dice of the module random."""
    data = botocore.loaders.Loader().load_data("_retry")
    config = translate.build_retry_config("api.ecr", data["retry"], data["definitions"])
    handler: Any = retryhandler.create_retry_handler(config)
    answer = SimpleNamespace(status_code=BAD_REQUEST)
    random.seed(f"{seed} legacy")

    def wait(failures: int, left: float, whole: float) -> float | None:
        del left, whole
        seconds: float | None = handler(
            attempts=failures,
            response=(answer, THROTTLING),
            caught_exception=None,
            request_dict={"context": {}},
        )
        return seconds

    return wait


POLICIES: dict[str, Callable[[int], Wait]] = {
    "this program": ours,
    "botocore, standard mode": standard_mode,
    "botocore, legacy mode": legacy_mode,
}


class Quota:
    """A token bucket, full at first. It must be asked in the order of time."""

    def __init__(self) -> None:
        self._left = BURST
        self._time = 0.0

    def grants(self, now: float) -> bool:
        """Whether a call at `now` is within the quota."""
        self._left = min(BURST, self._left + (now - self._time) * CALLS_A_SECOND)
        self._time = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Outcome:
    """What became of a fleet.

    `took` are the seconds from its own start until a machine was served, sorted, of those that
    were; `calls` the number of calls of each machine; `seconds` the calls in each second.
    """

    calls: list[int]
    took: list[float] = field(default_factory=list)
    seconds: Counter[int] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """Return the seconds after which that share of those that were served had been served."""
        return self.took[math.ceil(share * len(self.took)) - 1]

    def busiest_second(self, since: int = 0) -> int:
        """Return the most calls in a second, of those from `since` seconds on."""
        return max((calls for second, calls in self.seconds.items() if second >= since), default=0)


def simulate(starts: Sequence[float], wait: Wait, patience: float) -> Outcome:
    """Let a machine ask from each of `starts` on, until it is served or gives up.

    An answer later than `patience` seconds after the start serves nobody.
    """
    outcome = Outcome([0] * len(starts))
    quota = Quota()
    queue = [(start, machine) for machine, start in enumerate(starts)]
    heapq.heapify(queue)
    while queue:
        now, machine = heapq.heappop(queue)
        outcome.calls[machine] += 1
        outcome.seconds[int(now)] += 1
        answered = now + LATENCY
        passed = answered - starts[machine]
        if quota.grants(now):
            if passed <= patience:
                outcome.took.append(passed)
            continue
        pause = wait(outcome.calls[machine], patience - passed, patience)
        if pause is not None:
            heapq.heappush(queue, (answered + pause, machine))
    outcome.took.sort()
    return outcome


def cold_start(machines: int, policy: str, seed: int = SEED) -> Outcome:
    """Start a fleet without tokens."""
    dice = random.Random(f"{seed} starts").random
    starts = [dice() * STARTED_WITHIN for _ in range(machines)]
    return simulate(starts, POLICIES[policy](seed), PATIENCE)


def instances(machines: int, seed: int) -> Iterator[str]:
    """Yield the first line of the identity of each machine, named as EC2 names its instances."""
    dice = random.Random(f"{seed} machine-id")
    for number in range(machines):
        address = f"ip-10-{number >> 16}-{number >> 8 & 255}-{number & 255}"
        yield f"machine {address} {dice.getrandbits(128):032x}"


def containers(machines: int, seed: int) -> Iterator[str]:
    """Yield the first line of the identity of each container: numbered, without a machine-id."""
    del seed
    for number in range(machines):
        yield f"machine worker-{number} -"


FLEETS: dict[str, Callable[[int, int], Iterator[str]]] = {
    "EC2 instances": instances,
    "numbered containers": containers,
}


def first_refresh(entry: Entry, key: Key, first_get: float) -> float:
    """Return when the first get comes that finds the token in need of a refresh.

    A token that is no longer fresh stays so, so the gets need not be tried one by one.
    """

    def is_due(number: int) -> bool:
        return entry.stage(first_get + number * GET_EVERY, key) != FRESH

    gets = range(LIFE // GET_EVERY)
    return first_get + bisect.bisect_left(gets, x=True, key=is_due) * GET_EVERY


@dataclass(frozen=True)
class Refreshes:
    """The refreshes of a fleet whose tokens are of one age.

    `starts` are the times of the refreshes, `ages` those of the tokens then, in seconds; `slices`
    the number of machines in each part of the spread; `outcome` is what became of the calls.
    """

    starts: list[float]
    ages: list[float]
    slices: list[int]
    outcome: Outcome

    def most_within(self, seconds: int) -> int:
        """Return the most refreshes that began in one stretch of `seconds`."""
        return max(Counter(int(start // seconds) for start in self.starts).values())

    @property
    def throttled(self) -> int:
        """The number of machines whose first call was refused."""
        return sum(calls > 1 for calls in self.outcome.calls)

    @property
    def missed(self) -> int:
        """The number of machines that got no token."""
        return len(self.starts) - len(self.outcome.took)


def refreshes(machines: int, fleet: str, seed: int = SEED) -> Refreshes:
    """Give a fleet tokens in one minute, and let each machine refresh its own when it is time."""
    dice = random.Random(f"{seed} refreshes").random
    starts, ages = [], []
    slices = [0] * SLICES
    for first_line in FLEETS[fleet](machines, seed):
        key = Key(HOST, f"{first_line}\n{SETTINGS}".encode())
        slices[int(key.spread * SLICES)] += 1
        issued = int(dice() * ISSUED_WITHIN)
        entry = Entry(issued, issued + LIFE, "env", "token")
        starts.append(first_refresh(entry, key, issued + dice() * GET_EVERY))
        ages.append(starts[-1] - issued)
    return Refreshes(starts, ages, slices, simulate(starts, ours(seed), background.SECONDS))


@dataclass
class Table:
    """A table of text; in the first column the text is to the left, in others to the right."""

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def plain(self) -> str:
        """Return the table in columns of equal width."""
        lines = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )

    def markdown(self) -> str:
        """Return the table in Markdown."""
        ruler = ["---", *["--:"] * (len(self.columns) - 1)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.columns, ruler, *self.rows))


def cold_table(fleets: Sequence[int], seed: int = SEED) -> Table:
    """Return what becomes of fleets of those sizes that start cold, with each policy."""
    table = Table(
        (
            "cold start",
            "machines",
            "served",
            "share",
            "50 % after",
            "99 % after",
            "100 % after",
            "calls each",
            "at most",
            "calls in the busiest second",
            f"in one after {LATER} s",
        )
    )
    for machines in fleets:
        for policy in POLICIES:
            outcome = cold_start(machines, policy, seed)
            served = len(outcome.took)
            table.rows.append(
                (
                    policy,
                    f"{machines:,}",
                    f"{served:,}",
                    percent(served / machines),
                    *(f"{outcome.quantile(share):.1f} s" for share in (0.5, 0.99, 1)),
                    f"{sum(outcome.calls) / machines:.1f}",
                    f"{max(outcome.calls)}",
                    f"{outcome.busiest_second():,}",
                    f"{outcome.busiest_second(LATER):,}",
                )
            )
    return table


def refresh_table(fleets: Sequence[int], seed: int = SEED) -> Table:
    """Return when fleets of those sizes refresh their tokens."""
    table = Table(
        (
            "refreshes",
            "machines",
            "first",
            "last",
            "busiest second",
            "busiest minute",
            "if even",
            "ratio",
            "throttled",
            "missed",
            "sixteenths of the spread",
        )
    )
    for machines in fleets:
        for fleet in FLEETS:
            found = refreshes(machines, fleet, seed)
            even = machines / EVEN * 60
            minute = found.most_within(60)
            table.rows.append(
                (
                    fleet,
                    f"{machines:,}",
                    age(min(found.ages)),
                    age(max(found.ages)),
                    f"{found.most_within(1):,}",
                    f"{minute:,}",
                    f"{even:,.1f}",
                    f"{minute / even:.2f}",
                    f"{found.throttled:,}",
                    f"{found.missed:,}",
                    f"{min(found.slices):,} to {max(found.slices):,}",
                )
            )
    return table


def percent(share: float) -> str:
    """Return a share in per cent, never rounded up to all."""
    return f"{share * 100 if share >= 1 else min(share * 100, 99.9):.1f} %"


def age(seconds: float) -> str:
    """Return the age of a token, in hours and as the share of its life."""
    return f"{seconds / 3600:.2f} h ({percent(seconds / LIFE)})"


def steps(took: Sequence[float], machines: int) -> tuple[list[float], list[float]]:
    """Return a few points of the curve of how many per cent were served after which seconds."""
    ranks = sorted({round(part * (len(took) - 1) / POINTS) for part in range(POINTS + 1)})
    seconds = [0.0, *(took[rank] for rank in ranks), PATIENCE]
    shares = [0.0, *((rank + 1) * 100 / machines for rank in ranks), len(took) * 100 / machines]
    return seconds, shares


def quota_limit(machines: int) -> tuple[list[float], list[float]]:
    """Return the curve of the most per cent that can be served, as all start within a second."""
    at_once = BURST + STARTED_WITHIN * CALLS_A_SECOND
    full = LATENCY + (machines - at_once) / CALLS_A_SECOND
    return [LATENCY, LATENCY, full, PATIENCE], [0.0, at_once * 100 / machines, 100.0, 100.0]


def draw(curves: Mapping[str, Outcome], machines: int) -> None:
    """Write the figure. Raises ImportError without matplotlib."""
    matplotlib: Any = importlib.import_module("matplotlib")
    figures: Any = importlib.import_module("matplotlib.figure")
    with matplotlib.rc_context({"svg.hashsalt": "fleet", "svg.fonttype": "path"}):
        figure = figures.Figure(figsize=(7, 4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*quota_limit(machines), ":", color="gray", label="the most the quota allows")
        for (policy, outcome), style in zip(curves.items(), ("-", "--", "-."), strict=True):
            axes.plot(*steps(outcome.took, machines), style, label=policy)
        axes.set_title(f"{machines:,} machines that start within one second")
        axes.set_xlabel("seconds after its own start")
        axes.set_ylabel("machines served, %")
        axes.set_xlim(0, PATIENCE)
        axes.set_ylim(0, 105)
        axes.grid(alpha=0.3)
        axes.legend(loc="center right")
        figure.savefig(PLOT, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib ends lines with spaces.
    PLOT.write_text("".join(f"{line.rstrip()}\n" for line in PLOT.read_text().splitlines()))


def write(tables: Sequence[Table], seed: int) -> None:
    """Put the tables into the page, and draw the figure if that is possible."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    middle = "\n\n".join([VERSION, *(table.markdown() for table in tables)])
    PAGE.write_text(f"{before}{BEGIN}\n{middle}\n\n{END}{after}")
    try:
        draw({policy: cold_start(PLOTTED, policy, seed) for policy in POLICIES}, PLOTTED)
    except ImportError:
        say(f"\n{PLOT.name} is not drawn: it needs `pip install matplotlib`")


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fleet")
    parser.add_argument("--machines", type=int, nargs="+", default=MACHINES, metavar="N")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="into README.md and fleet.svg")
    return parser.parse_args()


def main() -> int:
    """Simulate, and show what came out."""
    chosen = options()
    say(
        f"Machines without a token start within {STARTED_WITHIN:g} s;"
        f" each must have one within {PATIENCE:g} s.\n"
    )
    cold = cold_table(chosen.machines, chosen.seed)
    say(cold.plain())
    say(
        f"\nMachines that got tokens for {LIFE // 3600} h in the same minute,"
        f" with a get every {GET_EVERY} s.\n"
    )
    later = refresh_table(chosen.machines, chosen.seed)
    say(later.plain())
    if chosen.write:
        write((cold, later), chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the benchmark found: comparisons, and what many processes at once did."""

import contextlib
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


class MissingError(Exception):
    """Something to measure, or to measure against, is not here; its text says what."""


@dataclass(frozen=True)
class Cost:
    """What one process took: milliseconds of wall and of user and system time."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Line:
    """One comparison: both medians, the median of the ratios of each round, and its quartiles."""

    name: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    quartiles: tuple[float, float]
    bound: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the ratio keeps the bound; None where there is none."""
        return None if self.bound is None else self.ratio <= self.bound

    def __str__(self) -> str:
        """Return the line of the table."""
        low, high = self.quartiles
        ratio = f"{self.ratio:6.3f} ({low:.3f}-{high:.3f})"
        bound = "-" if self.bound is None else f"<= {self.bound:.2f}"
        verdict = {None: "-", True: "met", False: "NOT MET"}[self.met]
        return (
            f"{self.name:<54} {self.unit:>3} {self.ours:9.2f} {self.theirs:9.2f}"
            f"  {ratio:<22} {bound:>7}  {verdict:<7}  {self.note}"
        ).rstrip()


@dataclass(frozen=True)
class Burst:
    """Many processes started at once: how many failed, what they did, how long it took.

    `calls` are those that reached ECR, `refreshes` the detached processes that were left to run.
    """

    name: str
    processes: int
    failed: int
    calls: int
    refreshes: int
    seconds: float

    @property
    def met(self) -> bool:
        """Whether all were answered, with one call and one detached refresh at most."""
        return self.calls <= 1 and self.refreshes <= 1 and not self.failed

    def __str__(self) -> str:
        """Return the line of the table."""
        verdict = "met" if self.met else "NOT MET"
        return (
            f"{self.name:<50} {self.calls:5} {self.refreshes:9} {self.failed:6} {self.seconds:8.2f}"
            f"     <= 1  {verdict}"
        )


@dataclass
class Report:
    """All that was found, printed as it comes."""

    facts: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def fact(self, name: str, value: str) -> None:
        """Add something that is worth knowing beside the figures."""
        self.facts[name] = value
        say(f"{name}: {value}")

    def line(self, line: Line) -> None:
        """Add a comparison."""
        self.lines.append(line)
        say(str(line))

    def costs(
        self,
        names: tuple[str, str],
        costs: tuple[Sequence[Cost], Sequence[Cost]],
        bounds: Mapping[str, float | None],
        note: str = "",
    ) -> None:
        """Add the comparison of what two commands took, of each of `bounds`: "wall", "cpu"."""
        for measure, bound in bounds.items():
            ours, theirs = ([getattr(cost, measure) for cost in series] for series in costs)
            self.line(compare(names, (measure, "ms"), (ours, theirs), bound, note))

    def burst(self, burst: Burst) -> None:
        """Add what many processes at once did."""
        self.bursts.append(burst)
        say(str(burst))

    @contextlib.contextmanager
    def section(self, title: str, columns: str = "") -> Iterator[None]:
        """Head a section; what is missing in it becomes a line of it."""
        say(f"\n{title}" + (f"\n{columns}" if columns else ""))
        with self.part(title):
            yield

    @contextlib.contextmanager
    def part(self, title: str) -> Iterator[None]:
        """Turn what is missing in a part of a section into a line of it."""
        try:
            yield
        except MissingError as error:
            self.missing.append(f"{title}: {error}")
            say(f"not measured, {title}: {error}")

    def as_json(self) -> str:
        """Return everything as JSON."""
        document: dict[str, Any] = asdict(self)
        document["lines"] = [asdict(line) | {"met": line.met} for line in self.lines]
        document["bursts"] = [asdict(burst) | {"met": burst.met} for burst in self.bursts]
        return json.dumps(document, indent=2) + "\n"


LINE_COLUMNS = (
    f"{'A : B':<54} {'':>3} {'A':>9} {'B':>9}  {'A/B (quartiles)':<22} {'bound':>7}  verdict"
)
BURST_COLUMNS = (
    f"{'':<50} {'calls':>5} {'refreshes':>9} {'failed':>6} {'seconds':>8}    bound  verdict"
)


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def compare(
    names: tuple[str, str],
    measure: tuple[str, str],
    values: tuple[Sequence[float], Sequence[float]],
    bound: float | None = None,
    note: str = "",
) -> Line:
    """Return the comparison of two series that were measured in turn.

    `measure` is what was measured, and its unit.
    """
    ratios = [ours / theirs for ours, theirs in zip(*values, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Line(
        name=f"{names[0]} : {names[1]}, {measure[0]}",
        unit=measure[1],
        ours=statistics.median(values[0]),
        theirs=statistics.median(values[1]),
        ratio=statistics.median(ratios),
        quartiles=(low, high),
        bound=bound,
        note=note,
    )

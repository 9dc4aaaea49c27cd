"""What the helper costs, each time against a reference measured in the same run.

Whole processes are started in turn, A B C A B C, so that a machine that slows down slows down all
of them, and each round gives one ratio. A bound is the contract's; it is reported, never enforced.

`python -m tests.benchmarks.bench`, with the Python that the helper is installed for.
"""

import argparse
import contextlib
import ctypes
import importlib.machinery
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ecr_credential_helper.tokens import cache
from tests.loopback import USER_KEY, USER_SECRET, Fault, Loopback

SCRIPTS = Path(sysconfig.get_path("scripts"))
EXECUTABLE = SCRIPTS / "docker-credential-ecr"
AWS_CLI = SCRIPTS / "aws"
GO_HELPER = "docker-credential-ecr-login"
PACKAGE = "ecr_credential_helper"

REGION = "us-west-2"
HOST = f"111122223333.dkr.ecr.{REGION}.amazonaws.com"
ROLE = "arn:aws:iam::111122223333:role/pull"
REAL_ENDPOINTS = (
    f"api.ecr.{REGION}.amazonaws.com",
    f"sts.{REGION}.amazonaws.com",
    "sts.amazonaws.com",
)
# What the loopback waits before it answers, where the helpers are compared.
LATENCY = {"ecr": 0.080, "sts": 0.080, "imds": 0.005}
PROCESS_SLEEPS = 0.080

FOUR_LINES = f"""\
import botocore.session
client = botocore.session.get_session().create_client("ecr", region_name="{REGION}")
answer = client.get_authorization_token()
print(answer["authorizationData"][0]["authorizationToken"])
"""

AT_ONCE = 200
WARM_UP = 2
SLOW_SHARE = 4
MEMORY_ROUNDS = 11
AGING_ROUNDS = 200
PR_SET_CHILD_SUBREAPER = 36


def nothing() -> None:
    """Do nothing: what most commands need done before they start."""


class MissingError(Exception):
    """Something to measure, or to measure against, is not here; its text says what."""


@dataclass(frozen=True)
class Command:
    """A process to measure, and what has to be done, unmeasured, before each start of it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stdin: str = os.devnull
    prepare: Callable[[], None] = nothing


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
            f"{self.name:<50} {self.unit:>3} {self.ours:9.2f} {self.theirs:9.2f}"
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
    f"{'A : B':<50} {'':>3} {'A':>9} {'B':>9}  {'A/B (quartiles)':<22} {'bound':>7}  verdict"
)
BURST_COLUMNS = (
    f"{'':<50} {'calls':>5} {'refreshes':>9} {'failed':>6} {'seconds':>8}    bound  verdict"
)


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Workspace:
    """A directory of our own with a loopback AWS in it, and the environment that points there.

    Without `certificate`, clients reach the loopback by AWS_ENDPOINT_URL and plain HTTP. With one
    they reach it through HTTPS_PROXY, under AWS's own host names and with TLS, which is the only
    way that every client of AWS knows.
    """

    def __init__(self, directory: Path, aws: Loopback, bundle: Path | None = None) -> None:
        self.directory = directory
        self.aws = aws
        self.cache = directory / "cache"
        self.errors = directory / "stderr"
        self.request = directory / "request"
        self.request.write_text(HOST)
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "AWS_ECR_CACHE_DIR": str(self.cache),
        }
        if bundle is None:
            self.env |= aws.environment(with_keys=True)
            self.env["AWS_EC2_METADATA_DISABLED"] = "true"
        else:
            self.env |= {"HTTPS_PROXY": aws.url, "AWS_CA_BUNDLE": str(bundle)}
            self.env |= {"SSL_CERT_FILE": str(bundle)}

    def forget(self) -> None:
        """Empty the cache."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def get(self, name: str, *, cold: bool = False, program: str = str(EXECUTABLE)) -> Command:
        """Return a `get` of this workspace's host, with the cache emptied before it if `cold`."""
        prepare = self.forget if cold else nothing
        return Command(name, (program, "get"), self.env, str(self.request), prepare)

    def python(self, name: str, code: str) -> Command:
        """Return the run of some code by the Python that the helper is installed for."""
        return Command(name, (sys.executable, "-c", code), self.env)

    def start(self, command: Command) -> int:
        """Start a process and return its id. Raises MissingError if it cannot be started."""
        output, mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, command.stdin, os.O_RDONLY, mode),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, mode),
            (os.POSIX_SPAWN_OPEN, 2, str(self.errors), output, mode),
        ]
        argv = list(command.argv)
        try:
            return os.posix_spawn(argv[0], argv, command.env, file_actions=actions)
        except OSError as error:
            raise MissingError(f"{argv[0]} does not start: {error.strerror}") from error

    def run(self, command: Command) -> Cost:
        """Run a process to its end. Raises MissingError if it fails: a failure has no cost."""
        command.prepare()
        start = time.perf_counter()
        _, status, usage = os.wait4(self.start(command), 0)
        wall = time.perf_counter() - start
        self.check(command, status)
        return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)

    def check(self, command: Command, status: int) -> None:
        """Raise MissingError if a process failed."""
        if code := os.waitstatus_to_exitcode(status):
            said = self.errors.read_text(errors="replace").strip().rpartition("\n")[2]
            raise MissingError(f"{command.name} ends with status {code}: {said or 'silently'}")

    def rounds(self, commands: Sequence[Command], count: int) -> dict[str, list[Cost]]:
        """Run each command once in each of `count` rounds, after a few that do not count."""
        costs: dict[str, list[Cost]] = {command.name: [] for command in commands}
        for number in range(count + WARM_UP):
            for command in commands:
                cost = self.run(command)
                if number >= WARM_UP:
                    costs[command.name].append(cost)
        return costs

    def peak(self, command: Command) -> float:
        """Return the most memory that a process had resident, in MB (Linux).

        The kernel counts what a process had before exec, so a child of this large one would never
        show less than it. A shell starts it instead and leaves it to us: the floor is the shell.
        """
        command.prepare()
        quoted = f'"$@" <"$0" >{os.devnull} 2>&1 &'
        argv = ("/bin/sh", "-c", quoted, command.stdin, *command.argv)
        with adopting():
            os.waitpid(self.start(Command("sh", argv, command.env)), 0)
            _, status, usage = os.wait4(-1, 0)
        self.check(command, status)
        return usage.ru_maxrss / 1024


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Make orphans of our descendants our children. Raises MissingError where that is unknown."""
    if sys.platform != "linux":
        raise MissingError("this needs Linux, where a process can adopt orphans")
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def await_orphans() -> int:
    """Wait for every process that was adopted, and return how many there were."""
    number = 0
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            number += 1
    return number


@contextlib.contextmanager
def workspace(*, tls: bool = False) -> Iterator[Workspace]:
    """Set up a workspace for the length of a `with` block."""
    with tempfile.TemporaryDirectory(prefix="ecr-bench-") as name:
        directory = Path(name)
        bundle, certificate = vouch(directory) if tls else (None, None)
        with Loopback(certificate=certificate) as aws:
            yield Workspace(directory, aws, bundle)


def vouch(directory: Path) -> tuple[Path, tuple[Path, Path]]:
    """Write a certificate for AWS's host names; return the CA's, and its own with its key."""
    try:
        import trustme
    except ImportError:
        raise MissingError("trustme is not installed (it comes with the extra `test`)") from None
    authority = trustme.CA()
    certificate = authority.issue_cert(*REAL_ENDPOINTS)
    bundle, chain, key = (directory / name for name in ("ca.pem", "chain.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(bundle))
    certificate.private_key_pem.write_to_path(str(key))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    return bundle, (chain, key)


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


def walls(costs: Sequence[Cost]) -> list[float]:
    """Return the wall time of each cost."""
    return [cost.wall for cost in costs]


def cpus(costs: Sequence[Cost]) -> list[float]:
    """Return the processor time of each cost."""
    return [cost.cpu for cost in costs]


# 1, 6: a warm get, the bare interpreter, the bare process


def bench_warm(report: Report, count: int) -> None:
    """Compare a warm get to the bare interpreter, and that to the floor of any process."""
    with workspace() as here:
        ours, bare = here.get("warm get"), here.python("python -c pass", "pass")
        floor = Command("true", (shutil.which("true") or "/bin/true",), here.env)
        commands = (ours, bare, floor)
        costs = here.rounds(commands, count)
        for a, b, bounds in ((ours, bare, (1.25, None)), (bare, floor, (None, None))):
            both = costs[a.name], costs[b.name]
            names = a.name, b.name
            wall, cpu = (walls(both[0]), walls(both[1])), (cpus(both[0]), cpus(both[1]))
            report.line(compare(names, ("wall", "ms"), wall, bounds[0]))
            report.line(compare(names, ("cpu", "ms"), cpu, bounds[1]))
        if here.aws.count("ecr") != 1:
            raise MissingError(f"not warm: ECR was asked {here.aws.count('ecr')} times")
        bench_memory(report, here, commands)
        bench_aging(report, here, (ours, bare), min(count, AGING_ROUNDS))


def bench_memory(report: Report, here: Workspace, commands: Sequence[Command]) -> None:
    """Compare peak memory; the least that could be seen is that of `true`, the last command."""
    peaks: dict[str, list[float]] = {command.name: [] for command in commands}
    for _ in range(MEMORY_ROUNDS):
        for command in commands:
            peaks[command.name].append(here.peak(command))
    ours, bare, floor = (command.name for command in commands)
    for a, b, bound in ((ours, bare, 1.15), (bare, floor, None)):
        both = peaks[a], peaks[b]
        report.line(compare((a, b), ("peak memory", "MB"), both, bound))


def bench_aging(
    report: Report, here: Workspace, commands: tuple[Command, Command], count: int
) -> None:
    """Compare a get past half the token's life, its refresh started by another, to the same."""
    ours, bare = commands
    here.aws.faults["ecr"] = Fault("denied")  # a refresh that failed is not tried again at once
    age(here, 0.7)
    with adopting():
        here.run(ours)
        await_orphans()
    costs = here.rounds(commands, count)
    both = costs[ours.name], costs[bare.name]
    names = "get past half the life", bare.name
    report.line(compare(names, ("wall", "ms"), (walls(both[0]), walls(both[1]))))


# 2: its modules


def bench_modules(report: Report) -> None:
    """List the modules that a warm get loads beyond those of the bare interpreter."""
    with workspace() as here:
        here.env["PYTHONPROFILEIMPORTTIME"] = "1"
        bare = imported(here, here.python("python -c pass", "pass"))
        here.run(here.get("the get that fills the cache"))
        modules = [name for name in imported(here, here.get("warm get")) if name not in bare]
    report.modules = {name: kind_of(name) for name in modules}
    for name, kind in report.modules.items():
        say(f"{name:<50} {kind}")
    stray = [name for name, kind in report.modules.items() if kind == "other"]
    report.fact("modules that are neither ours nor built in nor frozen", ", ".join(stray) or "none")


def imported(here: Workspace, command: Command) -> list[str]:
    """Return the modules that a process says (-X importtime) it imported, in order."""
    here.run(command)
    lines = here.errors.read_text().splitlines()
    prefix = "import time:"
    names = [line.rpartition("|")[2].strip() for line in lines if line.startswith(prefix)]
    if len(names) <= 1:
        raise MissingError(f"{command.name} does not say what it imports")
    return names[1:]


def kind_of(module: str) -> str:
    """Return where a module comes from: "ours", "built in", "frozen" or "other"."""
    if module.partition(".")[0] == PACKAGE:
        return "ours"
    if module in sys.builtin_module_names:
        return "built in"
    frozen = importlib.machinery.FrozenImporter.find_spec(module)
    return "other" if frozen is None else "frozen"


# 3: a cold get


def bench_cold(report: Report, count: int) -> None:
    """Compare a cold get to the AWS CLI and to the least code that asks botocore."""
    with workspace() as here:
        ours = here.get("cold get", cold=True)
        script = here.python("four lines of botocore", FOUR_LINES)
        login = ("ecr", "get-login-password", "--region", REGION)
        cli = Command("aws ecr get-login-password", (str(AWS_CLI), *login), here.env)
        present = AWS_CLI.exists()
        commands = (ours, script, cli) if present else (ours, script)
        costs = here.rounds(commands, count)
        for reference, bound in ((cli, 0.65), (script, 1.05)):
            if reference not in commands:
                continue
            both = costs[ours.name], costs[reference.name]
            names = ours.name, reference.name
            wall, cpu = (walls(both[0]), walls(both[1])), (cpus(both[0]), cpus(both[1]))
            report.line(compare(names, ("wall", "ms"), wall, bound))
            report.line(compare(names, ("cpu", "ms"), cpu))
        if not present:
            raise MissingError("against the AWS CLI: awscli is not installed beside this Python")


# 4: many at once


def bench_bursts(report: Report) -> None:
    """Start many gets at once: with nothing in the cache, at half a token's life, past its end."""
    with workspace() as here:
        here.forget()
        report.burst(at_once(here, "cold"))
        age(here, 0.7)
        report.burst(at_once(here, "past half the token's life"))
        age(here, 1.1)
        report.burst(at_once(here, "past the token's end"))


def at_once(here: Workspace, name: str) -> Burst:
    """Start many gets at once and see what they did, their detached refreshes too."""
    command = here.get(f"get, {name}")
    before = here.aws.count("ecr")
    with adopting():
        start = time.perf_counter()
        processes = [here.start(command) for _ in range(AT_ONCE)]
        states = [os.waitpid(process, 0)[1] for process in processes]
        seconds = time.perf_counter() - start
        refreshes = await_orphans()
    calls = here.aws.count("ecr") - before
    failed = sum(state != 0 for state in states)
    return Burst(f"{AT_ONCE} gets, {name}", AT_ONCE, failed, calls, refreshes, seconds)


def age(here: Workspace, share: float) -> None:
    """Make every token in the cache as old as `share` of its life."""
    if not here.cache.is_dir():
        raise MissingError("nothing is kept in the cache")
    for path in here.cache.iterdir():
        data = path.read_bytes()
        prefix = data.partition(b"\n\n")[0] + b"\n\n"
        entry = cache.decode(data, prefix) if cache.subject_of(path.name) else None
        if entry is not None:
            life = entry.expires - entry.issued
            entry.issued = int(time.time() - share * life)
            entry.expires = entry.issued + life
            path.write_bytes(cache.encode(entry, prefix))


# 5: AWS's own helper


def bench_go(report: Report, count: int, packaged: str | None) -> None:
    """Compare warm and cold gets to those of AWS's helper, for each credential source."""
    program = shutil.which(GO_HELPER)
    if program is None:
        raise MissingError(f"{GO_HELPER} (Debian: amazon-ecr-credential-helper) is not installed")
    waits = ", ".join(f"{name} {1000 * wait:.0f} ms" for name, wait in LATENCY.items())
    say(f"latency: {waits}, credential_process {1000 * PROCESS_SLEEPS:.0f} ms")
    for source, furnish in SOURCES.items():
        with report.part(source), workspace(tls=True) as here:
            furnish(here)
            here.aws.latency = dict(LATENCY)
            for cold in (False, True):
                against_go(report, here, program, (source, cold, count))
            if source == "static keys" and packaged:
                against_packaged(report, here, program, (packaged, count))
    if not packaged:
        raise MissingError("the packaged program: name it with --packaged")


def go_get(here: Workspace, program: str, *, cold: bool = False) -> Command:
    """Return a `get` of AWS's helper, with a cache of its own."""
    theirs = here.directory / "go-cache"

    def forget() -> None:
        shutil.rmtree(theirs, ignore_errors=True)

    env = {**here.env, "AWS_ECR_CACHE_DIR": str(theirs)}
    return Command("AWS's", (program, "get"), env, str(here.request), forget if cold else nothing)


def against_go(report: Report, here: Workspace, program: str, case: tuple[str, bool, int]) -> None:
    """Compare a get to that of AWS's helper, and count what each asks of AWS."""
    source, cold, count = case
    ours, theirs = here.get("ours", cold=cold), go_get(here, program, cold=cold)
    costs = here.rounds((ours, theirs), count)
    asked = " : ".join(str(asks(here, command)) for command in (ours, theirs))
    names = f"{source}, {'cold' if cold else 'warm'} get", "AWS's helper"
    both = walls(costs[ours.name]), walls(costs[theirs.name])
    report.line(compare(names, ("wall", "ms"), both, note=f"calls to AWS {asked}"))


def against_packaged(report: Report, here: Workspace, program: str, case: tuple[str, int]) -> None:
    """Compare a warm get of the packaged program to that of AWS's helper."""
    packaged, count = case
    ours = here.get("packaged", program=packaged)
    theirs = go_get(here, program)
    costs = here.rounds((ours, theirs), count)
    names = "static keys, warm get, packaged", "AWS's helper"
    both = walls(costs[ours.name]), walls(costs[theirs.name])
    report.line(compare(names, ("wall", "ms"), both, 0.5))


def asks(here: Workspace, command: Command) -> int:
    """Return how many calls to AWS one run of a command makes."""
    before = len(here.aws.calls)
    here.run(command)
    return len(here.aws.calls) - before


def use_static_keys(here: Workspace) -> None:
    """Give the workspace the keys of a user."""
    here.env |= {"AWS_ACCESS_KEY_ID": USER_KEY, "AWS_SECRET_ACCESS_KEY": USER_SECRET}


def use_assumed_role(here: Workspace) -> None:
    """Give the workspace a profile that assumes a role."""
    here.aws.add_role(ROLE)
    keys = f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"
    role = f"role_arn = {ROLE}\nsource_profile = user\nregion = {REGION}\n"
    configure(here, f"[default]\n{role}\n[profile user]\n{keys}")


def use_credential_process(here: Workspace) -> None:
    """Give the workspace a slow program that prints the keys of a user."""
    keys = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    program = here.directory / "credentials.sh"
    program.write_text(f"#!/bin/sh\nsleep {PROCESS_SLEEPS}\necho '{json.dumps(keys)}'\n")
    program.chmod(0o700)
    configure(here, f"[default]\ncredential_process = {program}\n")


def use_imds(here: Workspace) -> None:
    """Give the workspace the role of an instance."""
    here.aws.instance_role = "instance"
    here.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = here.aws.url


def configure(here: Workspace, text: str) -> None:
    """Write the AWS config file."""
    path = here.directory / ".aws" / "config"
    path.parent.mkdir()
    path.write_text(text)


SOURCES: dict[str, Callable[[Workspace], None]] = {
    "static keys": use_static_keys,
    "assumed role": use_assumed_role,
    "credential_process": use_credential_process,
    "IMDS": use_imds,
}


# All of it


def describe(report: Report) -> None:
    """Say what is measured, and on what."""
    report.fact("machine", f"{platform.platform()}, {os.cpu_count()} processors")
    report.fact("load before", " ".join(f"{load:.2f}" for load in os.getloadavg()))
    report.fact("python", f"{platform.python_implementation()} {platform.python_version()}")
    for name in ("botocore", "awscli", "ecr-credential-helper"):
        report.fact(name, version(name))


def version(distribution: str) -> str:
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
    parser.add_argument("--packaged", metavar="FILE", help="the packaged program, to measure it")
    options = parser.parse_args(arguments)
    count = max(8, options.pairs // 5 if options.quick else options.pairs)
    slow = max(4, count // SLOW_SHARE)
    report = Report()
    if not EXECUTABLE.exists():
        raise SystemExit(f"{EXECUTABLE} is not installed: run `pip install -e '.[test]' awscli`")
    describe(report)
    with report.section(f"Warm get: {count} rounds", LINE_COLUMNS):
        bench_warm(report, count)
    with report.section("Modules of a warm get beyond those of python -c pass"):
        bench_modules(report)
    with report.section(f"Cold get: {slow} rounds, latency 0, static keys", LINE_COLUMNS):
        bench_cold(report, slow)
    with report.section(f"{AT_ONCE} gets at once", BURST_COLUMNS):
        bench_bursts(report)
    with report.section(f"AWS's helper: {slow} rounds, HTTPS by proxy", LINE_COLUMNS):
        bench_go(report, slow, options.packaged)
    if options.json:
        options.json.write_text(report.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())

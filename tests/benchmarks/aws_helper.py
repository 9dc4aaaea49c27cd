"""AWS's own helper, which `make aws-helper` builds, and the same gets by this program."""

import re
from pathlib import Path

from tests.support.trust import certificates, with_authority

from .cold import installations
from .report import MissingError, Report, compare, say
from .sources import PROCESS_SLEEPS, workspace
from .workspace import BARE, EXECUTABLE, Command, Workspace

THEIRS = "AWS's helper"
# What the loopback waits before it answers.
LATENCY = {"ecr": 0.080, "sts": 0.080, "imds": 0.005}
ECR_AFTER = {"ecr": 0.120}
# Sources, and whether all is under TLS: so it is where AWS's helper knows STS no other way.
COMPARED = {"keys": False, "assumed role": True, "credential_process": False, "IMDS": False}
COMPARED_COLD = (("keys", False), ("keys", True), ("IMDS", False), ("web identity", True))
MODULE = rb"mod\tgithub\.com/awslabs/amazon-ecr-credential-helper/ecr-login\t(v[0-9.]+)\t"


def found(program: Path | None) -> Path:
    """Return AWS's helper. Raises MissingError if it is not there."""
    if program is None:
        raise MissingError(f"{THEIRS}: `make aws-helper` builds it, --aws-helper names it")
    if not program.exists():
        raise MissingError(f"{THEIRS}: {program} is not there")
    return program


def version(program: Path) -> str:
    """Return the version of AWS's helper."""
    said = re.search(MODULE, program.read_bytes())
    return said[1].decode() if said else "unknown"


def their_get(here: Workspace, program: Path, *, cold: bool = False) -> Command:
    """Return a `get` of AWS's helper, with a cache of its own.

    It knows AWS_ENDPOINT_URL, but not while it looks for credentials: STS is asked under its own
    name, through the loopback as a proxy, which no address on this machine is asked through.
    """
    get = here.get(THEIRS, program=program, cold=cold, cache=here.directory / "cache-of-aws")
    bundle = here.directory / "trusted.pem"
    bundle.write_text(with_authority(certificates(), Path(here.authority.bundle).read_text()))
    trust = {"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": "/nonexistent"}
    env = {**get.env, **trust, "HTTPS_PROXY": here.aws.url}
    return Command(get.name, get.argv, env, get.stdin, get.prepare)


def bench_aws_helper(
    report: Report, count: int, theirs: Path | None, packaged: Path | None
) -> None:
    """Compare warm and cold gets to those of AWS's helper, for several sources of credentials."""
    program = found(theirs)
    waits = ", ".join(f"{name} {1000 * wait:.0f} ms" for name, wait in LATENCY.items())
    say(f"latency: {waits}, credential_process {1000 * PROCESS_SLEEPS:.0f} ms")
    for source, tls in COMPARED.items():
        with report.part(source), workspace(source, tls=tls) as here:
            venv = here.trusting(EXECUTABLE)
            here.aws.latency = dict(LATENCY)
            for cold in (False, True):
                ours = here.get("ours", program=venv, cold=cold)
                pair = ours, their_get(here, program, cold=cold)
                costs = here.rounds(pair, count)
                asked = " : ".join(str(asks(here, command)) for command in pair)
                names = f"{source}, {'cold' if cold else 'warm'} get", THEIRS
                both = costs["ours"], costs[THEIRS]
                report.costs(names, both, {"wall": None}, f"calls to AWS {asked}")
            if source == "keys" and packaged:
                pair = here.get("ours", program=packaged), their_get(here, program)
                costs = here.rounds(pair, count)
                names = "keys, warm get, packaged", THEIRS
                report.costs(names, (costs["ours"], costs[THEIRS]), {"wall": 0.5})
    if not packaged:
        raise MissingError("the packaged program: name it with --packaged")


def asks(here: Workspace, command: Command) -> int:
    """Return how many calls to AWS one run of a command makes."""
    before = len(here.aws.calls)
    here.run(command)
    return len(here.aws.calls) - before


def bench_cold_by_latency(
    report: Report, count: int, theirs: Path | None, packaged: Path | None
) -> None:
    """Compare cold gets to those of AWS's helper where ECR takes the time that it really takes."""
    program = found(theirs)
    for source, tls in COMPARED_COLD:
        row = f"{source}, TLS" if tls else source
        with report.part(row), workspace(source, tls=tls) as here:
            here.aws.latency = dict(ECR_AFTER)
            gets = [
                here.get(name, program=path, cold=True)
                for name, path in installations(here, packaged)
            ]
            costs = here.rounds((their_get(here, program, cold=True), *gets), count)
            for get in gets:
                names = f"{row}, {get.name}", THEIRS
                both = costs[get.name], costs[THEIRS]
                bounds = {"wall": 1.4, "cpu": None} if source == "keys" else {"wall": None}
                report.costs(names, both, bounds)


def bench_peaks(report: Report, theirs: Path | None, packaged: Path | None) -> None:
    """Compare the peak memory of cold gets, ours and theirs, to that of the bare interpreter.

    With keys in the environment, and with a profile, which takes botocore.
    """
    for source in ("keys", "profile"):
        with workspace(source) as here:
            programs = dict(installations(here, packaged))
            bare = here.python(BARE, "pass", programs["venv"].with_name("python"))
            gets = [here.get(name, program=path, cold=True) for name, path in programs.items()]
            if theirs is not None and theirs.exists():
                gets.append(their_get(here, theirs, cold=True))
            peaks = here.peaks((bare, *gets))
            for get in gets:
                names = f"{source}, {get.name}", bare.name
                both = peaks[get.name], peaks[bare.name]
                report.line(compare(names, ("peak memory", "MB"), both))
    found(theirs)

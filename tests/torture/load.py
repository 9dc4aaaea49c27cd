"""Load: many gets at once for many registries and identities, on an AWS that fails at times."""

import json
import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.loopback import Fault, Loopback
from tests.support.entries import until
from tests.support.helper import Result

from .workspace import Figures, Rack, Workspace

REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1")
ACCOUNTS = [f"{number:012}" for number in range(1, 11)]
HOSTS = [f"{account}.dkr.ecr.{region}.amazonaws.com" for account in ACCOUNTS for region in REGIONS]
IDENTITIES = 10
FAILURES = 0.1
LATENCY = 0.3


class FlakyAWS:
    """An AWS that fails one call in ten, by a transient fault."""

    def __init__(self, aws: Loopback) -> None:
        self.dice = random.Random(8)
        self.failed = 0
        self.fault_of = aws.take_fault

    def take_fault(self, service: str, operation: str) -> Fault | None:
        """Return a fault for some calls."""
        if self.dice.random() < FAILURES:
            self.failed += 1
            return Fault(self.dice.choice(("500", "throttled", "reset")))
        return self.fault_of(service, operation)


def users(rack: Rack) -> list[dict[str, str]]:
    """Declare the identities; return the environment of each."""
    variables = []
    for number in range(IDENTITIES):
        key, secret = f"AKIALOAD{number:08}", f"canary-secret-of-user-{number:018}"
        rack.aws.add_user(key, secret, f"arn:aws:iam::111122223333:user/load-{number}")
        variables.append({"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
    return variables


def ours(home: Path) -> list[int]:
    """Return the processes that run in an environment with this home."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes()
        except OSError:
            continue
        if f"HOME={home}\0".encode() in environment:
            found.append(int(process))
    return found


def start(rack: Rack, number: int, host: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start one get, its streams in files: as many pipes would be too many descriptors."""
    place = rack.home / "streams"
    place.mkdir(exist_ok=True)
    (place / f"{number}.in").write_text(host)
    with (
        open(place / f"{number}.in", "rb") as stdin,
        open(place / f"{number}.out", "wb") as stdout,
        open(place / f"{number}.err", "wb") as stderr,
    ):
        return rack.popen("get", env=env, stdin=stdin, stdout=stdout, stderr=stderr)


def crowd(rack: Rack, size: int) -> Figures:
    """Start all gets at once, wait for all, and check every answer and every call."""
    flaky = FlakyAWS(rack.aws)
    rack.aws.take_fault = flaky.take_fault  # type: ignore[method-assign]
    rack.aws.latency["*"] = LATENCY
    variables = users(rack)
    rack.env["AWS_ECR_TIMEOUT"] = "600"
    dice, started = random.Random(8), time.monotonic()
    asked = [(dice.choice(HOSTS), dice.randrange(IDENTITIES)) for _ in range(size)]
    processes = [
        start(rack, number, host, variables[user]) for number, (host, user) in enumerate(asked)
    ]
    statuses = Counter(process.wait(900) for process in processes)
    seconds = time.monotonic() - started
    for number, (host, user) in enumerate(asked):
        check(rack, number, host, f"arn:aws:iam::111122223333:user/load-{user}")
    until(lambda: not ours(rack.home), 10)
    flights = {(host.split(".")[3], user) for host, user in asked}
    assert statuses == {0: size}
    assert len(rack.aws.issued) == len(flights)
    assert rack.aws.count("ecr") == len(flights) + flaky.failed
    assert not [name for name in os.listdir(rack.cache) if name.endswith((".tmp", ".lock"))]
    return {
        "gets at once": size,
        "registries": len({host for host, _ in asked}),
        "identities": len({user for _, user in asked}),
        "tokens needed": len(flights),
        "calls to AWS": rack.aws.count("ecr"),
        "of them failed": flaky.failed,
        "wrong answers": 0,
        "processes left behind": 0,
        "seconds": round(seconds, 1),
    }


def check(rack: Rack, number: int, host: str, principal: str) -> None:
    """Assert that a get answered with a token of its own principal, for its own region."""
    place = rack.home / "streams"
    out, err = ((place / f"{number}.{name}").read_bytes() for name in ("out", "err"))
    (place / f"{number}.out").unlink()
    assert err == b"", err
    answer = json.loads(out)
    token = rack.aws.issued[answer["Secret"]]
    assert answer["ServerURL"] == host
    assert (token.principal, token.region) == (principal, host.split(".")[3])
    rack.results.append(Result(0, out, err))


def stubborn(workspace: Workspace) -> Figures:
    """End a credential_process that hangs and will not be ended, and all that it started."""
    with workspace.rack() as rack:
        script = rack.home / "process"
        script.write_text("#!/bin/sh\ntrap '' TERM\nsleep 1000 & sleep 1000\n")
        script.chmod(0o700)
        config = rack.home / "config"
        config.write_text(f"[profile stubborn]\ncredential_process = {script}\n")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del rack.env[name]
        rack.env |= {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "stubborn"}
        rack.env |= {"AWS_ECR_TIMEOUT": "2"}
        result = rack.get("111122223333.dkr.ecr.eu-west-1.amazonaws.com")
        assert (result.status, b"within 2 s" in result.stdout) == (1, True), result
        until(lambda: not ours(rack.home), 5)
    return {"stubborn processes left behind": 0}


def run(workspace: Workspace) -> Figures:
    """Start a thousand gets at once."""
    with workspace.rack() as rack:
        figures = crowd(rack, workspace.times(1_000))
    return figures | (stubborn(workspace) if workspace.whole else {})

"""SIGKILL, at every system call that touches the cache and at random moments."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from ecr_credential_helper.tokens.cache import SWEPT, decode, subject_of
from tests.support.entries import entry_files, prefix_of, rewrite
from tests.support.helper import Result

from .workspace import HOST, Figures, Rack, Workspace

CALL = re.compile(r"^(\w+)\(")
TWO_HOURS = 7200.0


def strace() -> str | None:
    """Return the path of strace, None where it is not there or may not trace."""
    path = shutil.which("strace")
    tried = path and subprocess.run(
        [path, "-o", os.devnull, "true"], check=False, capture_output=True
    )
    return path if tried and tried.returncode == 0 else None


def traced(rack: Rack, options: list[str], verb: str, stdin: bytes) -> Result:
    """Run a verb under strace; its other threads are not traced."""
    path = strace()
    assert path
    command = [path, "-qq", "-o", str(rack.home / "trace"), *options, str(rack.executable), verb]
    done = subprocess.run(
        command, env=rack.env, cwd=rack.home, input=stdin, capture_output=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def calls_of(rack: Rack, verb: str, stdin: bytes) -> list[tuple[str, int]]:
    """Return the system calls on the cache, by path or by descriptor: name and ordinal of each."""
    assert rack.seen(traced(rack, ["-y"], verb, stdin)).status == 0
    counted: Counter[str] = Counter()
    found: list[tuple[str, int]] = []
    for line in (rack.home / "trace").read_text(errors="replace").splitlines():
        match = CALL.match(line)
        if match:
            counted[match[1]] += 1
            if str(rack.cache) in line:
                found.append((match[1], counted[match[1]]))
    return found


def login(rack: Rack) -> bytes:
    """Return a login, as Docker sends it."""
    return b'{"ServerURL":"%s","Username":"AWS","Secret":"%s"}' % (
        HOST.encode(),
        rack.issue().encode(),
    )


def assert_readable(rack: Rack) -> int:
    """Assert that every entry is whole; return how many files a killed process left."""
    files = list(rack.cache.iterdir()) if rack.cache.is_dir() else []
    files = [file for file in files if file.name != SWEPT]
    for file in files:
        content = file.read_bytes()
        if subject_of(file.name):
            assert decode(content, prefix_of(content)), f"{file} is damaged: {content!r}"
        else:
            assert file.suffix in (".tmp", ".lock", ".refresh"), file
    return len(files) - len(entry_files(rack.cache))


def make_state(rack: Rack, state: str) -> None:
    """Make the cache empty, aging, or late."""
    shutil.rmtree(rack.cache, ignore_errors=True)
    if state != "empty":
        rack.answered(rack.get(HOST))
        rewrite(rack.cache, age={"aging": 30_000, "late": 40_000}[state])


def at_every_call(workspace: Workspace) -> Figures:
    """Kill store and get at each of their calls: the next get answers as usual."""
    figures: Figures = {"system calls killed at": 0, "missed": 0}
    with workspace.rack() as rack:
        for verb, state in (
            ("store", "empty"),
            ("store", "late"),
            ("get", "empty"),
            ("get", "late"),
        ):
            stdin = HOST.encode() if verb == "get" else login(rack)
            make_state(rack, state)
            calls = calls_of(rack, verb, stdin)
            for name, ordinal in workspace.some(calls):
                make_state(rack, state)
                inject = f"inject={name}:signal=KILL:when={ordinal}"
                result = rack.seen(traced(rack, ["-e", inject], verb, stdin))
                killed = result.status == -signal.SIGKILL
                figures["system calls killed at" if killed else "missed"] += 1
                assert assert_readable(rack) <= 3
                rack.answered(rack.get(HOST))
    return figures


def kill_once(rack: Rack, dice: random.Random, stdin: bytes) -> bool:
    """Kill a verb at a random moment of its life; say whether it was still alive."""
    verb = dice.choice(("store",) * 8 + ("get", "refresh-in-background"))
    arguments = [verb, HOST] if verb.startswith("refresh") else [verb]
    reading, writing = os.pipe()
    os.write(writing, HOST.encode() if verb == "get" else stdin)
    os.close(writing)
    if verb != "store":
        rewrite(rack.cache, age=40_000)
    longest = 0.09 if verb == "store" else 0.6
    null = subprocess.DEVNULL
    with rack.popen(*arguments, stdin=reading, stdout=null, stderr=null) as process:
        os.close(reading)
        time.sleep(dice.uniform(0.0, longest))
        process.kill()
        return process.wait() == -signal.SIGKILL


def kill_many(rack: Rack, dice: random.Random, times: int) -> tuple[int, int]:
    """Kill verbs, each followed by a get, which has to answer; count kills and debris."""
    rack.answered(rack.get(HOST))
    kills = most = 0
    while kills < times:
        kills += kill_once(rack, dice, login(rack))
        debris = assert_readable(rack)
        rack.answered(rack.get(HOST))
        most = max(most, debris)
        assert debris <= kills + 2
    return kills, most


def at_random_moments(workspace: Workspace) -> Figures:
    """Kill at random moments in two places at once; sweep what is left."""
    each = workspace.times(2_000) // 2 + 1
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        racks = [stack.enter_context(workspace.rack()) for _ in range(2)]
        work = [
            pool.submit(kill_many, rack, random.Random(seed), each)
            for seed, rack in enumerate(racks)
        ]
        counts = [done.result() for done in work]
        for rack in racks:
            age_debris(rack.cache)
            assert rack.run("erase", stdin=HOST.encode()).status == 0
            rack.answered(rack.get(HOST))
            assert assert_readable(rack) == 0
            assert len(entry_files(rack.cache)) == 2
    return {
        "killed at random moments": sum(kills for kills, _ in counts),
        "most debris": max(most for _, most in counts),
        "debris after sweeping": 0,
    }


def age_debris(cache: Path) -> None:
    """Make all that is no entry two hours old."""
    for file in cache.iterdir():
        if not subject_of(file.name):
            os.utime(file, (time.time() - TWO_HOURS,) * 2)


def run(workspace: Workspace) -> Figures:
    """Kill at every call where there is strace, and at random moments."""
    return (at_every_call(workspace) if strace() else {}) | at_random_moments(workspace)

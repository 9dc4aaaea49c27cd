"""A machine with faults: disks, locks, clocks, limits and streams, each broken for real."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ecr_credential_helper.tokens.cache import SWEPT
from tests.support.entries import entry_files, entry_in, rewrite
from tests.support.helper import Result
from tests.support.needs import has_namespace

from .crash import strace, traced
from .workspace import HOST, Figures, Rack, Workspace

FAKETIME = shutil.which("faketime")
ROOT = os.geteuid() == 0
DAY = 86_400
NOBODY = 54_321  # no user database knows it
SCRIPT = 'test -z "$BEFORE" || eval "$BEFORE"; exec "$@"'

Torture = Callable[[Rack], int]


def after(rack: Rack, before: str, *arguments: str, stdin: bytes) -> Result:
    """Run the executable from a shell, after a line of shell."""
    command = ["/bin/sh", "-c", SCRIPT, "sh", str(rack.executable), *arguments]
    done = subprocess.run(
        command,
        env=rack.env | {"BEFORE": before},
        cwd=rack.home,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return rack.seen(Result(done.returncode, done.stdout, done.stderr))


def told(rack: Rack, result: Result, *words: str) -> None:
    """Assert that a get answered, and told in one line why the token is not kept."""
    rack.answered(result)
    assert result.err.count("\n") == 1, result
    assert any(word in result.err for word in words), result


# Disks


def mounted(rack: Rack, options: str, after_mount: str = "true") -> list[str]:
    """Return a command that mounts a tmpfs at the cache, in a namespace of its own, and goes on."""
    rack.cache.mkdir(mode=0o700, exist_ok=True)
    script = 'mount -t tmpfs -o "$0" none "$1" && eval "$2" && shift 2 && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, options, str(rack.cache), after_mount]


def on_disk(rack: Rack, options: str, after_mount: str, verbs: str) -> Result:
    """Run shell lines, in which $1 is the executable, with a file system of that kind."""
    command = [*mounted(rack, options, after_mount), "sh", "-c", verbs, "sh", str(rack.executable)]
    done = subprocess.run(
        command, env=rack.env, cwd=rack.home, input=HOST.encode(), capture_output=True, check=False
    )
    return rack.seen(Result(done.returncode, done.stdout, done.stderr))


def full_disk(rack: Rack) -> int:
    """Four KiB of tmpfs, empty, full, and out of inodes."""
    fill = 'dd if=/dev/zero of="$1/fill" bs=4k 2>/dev/null; true'
    told(rack, on_disk(rack, "size=4k,mode=700", fill, '"$1" get'), "No space left on device")
    told(rack, on_disk(rack, "nr_inodes=1,mode=700", "true", '"$1" get'), "No space left on device")
    told(rack, on_disk(rack, "size=4k,mode=700", "true", '"$1" get'), "No space left on device")
    return 3


def read_only_disk(rack: Rack) -> int:
    """Let the cache only be read: what is in it is served, the rest answered."""
    remount = 'mount -o remount,ro "$1"'
    told(rack, on_disk(rack, "mode=700", remount, '"$1" get'), "Read-only file system")
    rack.answered(rack.get(HOST))
    bind = f'cp {rack.home}/copy/* "$1" && chmod 600 "$1"/* && {remount}'
    shutil.copytree(rack.cache, rack.home / "cache-copy")
    os.symlink(rack.home / "cache-copy", rack.home / "copy")
    result = on_disk(rack, "mode=700", bind, '"$1" get')
    rack.answered(result)
    assert result.err == ""
    rewrite(rack.home / "cache-copy", age=30_000)
    rack.answered(on_disk(rack, "mode=700", bind, '"$1" get'))
    shutil.rmtree(rack.home / "cache-copy")
    return 3


def failing_calls(rack: Rack) -> int:
    """EIO, ENOLCK and their like from the calls that the cache is made of."""
    count = 0
    for name, errors in {
        "flock": ("ENOLCK", "EIO", "ENOSYS"),
        "fsync": ("EIO", "ENOSPC", "EDQUOT"),
        "/rename": ("EIO", "EXDEV", "EDQUOT"),
        "mkdir": ("EIO", "EDQUOT", "EPERM"),
        "/unlink": ("EIO", "EROFS"),
    }.items():
        for error in errors:
            shutil.rmtree(rack.cache, ignore_errors=True)
            inject = f"inject={name}:error={error}"
            result = rack.seen(traced(rack, ["-e", inject], "get", HOST.encode()))
            rack.answered(result)
            assert result.err.count("\n") <= 1, result
            assert injected(rack), inject
            count += 1
    return count


def injected(rack: Rack) -> int:
    """Return how many faults the last run under strace met."""
    return (rack.home / "trace").read_text(errors="replace").count("(INJECTED)")


def failing_descriptors(rack: Rack) -> int:
    """EIO from every call on the cache directory and what is in it, for each verb."""
    rack.answered(rack.get(HOST))
    count = met = 0
    for path in (rack.cache, *entry_files(rack.cache)):
        for name in ("openat", "read", "/f?stat.*", "getdents64", "write"):
            options = ["-P", str(path), "-e", f"inject={name}:error=EIO"]
            for verb in ("get", "list"):
                result = rack.seen(traced(rack, options, verb, HOST.encode()))
                assert result.status == 0, (name, verb, result)
                count += 1
                met += injected(rack) > 0
    assert met * 4 > count, "most faults are of calls that are never made"
    return count


# Homes and users


def no_home(rack: Rack) -> int:
    """No HOME, and a user that no database knows: the token is answered, nothing is written."""
    env = {"HOME": None, "AWS_ECR_CACHE_DIR": None}
    command = ["unshare", "--user", f"--map-user={NOBODY}", str(rack.executable), "get"]
    place = Path(tempfile.mkdtemp())
    place.chmod(0o777)
    for extra in ({}, {"AWS_ECR_CACHE_DIR": "~/cache"}, {"AWS_ECR_CONFIG_FILE": "~/config.toml"}):
        variables = rack.env | env | extra
        done = subprocess.run(
            command,
            env={name: value for name, value in variables.items() if value is not None},
            cwd=place,
            input=HOST.encode(),
            capture_output=True,
            check=False,
        )
        told(
            rack, rack.seen(Result(done.returncode, done.stdout, done.stderr)), "no home directory"
        )
        assert not os.listdir(place)
    place.rmdir()
    return 3


def umasks(rack: Rack) -> int:
    """Set a umask that removes no permission, and one that removes all."""
    for umask in ("000", "777", "0"):
        shutil.rmtree(rack.cache, ignore_errors=True)
        for _ in range(2):
            rack.answered(after(rack, f"umask {umask}", "get", stdin=HOST.encode()))
        assert rack.cache.stat().st_mode & 0o077 == 0
        rack.cache.chmod(0o700)  # a umask of 777 keeps out all but root
        for path in rack.cache.iterdir():
            assert path.stat().st_mode & 0o077 == 0
    return 3


# Clocks


def faked(rack: Rack, clock: str, **env: str) -> Result:
    """Run get by another clock."""
    assert FAKETIME
    done = subprocess.run(
        [FAKETIME, "-f", clock, str(rack.executable), "get"],
        env=rack.env | env,
        cwd=rack.home,
        input=HOST.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    return rack.seen(Result(done.returncode, done.stdout, done.stderr))


def wrong_clocks(rack: Rack) -> int:
    """Keep a clock that is wrong: the life of a token is what AWS says it is."""
    for seconds in (-DAY, DAY):
        shutil.rmtree(rack.cache, ignore_errors=True)
        rack.aws.clock_offset = seconds
        clock = f"{seconds:+}s"
        first = rack.answered(faked(rack, clock))
        assert rack.answered(faked(rack, clock)) == first
        for file in entry_files(rack.cache):
            entry = entry_in(file)
            assert abs(entry.expires - entry.issued - 43_200) <= 2
            assert abs(entry.issued - time.time() - seconds) < 60
        rack.aws.clock_offset = 0.0
        skewed = faked(rack, clock, AWS_ECR_DISABLE_CACHE="1")
        assert skewed.status == 1
        assert "the clock of this machine is wrong" in skewed.out, skewed
    return 2


def jumping_clocks(rack: Rack) -> int:
    """Let the clock jump between two gets: no token is served past its life or before it."""
    jumps = (-DAY, -3_600, -120, 3_600, 30_000, 43_100, 43_260, DAY)
    for seconds in jumps:
        shutil.rmtree(rack.cache, ignore_errors=True)
        first = rack.answered(rack.get(HOST))
        rack.aws.clock_offset = seconds
        second = str(
            faked(rack, f"{seconds:+}s", AWS_ECR_DISABLE_BACKGROUND_REFRESH="1").answer["Secret"]
        )
        assert (second == first) is (0 < seconds < 21_600), seconds
        rack.aws.clock_offset = 0.0
        rack.answered(rack.get(HOST))
    return len(jumps)


def racing_clock(rack: Rack) -> int:
    """Let the clock run too fast, too slow, and in yesterday."""
    for speed in ("+0 x1000", "+0 x0.001", "-1d x100"):
        shutil.rmtree(rack.cache, ignore_errors=True)
        result = faked(rack, speed)
        assert result.status in (0, 1)
        assert result.status == 0 or result.stdout.count(b"\n") == 1
        rack.answered(rack.get(HOST))
    return 3


# Limits


def few_descriptors(rack: Rack) -> int:
    """RLIMIT_NOFILE from 4 to 16: an answer, or a cause; with 16 an answer."""
    rack.answered(rack.get(HOST))
    for state in ("warm", "cold"):
        for number in range(4, 17):
            if state == "cold":
                shutil.rmtree(rack.cache, ignore_errors=True)
            result = limited(rack, f"ulimit -n {number}")
            if result is not None and number == 16:
                rack.answered(result)
    return 26


def no_file_size(rack: Rack) -> int:
    """Let no file grow: the token is answered, and no entry is left, whole or not."""
    result = after(rack, "ulimit -f 0", "get", stdin=HOST.encode())
    told(rack, result, "File too large")
    assert [path.name for path in rack.cache.iterdir()] == [SWEPT]
    return 1


def limited(rack: Rack, limit: str) -> Result | None:
    """Run a get under a limit; None if already the interpreter could not start."""
    command = ["/bin/sh", "-c", SCRIPT, "sh", str(rack.executable), "get"]
    done = subprocess.run(
        command,
        env=rack.env | {"BEFORE": limit},
        cwd=rack.home,
        input=HOST.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    before_us = b"Traceback" in done.stderr and b"cli.py" not in done.stderr
    if before_us or done.returncode not in (0, 1):
        assert done.stdout == b"", done
        return None
    seen = Result(done.returncode, done.stdout, done.stderr)
    result = rack.seen(seen, starved=limit.startswith("ulimit -v"))
    assert result.stdout.count(b"\n") <= 1
    return result


def little_memory(rack: Rack) -> int:
    """RLIMIT_AS from what the interpreter needs to what a get needs: an answer, or a cause."""
    sizes, answered = range(20, 200, 6), 0
    for mebibytes in sizes:
        shutil.rmtree(rack.cache, ignore_errors=True)
        result = limited(rack, f"ulimit -v {mebibytes * 1024}")
        if result is not None and result.status == 0:
            rack.answered(result)
            answered += 1
    assert answered
    return len(sizes)


def late_token_in_little_memory(rack: Rack) -> int:
    """Serve a token in its last eighth where there is no memory to ask AWS for another."""
    rack.answered(rack.get(HOST))
    rewrite(rack.cache, age=40_000)
    least = next(size for size in range(12, 200, 2) if served(rack, size))
    assert least < 100
    return 1


def served(rack: Rack, mebibytes: int) -> bool:
    """Whether a get answers in so much memory, without having asked AWS."""
    calls = len(rack.aws.calls)
    result = limited(rack, f"ulimit -v {mebibytes * 1024}")
    return result is not None and result.status == 0 and len(rack.aws.calls) == calls


def no_null_device(rack: Rack) -> int:
    """No /dev/null, in a root of its own file systems: the token is answered."""
    script = 'mount -t tmpfs none /dev && exec "$@"'
    rack.answered(rack.get(HOST))
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(rack.executable), "get"]
    done = subprocess.run(
        command, env=rack.env, input=HOST.encode(), capture_output=True, check=False
    )
    rack.answered(rack.seen(Result(done.returncode, done.stdout, done.stderr)))
    return 1


def run(workspace: Workspace) -> Figures:
    """Break one thing after the other, each with an AWS and a home of its own."""
    figures: Figures = {}
    anybody: list[Torture] = [
        *(umasks, no_file_size, few_descriptors),
        *(little_memory, late_token_in_little_memory),
    ]
    needing = [
        (ROOT and has_namespace("--mount"), [full_disk, read_only_disk, no_null_device]),
        (ROOT and has_namespace("--user"), [no_home]),
        (strace() is not None, [failing_calls, failing_descriptors]),
        (FAKETIME is not None, [wrong_clocks, jumping_clocks, racing_clock]),
    ]
    able = anybody + [torture for able, kinds in needing if able for torture in kinds]
    for torture in workspace.some(able, least=3):
        with workspace.rack() as rack:
            figures[torture.__name__.replace("_", " ")] = torture(rack)
    return figures

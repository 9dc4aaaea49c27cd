"""Stdin, stdout and stderr: read to the end, closed, full, and free of other output."""

import json
import os
import shlex
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ecr_credential_helper import __version__
from tests.loopback import USER_KEY, USER_SECRET, Fault, Loopback
from tests.support.answers import (
    MEBIBYTE,
    NAME,
    NO_KEYS,
    NO_SERVER_URL,
    NOT_FOUND,
    PRIVATE,
    PUBLIC,
    assert_answered,
    assert_refused,
    assert_silent_failure,
    login,
    write,
)
from tests.support.entries import rewrite
from tests.support.helper import Helper, Result, assert_no_secret, finish

# Only the answer is on stdout


NOISE = "noise that belongs to no answer"


def write_process(helper: Helper, noise: str) -> None:
    """Give the default profile a credential_process that runs `noise` in a shell before it answers.

    `noise` is a line of sh, whose `$PPID` is the helper.
    """
    credentials = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    answer = f"echo {shlex.quote(json.dumps(credentials))}\n"
    script = write(helper.home / "credentials.sh", f"{noise}\n{answer}")
    write(helper.home / ".aws/config", f"[default]\ncredential_process = /bin/sh {script}\n")


@pytest.mark.needs("POSIX")
def test_a_credential_process_cannot_write_to_stdout(helper: Helper, aws: Loopback) -> None:
    """Even one that finds its parent's stdout by /proc only reaches stderr."""
    write_process(helper, f"echo {shlex.quote(NOISE)} | tee /proc/$PPID/fd/1 >&2")
    result = helper.get(PRIVATE, env=NO_KEYS)
    assert result.status == 0
    assert result.answer["Secret"] in aws.issued
    assert result.out.count("\n") == 1
    assert NOISE in result.err
    assert_no_secret(result, aws, token_expected=True)


@pytest.mark.needs("POSIX")
@pytest.mark.inside
def test_a_library_cannot_write_to_stdout(helper: Helper, aws: Loopback) -> None:
    """What is printed or written to descriptor 1 during the AWS work reaches stderr."""
    write(
        helper.home / "site/sitecustomize.py",
        f"""\
import os, sys

class Noise:
    def find_spec(self, name, path=None, target=None):
        if name == "botocore.session":
            print("printed: {NOISE}")
            os.write(1, b"written: {NOISE}\\n")
            os.system("echo 'from a shell: {NOISE}'")

sys.meta_path.insert(0, Noise())
""",
    )
    # With a number of attempts, AWS is asked with botocore.
    env = {"PYTHONPATH": str(helper.home / "site"), "AWS_MAX_ATTEMPTS": "3"}
    result = helper.get(PRIVATE, env=env)
    assert result.status == 0
    assert result.answer["Secret"] in aws.issued
    assert result.out.count("\n") == 1
    for how in ("printed", "written", "from a shell"):
        assert f"{how}: {NOISE}\n" in result.err


@pytest.mark.inside
@pytest.mark.needs("Linux")
@pytest.mark.parametrize("verb", ["get", "list", "--version", "status"])
@pytest.mark.parametrize("gone", [False, True], ids=["full", "gone"])
def test_what_a_library_prints_costs_no_answer(helper: Helper, verb: str, *, gone: bool) -> None:
    """Where stderr cannot be written, that output is lost, and the answer is not."""
    write(helper.home / "site/sitecustomize.py", f"print({NOISE!r})\n")
    expected = helper.run(verb, stdin=PRIVATE.encode())
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    env = {"PYTHONPATH": str(helper.home / "site")}
    with helper.popen(verb, env=env, stderr=writing if gone else full) as process:
        os.close(writing)
        os.close(full)
        result = finish(process, PRIVATE.encode())
    assert (result.status, result.stdout) == (0, expected.stdout)
    assert expected.stdout


# Stdin is read to its end; closed and broken streams


@pytest.mark.parametrize(
    ("verb", "stdin"),
    [
        ("get", f"{PRIVATE}/".encode().ljust(10 * MEBIBYTE, b"a")),
        ("get", b"docker.io\n" * MEBIBYTE),
        ("store", login(secret="a" * 10 * MEBIBYTE)),
        ("store", login("docker.io", secret="a" * 10 * MEBIBYTE)),
        ("store", b"\xff" * 10 * MEBIBYTE),
        ("erase", f"{PRIVATE}/".encode().ljust(10 * MEBIBYTE, b"a")),
    ],
    ids=["get", "get-foreign", "store", "store-foreign", "store-broken", "erase"],
)
def test_stdin_is_read_to_its_end(helper: Helper, verb: str, stdin: bytes) -> None:
    """A caller can write all of its 10 MiB, with no EPIPE, before the exit."""
    with helper.popen(verb) as process:
        assert process.stdin is not None
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            rest = memoryview(stdin)
            while rest:
                rest = rest[process.stdin.write(rest) :]
            process.stdin.close()
            assert process.wait(60) in (0, 1)
        finally:
            guard.cancel()


@pytest.mark.parametrize(
    ("verb", "stdout", "status"),
    [
        ("get", NO_SERVER_URL, 1),
        ("erase", NO_SERVER_URL, 1),
        ("list", b"{}\n", 0),
        ("version", f"{NAME} (ecr-credential-helper) {__version__}\n".encode(), 0),
    ],
)
def test_a_closed_stdin_is_an_empty_one(
    helper: Helper, verb: str, stdout: bytes, status: int
) -> None:
    """A closed stdin is answered like an empty one, with no traceback."""
    result = helper.run(verb, closed=[0])
    assert (result.stdout, result.stderr, result.status) == (stdout, b"", status)


def test_store_with_a_closed_stdin_is_refused(helper: Helper, aws: Loopback) -> None:
    """No stdin is no login, and one clear line."""
    assert_refused(helper.run("store", closed=[0]), aws)


@pytest.mark.parametrize("closed", [[1], [0, 1], [1, 2], [0, 1, 2]])
def test_a_closed_stdout_puts_the_answer_nowhere_else(
    helper: Helper, aws: Loopback, closed: list[int]
) -> None:
    """The token is not shown on stderr, and no traceback is, where stdout is closed."""
    result = helper.run("get", stdin=PRIVATE.encode(), closed=closed)
    assert result.stdout == b""
    assert_no_secret(result, aws)


def test_a_closed_stderr_does_not_matter(helper: Helper, aws: Loopback) -> None:
    """Without stderr the answer is the same, and so is the failure."""
    result = helper.run("get", stdin=PRIVATE.encode(), closed=[2])
    assert_answered(result, PRIVATE, aws)
    result = helper.run("get", stdin=PUBLIC.encode(), closed=[2], env=NO_KEYS)
    assert_silent_failure(result, NOT_FOUND)


def test_a_library_cannot_write_to_stdout_where_stderr_is_closed(
    helper: Helper, aws: Loopback
) -> None:
    """With nowhere else to go, what a credential_process says is lost, and not in the answer."""
    write_process(helper, f"echo {shlex.quote(NOISE)} >/proc/$PPID/fd/1")
    result = helper.run("get", stdin=PRIVATE.encode(), closed=[2], env=NO_KEYS)
    assert_answered(result, PRIVATE, aws)


def test_an_answer_that_cannot_be_written_is_a_failure(helper: Helper, aws: Loopback) -> None:
    """On a full device the exit status says that the caller has no answer."""
    with Path("/dev/full").open("wb") as full, helper.popen("get", stdout=full) as process:
        _, stderr = process.communicate(PRIVATE.encode(), 60)
    assert process.returncode == 1
    assert_no_secret(Result(1, b"", stderr), aws)


def test_a_caller_that_went_away_is_a_failure(helper: Helper, aws: Loopback) -> None:
    """A broken pipe on stdout ends in an exit status, not in a traceback."""
    with helper.popen("get") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(PRIVATE.encode())
        process.stdin.close()
        stderr = process.stderr.read()
        assert process.wait(60) == 1
    assert_no_secret(Result(1, b"", stderr), aws)


# Both streams in one pipe: some clients start a helper so (zt-exec's way, of testcontainers-java 1)


def through_one_pipe(helper: Helper, words: str) -> tuple[int, str]:
    """Run `get` with stderr going where stdout goes; return exit status and text."""
    with helper.popen("get", stderr=subprocess.STDOUT) as process:
        result = finish(process, words.encode())
    return result.status, result.out.strip()


def test_not_found_is_the_same_text_for_every_other_host(helper: Helper) -> None:
    """A client learns it from a host that does not exist, and compares."""
    learned = through_one_pipe(helper, "https://not.a.real.registry/url")

    assert learned == (1, NOT_FOUND.decode().strip())
    assert through_one_pipe(helper, "index.docker.io") == learned


@pytest.mark.parametrize("trouble", ["unwritable", "outage", "log"])
def test_a_warning_comes_after_the_answer(helper: Helper, aws: Loopback, trouble: str) -> None:
    """A token that is not kept, a late one when AWS is out of reach: the answer comes first."""
    if trouble == "unwritable":
        helper.cache.write_text("a file where the directory should be")
    elif trouble == "log":
        helper.env["AWS_ECR_LOG_FILE"] = str(helper.home / "nowhere" / "log")
    else:
        helper.get(PRIVATE)
        rewrite(helper.cache, age=40000)
        aws.faults = {"ecr": Fault("500")}
        helper.env["AWS_MAX_ATTEMPTS"] = "1"

    status, text = through_one_pipe(helper, PRIVATE)

    answer, _ = json.JSONDecoder().raw_decode(text)
    assert status == 0
    assert (answer["ServerURL"], answer["Username"]) == (PRIVATE, "AWS")
    assert answer["Secret"] in aws.issued
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("docker-credential-ecr: ")


def test_a_refresh_in_the_background_keeps_no_stream_open(helper: Helper, aws: Loopback) -> None:
    """With an aging token a process is left behind: both streams still end with the helper."""
    helper.get(PRIVATE)
    rewrite(helper.cache, age=30000)
    aws.faults = {"ecr": Fault("hang")}

    began = time.monotonic()
    result = helper.get(PRIVATE)

    assert (result.status, result.err) == (0, "")
    assert time.monotonic() - began < 2
    deadline = time.monotonic() + 10
    while aws.count("ecr") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert aws.count("ecr") == 2

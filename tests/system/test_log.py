"""The debug log: what it says, whom it lets read, and what it may not cost."""

import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_credential_helper.system import log
from tests.aws.test_sources import HOST, NAME, credential_process, source_profile
from tests.loopback import Fault, Loopback
from tests.support.helper import Helper


@pytest.fixture
def log_file(helper: Helper) -> Path:
    """Return the path of the log that the helper is told to write."""
    path = helper.home / "debug.log"
    helper.env["AWS_ECR_LOG_FILE"] = str(path)
    return path


def test_the_log_is_private_and_grows(log_file: Path, helper: Helper, aws: Loopback) -> None:
    """The log is made for its owner alone whatever the umask, and each run adds to it."""
    before = os.umask(0)
    try:
        assert helper.get(HOST).status == 0
    finally:
        os.umask(before)
    if os.name == "posix":
        assert stat.S_IMODE(log_file.stat().st_mode) == 0o600
    first = log_file.read_text()
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")
    assert log_file.read_text().startswith(first)
    assert f"get {HOST}: not in the cache" in first
    assert f"get {HOST}: fresh in the cache" in log_file.read_text().removeprefix(first)
    assert aws.count("ecr") == 1


def test_without_the_variable_there_is_no_log(helper: Helper) -> None:
    """Nothing is logged anywhere unless a file is named; an empty name names none."""
    for env in ({}, {"AWS_ECR_LOG_FILE": ""}):
        result = helper.get(HOST, env={**env, "AWS_ECR_DISABLE_CACHE": "1"})
        assert (result.status, result.err) == (0, "")
    assert helper.files() == []


def test_the_log_names_the_source(log_file: Path, helper: Helper, aws: Loopback) -> None:
    """A reader of the log sees which source was found, and what was asked on the way."""
    source_profile(helper, aws)
    assert helper.get(HOST).status == 0
    text = log_file.read_text()
    assert "botocore.credentials: Looking for credentials via: assume-role" in text
    assert "ecr_credential_helper: ecr:GetAuthorizationToken in eu-west-1 as profile test" in text
    assert '"POST / HTTP/1.1" 200' in text


def test_the_log_names_retry_and_cause(log_file: Path, helper: Helper, aws: Loopback) -> None:
    """A reader of the log sees each attempt, its answer, and the cause in the end."""
    aws.faults["ecr"] = Fault("500")
    result = helper.get(HOST, env={"AWS_MAX_ATTEMPTS": "2"})
    text = log_file.read_text()
    assert text.count('"POST / HTTP/1.1" 500') == 2
    assert "botocore.retries.standard: Retry needed" in text
    assert f"get {HOST}: {result.out.removeprefix(f'{NAME}: ').strip()}" in text


def test_the_log_names_the_cause_for_every_verb(log_file: Path, helper: Helper) -> None:
    """A failed get-login-password leaves its cause in the log as a failed get does."""
    result = helper.run("get-login-password", "--region", "eu-west-1", "--profile", "nobody")
    assert result.status == 1
    cause = "ecr_credential_helper: get-login-password: the AWS profile nobody does not exist"
    assert cause in log_file.read_text()


needs_posix = pytest.mark.needs("POSIX")


def readable(path: Path) -> None:
    """Make a file that others may read."""
    path.touch(0o644)
    path.chmod(0o644)


def link(path: Path) -> None:
    """Make a link to a file of our own."""
    target = path.with_name("elsewhere.log")
    target.touch(0o600)
    path.symlink_to(target)


def fifo(path: Path) -> None:
    """Make a pipe that nobody reads."""
    os.mkfifo(path, 0o600)


def missing(path: Path) -> None:
    """Take away the directory that the file would be in."""
    path.parent.rmdir()


BAD = [
    pytest.param(readable, "other users may enter it (chmod 600 fixes that)", marks=needs_posix),
    pytest.param(link, "Too many levels of symbolic links", marks=needs_posix),
    pytest.param(fifo, "No such device or address", marks=needs_posix),
    (Path.mkdir, "Is a directory" if os.name == "posix" else "Permission denied"),
    (missing, "No such file or directory"),
]


@pytest.mark.parametrize(("make", "why"), BAD, ids=lambda value: str(value)[:20])
def test_a_log_that_is_not_ours_alone_is_not_written(
    make: Callable[[Path], None], why: str, helper: Helper
) -> None:
    """Where the log cannot be written in private, one line says so, and the answer is given."""
    path = helper.home / "logs" / "debug.log"
    path.parent.mkdir()
    make(path)
    result = helper.get(HOST, env={"AWS_ECR_LOG_FILE": str(path)})
    assert (result.status, result.answer["Username"]) == (0, "AWS")
    assert result.err == f"{NAME}: no log is written to {path}: {why}\n"
    assert not path.is_file() or path.read_text() == ""


@pytest.mark.needs("POSIX")
def test_a_full_disk_costs_the_log_and_nothing_else(helper: Helper, log_file: Path) -> None:
    """Where no byte can be written, the answer is given, and stderr is no traceback."""
    wrapper = helper.home / NAME
    wrapper.write_text(f'#!/bin/sh\nulimit -f 0\nexec {helper.executable} "$@"\n')
    wrapper.chmod(0o700)
    helper.executable = wrapper
    result = helper.get(HOST)
    assert (result.status, result.answer["Username"]) == (0, "AWS")
    why = f"{helper.cache} cannot be used: File too large"
    assert result.err == f"{NAME}: the token is not kept, {why}\n"
    assert log_file.read_text() == ""


def test_a_home_directory_is_meant_by_a_tilde(helper: Helper) -> None:
    """A tilde in the log's name is the home directory, as in the other variables."""
    assert helper.get(HOST, env={"AWS_ECR_LOG_FILE": "~/my.log"}).status == 0
    assert (helper.home / "my.log").is_file()


def test_what_a_program_says_is_one_line_of_the_log(
    log_file: Path, helper: Helper, aws: Loopback
) -> None:
    """Each line of the log begins with a time: nothing that others say can forge one."""
    credential_process(helper, aws)
    script = helper.home / "credential-process"
    script.write_text(
        "#!/bin/sh\nprintf 'no\\n2026-01-01 00:00:00,000 1 forged: yes\\n' >&2\nexit 1\n"
    )
    assert helper.get(HOST).status == 1
    forged = [line for line in log_file.read_text().splitlines() if line.startswith("2026-01-01")]
    assert not forged


# Redaction


@pytest.fixture
def _quiet() -> Iterator[None]:
    """Leave logging as it was."""
    yield
    for name in log._HEARD:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            if isinstance(handler, logging.StreamHandler):
                handler.stream.close()
        logger.setLevel(logging.NOTSET)


KEY_LIKE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN_LIKE = "FwoGZXIvYXdzE" * 10


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"key {KEY_LIKE}.", "key [redacted]."),
        (f"AWS_SECRET_ACCESS_KEY={KEY_LIKE}", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        (f'"SecretAccessKey":"{KEY_LIKE}"', '"SecretAccessKey":"[redacted]"'),
        (f"token={TOKEN_LIKE}", "[redacted]"),
        (f"token: {TOKEN_LIKE}==", "token: [redacted]"),
        (f"{'a' * 99} {'b' * 41}", f"{'a' * 99} {'b' * 41}"),
        ('to "socks5://me:pass@word@host:1"', 'to "socks5://[redacted]@host:1"'),
        ("https://token@host/ for me@host", "https://[redacted]@host/ for me@host"),
        ("https://host/path for me@host", "https://host/path for me@host"),
        ("a secret of the environment", "a [redacted] of the environment"),
        ("role arn:aws:iam::444455556666:role/pull", "role arn:aws:iam::444455556666:role/pull"),
        ("via http://socks5://me:hunter2@[::1]:1 no", "via http://socks5://[redacted]@[::1]:1 no"),
        ("https://sts.amazonaws.com/x@y", "https://sts.amazonaws.com/x@y"),
        ("the file /run/token is missing", "the file /run/token is missing"),
    ],
)
def test_redaction(text: str, clean: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is a secret of the environment or looks like one is struck out, names are not."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", " ")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token")
    assert log.redacted(text) == clean


@pytest.mark.usefixtures("_quiet")
def test_what_others_log_is_redacted(tmp_path: Path) -> None:
    """A secret that a library logs, in arguments or in a traceback, is struck out in the file."""
    path = tmp_path / "debug.log"
    note = log.start(str(path))
    note(f"ours {KEY_LIKE}")
    logger = logging.getLogger("botocore.credentials")
    try:
        int(KEY_LIKE)
    except ValueError:
        logger.debug("theirs %s", TOKEN_LIKE, exc_info=True)
    logging.getLogger("botocore.auth").debug("never heard")
    text = path.read_text()
    assert "ours [redacted]" in text
    assert "theirs [redacted]" in text
    assert "ValueError: invalid literal for int() with base 10: '[redacted]'" in text
    assert "never heard" not in text

"""No secret is anywhere but in the files that are meant for it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecr_credential_helper.tokens.cache import Entry, encode
from tests.aws.failures import PROXY_PASSWORD, both, role_with_mfa, silent
from tests.aws.test_failures import FAILURES
from tests.aws.test_sources import (
    HOST,
    LOGIN_REFRESH,
    POD_TOKEN,
    SOURCES,
    SSO_REFRESH,
    SSO_TOKEN,
    WEB_TOKEN,
    Arrange,
    credential_process,
    settings,
)
from tests.loopback import USER_ARN, USER_SECRET, Loopback, basic_credentials
from tests.support.entries import entry_files
from tests.support.helper import Helper, Result

CANARIES = {
    *(USER_SECRET, WEB_TOKEN, POD_TOKEN, SSO_TOKEN, SSO_REFRESH, LOGIN_REFRESH, PROXY_PASSWORD),
    *("canary-sso-client-secret", "canary-login-secret-key", "canary-login-session-token"),
}
SHORTEST = 8


def aws_secrets(aws: Loopback) -> set[str]:
    """Return the secret keys and session tokens that AWS has given out."""
    keys = list(aws.keys.values())
    return {key.secret for key in keys} | {key.session_token or "" for key in keys}


def secrets(helper: Helper, aws: Loopback) -> set[str]:
    """Return every secret of a run, as it is and as it travels, the registry tokens too."""
    found = CANARIES | aws_secrets(aws) | set(aws.metadata_tokens) | set(aws.sso_access_tokens)
    found |= aws.sso_refresh_tokens | set(aws.login_sessions) | {aws.container_authorization or ""}
    found |= {role.web_identity_token or "" for role in aws.roles.values()}
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    found |= {helper.env.get(name, "").strip() for name in names}
    found |= {basic_credentials("AWS", token) for token in aws.issued} | set(aws.issued)
    return {secret for secret in found if len(secret) >= SHORTEST}


def assert_none(secrets: set[str], data: bytes, where: object) -> None:
    """Assert that none of the secrets is in `data`."""
    leaked = [secret for secret in secrets if secret.encode() in data]
    assert not leaked, f"{where} holds {leaked}"


class Watched:
    """A helper with a log and a directory for temporary files, and all that was there before."""

    def __init__(self, helper: Helper, aws: Loopback) -> None:
        self.helper = helper
        self.aws = aws
        self.log = helper.home / "debug.log"
        temporary = helper.home / "tmp"
        temporary.mkdir()
        helper.env |= {"AWS_ECR_LOG_FILE": str(self.log), "TMPDIR": str(temporary)}
        self.before = self.contents()

    def contents(self) -> dict[Path, bytes]:
        """Return the content of every file below the home directory."""
        return {path: path.read_bytes() for path in self.helper.home.rglob("*") if path.is_file()}

    def assert_clean(self, result: Result) -> None:
        """Assert that no secret is where it does not belong: streams, log, and files left behind.

        Those that were there before are the test's own, as long as they are unchanged.
        """
        every = secrets(self.helper, self.aws)
        answered = set(self.aws.issued) if result.status == 0 else set()
        assert_none(every - answered, result.stdout, "stdout")
        assert_none(every, result.stderr, "stderr")
        for path, data in self.contents().items():
            if self.before.get(path) != data:
                assert_none(every - self.at_home(path), data, path)
                assert_none(every, str(path).encode(), "a file's name")

    def at_home(self, path: Path) -> set[str]:
        """Return the secrets that belong into a file."""
        place = str(path.relative_to(self.helper.home))
        if path.parent == self.helper.cache:
            return set(self.aws.issued)
        if place.startswith(".aws/cli/cache/"):
            return aws_secrets(self.aws)
        if place.startswith((".aws/sso/cache/", ".aws/login/cache/")):
            return secrets(self.helper, self.aws) - set(self.aws.issued)
        return set()


@dataclass(frozen=True)
class Case:
    """A get to run, and the exit status that it ends with."""

    name: str
    arrange: Arrange
    status: int
    host: str = HOST


CASES = [
    *(Case(f"{source.name}-works", source.declare, 0) for source in SOURCES),
    *(Case(f"{source.name}-fails", both(source.declare, source.spoil), 1) for source in SOURCES),
    *(Case(failure.name, failure.arrange, 1, failure.host) for failure in FAILURES),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_source_and_no_failure_leaks(case: Case, helper: Helper, aws: Loopback) -> None:
    """Whatever a get ends in, no secret is on a stream, in the log, or in a file left behind.

    Only the caches hold what belongs into them, and an answer its token.
    """
    case.arrange(helper, aws)
    watched = Watched(helper, aws)
    result = helper.get(case.host)
    assert result.status == case.status
    assert watched.log.is_file()
    watched.assert_clean(result)


SAID = [
    f"key {USER_SECRET} refused",
    f"AWS_SECRET_ACCESS_KEY={USER_SECRET}",
    f"token {'FwoGZXIvYXdzE' * 20}== refused",
]


@pytest.mark.parametrize("said", SAID)
def test_what_a_program_says_is_redacted(said: str, helper: Helper, aws: Loopback) -> None:
    """A credential_process that prints a secret when it fails is quoted without it."""
    credential_process(helper, aws)
    (helper.home / "credential-process").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    watched = Watched(helper, aws)
    result = helper.get(HOST)
    assert "[redacted]" in result.out
    assert_none({said, USER_SECRET, "FwoGZXIvYXdzE" * 2}, result.stdout + result.stderr, "a stream")
    assert_none({said, USER_SECRET, "FwoGZXIvYXdzE" * 2}, watched.log.read_bytes(), "the log")


def store(helper: Helper, aws: Loopback) -> Result:
    """Log in, with a token that is kept."""
    token, _ = aws.issue_token(USER_ARN, "eu-west-1", "ecr")
    return helper.store(HOST, "AWS", token)


def store_elsewhere(helper: Helper, _: Loopback) -> Result:
    """Log in to a registry that is not ECR."""
    return helper.store("docker.io", "somebody", PROXY_PASSWORD)


def broken_store(helper: Helper, _: Loopback) -> Result:
    """Send a login that is no JSON."""
    return helper.run("store", stdin=f'{{"Secret":"{PROXY_PASSWORD}"'.encode())


def get_with_password(helper: Helper, _: Loopback) -> Result:
    """Ask for a host with a password in its URL."""
    return helper.get(f"https://AWS:{PROXY_PASSWORD}@{HOST}")


def get_login_password(helper: Helper, _: Loopback) -> Result:
    """Ask for a token by the command."""
    return helper.run("get-login-password", "--region", "eu-west-1")


def get_with_role(helper: Helper, aws: Loopback) -> Result:
    """Ask as a role of the settings file."""
    aws.add_role("arn:aws:iam::444455556666:role/pull", external_id="canary-external-id")
    role = 'role_arn = "arn:aws:iam::444455556666:role/pull"'
    settings(helper, "[[registry]]", 'match = "*"', role, 'external_id = "canary-external-id"')
    return helper.get(HOST)


RUNS = [store, store_elsewhere, broken_store, get_with_password, get_login_password, get_with_role]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_no_verb_leaks(
    run: Callable[[Helper, Loopback], Result], helper: Helper, aws: Loopback
) -> None:
    """No verb or command, whether it works or not, leaves a secret where it does not belong."""
    watched = Watched(helper, aws)
    watched.assert_clean(run(helper, aws))


# Other processes


@contextmanager
def seen_processes() -> Iterator[set[bytes]]:
    """Collect the command lines of all processes while the body runs."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in filter(str.isdecimal, os.listdir("/proc")):
                try:
                    seen.add(Path(f"/proc/{process}/cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_no_command_line_holds_a_secret(helper: Helper, aws: Loopback) -> None:
    """While a credential_process runs, no command line of any process holds a secret."""
    credential_process(helper, aws)
    path = helper.home / "credential-process"
    path.write_text(path.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nsleep 0.3\n"))
    aws.latency["ecr"] = 0.2
    with seen_processes() as seen:
        assert helper.get(HOST).status == 0
    assert any(b"credential-process" in line for line in seen)
    assert any(b"docker-credential-ecr" in line for line in seen)
    for line in seen:
        assert_none(secrets(helper, aws), line, "a command line")


def make_aging(helper: Helper) -> None:
    """Let every token in the cache be past half its life."""
    now = int(time.time())
    for path in entry_files(helper.cache):
        data = path.read_bytes()
        head, _, body = data.partition(b"\n\n")
        token = body.decode().partition("token ")[2].partition("\n")[0]
        entry = Entry(now - 30000, now + 13200, "env", token)
        path.write_bytes(encode(entry, head + b"\n\n"))


def refreshed(helper: Helper, aws: Loopback) -> bool:
    """Say whether a refresh in the background has come to its end."""
    return len(aws.issued) == 2 and not list(helper.cache.glob("*.refresh"))


def test_the_refresh_in_the_background_shows_no_secret(helper: Helper, aws: Loopback) -> None:
    """The detached process is given a host name, and leaves no secret in log or files."""
    watched = Watched(helper, aws)
    assert helper.get(HOST).status == 0
    make_aging(helper)
    aws.latency["ecr"] = 0.3
    with seen_processes() as seen:
        result = helper.get(HOST)
        end = time.monotonic() + 20
        while not refreshed(helper, aws) and time.monotonic() < end:
            time.sleep(0.02)
    assert any(b"refresh-in-background" in line for line in seen)
    assert len(aws.issued) == 2
    for line in seen:
        assert_none(secrets(helper, aws), line, "a command line")
    watched.assert_clean(result)


@pytest.mark.parametrize("arrange", [silent("ecr"), role_with_mfa], ids=["hangs", "mfa"])
def test_a_run_that_is_killed_leaves_no_secret(
    arrange: Callable[[Helper, Loopback], None], helper: Helper, aws: Loopback
) -> None:
    """What a run leaves behind that was given up half way holds no secret either."""
    arrange(helper, aws)
    helper.env["AWS_ECR_TIMEOUT"] = "1"
    watched = Watched(helper, aws)
    result = helper.get(HOST)
    assert result.status == 1
    watched.assert_clean(result)

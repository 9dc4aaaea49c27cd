"""The installed executable as the tests run it, and what it leaves behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import trustme

from tests.loopback import USER_SECRET, Loopback
from tests.support.needs import SYSTEM_PATH, check

# Another form of the program may be named, to be put through the same tests.
EXECUTABLE = Path(
    os.environ.get("HELPER_UNDER_TEST")
    or os.path.join(sysconfig.get_path("scripts"), "docker-credential-ecr")
)
if sys.platform == "win32":
    EXECUTABLE = EXECUTABLE.with_suffix(".exe")
# What Windows needs in each environment, for sockets among others.
OF_WINDOWS = ("COMSPEC", "PATHEXT", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP")
HOME = "HOME" if os.name == "posix" else "USERPROFILE"  # what says where it is
Stream = int | IO[bytes] | None

# Linux shares processors out among sessions first, each of which has a priority of its own.
GENTLY = '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec /usr/bin/nice -n 19 "$@"'

# Reached through the loopback as a proxy, under their own names and with a certificate for them.
REAL_ENDPOINTS = (
    "api.ecr.us-west-2.amazonaws.com",
    "api.ecr-fips.us-west-2.amazonaws.com",
    "ecr.us-west-2.api.aws",
    "ecr-fips.us-west-2.api.aws",
    "api.ecr-public.us-east-1.amazonaws.com",
    "api.ecr.cn-north-1.amazonaws.com.cn",
    "ecr.cn-north-1.api.amazonwebservices.com.cn",
    "api.ecr.eusc-de-east-1.amazonaws.eu",
    "api.ecr.us-iso-east-1.c2s.ic.gov",
    "api.ecr.us-isob-east-1.sc2s.sgov.gov",
    "api.ecr.eu-isoe-west-1.cloud.adc-e.uk",
    "api.ecr.us-isof-south-1.csp.hci.ic.gov",
)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests: its own certificate, and the loopback's with its key.

    All three are files in PEM.
    """

    bundle: str
    chain: str
    key: str


@dataclass(frozen=True)
class Result:
    """What a process left: exit status (negative: the signal that ended it) and both streams."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """Standard output as text, which has to be UTF-8."""
        return self.stdout.decode()

    @property
    def err(self) -> str:
        """Standard error as text, which has to be UTF-8."""
        return self.stderr.decode()

    @property
    def answer(self) -> dict[str, Any]:
        """Standard output as the one JSON object that a client of the protocol takes it for."""
        answer = json.loads(self.stdout)
        assert isinstance(answer, dict)
        return answer


class Helper:
    """The installed executable, run as Docker runs it, in an environment that holds what is named.

    `env` is that environment; a test may change it for itself. It points at the loopback AWS, with
    the keys of its default user. `home` is HOME and the working directory, `cache` the cache
    directory, which does not exist yet. `proxy` is what to add to the environment to reach the
    loopback as an HTTPS proxy, under AWS's own host names (REAL_ENDPOINTS).

    Where a method takes `env`, its variables are added for one run, and a value of None takes a
    variable away.
    """

    def __init__(self, home: Path, aws: Loopback, authority: Authority) -> None:
        self.home = home
        self.cache = home / "cache"
        self.executable = EXECUTABLE
        self.env: dict[str, str] = {
            **{name: os.environ[name] for name in OF_WINDOWS if name in os.environ},
            "PATH": SYSTEM_PATH,
            HOME: str(home),
            "AWS_ECR_CACHE_DIR": str(self.cache),
            "AWS_EC2_METADATA_DISABLED": "true",
            **aws.environment(with_keys=True),
        }
        if sys.platform == "win32":  # the user's own directory does not come from the environment
            self.env["AWS_ECR_CONFIG_FILE"] = str(home / "config.toml")
        self.proxy: dict[str, str | None] = {
            "AWS_ENDPOINT_URL": None,
            "HTTPS_PROXY": aws.url,
            "AWS_CA_BUNDLE": authority.bundle,
        }

    def popen(  # noqa: PLR0913 - one argument for each thing a caller decides
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        argv0: str | None = None,
        closed: Sequence[int] = (),
        cwd: Path | None = None,
        gently: bool = False,
        stdin: Stream = subprocess.PIPE,
        stdout: Stream = subprocess.PIPE,
        stderr: Stream = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start the executable, its streams unbuffered pipes unless they are named.

        It has a session of its own and so no terminal to ask on, wherever the tests are run.
        `argv0` is the name of a symbolic link to call it by, `closed` the standard streams (0, 1,
        2) that it finds closed. `gently` is for one of many: it has the lowest priority, so that
        tests beside it have the processor in time.
        """
        variables = {**self.env, **(env or {})}
        command = [str(self.executable if argv0 is None else self.link(argv0)), *arguments]
        if closed:
            check("POSIX")
            closing = " ".join(f"{number}>&-" for number in closed)
            command = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *command]
        if gently and os.name == "posix":
            command = ["/bin/sh", "-c", GENTLY, "sh", *command]
        return subprocess.Popen(  # the caller waits for it
            command,
            env={name: value for name, value in variables.items() if value is not None},
            cwd=cwd or self.home,
            bufsize=0,
            start_new_session=True,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def run(  # noqa: PLR0913 - as popen
        self,
        *arguments: str,
        stdin: bytes | None = b"",
        env: Mapping[str, str | None] | None = None,
        argv0: str | None = None,
        closed: Sequence[int] = (),
        cwd: Path | None = None,
        timeout: float = 60.0,
    ) -> Result:
        """Run the executable to its end; it is killed, and the test fails, after `timeout` seconds.

        `stdin` is fed to it; with None, its stdin is a pipe that stays open and empty.
        """
        with self.popen(*arguments, env=env, argv0=argv0, closed=closed, cwd=cwd) as process:
            return finish(process, stdin, timeout=timeout)

    def get(self, server_url: str, *, env: Mapping[str, str | None] | None = None) -> Result:
        """Run `get` as Docker does, for a server URL without a line ending."""
        return self.run("get", stdin=server_url.encode(), env=env)

    def store(
        self,
        server_url: str,
        username: str,
        secret: str,
        *,
        env: Mapping[str, str | None] | None = None,
    ) -> Result:
        """Run `store` as Docker does."""
        login = {"ServerURL": server_url, "Username": username, "Secret": secret}
        return self.run("store", stdin=json.dumps(login).encode(), env=env)

    def link(self, name: str) -> Path:
        """Return a symbolic link to the executable, in a directory beside `home`.

        On Windows it is a copy, for links are a privilege there.
        """
        link = self.home.with_name("links") / name
        link.parent.mkdir(exist_ok=True)
        if sys.platform == "win32":
            return Path(shutil.copy(self.executable, f"{link}.exe"))
        with contextlib.suppress(FileExistsError):
            link.symlink_to(self.executable)
        return link

    def files(self) -> list[str]:
        """Return all that is below `home`, directories too, as sorted relative paths."""
        return sorted(path.relative_to(self.home).as_posix() for path in self.home.rglob("*"))


def finish(
    process: subprocess.Popen[bytes], stdin: bytes | None = b"", timeout: float = 60.0
) -> Result:
    """Feed a process its stdin and return what it leaves; kill it after `timeout` seconds.

    With None as `stdin` the pipe is left open and empty, and what comes out has to be short.
    """
    try:
        if stdin is None:
            process.wait(timeout)
        stdout, stderr = process.communicate(stdin, timeout)
    except BaseException:
        end(process)
        raise
    return Result(process.returncode, stdout or b"", stderr or b"")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started as the tests start one, with all that it has started."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def assert_no_secret(result: Result, aws: Loopback, *, token_expected: bool = False) -> None:
    """Assert that neither stream names a secret: no secret key, session token or issued token.

    With `token_expected` an issued token may be on stdout, where it belongs.
    """
    secrets = {USER_SECRET, *aws.issued, *(key.secret for key in aws.keys.values())}
    secrets |= {key.session_token for key in aws.keys.values() if key.session_token}
    for secret in secrets:
        assert secret.encode() not in result.stderr
        assert secret.encode() not in result.stdout or (token_expected and secret in aws.issued)


def make_authority(directory: Path, *hosts: str) -> Authority:
    """Return a certificate authority that has vouched for the loopback and for REAL_ENDPOINTS.

    For `hosts`, too, if there are any.
    """
    bundle, chain, key = (str(directory / name) for name in ("ca.pem", "chain.pem", "key.pem"))
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", *REAL_ENDPOINTS, *hosts)
    ca.cert_pem.write_to_path(bundle)
    certificate.private_key_pem.write_to_path(key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    return Authority(bundle, chain, key)

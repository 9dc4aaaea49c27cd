"""The front door in C: the answer of the Python program, to the byte, or no answer of its own."""

import json
import math
import os
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecr_credential_helper import verbs
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import host_of
from ecr_credential_helper.system import paths
from ecr_credential_helper.system.environment import HARMLESS
from ecr_credential_helper.tokens import identity
from ecr_credential_helper.tokens.cache import Entry, Key, digest, encode
from tests.loopback import Loopback
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    PUBLIC,
    entry_files,
    rewrite,
    secret_of,
    spread_of,
    until,
)
from tests.support.helper import EXECUTABLE, Helper, Result

SOURCE = Path(__file__).parents[2] / "packaging" / "front"
CASES = int(os.environ.get("FRONT_CASES") or 5000)
FUZZ_SECONDS = int(os.environ.get("FRONT_FUZZ_SECONDS") or 5)
HAND_OVER = 0xFFFFFFFF
HARMLESS_NAMES = sorted(HARMLESS)
NOW = 1_800_000_000.0
CACHES = (*["c"] * 9, "c/", "c//", "d/e", "private/", "link", "link-to-private", "link-to-private/")
PATHS = (
    "AWS_CONFIG_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_ECR_CACHE_DIR",
    "AWS_ECR_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "BOTO_CONFIG",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
)

pytestmark = pytest.mark.needs("Linux", "cc", "make")


def build(directory: Path, target: str, program: Path | str = EXECUTABLE) -> Path:
    """Build a target of the front door's Makefile in `directory`, to hand over to `program`.

    Without a program ("") it starts the interpreter in its own directory.
    """
    out = directory / target
    command = ["make", "-s", "-C", str(SOURCE), f"OUT={directory}", f"PROGRAM={program}", str(out)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return out


# The same answer or none: generated cases, both in one process each


class HandOverError(Exception):
    """What the Python program does about a case is more than to read its cache."""


@dataclass
class Case:
    """One generated question: the environment it is asked in, the server URL, and when."""

    variables: dict[str, str]
    request: bytes
    now: float


class Front:
    """The harness: what the front door would answer."""

    def __init__(self, program: Path, cwd: Path) -> None:
        self.process = subprocess.Popen(
            [program], bufsize=0, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def answer(self, case: Case) -> bytes | None:
        """Return the answer to a case, None if it would be handed over."""
        assert self.process.stdin
        pairs = [os.fsencode(f"{name}={value}\0") for name, value in case.variables.items()]
        payload = b"".join(pairs) + case.request
        head = struct.pack("=IdI", len(payload), case.now, len(pairs))
        self.process.stdin.write(head + payload)
        (size,) = struct.unpack("=I", self._read(4))
        return None if size == HAND_OVER else self._read(size)

    def _read(self, size: int) -> bytes:
        assert self.process.stdout
        data = b""
        while len(data) < size:
            chunk = self.process.stdout.read(size - len(data))
            assert chunk, f"the harness ended with {self.process.wait()}"
            data += chunk
        return data


def careless_host(text: str) -> str:
    """Return what might pass for a host in a text that `host_of` makes nothing of."""
    host = text.partition("://")[2] or text
    host = host.partition("/")[0].partition(":")[0].rpartition("@")[2]
    return "".join(host.lower().removesuffix(".").split("\0"))


class World:
    """A home directory of its own, and generated cases in it."""

    def __init__(self, home: Path) -> None:
        self.random = random.Random(0)
        self.home = home
        self.entry_paths: list[Path] = []
        (home / ".aws").mkdir(parents=True)
        for name in (".aws/config", "other", "with space", "ümlaut"):
            (home / name).write_text("[default]\n")
        (home / "link").symlink_to(home / "other")
        (home / "private").mkdir(mode=0o700)
        (home / "link-to-private").symlink_to("private")
        (home / ".config" / "ecr-credential-helper").mkdir(parents=True)

    def chance(self, share: float) -> bool:
        """Return true so often."""
        return self.random.random() < share

    def one(self, *values: str) -> str:
        """Return one of the values."""
        return self.random.choice(values)

    def text(self) -> str:
        """Return a value that is hard to escape, to sort or to read."""
        letters = "abZ09-._:/=\\\n\t \"'$~üß☃\U0001f600\udcff\udc80\ufffd\ue000"
        return "".join(self.random.choices(letters, k=self.random.randrange(12)))

    def path(self) -> str:
        """Return what a variable that names a file or directory may hold."""
        home = str(self.home)
        return self.random.choice(
            (
                *(f"{home}/other", f"{home}/link", f"{home}/with space", f"{home}/ümlaut"),
                *("~/other", "~/.aws//config", "~", "~/", "relative", "./other", "/", "//"),
                *(f"{home}/missing", f"{home}/other/below", "/proc/self/mem/x", home, f"{home}/"),
                *("~nobody/x", "~root", "~~", "$HOME/other", "${HOME}", "$", "~/$HOME", "%HOME%"),
                *("", f"{home}/new\nline", f"{home}/back\\slash", f"{home}/\udcff", "x" * 5000),
                *(f"{home}/{'y' * 300}", self.text(), self.text(), f"{home}/{self.text()}"),
            )
        )

    def environment(self) -> dict[str, str]:
        """Return an environment as it may be, plain or odd."""
        home, variables = str(self.home), {}
        if self.chance(0.97):
            variables["HOME"] = home
        if self.chance(0.06):
            variables["HOME"] = self.one("", "/", "//", f"{home}/", f"{home}//", "relative", "~")
        for name in PATHS:
            if self.chance(0.06):
                variables[name] = self.path()
        if self.chance(0.6):
            variables["AWS_ECR_CACHE_DIR"] = f"{home}/{self.one(*CACHES)}"
        names = (
            *("AWS_PROFILE", "AWS_VAULT", "AWS_ACCESS_KEY_ID", "AWS_A", "AWS_B", "AWS_", "AWS"),
            *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PASSPHRASE", "AWS_XFILE", "AWS_É"),
            *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_FILE", "AWS__FILE", "AWS_SECRET_FILES", "AWSX"),
            *("AWS_PAGER", "AWS_PAGERS", "AWS_PAGE", "AWS_ECR_X", "AWS_ECR", "AWS_CLI_", "aws_a"),
            *("AWS_MAX_ATTEMPTS", "AWS_ECR_TIMEOUT", "AWS_ECR_LOG_FILES", "XAWS_A", "PATH"),
            *("AWS_BATCH_JOB_ID", "AWS_BATCH", "AWS_XRAY_A", "AWS_XRAY", "aws_region", "AWS_REGIO"),
            *self.random.sample(HARMLESS_NAMES, 8),
            *(name + self.one("S", "_", "_FILE") for name in self.random.sample(HARMLESS_NAMES, 4)),
        )
        for name in self.random.sample(names, self.random.randrange(8)):
            variables[name] = self.text() if self.chance(0.6) else self.one("", "x", "y")
        for name in ("AWS_ECR_DISABLE_CACHE", "AWS_ECR_LOG_FILE", "ANDROID_DATA"):
            if self.chance(0.02):
                variables[name] = self.one("", "", f"{home}/log", "1")
        shuffled = list(variables.items())
        self.random.shuffle(shuffled)
        return dict(shuffled)

    def server_url(self) -> bytes:
        """Return what a client may send, plain or odd."""
        host = self.one(HOST, HOST, OTHER_ACCOUNT, PUBLIC, "images.example.com", "a", "1.2.3.4")
        if self.chance(0.5):
            return self.one(host, host, f"https://{host}", f"{host}\n", f"{host}:443/v2/").encode()
        if self.chance(0.3):
            host = self.one(
                *(host.upper(), f"{host}.", f"{host}..", f".{host}", f"-{host}", f"{host}-"),
                *(host.replace(".", "..", 1), host.replace(".", "-.", 1), f"{host}_", f"{host}é"),
                *(f"{'l' * 63}.{host}", f"{'l' * 64}.{host}", f"u@{host}", f"u:p@{host}", ""),
                *(".".join(["l" * 60] * self.random.randrange(1, 6)), f"{host} ", f"{host}\\"),
                *("l." * 126 + "l", "l." * 126 + "ll", "l." * 127, "k" + host, "\u212a" + host),
            )
            if self.chance(0.5):
                return host.encode()
        port = self.one(
            "", "", "", "", ":443", ":0", ":65535", ":65536", ":", ":00443", ":000443", ":٣", ":1x"
        )
        path = self.one(
            "", "", "", "", "/", "/v1/", "/a:b@c", "/a b", "/://", '/"', "/ü", "?q", "#"
        )
        scheme = self.one("", "", "", "https://", "http://", "HTTPS://", "hTTp://", "ftp://", "://")
        before, after = (
            self.one("", "", "", " ", "\n", "\t"),
            self.one(
                *(
                    "",
                    "",
                    "",
                    "\n",
                    "\r\n",
                    "\r",
                    " ",
                    " \n",
                    "\n ",
                    "\n\n",
                    "\0",
                    "\nx",
                    "\x7f",
                    "\u2028",
                )
            ),
        )
        url = f"{before}{scheme}{host}{port}{path}{after}".encode()
        if self.chance(0.01):
            url += b"/" + b"p" * self.random.choice((65000, 65536, 70000))
        if self.chance(0.01):
            url = self.damaged(url)
        if self.chance(0.003):
            url = url[:5] + b"/" * (64 * 1024 - len(url) + self.random.randrange(-1, 2)) + url[5:]
        return url

    def damaged(self, data: bytes) -> bytes:
        """Return the bytes with one small thing changed."""
        place = self.random.randrange(len(data) + 1)
        match self.random.randrange(5):
            case 0:
                return data[:place]
            case 1:
                return data[:place] + self.random.randbytes(1) + data[place:]
            case 2:
                return data[:place] + data[place + 1 :]
            case 3:
                return data[:place] + data[place:].replace(b"\n", b"\r\n", 1)
        return data[:place] + self.random.randbytes(1) + data[place + 1 :]

    def times(self, key: Key, case: Case) -> tuple[int, int]:
        """Return when a token was issued and expires: all stages, and the edges between them.

        Often the case is moved to where the first stage ends, which the key decides: to exactly
        that moment, or to the nearest one before or after it that there is.
        """
        issued, life = int(NOW) - 60, LIFE
        if self.chance(0.4):
            shares = (0, 0.1, 0.3, 0.3, 0.49, 0.5, 0.51, 0.6, 0.625, 0.8, 0.875, 0.99, 1, 1.5)
            life = self.random.choice((43200, 43200, 3600, 121, 120, 119, 61, 0, -100))
            issued = int(NOW) - int(self.random.choice(shares) * life)
            issued += self.random.choice((0, 0, -1, 1, 60, -60))
        if self.chance(0.3):
            edge = issued + life - life * (4 - key.spread) / 8
            case.now = math.nextafter(edge, self.random.choice((-math.inf, edge, math.inf)))
        if self.chance(0.01):
            issued = self.random.choice((0, -5, 10**11, 10**12, 10**18, 10**25))
        return issued, issued + life

    def content(self, key: Key, case: Case) -> bytes:
        """Return the content of an entry, whole or not."""
        issued, expires = self.times(key, case)
        token = self.one(*["eyJ0b2tlbiI6MX0="] * 30, "", "a b", 'a"b', "a\\b", "x" * 3000, "a\x7f")
        source = self.one(*["env"] * 30, "", "assume-role", "a check b", "x\ty")
        content = encode(Entry(issued, expires, source, token), key.prefix)
        if self.chance(0.15):
            content = self.damaged(content)
        if self.chance(0.1):  # a form that is wrong under a check that is right
            body = content.rpartition(b"check ")[0]
            body = self.random.choice(
                (
                    self.damaged(body),
                    body.replace(b"issued ", b"issued 0"),
                    body.replace(b"issued ", b"issued +"),
                    body.replace(b"expires ", b"expires  "),
                    body.replace(b"\ntoken", b"\nextra line\ntoken"),
                    body.replace(b"issued 1", b"issued 1_"),
                    body.replace(b"source", b"Source"),
                    body + b"\n",
                    body.replace(b"token ", b"token \xc3\xbc"),
                    body.replace(b"cache 1\n", b"cache 2\n"),
                )
            )
            content = b"%scheck %s\n" % (body, digest(body).encode())
        if self.chance(0.02):
            content = self.random.choice((b"", content * 2, content + b"\0", content + b"\n"))
        return content

    def furnish(self, case: Case) -> None:
        """Write an entry where a case will look for it, and perhaps spoil the place."""
        self.tidy()
        text = case.request.decode("utf-8", "replace").strip()
        # Where the server URL names no host there is an entry to be had for a careless reader.
        host = host_of(text) or careless_host(text)
        try:
            directory = Path(os.path.abspath(paths.cache_directory()))
        except (RuntimeError, ValueError):
            return
        if not host or len(host.encode()) > 240 or self.home not in directory.parents:
            return
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
            key = Key(host, identity.current())
            file = directory / key.name
            file.touch(mode=0o600)
            file.write_bytes(self.content(key, case))
        except OSError:
            return
        self.entry_paths = [file]
        if self.chance(0.15):
            self.spoil(directory, file, key, case)

    def spoil(  # noqa: C901 - a list
        self, directory: Path, file: Path, key: Key, case: Case
    ) -> None:
        """Make the entry one that must not be used, in one of many ways."""
        other = self.home / "elsewhere"
        other.unlink(missing_ok=True)
        self.entry_paths.append(other)
        match self.random.randrange(11):
            case 0:
                file.chmod(self.random.choice((0o640, 0o604, 0o660, 0o610, 0o400, 0o700, 0o4600)))
            case 1:
                directory.chmod(self.random.choice((0o750, 0o701, 0o755, 0o500, 0o1700)))
            case 2:
                file.rename(other)
                file.symlink_to(other)
            case 3:
                file.unlink()
                os.mkfifo(file, 0o600)
            case 4:
                file.unlink()
                file.mkdir(mode=0o700)
            case 5 if os.geteuid() == 0:
                os.chown(file, 12345, -1)
            case 6 if os.geteuid() == 0:
                os.chown(directory, 12345, -1)
            case 7:
                file.write_bytes(file.read_bytes().ljust(256 * 1024 + self.random.randrange(2)))
            case 8:
                os.link(file, other)
            case 9:  # an entry of another identity under this one's name
                other_key = Key(key.subject, b"machine other -\n")
                file.write_bytes(self.content(other_key, case))
            case _:
                file.rename(other)

    def tidy(self) -> None:
        """Take away what the last case left."""
        for path in self.entry_paths:
            if path.parent != self.home and path.parent.is_dir() and os.geteuid() != 0:
                path.parent.chmod(0o700)  # only root needs no permission to empty it
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
            if path.parent != self.home and path.parent.is_dir() and os.geteuid() == 0:
                os.chown(path.parent, 0, -1)
        self.entry_paths = []

    def disturb(self, case: Case) -> None:
        """Change something between the writing of the entry and the question."""
        match self.random.randrange(4):
            case 0:
                (self.home / ".aws" / "config").write_text(f"# {self.random.random()}\n")
            case 1:
                os.utime(self.home / "other", ns=(1, self.random.randrange(2**60)))
            case 2:
                case.variables["AWS_PROFILE"] = self.text()
            case 3:
                case.request = self.server_url()

    def case(self) -> Case:
        """Return the next case."""
        now = NOW + self.random.choice((0, 0, 0.25, 0.5, 0.999999))
        return Case(self.environment(), self.server_url(), now)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the harness, built with the sanitizers of addresses and undefined behaviour."""
    return build(tmp_path_factory.mktemp("harness"), "harness")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a home directory, which is the working directory too."""
    world = World(tmp_path / "home")
    monkeypatch.chdir(world.home)
    return world


@pytest.fixture
def front(harness: Path, world: World) -> Iterator[Front]:
    """Return the front door, started in the home directory."""
    front = Front(harness, world.home)
    assert front.process.stdin
    with front.process:
        yield front
        front.process.stdin.close()
        assert front.process.wait() == 0


def python_answer(case: Case) -> bytes | None:
    """Return what the Python program answers to a case from its cache, None if it does more."""
    told: list[str] = []
    try:
        context = Context(lambda: case.now, told.append)
        answer = verbs.get(case.request, context).encode()
    except (HandOverError, HelperError):
        return None
    return None if told else answer


def enter(variables: Mapping[str, str]) -> None:
    """Make the environment of this process that of a case."""
    os.environ.clear()
    os.environ.update(variables)


@pytest.fixture
def _python_reads_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the Python program where the front door would call it; keep the environment."""

    def hand_over(*_: object) -> Entry:
        raise HandOverError

    monkeypatch.setattr(verbs, "_renewed", hand_over)
    monkeypatch.setattr(verbs, "_refresh", hand_over)
    before = dict(os.environ)
    yield
    enter(before)


def noted(file: Path) -> int | None:
    """Return the time of access that was set: a whole second; the kernel's own has a fraction."""
    status = file.lstat() if os.path.lexists(file) else None
    return status.st_atime_ns // 10**9 if status and status.st_atime_ns % 10**9 == 0 else None


def used_before(case: Case, files: list[Path], seconds: float) -> None:
    """Make an entry one that was last used so many seconds before it is asked for."""
    for file in files[:1]:
        if file.is_file() and not file.is_symlink():
            used = int(case.now - seconds) * 10**9 + 1
            os.utime(file, ns=(used, file.stat().st_mtime_ns))


def is_odd(case: Case, answer: bytes, entry: bytes) -> bool:
    """Whether a case that the Python program answers has something in it that it is left to."""
    values = [case.variables.get(name, "") for name in PATHS]
    away = [value for value in values if value.startswith("~") and value[1:2] not in ("", "/")]
    ways = away or any("$" in value or len(value) > 255 for value in values)
    url = (
        answer.decode().partition('","Username":"AWS","Secret":"')[0].removeprefix('{"ServerURL":"')
    )
    fields = entry.partition(b"\n\n")[2].decode().replace("\n", "")
    plain = all(text.isascii() and text.isprintable() and '"' not in text for text in (url, fields))
    empty = b"\ntoken \n" in entry or "\\" in fields
    home = case.variables.get("HOME", "").startswith("/")
    return bool(ways) or not plain or empty or not home or "ANDROID_DATA" in case.variables


@pytest.mark.usefixtures("_python_reads_only")
@pytest.mark.parametrize("seed", range(4))
def test_the_same_answer_or_none(front: Front, world: World, seed: int) -> None:
    """For generated environments, server URLs and entries there is no other answer.

    And wherever the Python program answers from its cache a question without anything odd in it,
    so does the front door. The use of the entry is noted by both alike.
    """
    world.random.seed(seed)
    answered = left = 0
    for _ in range(CASES // 4):
        case = world.case()
        enter(case.variables)
        world.furnish(case)
        if world.chance(0.08):
            world.disturb(case)
            enter(case.variables)
        ago = world.random.choice((0, 3598, 3603, -3598, -3603, 1e6, -1e6))
        used_before(case, world.entry_paths, ago)
        ours = front.answer(case)
        ours_noted = [noted(file) for file in world.entry_paths]
        used_before(case, world.entry_paths, ago)
        theirs = None if case.variables.get("AWS_ECR_LOG_FILE") else python_answer(case)
        assert ours in (None, theirs), (case, ours, theirs)
        theirs_noted = [noted(file) for file in world.entry_paths if ours is not None]
        assert ours_noted == (theirs_noted or [None] * len(ours_noted)), (case, ago)
        if theirs is not None:
            answered += 1
            left += ours is None
            assert ours is not None or is_odd(case, theirs, world.entry_paths[0].read_bytes()), (
                case,
                theirs,
            )
    assert answered > CASES / 4 / 10
    assert left < answered / 2


# Whole processes

TELLER = r"""
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int c;
    for (int i = 0; i < argc; i++)
        printf("%s\n", argv[i]);
    for (char **pair = environ; *pair; pair++)
        printf("%s\n", *pair);
    printf("\n");
    while ((c = getchar()) != EOF)
        putchar(c);
    return 7;
}
"""


@dataclass(frozen=True)
class Fronts:
    """Front doors with different programs behind them.

    `python` has the installed executable, `alone` none, `teller` the directory of the packages, in
    which the loader is a program that tells how it was started, `sanitized` the installed
    executable too, and sanitizers.
    """

    python: Path
    alone: Path
    teller: Path
    sanitized: Path


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Fronts:
    """Build the front doors."""
    directory = tmp_path_factory.mktemp("fronts")
    loader = directory / "teller" / "program" / "docker-credential-ecr"
    loader.parent.mkdir(parents=True)
    command = ["cc", "-D_GNU_SOURCE", "-x", "c", "-o", str(loader), "-"]
    subprocess.run(command, input=TELLER.encode(), check=True)
    built = []
    for name, target, program in (
        ("python", "docker-credential-ecr", EXECUTABLE),
        ("alone", "docker-credential-ecr", directory / "missing"),
        ("teller", "docker-credential-ecr", ""),
        ("sanitized", "sanitized", EXECUTABLE),
    ):
        (directory / name).mkdir(exist_ok=True)
        file = build(directory / name, target, program)
        built.append(file.rename(file.with_name("docker-credential-ecr")))
    return Fronts(*built)


@pytest.fixture
def warm(helper: Helper) -> Helper:
    """Return the helper with a token for HOST in its cache."""
    assert secret_of(helper.get(HOST).answer)
    return helper


@pytest.mark.parametrize(
    "server_url", [HOST, f"https://{HOST}", f"HTTP://{HOST.upper()}.:443/v2/ a", f" {HOST} \r\n"]
)
def test_a_warm_get_needs_no_python(warm: Helper, fronts: Fronts, server_url: str) -> None:
    """The answer is that of the Python program to the byte, and nothing is left behind."""
    expected = warm.get(server_url)
    before = warm.files()
    warm.executable = fronts.alone
    assert warm.get(server_url) == expected
    assert expected.answer["ServerURL"] == server_url.strip()
    warm.executable = fronts.sanitized
    assert warm.get(server_url) == expected
    assert warm.files() == before


def test_a_request_of_bazels_is_handed_over(warm: Helper, fronts: Fronts) -> None:
    """However it is spelled, and though there is a token for its host."""
    uri = f"https://{HOST}/v2/"
    spellings = f'{{"uri":"{uri}"}}', f' {{ "uri": "{HOST}" }}\n', f"\t\n{{{HOST}}}", "{}", "{"
    for text in spellings:
        expected = warm.get(text)
        warm.executable = fronts.alone
        assert warm.get(text).stdout.startswith(SORRY)
        warm.executable = fronts.sanitized
        assert warm.get(text) == expected
        warm.executable = fronts.python
        assert warm.get(text) == expected
    assert warm.get(spellings[0]).answer["headers"]["Authorization"]


@pytest.mark.parametrize("hours", [0.9, 1.1, 9, -0.9, -1.1, -1e5])
def test_the_use_of_an_entry_is_noted(warm: Helper, fronts: Fronts, hours: float) -> None:
    """In its time of access, at most once an hour; nothing else of the file is changed."""
    (file,) = entry_files(warm.cache, HOST)
    written, before = time.time_ns() - int(5e9), file.read_bytes()
    for front in (fronts.alone, fronts.sanitized):
        warm.executable = front
        os.utime(file, ns=(int((time.time() - hours * 3600) * 1e9) | 1, written))
        assert secret_of(warm.get(HOST).answer)
        set_to = noted(file)
        assert (set_to is not None) is (abs(hours) > 1)
        assert set_to is None or abs(set_to - time.time()) < 60
        assert file.stat().st_mtime_ns == written
        assert file.read_bytes() == before


def test_what_it_does_not_serve_it_does_not_note(warm: Helper, fronts: Fronts) -> None:
    """A token that is left to the Python program is not one that was used."""
    rewrite(warm.cache, age=0.7 * LIFE)
    (file,) = entry_files(warm.cache, HOST)
    os.utime(file, ns=(1, file.stat().st_mtime_ns))
    assert refusal(warm, fronts, {}).stdout.startswith(SORRY)
    assert noted(file) is None


def test_the_places_of_the_defaults_are_the_same(helper: Helper, fronts: Fronts) -> None:
    """With every variable unset but HOME, and with a tilde, the cache is found."""
    python, env = helper.executable, {"AWS_ECR_CACHE_DIR": None}
    for more in ({}, {"XDG_CACHE_HOME": str(helper.home / "x")}, {"AWS_ECR_CACHE_DIR": "~/y/"}):
        helper.executable = python
        cold = helper.get(HOST, env={**env, **more})
        helper.executable = fronts.alone
        assert helper.get(HOST, env={**env, **more}) == cold


def refusal(helper: Helper, fronts: Fronts, env: dict[str, str | None]) -> Result:
    """Ask a front door without a program behind it, which has to want it."""
    helper.executable = fronts.alone
    return helper.get(HOST, env=env)


SORRY = b"docker-credential-ecr: its interpreter cannot be started: "


@pytest.mark.parametrize(
    "env",
    [
        {"AWS_ECR_DISABLE_CACHE": "1"},
        {"AWS_ECR_LOG_FILE": "log"},
        {"HOME": None},
        {"HOME": ""},
        {"HOME": "relative"},
        {"AWS_PROFILE": "other"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_REGIONS": "eu-west-2"},
        {"AWS_BATCH": "1"},
        {"AWS_CONFIG_FILE": "$HOME/.aws/config"},
        {"AWS_CONFIG_FILE": "~root/config"},
        {"AWS_ECR_CACHE_DIR": "elsewhere"},
        {"ANDROID_DATA": ""},
    ],
)
def test_where_it_is_not_sure_it_gives_no_answer(
    warm: Helper, fronts: Fronts, env: dict[str, str | None]
) -> None:
    """Another identity, another place, or a variable that it does not know its way with."""
    result = refusal(warm, fronts, env)
    assert (result.status, result.stderr) == (1, b"")
    assert result.stdout.startswith(SORRY)
    assert result.stdout.endswith(
        b"/missing: No such file or directory; install all of its directory\n"
    )
    assert refusal(warm, fronts, {}).status == 0


@pytest.mark.parametrize("share", [-0.1, 0.63, 0.9, 0.9999, 1.1])
def test_what_is_not_fresh_is_not_for_it(warm: Helper, fronts: Fronts, share: float) -> None:
    """A token past five eighths of its life, or its end, or from the future is for the Python."""
    rewrite(warm.cache, age=share * LIFE)
    assert refusal(warm, fronts, {}).stdout.startswith(SORRY)
    rewrite(warm.cache, age=0.49 * LIFE)
    assert secret_of(refusal(warm, fronts, {}).answer)


def test_the_key_decides_how_long_a_token_is_fresh(warm: Helper, fronts: Fronts) -> None:
    """It is served a minute before the moment that the entry's name tells, not a minute after."""
    (file,) = entry_files(warm.cache, HOST)
    end = LIFE * (4 + spread_of(file.name)) / 8
    rewrite(warm.cache, age=end - 60)
    assert secret_of(refusal(warm, fronts, {}).answer)
    rewrite(warm.cache, age=end + 60)
    assert refusal(warm, fronts, {}).stdout.startswith(SORRY)


def test_the_home_of_another_user_is_not_guessed(helper: Helper, fronts: Fronts) -> None:
    """A tilde with a name behind it is not HOME with the name behind it."""
    assert helper.get(HOST, env={"AWS_ECR_CACHE_DIR": f"{helper.home}x"}).status == 0
    assert refusal(helper, fronts, {"AWS_ECR_CACHE_DIR": f"{helper.home}x"}).status == 0
    assert refusal(helper, fronts, {"AWS_ECR_CACHE_DIR": "~x"}).stdout.startswith(SORRY)


def chmod(path: Path, mode: int) -> None:
    """Change a mode."""
    path.chmod(mode)


def link(path: Path) -> None:
    """Put a symbolic link to the path in its place."""
    path.symlink_to(path.rename(path.with_name("moved")))


@pytest.mark.parametrize("which", ["file", "directory"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: chmod(path, 0o740),
        lambda path: chmod(path, 0o704),
        link,
        pytest.param(
            lambda path: os.chown(path, 65534, -1),
            marks=pytest.mark.needs("root"),
        ),
    ],
)
def test_what_others_can_reach_is_not_used(
    warm: Helper, fronts: Fronts, which: str, spoil: Callable[[Path], None]
) -> None:
    """A cache that others may read, that others own, or behind a link is a hand-over."""
    (file,) = entry_files(warm.cache, HOST)
    spoil(file if which == "file" else warm.cache)
    assert refusal(warm, fronts, {}).stdout.startswith(SORRY)


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["store"], ["erase"], ["list"], ["version"], ["--help"], ["get", "x"], ["GET"]),
        *(["get-login-password", "--region", "x"], ["-"], ["get"]),
    ],
)
def test_everything_else_is_handed_over_unchanged(
    helper: Helper, fronts: Fronts, arguments: list[str]
) -> None:
    """Name, arguments, environment and stdin reach the program; its status is the front door's."""
    helper.executable = fronts.teller
    for name in ("docker-credential-ecr-login", None):
        called = str(fronts.teller if name is None else helper.link(name))
        result = helper.run(*arguments, stdin=b"some\0thing\xff", argv0=name)
        head, _, stdin = result.stdout.partition(b"\n\n")
        variables = [f"{key}={value}" for key, value in helper.env.items()]
        variables.append("LC_ALL=C")
        assert head.decode().split("\n") == [*started(fronts, called), *arguments, *variables]
        assert (stdin, result.status, result.stderr) == (b"some\0thing\xff", 7, b"")


def started(fronts: Fronts, called: str) -> list[str]:
    """Return how the interpreter in the directory of `fronts.teller` is started, by a name."""
    program = f"{fronts.teller.parent}/program"
    loader = [called, "--inhibit-cache", "--library-path", "$ORIGIN/lib"]
    return [*loader, f"{program}/python3", "-I", "-X", "utf8", f"{program}/start.pyc", called]


def test_what_would_steer_the_loader_is_hidden(helper: Helper, fronts: Fronts) -> None:
    """And nothing else; the start of the program makes the names right again."""
    helper.executable = fronts.teller
    hidden = {"LD_PRELOAD": "a", "LD_": "", "LD_AUDIT": "b=c", "GLIBC_TUNABLES": "d", "LC_ALL": "e"}
    plain = {"LDX": "f", "PYTHONHOME": "g", "LC_CTYPE": "h", "LANG": "i", "GLIBC_TUNABLE": "j"}
    result = helper.run("list", env={**hidden, **plain})
    seen = dict(
        line.split("=", 1) for line in result.out.split("\n\n")[0].split("\n") if "=" in line
    )
    assert "LC_ALL" in seen
    assert seen.pop("LC_ALL") == "C"
    changed = {chr(ord(name[0]) & 0x1F) + name[1:]: text for name, text in hidden.items()}
    assert seen == {**helper.env, **changed, **plain}


FORBIDDEN = (
    "is its file system mounted with noexec, "
    "or do SELinux, fapolicyd or a seccomp profile forbid it?"
)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (None, "No such file or directory; install all of its directory"),
        (0o644, f"Permission denied; {FORBIDDEN}"),
    ],
)
def test_a_directory_that_cannot_start_says_so(
    helper: Helper, fronts: Fronts, tmp_path: Path, mode: int | None, said: str
) -> None:
    """On stdout, as in the protocol, with what the kernel said of it."""
    helper.executable = Path(shutil.copy(fronts.teller, tmp_path))
    loader = tmp_path / "program" / "docker-credential-ecr"
    if mode is not None:
        loader.parent.mkdir()
        loader.write_bytes(b"")
        loader.chmod(mode)
    expected = f"docker-credential-ecr: its interpreter cannot be started: {loader}: {said}\n"
    assert helper.run("list") == Result(1, expected.encode(), b"")


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65535, 65536, 65537, 65538, 300_000])
def test_stdin_is_handed_over_whole(helper: Helper, fronts: Fronts, size: int) -> None:
    """All that a server URL can be, and one byte more, which is as much as Python looks at."""
    helper.executable = fronts.teller
    request = random.Random(size).randbytes(size)
    result = helper.run("get", stdin=request)
    assert result.stdout.partition(b"\n\n")[2] == request[: 64 * 1024 + 1]


@pytest.mark.parametrize(
    "request_of", [lambda: HOST + "/" + "p" * 65000, lambda: "x" * 65536 + HOST, lambda: ""]
)
def test_long_and_empty_requests_have_the_same_answer(
    helper: Helper, fronts: Fronts, request_of: Callable[[], str]
) -> None:
    """A request that needs more than one read is answered as by the Python program."""
    expected = helper.get(request_of())
    for front in (fronts.python, fronts.sanitized):
        helper.executable = front
        assert helper.get(request_of()) == expected


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), (1, 2)])
def test_closed_streams_are_left_to_the_program(
    warm: Helper, fronts: Fronts, closed: tuple[int, ...]
) -> None:
    """No file that the front door opens takes the place of a stream."""
    expected = warm.run("get", stdin=HOST.encode(), closed=closed)
    for front in (fronts.python, fronts.sanitized):
        warm.executable = front
        assert warm.run("get", stdin=HOST.encode(), closed=closed) == expected


def test_half_a_request_is_none(warm: Helper, fronts: Fronts) -> None:
    """Where stdin does not block and has only a half so far, the rest is waited for."""
    warm.executable = fronts.python
    for beginning, rest in ((b"", HOST), (HOST[:20].encode(), HOST[20:])):
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.write(writing, beginning)
        with warm.popen("get", stdin=reading) as process:
            time.sleep(0.2)
            os.write(writing, rest.encode())
            os.close(reading)
            os.close(writing)
            stdout, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert json.loads(stdout)["ServerURL"] == HOST


def test_a_reader_that_went_away_is_no_success(warm: Helper, fronts: Fronts) -> None:
    """An answer that nobody takes ends with status 1, not by a signal."""
    warm.executable = fronts.alone
    reading, writing = os.pipe()
    os.close(reading)
    with warm.popen("get", stdout=writing) as process:
        os.close(writing)
        process.communicate(HOST.encode(), timeout=60)
    assert process.returncode == 1


def test_the_interpreter_is_found_from_the_executable(
    helper: Helper, tmp_path: Path, fronts: Fronts
) -> None:
    """It starts in the directory that the front door is in, wherever that is and however called."""
    moved = tmp_path / "a $ORIGIN; moved"
    shutil.copytree(fronts.teller.parent, moved)
    helper.executable = moved / fronts.teller.name
    assert helper.run("list").status == 7
    for relative in (
        "a $ORIGIN; moved/docker-credential-ecr",
        "./a $ORIGIN; moved/../a $ORIGIN; moved/docker-credential-ecr",
    ):
        assert subprocess.run([relative, "list"], cwd=tmp_path, check=False).returncode == 7
    assert helper.run("list", argv0="docker-credential-ecr-login").status == 7
    found = subprocess.run(
        ["docker-credential-ecr", "list"],
        env={"PATH": str(moved)},
        capture_output=True,
        check=False,
    )
    assert found.returncode == 7


def test_all_verbs_go_through_it(helper: Helper, aws: Loopback, fronts: Fronts) -> None:
    """A life with the front door: cold, warm, listed, aging, refreshed, erased."""
    helper.executable = fronts.python
    first = secret_of(helper.get(HOST).answer)
    assert secret_of(helper.get(HOST).answer) == first
    assert helper.run("list").answer == {f"https://{HOST}": "AWS"}
    assert aws.count("ecr") == 1
    rewrite(helper.cache, age=LIFE * 0.7)
    assert secret_of(helper.get(HOST).answer) == first
    until(lambda: aws.count("ecr") == 2 and secret_of(helper.get(HOST).answer) != first)
    assert helper.run("erase", stdin=HOST.encode()) == Result(0, b"", b"")
    assert helper.run("list").answer == {}
    assert helper.store(HOST, "AWS", "token").status == 0
    assert helper.get("example.com").stdout == b"credentials not found in native keychain\n"


@pytest.mark.needs("readelf")
def test_it_is_hardened_and_complete_in_itself(fronts: Fronts) -> None:
    """It needs no library, loads anywhere, and keeps what is data from being code."""
    command = ["readelf", "-W", "-h", "-l", "-d", str(fronts.alone)]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "DYN (" in text
    assert "GNU_RELRO" in text
    assert "BIND_NOW" in text or "NOW" in text
    assert "(NEEDED)" not in text
    assert "INTERP" not in text
    (stack,) = [line for line in text.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack


@pytest.mark.needs("clang")
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """libFuzzer, for as long as it is told to, from three good beginnings."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(
        (
            b"\x01issued 100\nexpires 500\nsource env\ntoken eyJ=\n",
            b"https://%s:443/a\n" % HOST.encode(),
            b"CONFIG_FILE=~/x",
        )
    ):
        (corpus / str(number)).write_bytes(seed)
    fuzzer = build(tmp_path, "fuzzer")
    command = [str(fuzzer), f"-max_total_time={FUZZ_SECONDS}", "-max_len=5000", str(corpus)]
    subprocess.run(command, check=True, cwd=tmp_path)

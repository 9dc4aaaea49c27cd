"""Users of real clients, and the calls of the helper that those clients make."""

import base64
import hashlib
import json
import re
import secrets
import shlex
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import CompletedProcess

from tests.loopback import ACCOUNT, USER_SECRET, Fault, Loopback
from tests.support.needs import SYSTEM_PATH, lacking

from .rig import HUB, PRIVATE, PUBLIC, Rig
from .users import User

NODE = Path(__file__).parent / "node"

# Docker Hub's key in config.json.
HUB_KEY = "https://index.docker.io/v1/"

FAILURES = ("SSO session expired", "denied", "no credentials")

SSO_PROFILE = f"""\
[default]
region = eu-west-1
sso_session = corp
sso_account_id = {ACCOUNT}
sso_role_name = Pull
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
"""

# Writes down verb and stdin of each call, then lets the helper answer. One write is one line.
RECORDER = """\
#!/bin/sh
input=$(mktemp -p {home})
cat > "$input"
line="$1 $(od -An -v -tx1 < "$input" | tr -d ' \\n')"
echo "$line" >> {home}/calls
exec < "$input"
rm "$input"
exec {helper} "$@"
"""


class ClientUser(User):
    """Somebody with AWS credentials and an empty cache, whose calls of the helper are recorded."""

    def __init__(
        self,
        rig: Rig,
        cli: str,
        aws: Loopback,
        record: Callable[[str, object], None],
        *,
        with_keys: bool = True,
    ) -> None:
        super().__init__(rig, cli, aws.environment(with_keys=with_keys))
        self.aws = aws
        self.record = record
        recorder = self.home / "bin" / "docker-credential-ecr"
        recorder.parent.mkdir()
        (self.home / "run").mkdir()
        self.helper = rig.programs / "docker-credential-ecr"
        helper = shlex.quote(str(self.helper))
        recorder.write_text(RECORDER.format(home=self.home, helper=helper))
        recorder.chmod(0o755)
        self.variables |= {
            "PATH": f"{recorder.parent}:{SYSTEM_PATH}",
            "DOCKER_HOST": f"unix://{rig.directory}/docker.sock",
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "SSL_CERT_FILE": str(rig.certificates()),
            "REQUESTS_CA_BUNDLE": str(rig.certificates()),
            "NODE_EXTRA_CA_CERTS": str(rig.certificates()),
            "TESTCONTAINERS_RYUK_DISABLED": "true",
            "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
            "DOCKER_BUILDKIT": "0",
        }

    def use_store(self) -> bytes:
        """Write a config.json that names the helper as its credsStore, and return its bytes."""
        self.config.write_text(json.dumps({"credsStore": "ecr"}))
        return self.config.read_bytes()

    def use(self, found: str, host: str = PRIVATE) -> bytes:
        """Write the config.json in which the helper is `found`, for one registry."""
        return self.use_store() if found == "credsStore" else self.use_helper(host)

    def let_fail(self, failure: str) -> None:
        """Make the helper fail for this user in one of the ways in FAILURES, and keep a log."""
        self.variables["AWS_ECR_LOG_FILE"] = str(self.home / "helper.log")
        if failure == "denied":
            self.aws.faults = {"ecr": Fault("denied")}
            return
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.variables.pop(name, None)
        if failure == "SSO session expired":
            cached = {"accessToken": "expired", "expiresAt": "2026-01-01T00:00:00Z"}
            session = self.home / ".aws/sso/cache" / f"{hashlib.sha1(b'corp').hexdigest()}.json"
            session.parent.mkdir(parents=True)
            session.write_text(json.dumps(cached))
            (self.home / ".aws/config").write_text(SSO_PROFILE)

    def cause(self, host: str = PRIVATE) -> str:
        """Return why the helper has no login for a host, in the words it has for a person."""
        done = self.run(self.helper, "get", stdin=host, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        [cause] = [line for line in lines if line.startswith("docker-credential-ecr: ")]
        return cause.removeprefix("docker-credential-ecr: ")

    def sees(self, failure: str, done: CompletedProcess[str]) -> str:
        """Put down what a client shows of a failing helper; return it.

        CAUSE stands for the helper's own line, if it is there as a whole (a client may break it),
        and HINT for the line that says what to do. Of the client's lines, those around them and
        the last are kept. Whatever a client shows, the helper's log has the cause.
        """
        assert_no_secret(self, done)
        log = (self.home / "helper.log").read_text()  # before this asks the helper itself
        cause = self.cause()
        assert cause in log
        pattern = re.escape(cause).replace(r"\ ", r"\s+")
        screen = _plain(f"{done.stdout}\n{done.stderr}".replace(str(self.home), "HOME"))
        screen = re.sub(rf"(?:docker-credential-ecr: )?{pattern}", "CAUSE", screen)
        screen = re.sub(r"hint: .*?(?= \(CAUSE\)|$)", "HINT", screen, flags=re.MULTILINE)
        lines = [line.strip() for line in screen.splitlines() if re.search(r"\w", line)]
        ours = [line for line in lines if re.search("CAUSE|HINT", line)]
        theirs = [line for line in lines if line not in ours]
        words = " ⏎ ".join(_shortened(line) for line in dict.fromkeys(ours + theirs[-1:]))
        self.record("sees", [failure, words])
        return words

    def calls(self) -> list[tuple[str, str]]:
        """Return verb and stdin of each call of the helper until now, in order."""
        record = self.home / "calls"
        if not record.exists():
            return []
        lines = (line.partition(" ") for line in record.read_text().splitlines())
        return [(verb, bytes.fromhex(data).decode()) for verb, _, data in lines]

    def habits(self) -> list[str]:
        """Return what the client says to the helper: each verb with its words for the host."""
        said = [f"{verb} {_shortened(data)}" if data else verb for verb, data in self.calls()]
        return list(dict.fromkeys(said))

    def asked(self) -> set[str]:
        """Return what was sent to `get`: the client's words for the registry."""
        return {data for verb, data in self.calls() if verb == "get"}

    def erased(self) -> list[str]:
        """Return what was sent to `erase`, in order."""
        return [data for verb, data in self.calls() if verb == "erase"]

    def cached(self) -> list[str]:
        """Return what the helper says it has at hand."""
        return list(json.loads(self.run(self.helper, "list").stdout))

    def python(self, code: str, *words: str | Path, check: bool = True) -> CompletedProcess[str]:
        """Run a program in the Python that runs this, which has the clients from PyPI."""
        return self.run(sys.executable, "-W", "ignore", "-c", code, *words, check=check)

    def node(self, script: str, *words: str | Path) -> CompletedProcess[str]:
        """Run one of the programs beside the clients from npm."""
        return self.run("node", NODE / script, *words)

    def files_with(self, secret: str) -> list[Path]:
        """Return the files of this user that hold a secret, but for the cache."""
        return [
            path
            for path in self.home.rglob("*")
            if path.is_file() and "/.cache/" not in str(path)
            if secret.encode() in path.read_bytes()
        ]


def _shortened(data: str) -> str:
    """Return what was sent to the helper, without secrets and with HOST for a registry."""
    if data.startswith("{"):
        said = json.loads(data)
        data = said["image"] if "image" in said else said["ServerURL"]
    data = _plain(data)
    for host in (PRIVATE, PUBLIC, HUB):
        data = data.replace(host, "HOST")
    return data.replace("\n", "\\n")


def _plain(screen: str) -> str:
    """Return what is on a screen, without colours, the time and the name of an image."""
    for found, instead in (
        (r"\x1b\[[0-9;]*[A-Za-z]", ""),
        (r"time=\S+ ", ""),
        (r"\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d\S* ", ""),
        (r"(?:\b|(?<=%2F))(?:seed|team)(?:/|%2F)[-.\w]+(?::\d+|@sha256:\w+)?", "IMAGE"),
    ):
        screen = re.sub(found, instead, screen)
    return screen


class Seed:
    """An image that is in a registry and nowhere else."""

    def __init__(self, user: User, host: str = PRIVATE) -> None:
        self.host = host
        self.image = f"{host}/seed/app-{secrets.token_hex(4)}:1"
        user.use_helper(host)
        self.id = user.build(self.image, "seed")
        user.docker("push", self.image)
        user.docker("rmi", self.image)


def from_image(user: User, image: str) -> Path:
    """Make a build context whose image is `image` and a file more."""
    context = user.rig.context("more")
    (context / "Dockerfile").write_text(f"FROM {image}\nCOPY note /more\n")
    return context


def distribution(name: str) -> str:
    """Return the version of a distribution from PyPI, or skip the test."""
    try:
        return version(name)
    except PackageNotFoundError:
        lacking(f"missing: {name} (pip install the extra `e2e`)")


def package(name: str) -> str:
    """Return the version of a package from npm, or skip the test."""
    try:
        described = (NODE / "node_modules" / name / "package.json").read_text()
    except FileNotFoundError:
        lacking(f"missing: {name} (npm ci --prefix tests/e2e/node)")
    text: str = json.loads(described)["version"]
    return text


def encoded(token: str) -> str:
    """Return a token as config.json would hold it: Docker's base64 of user and password."""
    return base64.b64encode(f"AWS:{token}".encode()).decode()


def go_module(name: str) -> str:
    """Return the version of a Go module that go.mod pins."""
    pinned = (Path(__file__).parent / "go" / "go.mod").read_text()
    [version] = re.findall(
        rf"^(?:require )?\s*{re.escape(name)} v(\S+?)(?:\+\S+)?(?: //.*)?$", pinned, re.MULTILINE
    )
    return str(version)


def assert_no_secret(user: ClientUser, *done: CompletedProcess[str]) -> None:
    """Hold that nothing a user saw is a token or a secret key."""
    shown = "".join(each.stdout + each.stderr for each in done)
    assert not [secret for secret in (USER_SECRET, *user.aws.issued) if secret in shown]


def assert_asked_once(user: ClientUser, *said: str) -> None:
    """Hold that the client asked the helper in these words, and the helper AWS once."""
    assert user.asked() == set(said)
    assert user.aws.count("ecr") == 1

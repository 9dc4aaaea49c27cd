"""What `make torture` found and what was fixed then: one test for each finding."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import botocore
import pytest

from ecr_credential_helper import verbs
from ecr_credential_helper.aws.authorization import token_in
from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import Registry, host_of
from ecr_credential_helper.settings import Target
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.tokens import fetch, identity
from ecr_credential_helper.tokens.cache import SWEPT, Cache, Entry, Key
from tests.aws.test_sources import login, sso_session
from tests.loopback import Loopback, basic_credentials, iso_time
from tests.support.helper import Authority, Helper, Result

from . import aws, faults, load, stdin, users
from .workspace import HOST, NAME, Rack, Workspace

REQUEST = TokenRequest(
    Target(Registry(HOST, account="111122223333", region="eu-west-1")), Deadline()
)
WEST = "111122223333.dkr.ecr.us-west-2.amazonaws.com"  # which the loopback has a certificate for
needs_root = pytest.mark.needs("root")


@pytest.fixture
def workspace(tmp_path: Path, authority: Authority) -> Workspace:
    """Return a workspace for one finding."""
    return Workspace(tmp_path / "workspace", authority)


def unblocking(rack: Rack) -> int:
    """Give pipes that do not block."""
    return stdin.unblocking(rack, Workspace(rack.home, Authority("", "", "")))


@pytest.mark.parametrize("torture", [unblocking, faults.umasks])
def test_an_ordinary_user_finds_it_fixed(
    torture: Callable[[Rack], int], workspace: Workspace
) -> None:
    """What needs no rights."""
    with workspace.rack() as rack:
        assert torture(rack)


@needs_root
@pytest.mark.parametrize(
    "torture",
    [
        pytest.param(faults.no_home, marks=pytest.mark.needs("unshare --user")),
        pytest.param(faults.no_null_device, marks=pytest.mark.needs("unshare --mount")),
        users.sudo,
        users.cache_of_another,
    ],
)
def test_root_finds_it_fixed(torture: Callable[[Rack], int], workspace: Workspace) -> None:
    """What needs root to be arranged."""
    with workspace.rack() as rack:
        assert torture(rack)


def test_no_process_is_left_behind_that_will_not_end(workspace: Workspace) -> None:
    """A credential_process that ignores SIGTERM is killed, with all that it started."""
    assert load.stubborn(workspace) == {"stubborn processes left behind": 0}


def test_no_token_is_kept_longer_than_aws_documents(workspace: Workspace) -> None:
    """An expiry in the far future is cut to twelve hours, or is none."""
    assert aws.far_future(workspace)


def test_an_answer_that_drips_is_given_up(workspace: Workspace) -> None:
    """An answer that comes a byte at a time does not outlast the deadline."""
    assert aws.drips(workspace)


@pytest.mark.parametrize(
    ("server_url", "host"),
    [(f"{HOST}/a://b", HOST), (f"evil.com/x://{HOST}", "evil.com"), (f"x://{HOST}", None)],
)
def test_a_scheme_comes_before_the_path(server_url: str, host: str | None) -> None:
    """What looks like a scheme within the path is part of the path."""
    assert host_of(server_url) == host


@pytest.mark.parametrize("expiration", ["9" * 400, "-" + "9" * 400, "-" + "9" * 4000, "-1"])
def test_a_login_with_an_absurd_expiry_spoils_nothing(
    expiration: str, workspace: Workspace
) -> None:
    """After a login with a token whose expiry is no time, a get answers."""
    secret = basic_credentials('{"payload":"', f'","expiration":{expiration}}}')
    with workspace.rack() as rack:
        assert rack.store(HOST, "AWS", secret).status == 0
        assert rack.get(HOST).status == 0
        assert rack.run("list").status == 0


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**70, 2**43 + 1])
def test_an_entry_with_a_number_beyond_all_times_is_a_miss(number: int, tmp_path: Path) -> None:
    """Arithmetic with such a number would end in an error."""
    cache, key = Cache(str(tmp_path / "cache")), Key(HOST, b"me\n")
    cache.save(key, Entry(number, number, "env", "x"))
    assert cache.load(key) is None
    cache.save(key, Entry(0, number, "env", "x"))
    assert cache.load(key) is None


def test_what_is_left_of_a_clock_that_was_ahead_is_swept(tmp_path: Path) -> None:
    """Debris of the far future, an entry that was kept then, and that sweep do not count."""
    cache, now = Cache(str(tmp_path / "cache")), time.time()
    cache.save(Key(HOST, b"me\n"), Entry(int(now + 1e8), int(now + 1e8 + 43200), "env", "x"))
    name = Key(HOST, b"me\n").name
    others = [f"{name}.{ending}" for ending in ("0123456789abcdef.tmp", "lock", "refresh")]
    for file in (name, *others, SWEPT):
        (tmp_path / "cache" / file).touch(0o600)
        os.utime(tmp_path / "cache" / file, (now + 1e8, now + 1e8))
    cache.sweep(now)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [SWEPT]


def test_list_passes_by_what_is_not_ours(workspace: Workspace) -> None:
    """A file in the cache whose name is no host does not end list."""
    with workspace.rack() as rack:
        rack.answered(rack.get(HOST))
        for name in (b"\xff.0123456789abcd", b'a"b.0123456789abcd', b"a b.0123456789abcd"):
            with open(os.path.join(os.fsencode(rack.cache), name), "wb"):
                pass
        assert rack.run("list").answer == {f"https://{HOST}": "AWS"}


def test_a_machine_id_that_is_a_directory_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where a container mounts a file that the host lacks, it finds a directory."""
    opened = os.open
    monkeypatch.setattr(os, "open", lambda _path, flags: opened(tmp_path, flags))
    assert identity._machine_id() == "-"


def test_settings_that_are_nested_too_deep_are_told(workspace: Workspace) -> None:
    """A file that the parser gives up on is a mistake in that file."""
    with workspace.rack() as rack:
        path = rack.home / "settings.toml"
        path.write_text("a = " + "[" * 100_000)
        rack.env["AWS_ECR_CONFIG_FILE"] = str(path)
        result = rack.get(HOST)
        assert result.status == 1
        assert f"{path}: not TOML" in result.out


@pytest.mark.parametrize("zone", ["+9999999999", "-99999999999999", "+99999"])
def test_a_date_header_beyond_all_zones_is_a_clear_error(zone: str) -> None:
    """A Date that no calendar holds is that of something that is not AWS, or is passed by."""
    answer = {
        "authorizationData": [
            {"authorizationToken": basic_credentials("AWS", "x"), "expiresAt": datetime.now(UTC)}
        ]
    }
    with pytest.raises(HelperError):
        token_in(answer, {"date": f"Mon, 23 Nov 2026 00:00:00 {zone}"}, REQUEST)


def test_what_is_told_is_one_line(workspace: Workspace) -> None:
    """A control character in a path begins no line and steers no terminal."""
    with workspace.rack() as rack:
        env: dict[str, str | None] = {"AWS_ECR_CACHE_DIR": "/dev/null/a\nb\x1b[31m"}
        result = rack.get(HOST, env=env)
        rack.answered(result)
        assert "a b [31m" in result.err
        assert result.err.count("\n") == 1


class Lines(list[str]):
    """A context's lines to the person at the terminal."""


def late(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Context, Lines]:
    """Return a context with a token in its last eighth, and what is told."""
    lines = Lines()
    monkeypatch.setenv("AWS_ECR_CACHE_DIR", str(tmp_path / "cache"))
    context, now = Context(time.time, lines.append), int(time.time())
    context.cache.save(Key(HOST, context.identity), Entry(now - 40_000, now + 3_200, "env", "late"))
    return context, lines


@pytest.mark.parametrize(
    "error", [MemoryError(), ImportError("no botocore"), OSError(24, "Too many")]
)
def test_whatever_fails_a_token_at_hand_is_served(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without memory, library or descriptors to ask AWS with, a late token is still good."""
    context, lines = late(monkeypatch, tmp_path)

    def fail(*_: object) -> Entry:
        raise error

    monkeypatch.setattr(fetch, "_ask", fail)
    assert '"Secret":"late"' in verbs.get(HOST.encode(), context)
    assert len(lines) == 1
    assert "the token in the cache is still valid" in lines[0]


def test_without_a_thread_to_ask_in_a_token_at_hand_is_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A limit on threads is told as what it is."""
    context, lines = late(monkeypatch, tmp_path)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert '"Secret":"late"' in verbs.get(HOST.encode(), context)
    assert "no thread can be started" in lines[0]


def homeless(
    rack: Rack, *arguments: str, stdin: bytes = b"", tracing: tuple[str, ...] = ()
) -> Result:
    """Run the executable without a home, in `place` below the rack's own, perhaps under strace."""
    user = ["unshare", "--user", f"--map-user={faults.NOBODY}"]
    done = subprocess.run(
        [*user, *tracing, str(rack.executable), *arguments],
        env={name: value for name, value in rack.env.items() if name != "HOME"},
        cwd=rack.home / "place",
        input=stdin,
        capture_output=True,
        check=False,
    )
    return rack.seen(Result(done.returncode, done.stdout, done.stderr))


def plant(rack: Rack) -> Path:
    """Make a directory called ~ where `homeless` starts, and return the .aws in it."""
    planted = rack.home / "place" / "~" / ".aws"
    planted.mkdir(parents=True)
    return planted


def plant_models(rack: Rack, url: str) -> None:
    """Plant models that have every service we call be asked at `url`."""
    planted = plant(rack) / "models"
    names = ("Region", "UseDualStack", "UseFIPS", "UseGlobalEndpoint", "Endpoint")
    rules = {
        "version": "1.0",
        "parameters": {
            name: {"type": "Boolean" if name.startswith("Use") else "String", "documentation": ""}
            for name in names
        },
        "rules": [
            {
                "conditions": [],
                "endpoint": {"url": url, "properties": {}, "headers": {}},
                "type": "endpoint",
            }
        ],
    }
    for model in (Path(botocore.__file__).parent / "data").glob("*/*"):
        if model.parent.name in ("ecr", "ecr-public", "sso", "sso-oidc", "sts"):
            (planted / model.parent.name / model.name).mkdir(parents=True)
            rule_set = planted / model.parent.name / model.name / "endpoint-rule-set-1.json"
            rule_set.write_text(json.dumps(rules))


@pytest.mark.needs("root", "unshare --user")
def test_without_a_home_no_directory_called_tilde_is_read(workspace: Workspace) -> None:
    """A credential_process that waits in ./~/.aws/config is not run."""
    with workspace.rack() as rack:
        process = f"credential_process = touch {rack.home}/run"
        (plant(rack) / "config").write_text(f"[default]\n{process}\n")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ECR_CACHE_DIR"):
            del rack.env[name]
        result = homeless(rack, "get", stdin=HOST.encode())
        assert result.status == 1
        assert "no AWS credentials" in result.err
        assert not (rack.home / "run").exists()


IMAGE = {
    "kind": "CredentialProviderRequest",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "image": f"{WEST}/app",
}


@pytest.mark.needs("root", "unshare --user")
@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("get",), WEST.encode()),
        (("warm", WEST), b""),
        (("get-login-password", "--region", "us-west-2"), b""),
        (("kubelet",), json.dumps(IMAGE).encode()),
        (("doctor",), b""),
    ],
)
def test_without_a_home_no_model_below_tilde_says_whom_to_ask(
    arguments: tuple[str, ...], stdin: bytes, workspace: Workspace
) -> None:
    """A model of a service that waits in ./~/.aws/models would have a request sent elsewhere."""
    with workspace.rack() as rack, Loopback() as elsewhere:
        plant_models(rack, elsewhere.url)
        rack.env |= {name: value for name, value in rack.proxy.items() if value}
        rack.env |= {"PATH": f"{rack.executable.parent}:{rack.env['PATH']}"}
        del rack.env["AWS_ENDPOINT_URL"]
        result = homeless(rack, *arguments, stdin=stdin)
        assert elsewhere.calls == []
        assert arguments[0] == "doctor" or (result.status, rack.aws.count("ecr")) == (0, 1)


@pytest.mark.needs("root", "unshare --user")
def test_without_a_home_a_web_identity_goes_to_nobody_else(workspace: Workspace) -> None:
    """The token of a pod would be sent wherever a planted model of STS says."""
    with workspace.rack() as rack, Loopback() as elsewhere:
        plant_models(rack, elsewhere.url)
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del rack.env[name]
        token = rack.home / "web-identity"
        token.write_text("canary-web-identity")
        rack.env |= {
            "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/pull",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "AWS_MAX_ATTEMPTS": "1",
        }
        assert homeless(rack, "get", stdin=WEST.encode()).status == 1
        assert elsewhere.calls == []


@pytest.mark.needs("root", "unshare --user")
def test_without_a_home_no_session_below_tilde_is_used(workspace: Workspace) -> None:
    """A login to IAM Identity Center that waits in ./~/.aws/sso/cache is somebody else's."""
    with workspace.rack(sso_session) as rack:
        rack.env["AWS_CONFIG_FILE"] = str(rack.home / ".aws" / "config")
        own, planted = rack.home / ".aws" / "sso", plant(rack) / "sso"
        own.rename(planted)
        result = homeless(rack, "get", stdin=HOST.encode())
        planted.rename(own)
        assert result.status == 1
        assert "aws sso login" in result.err
        assert rack.aws.calls == []


@pytest.mark.needs("root", "unshare --user", "strace")
@pytest.mark.parametrize("arguments", [("get",), ("doctor",), ("configure", HOST)])
def test_without_a_home_no_path_below_tilde_is_named(
    arguments: tuple[str, ...], workspace: Workspace
) -> None:
    """No call to the system looks there, be it only to see whether something is there."""
    with workspace.rack() as rack:
        plant(rack)
        del rack.env["AWS_ECR_CACHE_DIR"]
        trace = rack.home / "trace"
        tracing = ("strace", "-f", "-e", "trace=%file", "-o", str(trace))
        homeless(rack, *arguments, stdin=HOST.encode(), tracing=tracing)
        named = [line for line in trace.read_text(errors="replace").splitlines() if '"' in line]
        assert len(named) > 100
        assert [line for line in named if '"~' in line or "/~" in line] == []


@pytest.mark.needs("root", "unshare --user")
def test_without_a_home_nothing_is_written_below_tilde(workspace: Workspace) -> None:
    """What would be is named in one line: it is an error of configure, and a finding of doctor."""
    why = "no home directory for ~/.docker"
    with workspace.rack() as rack:
        (rack.home / "place").mkdir()
        for arguments in (("configure", HOST), ("configure", "--dry-run", HOST)):
            result = homeless(rack, *arguments)
            assert (result.status, result.out) == (1, "")
            assert result.err == f"{NAME.decode()}: {why}\nhint: set HOME or DOCKER_CONFIG\n"
        looked = homeless(rack, "doctor", "--json").answer["checks"]
        assert ["fail", why] in [[check["status"], check["found"]] for check in looked]
        rack.env["AWS_ECR_LOG_FILE"] = "~/log"
        result = homeless(rack, "get", stdin=HOST.encode())
        rack.answered(result)
        assert "no log is written: no home directory for ~/log\n" in result.err
        assert os.listdir(rack.home / "place") == []


@needs_root
@pytest.mark.parametrize("arrange", [sso_session, login])
def test_root_by_sudo_leaves_its_users_session_alone(
    arrange: Callable[[Helper, Loopback], None], workspace: Workspace
) -> None:
    """A session near its end is renewed, and not kept as a file that its user cannot read."""
    with workspace.rack(arrange) as rack:
        (session,) = (rack.home / ".aws").glob("*/cache/*.json")
        if arrange is sso_session:  # the other is past its end
            near = json.loads(session.read_text()) | {"expiresAt": iso_time(time.time() + 30)}
            session.write_text(json.dumps(near))
        before = session.read_bytes()
        for path in (rack.home, *rack.home.rglob("*")):
            os.chown(path, users.OTHER, users.OTHER)
        rack.env["SUDO_UID"] = str(users.OTHER)
        del rack.env["AWS_ECR_CACHE_DIR"]
        rack.answered(rack.get(HOST))
        assert (session.stat().st_uid, session.read_bytes()) == (users.OTHER, before)
        assert {path.lstat().st_uid for path in rack.home.rglob("*")} == {users.OTHER}

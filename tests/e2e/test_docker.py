"""A real Docker engine and real clients log in to a registry by the helper alone."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.loopback import USER_ARN, USER_SECRET, Fault, Loopback
from tests.support.needs import SYSTEM_PATH, installed, lacking

from . import rig as rig_module
from .rig import DUAL_STACK, OTHER, PRIVATE, PUBLIC, Rig, RigError
from .users import User

REGISTRIES = [
    pytest.param((PRIVATE, "eu-west-1"), id="private"),
    pytest.param((OTHER, "us-east-1"), id="second-account-and-region"),
    pytest.param((DUAL_STACK, "eu-west-1"), id="dual-stack"),
]
HINT = "hint: allow ecr:GetAuthorizationToken "
NO_CREDENTIALS = "no basic auth credentials\n"
UNAUTHORIZED = "unauthorized: authentication required\n"

# A rig of its own with a container that stays, until somebody kills it.
DOOMED = """
import sys
from tests.e2e.rig import Rig

with Rig(sys.argv[1]) as rig:
    def docker(*args):
        rig.docker(*args, config_dir=rig.home, env={"DOCKER_BUILDKIT": "0"})
    docker("build", "--tag", "stay", rig.context("stay"))
    docker("run", "--detach", "--network=none", "stay", "/program", "stay")
    print(rig.directory.name, flush=True)
    sys.stdin.read()
"""


def assert_round_trip(user: User, aws: Loopback, image: str) -> None:
    """Hold that an image that was pushed, removed and pulled is the same and runs."""
    note = f"this is {image}"
    built = user.build(image, note)
    push = user.docker("push", image)
    user.docker("rmi", image)
    assert user.docker("image", "inspect", image, check=False).returncode == 1
    pull = user.docker("pull", image)
    assert user.image_id(image) == built
    assert user.docker("run", "--rm", "--network", "none", image).stdout.strip() == note
    assert (push.stderr, pull.stderr) == ("", "")
    assert_no_secret(aws, push, pull)


def push_and_forget(user: User, image: str) -> None:
    """Leave an image in its registry and nowhere else."""
    user.build(image)
    user.docker("push", image)
    user.docker("rmi", image)


def assert_no_secret(aws: Loopback, *done: subprocess.CompletedProcess[str]) -> None:
    """Hold that nothing a user saw is a token or a secret key."""
    assert aws.issued
    shown = "".join(each.stdout + each.stderr for each in done)
    assert not [secret for secret in (USER_SECRET, *aws.issued) if secret in shown]


# What works


@pytest.mark.parametrize("registry", REGISTRIES)
def test_credhelpers_alone_build_push_pull_and_run(
    user: User, aws: Loopback, rig: Rig, repository: str, registry: tuple[str, str]
) -> None:
    """An entry in credHelpers is all that build, push, pull and run need; AWS is asked once."""
    host, region = registry
    written = user.use_helper(host)
    rig.lookups.clear()

    assert_round_trip(user, aws, f"{host}/{repository}:1")

    assert user.config.read_bytes() == written
    asked = [(call.service, call.operation, call.region) for call in aws.calls]
    assert asked == [("ecr", "GetAuthorizationToken", region)]
    assert (rig.lookups, aws.connects) == ([], [])


def test_public_registry_takes_the_helper_and_nobody(
    user: User, stranger: User, aws: Loopback, repository: str
) -> None:
    """ECR Public takes pushes and pulls by the helper, and pulls without credentials."""
    image = f"{PUBLIC}/{repository}:1"
    user.use_helper(PUBLIC)
    stranger.use_helper(PUBLIC)

    assert_round_trip(user, aws, image)
    asked = [(call.service, call.operation, call.region) for call in aws.calls]
    assert asked == [("ecr-public", "GetAuthorizationToken", "us-east-1")]

    user.docker("rmi", image)
    before = aws.count("ecr-public")
    pulled = stranger.docker("pull", image)
    assert pulled.stderr.startswith("docker-credential-ecr: no AWS credentials found\nhint: ")
    assert stranger.image_id(image)
    assert aws.count("ecr-public") == before


def test_an_old_configuration_goes_on_under_the_name_of_the_aws_helper(
    user: User, aws: Loopback, rig: Rig, repository: str
) -> None:
    """A link called docker-credential-ecr-login serves the credHelpers value ecr-login."""
    links = user.home / "bin"
    links.mkdir()
    (links / "docker-credential-ecr-login").symlink_to(rig.programs / "docker-credential-ecr")
    user.variables["PATH"] = f"{links}:{SYSTEM_PATH}"
    written = user.use_helper(PRIVATE, name="ecr-login")

    assert_round_trip(user, aws, f"{PRIVATE}/{repository}:1")

    assert user.config.read_bytes() == written


def test_a_login_with_a_token_longer_than_a_credential_manager_takes(
    user: User, aws: Loopback, repository: str
) -> None:
    """Windows' own refuses what has more than 2,560 bytes; here Docker gets all of it back."""
    user.use_helper(PRIVATE)
    image = f"{PRIVATE}/{repository}:1"
    push_and_forget(user, image)
    aws.payload_bytes = 3700
    token, _ = aws.issue_token(USER_ARN, "eu-west-1", "ecr")
    assert len(token) > 5000

    login = user.docker("login", "-u", "AWS", "--password-stdin", PRIVATE, stdin=token)
    assert (login.stdout, login.stderr) == ("Login Succeeded\n", "")
    asked = aws.count("ecr")
    user.docker("pull", image)

    assert user.token(PRIVATE) == token
    assert aws.count("ecr") == asked


def test_login_is_taken_and_leaves_no_secret(user: User, repository: str) -> None:
    """A login with a token succeeds, stores nothing in config.json, and can be undone."""
    user.use_helper(PRIVATE)
    image = f"{PRIVATE}/{repository}:1"
    push_and_forget(user, image)
    token = user.token(PRIVATE)

    login = user.docker("login", "-u", "AWS", "--password-stdin", PRIVATE, stdin=token)
    assert (login.stdout, login.stderr) == ("Login Succeeded\n", "")
    assert json.loads(user.config.read_text())["auths"] == {PRIVATE: {}}

    user.docker("pull", image)

    logout = user.docker("logout", PRIVATE)
    assert logout.stdout == f"Removing login credentials for {PRIVATE}\n"
    assert logout.stderr == ""
    assert json.loads(user.config.read_text())["auths"] == {}


def test_login_without_a_password_finds_the_helper(user: User) -> None:
    """A bare `docker login HOST` asks the helper and succeeds."""
    user.use_helper(PRIVATE)

    login = user.docker("login", PRIVATE)

    assert "Login Succeeded\n" in login.stdout
    assert "Authenticating with existing credentials..." in login.stdout + login.stderr
    assert json.loads(user.config.read_text())["auths"] == {PRIVATE: {}}


# What has to fail, so that the above means something


def test_without_the_helper_the_registry_refuses(
    user: User, stranger: User, repository: str
) -> None:
    """A push and a pull with an empty config.json are refused for want of credentials."""
    user.use_helper(PRIVATE)
    image = f"{PRIVATE}/{repository}:1"
    push_and_forget(user, image)
    user.config.write_text("{}")

    pull = user.docker("pull", image, check=False)
    user.build(image)
    push = user.docker("push", image, check=False)

    assert (pull.returncode, push.returncode) == (1, 1)
    assert pull.stderr.endswith(f": {NO_CREDENTIALS}")
    assert push.stderr == NO_CREDENTIALS

    public = f"{PUBLIC}/{repository}:1"
    stranger.use_helper(PUBLIC)
    stranger.build(public)
    push = stranger.docker("push", public, check=False)
    assert push.returncode == 1
    assert push.stderr.endswith(UNAUTHORIZED)


def test_the_registry_takes_only_a_living_token_of_its_region(
    user: User, aws: Loopback, repository: str
) -> None:
    """A token is accepted where it was issued for until it expires, and nowhere else."""
    image = f"{PRIVATE}/{repository}:1"
    user.build(image)
    foreign, good = user.token(OTHER), user.token(PRIVATE)

    user.use_password(PRIVATE, foreign)
    refused = user.docker("push", image, check=False)
    user.use_password(PRIVATE, good)
    accepted = user.docker("push", image, check=False)
    aws.clock_offset = aws.token_life + 1
    expired = user.docker("push", image, check=False)

    assert [each.returncode for each in (refused, accepted, expired)] == [1, 0, 1]
    assert refused.stderr == expired.stderr == UNAUTHORIZED
    assert_no_secret(aws, refused, accepted, expired)


def test_a_login_with_a_token_of_another_region_is_refused(user: User, aws: Loopback) -> None:
    """A login that the registry refuses fails, and config.json stays as it was."""
    written = user.use_helper(PRIVATE)
    token = user.token(OTHER)

    login = user.docker("login", "-uAWS", "--password-stdin", PRIVATE, stdin=token, check=False)

    assert login.returncode == 1
    assert login.stderr.endswith(
        f"login attempt to https://{PRIVATE}/v2/ failed with status: 401 Unauthorized\n"
    )
    assert user.config.read_bytes() == written
    assert_no_secret(aws, login)


def test_an_image_is_in_the_registry_it_was_pushed_to_alone(user: User, repository: str) -> None:
    """What one registry has cannot be pulled from another."""
    user.use_helper(PRIVATE, OTHER)
    push_and_forget(user, f"{PRIVATE}/{repository}:1")

    pull = user.docker("pull", f"{OTHER}/{repository}:1", check=False)

    assert pull.returncode == 1
    assert f"{OTHER}/{repository}:1 not found" in pull.stderr


# What the user sees when AWS says no


def test_a_denied_pull_says_what_to_allow(user: User, aws: Loopback, repository: str) -> None:
    """A denied pull fails with our hint above Docker's error.

    Docker (up to 28) drops what a helper that failed wrote to stdout, which is where the protocol
    has the cause; it lets stderr through.
    """
    user.use_helper(PRIVATE)
    image = f"{PRIVATE}/{repository}:1"
    user.token(PRIVATE)
    aws.faults = {"ecr": Fault("denied")}
    user.variables["AWS_ECR_DISABLE_CACHE"] = "1"

    user.build(image)
    push = user.docker("push", image, check=False)
    user.docker("rmi", image)
    pull = user.docker("pull", image, check=False)

    assert (push.returncode, pull.returncode) == (1, 1)
    manifest = f"https://{PRIVATE}/v2/{repository}/manifests/1"
    for done, refusal in (
        (push, NO_CREDENTIALS),
        (pull, f'Error response from daemon: Head "{manifest}": {NO_CREDENTIALS}'),
    ):
        hint, _, rest = done.stderr.partition("\n")
        assert hint.startswith(HINT)
        assert rest == refusal
    assert_no_secret(aws, push, pull)


@pytest.mark.parametrize("kind", ["throttled", "500", "reset"])
def test_a_pull_outlasts_an_aws_that_stumbles(
    kind: str, user: User, aws: Loopback, repository: str
) -> None:
    """For some seconds AWS throttles, or fails: the pull takes longer, and that is all."""
    user.use_helper(PRIVATE)
    image = f"{PRIVATE}/{repository}:1"
    push_and_forget(user, image)
    aws.calls.clear()
    aws.faults = {"ecr": Fault(kind, seconds=4)}
    user.variables["AWS_ECR_DISABLE_CACHE"] = "1"

    pull = user.docker("pull", image)

    assert pull.stderr == ""
    times = [call.time for call in aws.calls]
    assert times[-1] - times[0] >= 4
    assert_no_secret(aws, pull)


def test_a_denied_public_pull_goes_on_anonymously(
    user: User, aws: Loopback, repository: str
) -> None:
    """A pull from ECR Public succeeds although AWS denies a token, and says that it did."""
    user.use_helper(PUBLIC)
    image = f"{PUBLIC}/{repository}:1"
    push_and_forget(user, image)
    aws.faults = {"ecr-public": Fault("denied")}
    user.variables["AWS_ECR_DISABLE_CACHE"] = "1"

    pull = user.docker("pull", image)

    assert pull.stderr.startswith(
        "docker-credential-ecr: ecr-public:GetAuthorizationToken in us-east-1 as "
    )
    assert " was denied: " in pull.stderr
    assert_no_secret(aws, pull)


# Other clients


def test_skopeo_inspects_and_copies(user: User, repository: str) -> None:
    """Skopeo inspects an image and copies it from one account to another by credHelpers."""
    skopeo = installed("skopeo")
    user.use_helper(PRIVATE, OTHER)
    image = user.build(f"{PRIVATE}/{repository}:1")
    user.docker("push", f"{PRIVATE}/{repository}:1")

    source, copy = f"docker://{PRIVATE}/{repository}:1", f"docker://{OTHER}/{repository}:2"
    user.run(skopeo, "copy", source, copy)

    assert json.loads(user.run(skopeo, "inspect", copy).stdout)["RepoTags"] == ["2"]
    user.docker("pull", f"{OTHER}/{repository}:2")
    assert user.image_id(f"{OTHER}/{repository}:2") == image


def test_podman_pulls(user: User, repository: str) -> None:
    """Podman pulls by the credHelpers of Docker's config.json."""
    podman = installed("podman")
    user.use_helper(PRIVATE)
    image = user.build(f"{PRIVATE}/{repository}:1")
    user.docker("push", f"{PRIVATE}/{repository}:1")

    pulled = user.run(podman, "pull", "--quiet", f"{PRIVATE}/{repository}:1")

    assert f"sha256:{pulled.stdout.strip()}" == image


# The rig itself


def traces(name: str) -> list[tuple[str, str]]:
    """Return what there is of a rig on the machine, by kind."""
    left = [("file", str(path)) for path in Path("/tmp").glob(name)]
    left += [("control group", str(path)) for path in Path("/sys/fs/cgroup").glob(f"**/{name}")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    left += [("mount", line) for line in mounts if name in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            left += [("process", line)] if name in line else []
    return left


def test_a_rig_that_cannot_start_says_why_and_leaves_nothing(
    aws: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of the part that did not start is in the error, and all the rest is taken down."""
    if missing := Rig.missing():
        lacking(missing)
    monkeypatch.setattr(rig_module, "NGINX", "nonsense;")
    broken = Rig(aws.url)

    with pytest.raises(RigError, match='unknown directive "nonsense"'):
        broken.__enter__()

    assert traces(broken.directory.name) == []


def test_a_rig_leaves_nothing_even_when_its_owner_is_killed(aws: Loopback) -> None:
    """A rig with a running container goes when its owner is killed, and leaves nothing."""
    if missing := Rig.missing():
        lacking(missing)
    with subprocess.Popen(
        [sys.executable, "-c", DOOMED, aws.url],
        cwd=Path(__file__).parents[2],
        env={"PATH": SYSTEM_PATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        name = owner.stdout.readline().strip()
        before = traces(name)
        owner.kill()
    assert {"file", "control group", "process"} <= {kind for kind, _ in before}

    deadline = time.monotonic() + 10
    while traces(name) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert traces(name) == []

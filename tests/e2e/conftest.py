"""The rig, started once, and people who use it."""

import secrets
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.loopback import Loopback
from tests.loopback.state import PAYLOAD_BYTES
from tests.support.needs import SYSTEM_PATH, built, installed, lacking

from .clients import FAILURES, ClientUser, Seed
from .rig import PRIVATE, PUBLIC, Rig
from .users import User

CLI = "docker"
# The first on PATH and Debian's, which may be one and the same.
FOUND = {shutil.which(name, path=SYSTEM_PATH): name for name in ("/usr/bin/docker", CLI)}
CLIS = [CLI, "/usr/bin/docker"]  # the same on each machine, as are the rows of docs/clients.md
BUILT_CLI = "from source"


@pytest.fixture(scope="session")
def cloud() -> Iterator[Loopback]:
    """Serve the loopback AWS that the registry of the rig asks."""
    with Loopback() as aws:
        yield aws


@pytest.fixture(scope="session")
def rig(cloud: Loopback) -> Iterator[Rig]:
    """Start the engine and the registries, once for all tests."""
    if missing := Rig.missing():
        lacking(missing)
    with Rig(cloud.url) as rig:
        yield rig


@pytest.fixture
def aws(cloud: Loopback) -> Iterator[Loopback]:
    """Give a test the loopback AWS without the calls of others, and put it right afterwards."""
    cloud.calls.clear()
    yield cloud
    cloud.faults = {}
    cloud.closed = False
    cloud.clock_offset = 0.0
    cloud.token_life = 43200.0
    cloud.payload_bytes = PAYLOAD_BYTES


@pytest.fixture(params=CLIS, ids=lambda name: name.strip("/").replace("/", "-"))
def cli(request: pytest.FixtureRequest) -> str:
    """Name each docker CLI: the first on PATH, Debian's, and the built one for who asks for it."""
    command: str = request.param
    if command == BUILT_CLI:
        return str(built("go", "docker"))
    installed(CLI)
    if command != CLI and command not in FOUND.values():
        lacking("missing: a second docker CLI, Debian's beside the one on PATH")
    return command


@pytest.fixture
def user(rig: Rig, aws: Loopback, cli: str) -> User:
    """Give a test somebody with AWS credentials."""
    return User(rig, cli, aws.environment(with_keys=True))


@pytest.fixture
def stranger(rig: Rig, aws: Loopback, cli: str) -> User:
    """Give a test somebody without AWS credentials."""
    return User(rig, cli, aws.environment())


@pytest.fixture(params=["credHelpers", "credsStore"])
def found(request: pytest.FixtureRequest) -> str:
    """Name each place of config.json in which a client may find the helper."""
    place: str = request.param
    return place


@pytest.fixture(params=FAILURES, ids=lambda name: name.replace(" ", "-"))
def failure(request: pytest.FixtureRequest) -> str:
    """Name each way in which the helper fails that users meet most."""
    name: str = request.param
    return name


@pytest.fixture
def repository() -> str:
    """Name a repository that no other test pushes to."""
    return f"team/app-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def seed(rig: Rig, cloud: Loopback) -> Seed:
    """Push an image to the private registry, once for all tests."""
    return Seed(User(rig, CLI, cloud.environment(with_keys=True)))


@pytest.fixture(scope="session")
def public_seed(rig: Rig, cloud: Loopback) -> Seed:
    """Push an image to ECR Public, once for all tests."""
    return Seed(User(rig, CLI, cloud.environment(with_keys=True)), PUBLIC)


@pytest.fixture
def client_user(
    rig: Rig,
    aws: Loopback,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Iterator[ClientUser]:
    """Give a test somebody with AWS credentials, whose client's words are put down."""
    user = ClientUser(rig, _cli_of(request), aws, record_property)
    yield user
    record_property("says", user.habits())


@pytest.fixture
def newcomer(
    rig: Rig,
    aws: Loopback,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Iterator[ClientUser]:
    """Give a test the same without AWS credentials."""
    user = ClientUser(rig, _cli_of(request), aws, record_property, with_keys=False)
    yield user
    record_property("says", user.habits())


@pytest.fixture
def token(rig: Rig, aws: Loopback) -> str:
    """Return a token that somebody else got for the private registry, for a login."""
    other = User(rig, CLI, aws.environment(with_keys=True))
    return other.token(PRIVATE)


def _cli_of(request: pytest.FixtureRequest) -> str:
    """Return the docker CLI of a test that wants each, else the first."""
    cli: str = request.getfixturevalue("cli") if "cli" in request.fixturenames else CLI
    return cli

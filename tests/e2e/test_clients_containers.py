"""podman, buildah and skopeo, which share their way to the helper (containers/image)."""

import json
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.support.needs import installed

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret, from_image
from .rig import PRIVATE, Rig

PLACES = ["config.json", "auth.json", "registries.conf"]


@pytest.fixture(params=["podman", "buildah", "skopeo"])
def program(request: pytest.FixtureRequest) -> str:
    """Name each of the family."""
    return installed(request.param)


@pytest.fixture(params=["podman", "buildah"])
def engine(request: pytest.FixtureRequest) -> str:
    """Name each of the family that has a store of images."""
    return installed(request.param)


@pytest.fixture(params=PLACES)
def found(request: pytest.FixtureRequest) -> str:
    """Name each place in which they find the helper."""
    place: str = request.param
    return place


@pytest.fixture
def tidy(rig: Rig) -> Iterator[None]:
    """Leave no image in the store that podman and buildah share."""
    yield
    rig.run("podman", "rmi", "--all", "--force")


def prepare(user: ClientUser, program: str, found: str) -> ClientUser:
    """Name the helper in one place, and note the version of the program."""
    text = json.dumps({"credHelpers": {PRIVATE: "ecr"}})
    places = {
        "config.json": (user.config, text),
        "auth.json": (user.home / "run" / "containers" / "auth.json", text),
        "registries.conf": (
            user.home / ".config" / "containers" / "registries.conf",
            'unqualified-search-registries = []\ncredential-helpers = ["ecr"]\n',
        ),
    }
    path, content = places[found]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    version = user.run(program, "--version").stdout.split()[2]
    user.record("version", version)
    return user


def log_in(user: ClientUser, program: str, token: str) -> CompletedProcess[str]:
    """Log in with a token on stdin."""
    return user.run(program, "login", "-u", "AWS", "--password-stdin", PRIVATE, stdin=token)


@pytest.mark.client("{engine}", "pull", "push", "build FROM")
@pytest.mark.usefixtures("tidy")
def test_pull_push_and_build(client_user: ClientUser, seed: Seed, engine: str, found: str) -> None:
    """Images are pulled, pushed and built upon, and AWS is asked once."""
    user = prepare(client_user, engine, found)

    pulled = user.run(engine, "pull", "--quiet", seed.image)
    user.run(engine, "push", "--quiet", seed.image, f"{seed.image}-{engine}")
    user.run(engine, "rmi", "--force", seed.image)
    built = user.run(
        engine, "build", "--quiet", "--tag", "localhost/built", from_image(user, seed.image)
    )

    assert f"sha256:{pulled.stdout.strip()}" == seed.id
    assert_asked_once(user, PRIVATE)
    assert_no_secret(user, pulled, built)


@pytest.mark.client("skopeo", "inspect", "copy")
def test_skopeo_inspects_and_copies(client_user: ClientUser, seed: Seed, found: str) -> None:
    """Skopeo reads from and writes to the registry."""
    user = prepare(client_user, installed("skopeo"), found)

    user.run("skopeo", "copy", f"docker://{seed.image}", f"docker://{seed.image}-copy")
    shown = user.run("skopeo", "inspect", f"docker://{seed.image}-copy")

    assert f"{seed.image.rpartition(':')[2]}-copy" in json.loads(shown.stdout)["RepoTags"]
    assert_asked_once(user, PRIVATE)
    assert_no_secret(user, shown)


@pytest.mark.client("{program}", "pull in public, anonymous", found="config.json")
@pytest.mark.usefixtures("tidy")
def test_a_public_image_needs_no_credentials(
    newcomer: ClientUser, public_seed: Seed, program: str
) -> None:
    """Without AWS credentials they go on anonymously."""
    newcomer.use_helper(public_seed.host)
    image = public_seed.image

    if program == "skopeo":
        newcomer.run(program, "inspect", f"docker://{image}")
    else:
        newcomer.run(program, "pull", image)

    assert newcomer.asked() == {public_seed.host}


@pytest.mark.client("{program}", "login")
def test_get_login_names_the_user(client_user: ClientUser, program: str, found: str) -> None:
    """`login --get-login` prints the user that the helper gives, and no secret."""
    user = prepare(client_user, program, found)

    shown = user.run(program, "login", "--get-login", PRIVATE)

    assert (shown.stdout, shown.stderr) == ("AWS\n", "")
    assert_asked_once(user, PRIVATE)


@pytest.mark.client("{program}", "login, password piped", "logout")
def test_a_login_is_kept_until_the_logout(
    newcomer: ClientUser, token: str, seed: Seed, program: str, found: str
) -> None:
    """Somebody without AWS credentials reads with the token of a login, and no more after it.

    Found in config.json the helper is not told of a login: these clients keep it in auth.json.
    """
    one = prepare(newcomer, program, found)
    probe = ("skopeo", "inspect", f"docker://{seed.image}")

    login = log_in(one, program, token)
    cached = one.cached()
    one.run(*probe)
    logout = one.run(program, "logout", PRIVATE)
    refused = one.run(*probe, check=False)

    assert login.stdout == "Login Succeeded!\n"
    assert logout.stdout == f"Removed login credentials for {PRIVATE}\n"
    assert refused.returncode == 1
    assert_no_secret(one, login, logout, refused)
    if found == "config.json":
        assert (cached, one.erased()) == ([], [])
    else:
        assert (cached, one.erased()) == ([f"https://{PRIVATE}"], [PRIVATE])
        assert one.files_with(token) == []


@pytest.mark.client("{program}", "logout --all")
def test_logout_of_all_forgets_it_too(
    newcomer: ClientUser, token: str, program: str, found: str
) -> None:
    """`logout --all` erases what the helper lists, with whatever name it lists it by."""
    one = prepare(newcomer, program, found)
    log_in(one, program, token)

    logout = one.run(program, "logout", "--all")

    assert logout.stdout == "Removed login credentials for all registries\n"
    assert one.cached() == []

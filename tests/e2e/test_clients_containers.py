"""podman, buildah and skopeo, which share their way to the helper (containers/image).

Debian's programs are old. Of today's, buildah is run itself; the libraries of the others by a small
program (go/containers) that has skopeo's words.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built, installed, lacking

from .clients import (
    ClientUser,
    Seed,
    assert_asked_once,
    assert_no_secret,
    from_image,
    go_module,
)
from .rig import PRIVATE, Rig

PLACES = ["config.json", "auth.json", "registries.conf"]
DEBIAN = " of Debian"
NETAVARK = Path("/usr/lib/podman/netavark")
LIBRARIES = "podman's and skopeo's libraries"


@pytest.fixture(
    params=["podman of Debian", "buildah of Debian", "skopeo of Debian", "buildah", LIBRARIES]
)
def program(request: pytest.FixtureRequest) -> str:
    """Name each of the family."""
    return called(request.param)


@pytest.fixture(params=["podman of Debian", "buildah of Debian", "buildah"])
def engine(request: pytest.FixtureRequest) -> str:
    """Name each of the family that has a store of images."""
    if request.param == "buildah" and not NETAVARK.exists():
        lacking("missing: netavark, without which today's buildah builds nothing (apt-get install)")
    return called(request.param)


@pytest.fixture(params=["skopeo of Debian", LIBRARIES])
def copier(request: pytest.FixtureRequest) -> str:
    """Name each of the family that copies from registry to registry."""
    return called(request.param)


def called(name: str) -> str:
    """Return how one of the family is called, or leave the test."""
    if name.endswith(DEBIAN):
        return installed(name.removesuffix(DEBIAN))
    return str(built("go", "containers" if name == LIBRARIES else name))


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
    user.record("version", version(user, program))
    return user


def version(user: ClientUser, program: str) -> str:
    """Return the version of a program, or of the library that it is made of."""
    if Path(program).name == "containers":
        return go_module("go.podman.io/image/v5")
    return user.run(program, "--version").stdout.split()[2]


def log_in(user: ClientUser, program: str, token: str) -> CompletedProcess[str]:
    """Log in with a token on stdin."""
    return user.run(program, "login", "-u", "AWS", "--password-stdin", PRIVATE, stdin=token)


@pytest.mark.client("{engine}", "pull", "push", "build FROM")
@pytest.mark.usefixtures("tidy")
def test_pull_push_and_build(client_user: ClientUser, seed: Seed, engine: str, found: str) -> None:
    """Images are pulled, pushed and built upon, and AWS is asked once."""
    user = prepare(client_user, engine, found)

    pulled = user.run(engine, "pull", "--quiet", seed.image)
    user.run(engine, "push", "--quiet", seed.image, f"{seed.image}-pushed")
    user.run(engine, "rmi", "--force", seed.image)
    words = ("build", "--quiet", "--tag=localhost/built")
    built = user.run(engine, *words, from_image(user, seed.image))

    assert f"sha256:{pulled.stdout.strip()}" == seed.id
    assert_asked_once(user, PRIVATE)
    assert_no_secret(user, pulled, built)


@pytest.mark.client("{copier}", "inspect", "copy")
def test_skopeo_inspects_and_copies(
    client_user: ClientUser, seed: Seed, copier: str, found: str
) -> None:
    """Skopeo reads from and writes to the registry."""
    user = prepare(client_user, copier, found)

    user.run(copier, "copy", f"docker://{seed.image}", f"docker://{seed.image}-copy")
    shown = user.run(copier, "inspect", f"docker://{seed.image}-copy")

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
    newcomer.record("version", version(newcomer, program))

    newcomer.run(program, *reading(program, public_seed.image))

    assert newcomer.asked() == {public_seed.host}


def reading(program: str, image: str) -> tuple[str, str]:
    """Return the words by which a program reads an image."""
    if Path(program).name in ("podman", "buildah"):
        return "pull", image
    return "inspect", f"docker://{image}"


@pytest.mark.client("{program}", SHOWN)
@pytest.mark.usefixtures("tidy")
def test_what_is_seen_of_a_failure(
    client_user: ClientUser, seed: Seed, program: str, failure: str
) -> None:
    """The helper's own words, from its stderr, stand before the client's."""
    user = prepare(client_user, program, "config.json")
    user.let_fail(failure)

    done = user.run(program, *reading(program, seed.image), check=False)

    assert done.returncode != 0
    assert "CAUSE" in user.sees(failure, done)


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

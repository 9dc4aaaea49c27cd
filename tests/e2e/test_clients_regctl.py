"""regctl, which has a way of its own to the helper (regclient)."""

import json
import tarfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret, go_module
from .rig import PRIVATE, PUBLIC

OWN = ".regctl/config.json"
WITHOUT = "no credentials available: unauthorized"


@pytest.fixture(params=["credHelpers", OWN])
def found(request: pytest.FixtureRequest) -> str:
    """Name each place in which it finds the helper, but for a credsStore."""
    place: str = request.param
    return place


def regctl(
    user: ClientUser, *words: str | Path, stdin: str = "", check: bool = True
) -> CompletedProcess[str]:
    """Run regctl, and note its version."""
    user.record("version", go_module("github.com/regclient/regclient"))
    done = user.run(built("go", "regctl"), *words, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


def read(user: ClientUser, image: str, *, check: bool = True) -> CompletedProcess[str]:
    """Read a manifest."""
    return regctl(user, "manifest", "get", "--format=raw-body", image, check=check)


def prepare(user: ClientUser, found: str, host: str = PRIVATE) -> None:
    """Name the helper in one place."""
    if found == OWN:
        regctl(user, "registry", "set", "--cred-helper=docker-credential-ecr", host)
    else:
        user.use_helper(host)


def image_id(user: ClientUser, image: str) -> str:
    """Return the id of an image in the registry, as an engine would know it."""
    digest: str = json.loads(read(user, image).stdout)["config"]["digest"]
    return digest


@pytest.mark.client("regctl", "pull", "push", "copy", "inspect")
def test_regctl_exports_imports_and_copies(
    client_user: ClientUser, seed: Seed, repository: str, found: str
) -> None:
    """What arrives, in a file or a repository, is the same image."""
    prepare(client_user, found)
    pulled = client_user.home / "pulled.tar"
    pushed, copied = f"{PRIVATE}/{repository}:pushed", f"{PRIVATE}/{repository}:copied"

    regctl(client_user, "image", "export", seed.image, pulled)
    regctl(client_user, "image", "import", pushed, pulled)
    regctl(client_user, "image", "copy", seed.image, copied)

    with tarfile.open(pulled) as archive:
        assert f"blobs/sha256/{seed.id.removeprefix('sha256:')}" in archive.getnames()
    assert image_id(client_user, pushed) == image_id(client_user, copied) == seed.id
    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("regctl", "pull in public, anonymous")
def test_a_public_image_needs_no_credentials(
    newcomer: ClientUser, public_seed: Seed, found: str
) -> None:
    """Without AWS credentials it goes on anonymously."""
    prepare(newcomer, found, PUBLIC)

    assert image_id(newcomer, public_seed.image) == public_seed.id
    assert newcomer.asked() == {PUBLIC}


@pytest.mark.client("regctl", "login, password piped", "logout", found="credHelpers")
def test_regctl_keeps_a_login_itself(newcomer: ClientUser, token: str, seed: Seed) -> None:
    """A login is in its own file, readable, until the logout; the helper is not told."""
    newcomer.use_helper(PRIVATE)
    words = ("login", "--user=AWS", "--pass-stdin", PRIVATE)

    regctl(newcomer, "registry", *words, stdin=token)
    files = newcomer.files_with(token)
    read(newcomer, seed.image)
    calls = newcomer.calls()
    regctl(newcomer, "registry", "logout", PRIVATE)
    refused = read(newcomer, seed.image, check=False)

    assert (files, calls) == ([newcomer.home / OWN], [])
    assert newcomer.files_with(token) == []
    assert refused.returncode == 1
    assert WITHOUT in refused.stderr


@pytest.mark.client("regctl", "inspect", found="credsStore")
def test_a_store_gives_what_it_lists(client_user: ClientUser, seed: Seed) -> None:
    """A credsStore is first asked for its list, and then for a host that is on it."""
    client_user.use_store()
    refused = read(client_user, seed.image, check=False)
    before = client_user.calls()
    client_user.token(PRIVATE)

    shown = read(client_user, seed.image)

    assert refused.returncode == 1
    assert WITHOUT in refused.stderr
    assert before == [("list", "")]
    assert seed.id in shown.stdout
    assert client_user.calls()[-2:] == [("list", ""), ("get", f"https://{PRIVATE}")]
    assert client_user.aws.count("ecr") == 1


@pytest.mark.client("regctl", SHOWN)
def test_the_cause_of_a_failure_is_shown(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """It lets through what the helper says to a person; what the helper answers it hides."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    done = read(client_user, seed.image, check=False)

    assert done.returncode == 1
    assert WITHOUT in done.stderr
    assert "CAUSE" in client_user.sees(failure, done)

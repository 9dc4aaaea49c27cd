"""Rust: a crate that reads registries, with the one that finds the login for it."""

import io
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret
from .rig import PRIVATE

LOCK = Path(__file__).parent / "rust" / "Cargo.lock"


def crate(name: str) -> str:
    """Return the version of a crate that Cargo.lock pins."""
    packages = tomllib.loads(LOCK.read_text())["package"]
    [version] = [each["version"] for each in packages if each["name"] == name]
    return str(version)


def program(user: ClientUser, name: str, of: str) -> Path:
    """Return the program built upon a crate, and note the crate's version."""
    user.record("version", crate(of))
    return built("rust", name)


def note(layer: bytes) -> str:
    """Return the note in the layer of an image of the rig."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        file = tar.extractfile("note")
        assert file
        return file.read().decode()


@pytest.mark.client("oci-client", "pull", "copy", "inspect")
def test_oci_client_reads_and_copies(client_user: ClientUser, seed: Seed, found: str) -> None:
    """An image is pulled, copied and inspected with one login."""
    oci = program(client_user, "oci", "oci-client")
    config = client_user.use(found)
    pulled, again = client_user.home / "pulled", client_user.home / "again"
    copied = f"{seed.image}-rust-{found.lower()}"

    done = [
        client_user.run(oci, "pull", seed.image, pulled),
        client_user.run(oci, "copy", seed.image, copied),
        client_user.run(oci, "pull", copied, again),
        client_user.run(oci, "inspect", copied),
    ]

    assert note(pulled.read_bytes()) == "seed"
    assert again.read_bytes() == pulled.read_bytes()
    assert done[-1].stdout.startswith("sha256:")
    assert client_user.config.read_bytes() == config
    assert_asked_once(client_user, PRIVATE)
    assert_no_secret(client_user, *done)


@pytest.mark.client("oci-client", "push")
def test_oci_client_pushes(client_user: ClientUser, repository: str, found: str) -> None:
    """An artifact goes up with an empty cache, and comes back the same."""
    oci = program(client_user, "oci", "oci-client")
    client_user.use(found)
    artifact, pulled = client_user.home / "artifact", client_user.home / "pulled"
    artifact.write_text("hello")
    image = f"{PRIVATE}/{repository}:1"

    pushed = client_user.run(oci, "push", artifact, image)
    client_user.run(oci, "pull", image, pulled)

    assert pulled.read_text() == "hello"
    assert_asked_once(client_user, PRIVATE)
    assert_no_secret(client_user, pushed)


@pytest.mark.client("oci-client", "pull in public, anonymous")
def test_oci_client_in_public(newcomer: ClientUser, public_seed: Seed, found: str) -> None:
    """Where the helper has nothing, a public image is pulled anonymously."""
    oci = program(newcomer, "oci", "oci-client")
    newcomer.use(found, public_seed.host)
    pulled = newcomer.home / "pulled"

    newcomer.run(oci, "pull", public_seed.image, pulled)

    assert note(pulled.read_bytes()) == "seed"
    assert newcomer.asked() == {public_seed.host}


@pytest.mark.client("oci-client", SHOWN)
def test_oci_client_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """The error of docker_credential, a warning here, holds all that the helper says."""
    oci = program(client_user, "oci", "oci-client")
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    refused = client_user.run(oci, "inspect", seed.image, check=False)

    assert refused.returncode == 1
    assert "CAUSE" in client_user.sees(failure, refused)

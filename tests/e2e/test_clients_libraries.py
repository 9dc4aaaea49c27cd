"""testcontainers-go: it asks for every registry of config.json at once, and takes all or none."""

import json
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import HIDDEN, SHOWN
from tests.support.needs import built

from .clients import HUB_KEY, ClientUser, Seed, assert_asked_once, assert_no_secret, go_module
from .rig import OTHER, PRIVATE, PUBLIC


def use(user: ClientUser, found: str, *hosts: str) -> bytes:
    """Name the helper; a credsStore is asked for no registry but those below `auths`."""
    if found == "credHelpers":
        return user.use_helper(*hosts)
    user.config.write_text(json.dumps({"credsStore": "ecr", "auths": {host: {} for host in hosts}}))
    return user.config.read_bytes()


def start(user: ClientUser, image: str, *, check: bool = True) -> CompletedProcess[str]:
    """Start a container of an image, and end it."""
    user.record("version", go_module("github.com/testcontainers/testcontainers-go"))
    done = user.run(built("go", "testcontainers"), image, check=check)
    assert_no_secret(user, done)
    return done


@pytest.mark.client("testcontainers-go", "pull")
def test_a_container_starts(client_user: ClientUser, seed: Seed, found: str) -> None:
    """A container of a private image starts; a credsStore needs the registry below `auths`."""
    config = use(client_user, found, PRIVATE)

    started = start(client_user, seed.image)

    assert "Container is ready" in started.stderr
    assert client_user.image_id(seed.image) == seed.id
    client_user.docker("rmi", seed.image)
    assert client_user.config.read_bytes() == config
    assert_asked_once(client_user, PRIVATE)


def test_all_registries_are_asked_for_at_once(client_user: ClientUser, seed: Seed) -> None:
    """Each has an answer, Docker Hub "not found" too: an error of one would be one of all."""
    everywhere = {PRIVATE, OTHER, PUBLIC, HUB_KEY}
    client_user.use_helper(*everywhere)

    started = start(client_user, seed.image)

    client_user.docker("rmi", seed.image)
    assert client_user.asked() == everywhere
    assert "No image auth found" not in started.stderr
    assert (client_user.aws.count("ecr"), client_user.aws.count("ecr-public")) == (2, 1)


@pytest.mark.client("testcontainers-go", "pull in public, anonymous")
def test_a_public_image_needs_no_credentials(
    newcomer: ClientUser, public_seed: Seed, found: str
) -> None:
    """Where the helper has nothing, it goes on without a login."""
    use(newcomer, found, PUBLIC)

    started = start(newcomer, public_seed.image)

    assert "No image auth found" not in started.stderr
    assert newcomer.image_id(public_seed.image) == public_seed.id
    newcomer.docker("rmi", public_seed.image)
    assert newcomer.asked() == {PUBLIC}


@pytest.mark.client("testcontainers-go", SHOWN)
@pytest.mark.parametrize("failure", ["SSO session expired", "denied"])
def test_the_cause_of_a_failure_is_in_its_log(
    client_user: ClientUser, seed: Seed, failure: str
) -> None:
    """The log has the cause, before the error of a pull without a login."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    refused = start(client_user, seed.image, check=False)

    assert refused.returncode == 1
    assert 'stdout: "CAUSE"' in client_user.sees(failure, refused)


@pytest.mark.client("testcontainers-go", HIDDEN)
def test_missing_credentials_are_no_failure(client_user: ClientUser, seed: Seed) -> None:
    """It goes on without a login and keeps the helper's stderr to itself: "not found" says why."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail("no credentials")

    refused = start(client_user, seed.image, check=False)
    words = client_user.sees("no credentials", refused)

    assert refused.returncode == 1
    assert client_user.asked() == {PRIVATE}
    assert "No image auth found" not in refused.stderr
    assert "CAUSE" not in words
    assert words.endswith("no basic auth credentials")

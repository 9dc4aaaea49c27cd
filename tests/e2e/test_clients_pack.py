"""pack, of Cloud Native Buildpacks: a buildpack goes up as an image, and comes back."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, assert_asked_once, assert_no_secret, go_module
from .rig import PRIVATE, PUBLIC

BUILDPACK = """
api = "0.10"
[buildpack]
id = "team/hello"
version = "1.0.0"
[[targets]]
os = "linux"
arch = "amd64"
"""


def pack(user: ClientUser, *words: str | Path, check: bool = True) -> CompletedProcess[str]:
    """Run pack; its words for the registry are put down."""
    user.record("version", go_module("github.com/buildpacks/pack"))
    done = user.run(built("go", "pack"), *words, "--no-color", check=check)
    assert_no_secret(user, done)
    return done


def publish(user: ClientUser, image: str, *, check: bool = True) -> CompletedProcess[str]:
    """Push a buildpack that does nothing."""
    buildpack = user.home / "hello"
    (buildpack / "bin").mkdir(parents=True, exist_ok=True)
    (buildpack / "buildpack.toml").write_text(BUILDPACK)
    for name in ("build", "detect"):
        (buildpack / "bin" / name).write_text("#!/bin/sh\n")
    words = ("buildpack", "package", image, "--path", buildpack, "--publish")
    return pack(user, *words, check=check)


@pytest.mark.client("pack", "push", "inspect", "pull")
def test_pack_publishes_and_pulls(client_user: ClientUser, repository: str, found: str) -> None:
    """What was pushed is what the registry shows, and what the engine pulls for pack."""
    image = f"{PRIVATE}/{repository}:1"
    written = client_user.use(found)

    publish(client_user, image)
    shown = pack(client_user, "buildpack", "inspect", f"docker://{image}", "--verbose")
    pack(client_user, "buildpack", "pull", image)

    assert "team/hello" in shown.stdout
    labels = client_user.docker("image", "inspect", image).stdout
    assert json.loads(labels)[0]["RepoTags"] == [image]
    client_user.docker("rmi", image)
    assert client_user.config.read_bytes() == written
    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("pack", "pull in public, anonymous")
def test_pack_pulls_in_public(
    newcomer: ClientUser, client_user: ClientUser, repository: str, found: str
) -> None:
    """Without AWS credentials a public buildpack is pulled all the same."""
    image = f"{PUBLIC}/{repository}:1"
    client_user.use(found, PUBLIC)
    publish(client_user, image)
    newcomer.use(found, PUBLIC)

    pack(newcomer, "buildpack", "pull", image)

    newcomer.docker("rmi", image)
    assert newcomer.asked() == {PUBLIC}


@pytest.mark.client("pack", SHOWN)
def test_what_is_seen_of_a_failure(client_user: ClientUser, repository: str, failure: str) -> None:
    """The helper's own words, from its stderr, stand before pack's."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    done = publish(client_user, f"{PRIVATE}/{repository}:1", check=False)

    assert done.returncode != 0
    assert "CAUSE" in client_user.sees(failure, done)

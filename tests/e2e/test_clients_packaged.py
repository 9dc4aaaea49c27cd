"""Clients from PyPI and npm, Debian's docker-compose, which is docker-py, and its BuildKit."""

import json
from pathlib import Path

import pytest

from tests.support.clients_page import HIDDEN, SHOWN
from tests.support.needs import installed

from .clients import (
    NODE,
    ClientUser,
    Seed,
    assert_asked_once,
    assert_no_secret,
    distribution,
    from_image,
    package,
)
from .rig import PRIVATE

# Each Python program gets the image, the registry's host and a directory as words.

DOCKER_PY_PULL_PUSH = """
import sys, docker
image, client = sys.argv[1], docker.from_env()
client.images.pull(image).tag(image + "-py")
for line in client.images.push(image + "-py", stream=True, decode=True):
    assert "error" not in line, line
client.images.remove(image)
client.images.remove(image + "-py")
"""
DOCKER_PY_PULL = """
import sys, docker
docker.from_env().images.pull(sys.argv[1])
docker.from_env().images.remove(sys.argv[1])
"""
DOCKER_PY_BUILD = """
import sys, docker
docker.from_env().images.build(path=sys.argv[3], tag="py", nocache=True, rm=True)
docker.from_env().images.remove("py")
docker.from_env().images.remove(sys.argv[1])
"""
DOCKER_PY_LOGIN = """
import sys, docker
assert docker.from_env().login(username=None, registry=sys.argv[2])["Username"] == "AWS"
"""
DOCKER_PY_STORE = """
import sys
from docker.credentials import Store
from docker.credentials.errors import CredentialsNotFound, StoreError
store, host = Store("ecr"), sys.argv[2]
given = store.get(host)
store.store(host, given["Username"], given["Secret"])
assert store.list() == {"https://" + host: "AWS"}
store.erase(host)
assert store.list() == {}
try:
    store.get("ghcr.io")
except CredentialsNotFound:
    print("not found")
try:
    store.store("ghcr.io", "me", "x")
except StoreError:
    print("refused")
"""
TESTCONTAINERS_START = """
import sys
from testcontainers.core.container import DockerContainer
with DockerContainer(sys.argv[1], network_mode="none").with_command("/program stay") as container:
    assert container.get_wrapped_container().id
container.get_docker_client().client.images.remove(sys.argv[1])
"""
TESTCONTAINERS_BUILD = """
import sys
from testcontainers.core.image import DockerImage
with DockerImage(path=sys.argv[3], tag="tc:1", no_cache=True) as image:
    image.get_docker_client().client.images.remove(sys.argv[1])
"""
ORAS = """
import os, sys, oras.client
os.chdir(sys.argv[3])
open("artifact.txt", "w").write("hello")
client = oras.client.OrasClient(auth_backend="basic")
target = sys.argv[2] + "/team/artifact:1"
assert client.push(target=target, files=["artifact.txt"]).status_code == 201
[path] = client.pull(target=target, outdir="pulled")
assert open(path).read() == "hello"
assert client.get_tags(target) == ["1"]
"""
COMPOSE = """
version: "2.4"
services:
  pulled:
    image: {image}
    network_mode: none
  built:
    build: .
    image: {image}-built
    network_mode: none
"""


def python(user: ClientUser, code: str, image: str, directory: Path | None = None) -> str:
    """Run one of the programs above; return what it printed."""
    done = user.python(code, image, PRIVATE, directory or user.home)
    assert_no_secret(user, done)
    return done.stdout


@pytest.mark.client("docker-py", "pull", "push")
def test_docker_py_pulls_and_pushes(client_user: ClientUser, seed: Seed, found: str) -> None:
    """It wants Username and Secret, in JSON, and gets them by the host's name."""
    client_user.record("version", distribution("docker"))
    client_user.use(found)

    python(client_user, DOCKER_PY_PULL_PUSH, seed.image)

    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("docker-py", "build FROM", "login")
def test_docker_py_builds_after_a_login(client_user: ClientUser, seed: Seed, found: str) -> None:
    """A build asks for every credHelper, and lists a credsStore first."""
    client_user.record("version", distribution("docker"))
    client_user.use(found)

    python(client_user, DOCKER_PY_LOGIN, seed.image)
    python(client_user, DOCKER_PY_BUILD, seed.image, from_image(client_user, seed.image))

    assert (("list", "") in client_user.calls()) == (found == "credsStore")
    assert client_user.aws.count("ecr") == 1


@pytest.mark.client("docker-py", "pull in public, anonymous")
def test_docker_py_pulls_in_public(newcomer: ClientUser, public_seed: Seed, found: str) -> None:
    """The text for "not found" sends it on without credentials."""
    newcomer.record("version", distribution("docker"))
    newcomer.use(found, public_seed.host)

    python(newcomer, DOCKER_PY_PULL, public_seed.image)

    assert newcomer.asked() == {public_seed.host}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(DOCKER_PY_PULL, marks=pytest.mark.client("docker-py", SHOWN), id="docker-py"),
        pytest.param(
            TESTCONTAINERS_START,
            marks=pytest.mark.client("testcontainers-python", SHOWN),
            id="testcontainers-python",
        ),
    ],
)
def test_docker_py_fails(client_user: ClientUser, seed: Seed, code: str, failure: str) -> None:
    """The cause is in the exception that it ends with, or on stderr before the engine's."""
    distribution("testcontainers")
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    refused = client_user.python(code, seed.image, PRIVATE, client_user.home, check=False)

    assert refused.returncode == 1
    assert "CAUSE" in client_user.sees(failure, refused)


def test_docker_py_takes_all_four_verbs(client_user: ClientUser, seed: Seed) -> None:
    """Its own view of a store: each verb answers, and each failure has the type that it means."""
    distribution("docker")

    assert python(client_user, DOCKER_PY_STORE, seed.image) == "not found\nrefused\n"


@pytest.mark.client("testcontainers-python", "pull")
def test_testcontainers_python_starts(client_user: ClientUser, seed: Seed, found: str) -> None:
    """A container of a private image starts."""
    client_user.record("version", distribution("testcontainers"))
    client_user.use(found)

    python(client_user, TESTCONTAINERS_START, seed.image)

    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("testcontainers-python", "build FROM", found="credHelpers")
def test_testcontainers_python_builds(client_user: ClientUser, seed: Seed) -> None:
    """An image is built upon a private one."""
    client_user.record("version", distribution("testcontainers"))
    client_user.use_helper(PRIVATE)

    python(client_user, TESTCONTAINERS_BUILD, seed.image, from_image(client_user, seed.image))

    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("oras-py", "push", "pull")
def test_oras_py_pushes_and_pulls(client_user: ClientUser, found: str) -> None:
    """An artifact goes up and comes back."""
    client_user.record("version", distribution("oras"))
    client_user.use(found)

    python(client_user, ORAS, "")

    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("docker-compose", "pull", "build FROM", "push")
def test_compose_pulls_builds_and_pushes(client_user: ClientUser, seed: Seed, found: str) -> None:
    """Compose v1 pulls and pushes with docker-py, and builds with the docker CLI."""
    compose = installed("docker-compose")
    client_user.record("version", client_user.run(compose, "version", "--short").stdout.strip())
    client_user.use(found)
    context = from_image(client_user, seed.image)
    file = context / "docker-compose.yml"
    file.write_text(COMPOSE.format(image=seed.image))

    for words in (
        ("pull", "pulled"),
        ("build", "--no-cache", "built"),
        ("push", "built"),
        ("up", "pulled"),
        ("down", "--rmi", "all"),
    ):
        assert_no_secret(client_user, client_user.run(compose, "--file", file, *words))

    assert client_user.aws.count("ecr") == 1


@pytest.mark.client("docker-compose", SHOWN)
def test_compose_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """The cause is in the exception that Compose v1 ends with."""
    compose = installed("docker-compose")
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)
    file = client_user.home / "docker-compose.yml"
    file.write_text(COMPOSE.format(image=seed.image))

    refused = client_user.run(compose, "--file", file, "pull", "pulled", check=False)

    assert refused.returncode == 1
    assert "CAUSE" in client_user.sees(failure, refused)


@pytest.mark.client("docker CLI of Debian", "build FROM, BuildKit")
def test_buildkit_finds_the_base_image(client_user: ClientUser, seed: Seed, found: str) -> None:
    """BuildKit, which Debian's CLI drives alone, asks for the host; an empty cache is no matter."""
    client_user.cli = "/usr/bin/docker"
    client_user.record("version", client_user.docker("--version").stdout.split()[2].rstrip(","))
    client_user.use(found)
    client_user.variables["DOCKER_BUILDKIT"] = "1"
    context = from_image(client_user, seed.image)

    build = client_user.docker("build", "--no-cache", "--tag", "built", context)

    client_user.docker("rmi", "built")
    assert_asked_once(client_user, PRIVATE)
    assert_no_secret(client_user, build)


@pytest.mark.client("testcontainers-node", "pull")
def test_testcontainers_node_starts(client_user: ClientUser, seed: Seed, found: str) -> None:
    """It ends the host with a line feed, and a container of a private image starts."""
    client_user.record("version", package("testcontainers"))
    client_user.use(found)

    started = client_user.node("start.cjs", seed.image)

    client_user.docker("rmi", seed.image)
    assert_asked_once(client_user, f"{PRIVATE}\n")
    assert_no_secret(client_user, started)


@pytest.mark.client("testcontainers-node", HIDDEN)
def test_testcontainers_node_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """It goes on without a login, and says no more than the engine."""
    package("testcontainers")
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    refused = client_user.run("node", NODE / "start.cjs", seed.image, check=False)

    assert refused.returncode == 1
    assert "no basic auth credentials" in refused.stderr
    assert client_user.asked() == {f"{PRIVATE}\n"}
    assert "CAUSE" not in client_user.sees(failure, refused)


@pytest.mark.client("testcontainers-node", "build FROM")
def test_testcontainers_node_builds(client_user: ClientUser, seed: Seed, found: str) -> None:
    """An image is built upon a private one, with the credentials of its host alone."""
    client_user.record("version", package("testcontainers"))
    client_user.use(found)

    built = client_user.node("build.cjs", from_image(client_user, seed.image), "node:1")

    client_user.docker("rmi", "node:1", seed.image)
    assert_asked_once(client_user, f"{PRIVATE}\n")
    assert_no_secret(client_user, built)


@pytest.mark.client("testcontainers-node", "pull in public, anonymous")
def test_testcontainers_node_in_public(newcomer: ClientUser, public_seed: Seed, found: str) -> None:
    """Where the helper has nothing, it goes on without credentials."""
    newcomer.record("version", package("testcontainers"))
    newcomer.use(found, public_seed.host)

    newcomer.node("start.cjs", public_seed.image)

    newcomer.docker("rmi", public_seed.image)
    assert newcomer.asked() == {f"{public_seed.host}\n"}


@pytest.mark.client("devcontainers CLI", "push", "inspect")
def test_devcontainers_publish_a_feature(client_user: ClientUser, found: str) -> None:
    """A feature, which is an OCI artifact, goes up and is read again."""
    client_user.record("version", package("@devcontainers/cli"))
    client_user.use(found)
    feature = client_user.home / "src" / "hello"
    feature.mkdir(parents=True)
    described = {"id": "hello", "version": "1.0.0", "name": "Hello"}
    (feature / "devcontainer-feature.json").write_text(json.dumps(described))
    (feature / "install.sh").write_text("#!/bin/sh\n")
    namespace = f"team/features-{found.lower()}"

    published = devcontainer(client_user, "publish", "-r", PRIVATE, "-n", namespace, feature.parent)
    shown = devcontainer(
        client_user, "info", "manifest", f"{PRIVATE}/{namespace}/hello:1", "--output-format=json"
    )

    assert json.loads(published)["hello"]["version"] == "1.0.0"
    assert f"{PRIVATE}/{namespace}/hello@sha256:" in shown
    assert_asked_once(client_user, PRIVATE)


def devcontainer(user: ClientUser, *words: str | Path) -> str:
    """Run `devcontainer features`; return what it printed."""
    program = NODE / "node_modules" / ".bin" / "devcontainer"
    done = user.run(program, "features", *words, "--log-level", "trace")
    assert_no_secret(user, done)
    return done.stdout


@pytest.mark.client("devcontainers CLI", "build FROM")
def test_devcontainers_build(client_user: ClientUser, seed: Seed, found: str) -> None:
    """A workspace is built upon a private image."""
    client_user.record("version", package("@devcontainers/cli"))
    client_user.use(found)
    described = client_user.home / "work" / ".devcontainer" / "devcontainer.json"
    described.parent.mkdir(parents=True)
    described.write_text(json.dumps({"image": seed.image}))
    program = NODE / "node_modules" / ".bin" / "devcontainer"
    folder = described.parents[1]

    built = client_user.run(
        program, "build", "--workspace-folder", folder, "--buildkit=never", "--image-name=dev:1"
    )

    client_user.docker("rmi", "dev:1", seed.image)
    assert json.loads(built.stdout)["outcome"] == "success"
    assert PRIVATE in client_user.asked()
    assert client_user.aws.count("ecr") == 1
    assert_no_secret(client_user, built)

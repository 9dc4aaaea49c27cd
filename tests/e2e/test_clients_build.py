"""What builds around the Docker engine: buildx, buildctl at its own buildkitd, and Compose."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret, from_image
from .rig import PRIVATE, Rig

BAKED = "build FROM, BuildKit"
SERVICES = 12
COMPOSE = """
services:
  pulled:
    image: {image}
    network_mode: none
  built:
    build: .
    image: {image}-built
    network_mode: none
"""


@pytest.fixture(scope="module")
def buildkitd(rig: Rig) -> Iterator[str]:
    """Run a BuildKit without an engine, and return its address."""
    address = f"unix://{rig.directory}/buildkitd.sock"
    words = (f"--addr={address}", f"--root={rig.directory}/buildkitd", "--oci-worker-net=host")
    with rig.serving("buildkitd", built("go", "buildkitd"), *words, "--containerd-worker=false"):
        yield address


@pytest.fixture
def someone(client_user: ClientUser) -> ClientUser:
    """Give a test somebody with AWS credentials and today's docker CLI."""
    return equipped(client_user)


@pytest.fixture
def outsider(newcomer: ClientUser) -> ClientUser:
    """Give a test the same without AWS credentials."""
    return equipped(newcomer)


def equipped(user: ClientUser) -> ClientUser:
    """Give a user the docker CLI and its plugins, where Docker's own packages have them too."""
    user.cli = str(built("go", "docker"))
    del user.variables["DOCKER_BUILDKIT"]
    plugins = user.config.parent / "cli-plugins"
    plugins.mkdir()
    for name in ("buildx", "compose"):
        (plugins / f"docker-{name}").symlink_to(built("go", name))
    return user


def note_version(user: ClientUser, *command: str | Path) -> None:
    """Put down the version that a client says it has."""
    words = user.run(*command).stdout.split()
    user.record("version", next(word[1:] for word in words if word[:1] == "v" and "." in word))


def buildctl(
    user: ClientUser, address: str, context: Path, *words: str, check: bool = True
) -> CompletedProcess[str]:
    """Build a context, whose Dockerfile is in it."""
    return user.run(
        built("go", "buildctl"),
        f"--addr={address}",
        "--wait",
        "build",
        "--no-cache",
        "--frontend=dockerfile.v0",
        f"--local=context={context}",
        f"--local=dockerfile={context}",
        *words,
        check=check,
    )


def compose(
    user: ClientUser, project: Path, *words: str, check: bool = True
) -> CompletedProcess[str]:
    """Run Compose in a project."""
    return user.docker("compose", "--project-directory", project, *words, check=check)


def assert_of_seed(user: ClientUser, image: str) -> None:
    """Hold that an image, which may have to be pulled, is made of the seed; then remove it."""
    assert user.docker("run", "--rm", "--network=none", image).stdout == "seed\n"
    user.docker("rmi", image)


# buildx


@pytest.mark.client("buildx", BAKED, "push")
@pytest.mark.parametrize("driver", ["docker", "remote"])
def test_buildx_builds_and_pushes(
    someone: ClientUser, seed: Seed, buildkitd: str, found: str, driver: str
) -> None:
    """A private base is found, and the image pushed by the engine, or by a BuildKit elsewhere."""
    written = someone.use(found)
    note_version(someone, built("go", "buildx"), "version")
    if driver == "remote":
        someone.docker(
            "buildx", "create", "--driver=remote", "--name=elsewhere", "--use", buildkitd
        )
    image = f"{seed.image}-{driver}"

    build = someone.docker(
        "build", "--no-cache", "--push", "--tag", image, from_image(someone, seed.image)
    )

    if driver == "docker":
        someone.docker("rmi", image)
    assert_of_seed(someone, image)
    assert someone.config.read_bytes() == written
    assert_asked_once(someone, PRIVATE)
    assert_no_secret(someone, build)
    assert [path for token in someone.aws.issued for path in someone.files_with(token)] == []


@pytest.mark.client("buildx", "inspect", "copy")
def test_buildx_inspects_and_copies(
    someone: ClientUser, seed: Seed, repository: str, found: str
) -> None:
    """`docker buildx imagetools` reads from and writes to the registry without the engine."""
    someone.use(found)
    note_version(someone, built("go", "buildx"), "version")
    copy = f"{PRIVATE}/{repository}:1"

    shown = someone.docker("buildx", "imagetools", "inspect", "--raw", seed.image)
    created = someone.docker("buildx", "imagetools", "create", "--tag", copy, seed.image)

    assert seed.id in shown.stdout
    someone.docker("pull", copy)
    assert someone.image_id(copy) == seed.id
    someone.docker("rmi", copy)
    assert_asked_once(someone, PRIVATE)
    assert_no_secret(someone, shown, created)


@pytest.mark.client("buildx", "pull in public, anonymous")
def test_buildx_builds_on_a_public_image(
    outsider: ClientUser, public_seed: Seed, found: str
) -> None:
    """Without AWS credentials a public base is found all the same."""
    outsider.use(found, public_seed.host)
    note_version(outsider, built("go", "buildx"), "version")

    context = from_image(outsider, public_seed.image)

    outsider.docker("build", "--no-cache", "--tag", "built", context)

    assert_of_seed(outsider, "built")
    assert outsider.asked() == {public_seed.host}


@pytest.mark.client("buildx", SHOWN)
def test_buildx_shows_why_there_is_no_login(someone: ClientUser, seed: Seed, failure: str) -> None:
    """A build that finds no login ends with the cause."""
    someone.use_helper(PRIVATE)
    someone.let_fail(failure)

    build = someone.docker("build", from_image(someone, seed.image), check=False)

    assert build.returncode == 1
    assert "CAUSE" in someone.sees(failure, build)


# buildctl


@pytest.mark.client("buildctl", BAKED, "push")
def test_buildctl_builds_and_pushes(
    someone: ClientUser, seed: Seed, buildkitd: str, found: str
) -> None:
    """A buildkitd asks its client for the logins, to find the base and to push."""
    written = someone.use(found)
    note_version(someone, built("go", "buildctl"), "--version")
    image = f"{seed.image}-buildctl"

    context, output = from_image(someone, seed.image), f"type=image,name={image},push=true"

    build = buildctl(someone, buildkitd, context, f"--output={output}")

    assert_asked_once(someone, PRIVATE)
    assert_of_seed(someone, image)
    assert someone.config.read_bytes() == written
    assert_no_secret(someone, build)
    assert [path for token in someone.aws.issued for path in someone.files_with(token)] == []


@pytest.mark.client("buildctl", "pull in public, anonymous")
def test_buildctl_builds_on_a_public_image(
    outsider: ClientUser, public_seed: Seed, buildkitd: str, found: str
) -> None:
    """Without AWS credentials a public base is found all the same."""
    outsider.use(found, public_seed.host)
    note_version(outsider, built("go", "buildctl"), "--version")
    context, out = from_image(outsider, public_seed.image), outsider.home / "out"

    buildctl(outsider, buildkitd, context, f"--output=type=local,dest={out}")

    assert [(out / name).read_text() for name in ("note", "more")] == ["seed", "more"]
    assert outsider.asked() == {public_seed.host}


@pytest.mark.client("buildctl", SHOWN)
def test_buildctl_shows_why_there_is_no_login(
    someone: ClientUser, seed: Seed, buildkitd: str, failure: str
) -> None:
    """A build that finds no login ends with the cause."""
    someone.use_helper(PRIVATE)
    someone.let_fail(failure)
    context = from_image(someone, seed.image)

    build = buildctl(someone, buildkitd, context, check=False)

    assert build.returncode == 1
    assert "CAUSE" in someone.sees(failure, build)


# Compose


@pytest.mark.client("docker compose", "pull", BAKED, "push", "run")
def test_compose_pulls_builds_pushes_and_runs(someone: ClientUser, seed: Seed, found: str) -> None:
    """A service of a private image, and one that is built on it, need the helper alone."""
    written = someone.use(found)
    note_version(someone, built("go", "compose"), "version")
    project = from_image(someone, seed.image)
    (project / "compose.yaml").write_text(COMPOSE.format(image=seed.image))

    pull = compose(someone, project, "pull", "pulled")
    same = someone.image_id(seed.image) == seed.id
    build = compose(someone, project, "build", "--no-cache", "built")
    push = compose(someone, project, "push", "built")
    someone.docker("rmi", f"{seed.image}-built", seed.image)  # as one; `down --rmi` may trip itself
    run = compose(someone, project, "up", "pulled")
    compose(someone, project, "down")
    someone.docker("rmi", seed.image)

    assert same
    assert "pulled-1  | seed\n" in run.stdout
    assert_of_seed(someone, f"{seed.image}-built")
    assert someone.config.read_bytes() == written
    assert_asked_once(someone, PRIVATE)
    assert_no_secret(someone, pull, build, push, run)


def test_compose_asks_for_every_service_at_once(
    someone: ClientUser, seed: Seed, repository: str
) -> None:
    """Compose asks the helper once a service, all at the same time, and the helper AWS once."""
    images = [f"{PRIVATE}/{repository}:{number}" for number in range(SERVICES)]
    project = someone.rig.context("")
    services = (f"  s{number}:\n    image: {image}\n" for number, image in enumerate(images))
    (project / "compose.yaml").write_text("services:\n" + "".join(services))
    someone.use_helper(PRIVATE)
    someone.docker("pull", seed.image)
    for image in images:
        someone.docker("tag", seed.image, image)
    someone.docker("push", "--all-tags", f"{PRIVATE}/{repository}")
    someone.docker("rmi", seed.image, *images)
    someone.run(someone.helper, "erase", stdin=PRIVATE)
    asked, issued = len(someone.calls()), someone.aws.count("ecr")

    pull = compose(someone, project, "pull")

    someone.docker("rmi", *images)
    assert someone.calls()[asked:] == [("get", PRIVATE)] * SERVICES
    assert someone.aws.count("ecr") == issued + 1
    assert_no_secret(someone, pull)


@pytest.mark.client("docker compose", "pull in public, anonymous")
def test_compose_pulls_in_public(outsider: ClientUser, public_seed: Seed, found: str) -> None:
    """Without AWS credentials a public image is pulled all the same."""
    outsider.use(found, public_seed.host)
    note_version(outsider, built("go", "compose"), "version")
    project = from_image(outsider, public_seed.image)
    (project / "compose.yaml").write_text(COMPOSE.format(image=public_seed.image))

    compose(outsider, project, "pull", "pulled")

    outsider.docker("rmi", public_seed.image)
    assert outsider.asked() == {public_seed.host}


@pytest.mark.client("docker compose", SHOWN)
def test_compose_shows_why_there_is_no_login(someone: ClientUser, seed: Seed, failure: str) -> None:
    """A service that finds no login does not come up, and the cause is on the screen."""
    project = from_image(someone, seed.image)
    (project / "compose.yaml").write_text(COMPOSE.format(image=seed.image))
    someone.use_helper(PRIVATE)
    someone.let_fail(failure)

    up = compose(someone, project, "up", "pulled", check=False)

    assert up.returncode == 1
    assert "CAUSE" in someone.sees(failure, up)


# What has to fail, so that the above means something


def test_without_the_helper_nothing_is_built_or_pulled(
    someone: ClientUser, seed: Seed, buildkitd: str
) -> None:
    """Nobody else has a login for the registry, and no BuildKit keeps one of somebody before."""
    project = from_image(someone, seed.image)
    (project / "compose.yaml").write_text(COMPOSE.format(image=seed.image))

    done = [
        someone.docker("build", project, check=False),
        buildctl(someone, buildkitd, project, check=False),
        compose(someone, project, "pull", "pulled", check=False),
    ]

    assert [each.returncode for each in done] == [1, 1, 1]
    assert all("401" in each.stderr for each in done[:2])
    assert "no basic auth credentials" in done[2].stderr

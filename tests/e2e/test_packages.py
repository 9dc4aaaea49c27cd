"""A real engine pulls with every form that the program is given out in, and builds its image."""

import filecmp
import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback
from tests.support.entries import secret_of
from tests.support.forms import FORMS, NAME, below, by_directory, only, run, unpack
from tests.support.needs import SYSTEM_PATH

from .clients import Seed
from .conftest import CLI
from .rig import PRIVATE, Rig
from .users import User


@pytest.fixture
def anybody(rig: Rig, aws: Loopback) -> User:
    """Give a test somebody with AWS credentials and one docker CLI."""
    user = User(rig, CLI, aws.environment(with_keys=True))
    user.variables |= {"DOCKER_BUILDKIT": "0", "DOCKER_HOST": f"unix://{rig.directory}/docker.sock"}
    return user


@pytest.mark.parametrize("form", FORMS)
def test_docker_pulls_with_it(
    anybody: User, aws: Loopback, seed: Seed, tmp_path: Path, form: str
) -> None:
    """Found on PATH, named by config.json, and twice, so that the second finds it warm."""
    executable = FORMS[form](tmp_path)
    anybody.variables["PATH"] = f"{executable.parent}:{SYSTEM_PATH}"
    config = anybody.use_helper(PRIVATE)
    for _ in range(2):
        anybody.docker("pull", seed.image)
        anybody.docker("rmi", seed.image)
    assert aws.count("ecr") == 1
    assert anybody.config.read_bytes() == config


@pytest.mark.needs("skopeo")
def test_other_images_copy_it(anybody: User, aws: Loopback, tmp_path: Path) -> None:
    """In an image with nothing else in it, it answers cold and warm."""
    archive = f"oci-archive:{only(f'{NAME}-*-image.tar')}"
    socket = anybody.variables["DOCKER_HOST"]
    run(
        "skopeo",
        "copy",
        "--quiet",
        f"--dest-daemon-host={socket}",
        archive,
        f"docker-daemon:{NAME}:it",
    )
    consumer = tmp_path / "consumer"
    consumer.mkdir()
    (consumer / "Dockerfile").write_text(
        f"FROM {NAME}:it AS helper\nFROM scratch\nCOPY --from=helper /opt/{NAME} /opt/{NAME}\n"
    )
    anybody.docker("build", "--tag", "consumer", consumer)
    variables = {**aws.environment(with_keys=True), "HOME": "/home"}
    options = [f"--env={name}={value}" for name, value in variables.items()]
    options += ["--rm", "--interactive", "--network=host", f"--volume={tmp_path}/home:/home"]
    (tmp_path / "home").mkdir()
    get = ("run", *options, "consumer", f"/opt/{NAME}/{NAME}", "get")
    answers = [anybody.docker(*get, stdin=PRIVATE).stdout for _ in range(2)]
    assert answers[0] == answers[1]
    assert secret_of(json.loads(answers[0]))
    assert aws.count("ecr") == 1


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize(("architecture", "machine"), [("amd64", "x86_64"), ("arm64", "aarch64")])
def test_the_image_is_for_both_processors(tmp_path: Path, architecture: str, machine: str) -> None:
    """Each finds its own directory in it, as it is in the archive for download."""
    archive = f"oci-archive:{only(f'{NAME}-*-image.tar')}"
    run("skopeo", "--override-arch", architecture, "copy", archive, f"dir:{tmp_path}/image")
    manifest = json.loads((tmp_path / "image" / "manifest.json").read_text())
    config, (layer,) = manifest["config"], manifest["layers"]
    assert blob(tmp_path, config)["architecture"] == architecture
    unpack(tmp_path / "image" / layer["digest"].partition(":")[2], tmp_path / "root")
    expected = by_directory(tmp_path, machine).parent
    files = sorted(below(expected))
    copied = tmp_path / "root" / "opt" / NAME
    assert files == sorted(below(copied))
    assert filecmp.cmpfiles(expected, copied, files, shallow=False) == (files, [], [])


def blob(directory: Path, descriptor: dict[str, str]) -> Any:
    """Return a document of an image."""
    return json.loads((directory / "image" / descriptor["digest"].partition(":")[2]).read_text())

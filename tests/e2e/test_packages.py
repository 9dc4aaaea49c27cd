"""A real engine pulls with every form that the program is given out in, and builds its image."""

import json
import shutil
from pathlib import Path

import pytest

from tests.loopback import Loopback
from tests.support.entries import secret_of
from tests.support.forms import FORMS, NAME, ROOT, by_directory
from tests.support.needs import SYSTEM_PATH

from .clients import Seed
from .conftest import CLI
from .rig import PRIVATE, Rig
from .users import User

# What the recipe says that the program needs of the image that copies it.
GLIBC = (
    "/lib64/ld-linux-x86-64.so.2",
    *(f"/lib/x86_64-linux-gnu/lib{name}" for name in ("c.so.6", "dl.so.2", "m.so.6")),
    "/lib/x86_64-linux-gnu/libpthread.so.0",
)


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


def test_other_images_copy_it(anybody: User, aws: Loopback, tmp_path: Path) -> None:
    """In an image with nothing but glibc in it, as its recipe says, it answers cold and warm."""
    directory = by_directory(tmp_path).parent
    image = ("-o", "standalone", "image", f"FROZEN={directory.parent}")
    anybody.run("make", "-C", ROOT, *image)
    consumer = tmp_path / "consumer"
    for library in GLIBC:
        target = consumer / "glibc" / library.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (consumer / "Dockerfile").write_text(
        f"FROM {NAME} AS helper\nFROM scratch\nCOPY glibc /\n"
        f"COPY --from=helper /opt/{NAME} /opt/{NAME}\n"
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

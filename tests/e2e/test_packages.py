"""A real engine pulls with every form that the program is given out in."""

from pathlib import Path

import pytest

from tests.aws_loopback import Loopback
from tests.forms import FORMS
from tests.needs import SYSTEM_PATH

from .clients import Seed
from .conftest import CLI
from .rig import PRIVATE, Rig
from .users import User


@pytest.mark.parametrize("form", FORMS)
def test_docker_pulls_with_it(
    rig: Rig, aws: Loopback, seed: Seed, tmp_path: Path, form: str
) -> None:
    """Found on PATH, named by config.json, and twice, so that the second finds it warm."""
    user = User(rig, CLI, aws.environment(with_keys=True))
    executable = FORMS[form](tmp_path)
    user.variables["PATH"] = f"{executable.parent}:{SYSTEM_PATH}"
    config = user.use_helper(PRIVATE)
    for _ in range(2):
        user.docker("pull", seed.image)
        user.docker("rmi", seed.image)
    assert aws.count("ecr") == 1
    assert user.config.read_bytes() == config

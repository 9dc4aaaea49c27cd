"""The commands for people, with a real Docker engine: what they set up is what Docker does."""

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pictures import PICTURES, pull, svg, words
from tests.loopback import Fault, Loopback
from tests.support.helper import Helper
from tests.support.needs import built

from .rig import PRIVATE
from .users import User

HELPER = "docker-credential-ecr"


def test_configure_is_all_that_a_pull_needs(user: User, aws: Loopback, repository: str) -> None:
    """From a stale `docker login` to the helper: one command, and push and pull work."""
    user.use_password(PRIVATE, "a password that expired long ago")
    image = f"{PRIVATE}/{repository}:1"
    user.build(image)
    assert user.docker("push", image, check=False).returncode != 0
    said = user.run(HELPER, "configure", PRIVATE)
    assert "the password kept for it" in said.stdout
    user.docker("push", image)
    user.docker("pull", image)
    assert aws.count("ecr") == 1
    user.run(HELPER, "configure", "--remove", PRIVATE)
    assert json.loads(user.config.read_text()) == {"auths": {}}
    assert user.docker("pull", image, check=False).returncode != 0


def test_doctor_walks_the_way_of_a_pull_to_the_registry(user: User, aws: Loopback) -> None:
    """All of it passes where a pull works, and what breaks a pull is what it stops at."""
    user.run(HELPER, "configure", PRIVATE)
    user.variables["SSL_CERT_FILE"] = str(user.rig.certificates())
    said = user.run(HELPER, "doctor", PRIVATE).stdout
    assert f"pass  registry: https://{PRIVATE}/v2/ answers (200)\n" in said
    assert said.endswith("\nnothing is wrong\n")
    aws.faults["ecr"] = Fault("denied")
    broken = user.run(HELPER, "doctor", PRIVATE, check=False)
    assert broken.returncode == 1
    assert "fail  token: " in broken.stdout


def test_warm_spares_the_pull_a_call(user: User, aws: Loopback) -> None:
    """What is fetched ahead of time is what Docker gets."""
    user.run(HELPER, "configure", PRIVATE)
    user.run(HELPER, "warm", PRIVATE)
    user.docker("pull", f"{PRIVATE}/not/there", check=False)
    assert aws.count("ecr") == 1


def test_the_picture_of_a_pull_is_what_is_shown_today(user: User) -> None:
    """But for the hashes."""
    now, then = (
        [word for word in words(text) if not re.fullmatch(r"(sha256:)?[0-9a-f]{12,}:?", word)]
        for text in (svg("pull", pull(user)), (PICTURES / "pull.svg").read_text())
    )
    assert now == then


LOGIN = base64.b64encode(b"AWS:a-token").decode()
VARIABLES = [
    {},
    {"auths": None},
    {"auths": {PRIVATE: {"auth": LOGIN}}},
    {"Auths": {PRIVATE: {"Auth": LOGIN}}},
    {"auths": {PRIVATE: {}}},
    {"auths": {PRIVATE: None}},
    {"auths": {PRIVATE: {"auth": LOGIN, "email": "you@example.com"}}},
    {"auths": {PRIVATE: {"auth": "c2VjcmV0"}}},
    {"auths": {PRIVATE: {"auth": 5}}},
    {"auths": 5},
    {"credHelpers": {PRIVATE: "ecr"}},
    {"auths": {PRIVATE: {"auth": LOGIN}}, "credHelpers": {}},
    [],
    "",
]


@pytest.mark.parametrize("value", VARIABLES, ids=json.dumps)
def test_doctor_judges_the_variable_as_docker_does(
    helper: Helper, tmp_path: Path, value: object
) -> None:
    """It says of a DOCKER_AUTH_CONFIG that Docker drops it where Docker of today drops it."""
    docker = built("go", "docker")
    variables = {"DOCKER_AUTH_CONFIG": json.dumps(value), "HOME": str(tmp_path)}
    logout = subprocess.run(
        [docker, "logout", PRIVATE], env=variables, capture_output=True, text=True, check=False
    )
    (tmp_path / "docker").symlink_to(docker)
    helper.env |= {"PATH": f"{tmp_path}:{helper.env['PATH']}", **variables}
    checks = helper.run("doctor", "--json").answer["checks"]
    (check,) = (check for check in checks if check["check"] == "DOCKER_AUTH_CONFIG")
    dropped = "drops all of it" in check["found"]
    assert dropped == ("credential store from DOCKER_AUTH_CONFIG" in logout.stderr)

"""The commands for people, with a real Docker engine: what they set up is what Docker does."""

import json

from tests.loopback import Fault, Loopback

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
    assert "the password that was kept in the file" in said.stdout
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
    assert f"pass  registry: https://{PRIVATE}/v2/ answers\n" in said
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

"""The first minutes with the program: from its installation, and from AWS profiles, to an image."""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.loopback import (
    USER_ARN,
    USER_KEY,
    USER_SECRET,
    Loopback,
    iso_time,
    role_arn_of,
    session_arn,
)
from tests.support.helper import EXECUTABLE
from tests.support.installed import NAME, environment, pip_install
from tests.support.needs import SYSTEM_PATH

from .clients import Seed
from .conftest import CLI
from .rig import HUB, OTHER, PRIVATE, THIRD, Rig
from .test_docker import assert_no_secret, assert_round_trip
from .users import User

KEYS = f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"
REGISTRIES = (PRIVATE, OTHER, THIRD)
PARTNER = role_arn_of("partner", "444455556666")
CORP = role_arn_of("AWSReservedSSO_Pull_0123456789abcdef", "777788889999")
SSO_TOKEN = "canary-sso-access-token"

# One profile for each account: by keys, by a role of theirs, and by IAM Identity Center.
PROFILES = f"""\
[profile home]
region = eu-west-1
aws_account_id = 111122223333

[profile partner]
region = us-east-1
role_arn = {PARTNER}
role_session_name = me
source_profile = home

[profile corp]
region = eu-west-1
sso_session = corp
sso_account_id = 777788889999
sso_role_name = Pull

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
"""
PAYERS = {
    ("eu-west-1", USER_ARN),
    ("us-east-1", session_arn(PARTNER, "me")),
    ("eu-west-1", session_arn(CORP, "developer")),
}


def newcomer(rig: Rig, aws: Loopback, config: str, credentials: str) -> User:
    """Return somebody who has two AWS files and an engine, and nothing of Docker's."""
    user = User(rig, CLI, aws.environment())
    user.config.unlink()
    user.config.parent.rmdir()
    user.variables["DOCKER_HOST"] = f"unix://{rig.directory}/docker.sock"
    for name, text in {"config": config, "credentials": credentials}.items():
        file = user.home / ".aws" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return user


@pytest.fixture
def member(rig: Rig, aws: Loopback) -> User:
    """Give a test somebody with a profile in each of three accounts that let in no other's."""
    aws.add_role(PARTNER)
    aws.add_sso_role("777788889999", "Pull")
    aws.add_sso_session(SSO_TOKEN)
    aws.closed = True
    user = newcomer(rig, aws, PROFILES, f"[home]\n{KEYS}")
    login = {"accessToken": SSO_TOKEN, "expiresAt": iso_time(time.time() + 3600)}
    file = user.home / ".aws" / "sso" / "cache" / f"{hashlib.sha1(b'corp').hexdigest()}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(login))
    return user


def test_two_commands_from_the_wheel_to_an_image(
    rig: Rig, aws: Loopback, seed: Seed, tmp_path: Path
) -> None:
    """With AWS settings and Docker alone; AWS is asked whose account it is, and for one token."""
    user = newcomer(rig, aws, "[default]\nregion = eu-west-1\n", f"[default]\n{KEYS}")
    python, _ = environment(tmp_path / "venv")
    pip_install(python, tmp_path)
    user.variables["PATH"] = f"{python.parent}:{SYSTEM_PATH}"

    configured = user.run(NAME, "configure")
    pulled = user.run("docker", "pull", seed.image)

    assert (configured.stderr, pulled.stderr) == ("", "")
    assert user.image_id(seed.image) == seed.id
    assert json.loads(user.config.read_text()) == {"credHelpers": {PRIVATE: "ecr"}}
    asked = [(call.service, call.operation, call.region) for call in aws.calls]
    assert asked == [
        ("sts", "GetCallerIdentity", "eu-west-1"),
        ("ecr", "GetAuthorizationToken", "eu-west-1"),
    ]
    assert_no_secret(aws, configured, pulled)


def test_each_registry_is_paid_by_its_profile(member: User, aws: Loopback, repository: str) -> None:
    """Push and pull in three accounts, each with the principal that its profile leads to."""
    configured = member.run(NAME, "configure", "--profiles")
    assert configured.stderr == ""
    assert aws.calls == []

    for host in REGISTRIES:
        assert_round_trip(member, aws, f"{host}/{repository}:1")

    paid = [(call.region, call.principal) for call in aws.calls if call.service == "ecr"]
    assert len(paid) == len(REGISTRIES)
    assert set(paid) == PAYERS
    assert json.loads(member.config.read_text()) == {
        "credHelpers": dict.fromkeys(REGISTRIES, "ecr")
    }


def test_the_profile_of_another_account_is_refused(member: User, repository: str) -> None:
    """Two profiles in each other's place pull nothing, until `configure --profiles` runs again."""
    member.run(NAME, "configure", "--profiles")
    images = [f"{host}/{repository}:1" for host in (PRIVATE, THIRD)]
    for image in images:
        member.build(image)
        member.docker("push", image)
    settings = member.home / ".config" / "ecr-credential-helper" / "config.toml"
    right = settings.read_text()
    swapped = right.replace('"home"', '""').replace('"corp"', '"home"').replace('""', '"corp"')

    settings.write_text(swapped)
    refused = [member.docker("pull", image, check=False) for image in images]
    member.run(NAME, "configure", "--profiles")
    taken = [member.docker("pull", image, check=False) for image in images]

    assert [done.returncode for done in (*refused, *taken)] == [1, 1, 0, 0]
    assert all("unauthorized" in done.stderr for done in refused)
    assert settings.read_text() == right


def has_open(run: subprocess.Popen[bytes], directory: Path) -> bool:
    """Say whether a run holds a directory open, as it does while it waits for its lock."""
    files = Path(f"/proc/{run.pid}/fd").glob("*")
    return directory.resolve() in [file.resolve() for file in files]


def test_twenty_at_once_lose_nothing_of_a_login(user: User) -> None:
    """Docker saves config.json when twenty have read it and none has saved: all of it is there.

    The other way round nobody can help it: Docker takes no lock, and does not look again at what it
    has read, so what others save while a `docker login` waits for its registry is lost.
    """
    hosts = [f"{number:012}.dkr.ecr.eu-west-1.amazonaws.com" for number in range(20)]
    user.use_password("old.example.com", "an old password")
    directory = user.config.parent
    lock = os.open(directory, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen([EXECUTABLE, "configure", host], env=user.variables)
            )
            for host in hosts
        ]
        while not all(has_open(run, directory) for run in runs if run.poll() is None):
            time.sleep(0.02)
        user.docker("login", "--username", "me", "--password-stdin", HUB, stdin="a password")
        user.docker("logout", "old.example.com")
        os.close(lock)
        statuses = [run.wait() for run in runs]
    assert statuses == [0] * 20
    saved = json.loads(user.config.read_text())
    assert saved["credHelpers"] == dict.fromkeys(hosts, "ecr")
    assert list(saved["auths"]) == [HUB]
    assert [path.name for path in directory.iterdir()] == [user.config.name]

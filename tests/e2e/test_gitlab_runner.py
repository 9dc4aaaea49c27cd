"""The recipe of docs/ci.md for the machine of GitLab Runner, which pulls the images of jobs."""

import json
import tomllib

import pytest

from tests.loopback import Loopback
from tests.support.forms import NAME
from tests.support.helper import EXECUTABLE
from tests.support.needs import SYSTEM_PATH, built
from tests.support.pages import CI, text_of

from .conftest import CLI
from .rig import PRIVATE, Rig
from .users import User

# A machine with the user of GitLab Runner, over that of the rig. $1 is an empty directory, $2 asks
# for a login as GitLab Runner does, $3 is an image. The service runs as root, and reads the
# config.json of root or that of the user whom it was started for.
MANAGER = """
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc
mkdir -m 755 "$1/root" "$1/work"
mount -t overlay overlay -o "lowerdir=/root,upperdir=$1/root,workdir=$1/work" /root
mount -t tmpfs tmpfs /mnt
useradd --create-home --base-dir /mnt gitlab-runner
mount -t overlay overlay -o "lowerdir=$1/installed:/usr" /usr
sh -eu "$1/script" >&2
export HOME=/root
"$2" "" "$3"
"$2" gitlab-runner "$3"
"""


@pytest.mark.needs("runuser", "useradd")
@pytest.mark.parametrize("how", ["config.json", "DOCKER_AUTH_CONFIG"])
def test_the_image_of_a_gitlab_job(
    rig: Rig, aws: Loopback, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whichever user's config.json GitLab Runner reads, with the role of the machine."""
    runner = built("go", "gitlab-runner")
    monkeypatch.setattr(aws, "instance_role", "node")
    image = f"{PRIVATE}/app:latest"
    keys = aws.environment(with_keys=True)
    somebody = User(rig, CLI, keys)
    somebody.use_helper(PRIVATE)
    somebody.build(image)
    somebody.docker("push", image)
    somebody.docker("rmi", image)

    here = somebody.home / "machine"
    (here / "stubs").mkdir(parents=True)
    (here / "installed/bin").mkdir(parents=True)
    (here / "installed/bin" / NAME).symlink_to(EXECUTABLE)
    (here / "stubs/apt-get").write_text('#!/bin/sh\n[ "$1 $2 $#" = "install --yes 3" ]\n')
    (here / "stubs/apt-get").chmod(0o755)
    (here / "script").write_text(text_of("The image of a job", "sh", CI))
    variables = {**aws.environment(), "PATH": f"{here}/stubs:{SYSTEM_PATH}"}
    if how == "DOCKER_AUTH_CONFIG":
        config = tomllib.loads(text_of("The image of a job", "toml", CI))
        (word,) = config["runners"][0]["environment"]
        name, _, variables[name] = word.partition("=")
        (here / "script").write_text("")
    done = rig.run(
        "unshare", "--mount", "sh", "-euc", MANAGER, "sh", here, runner, image, env=variables
    )
    logins = [json.loads(line) for line in done.stdout.splitlines()]
    assert [login["source"] for login in logins] == [how, how]
    for login in logins:
        assert login["username"] == "AWS"
        somebody.use_password(PRIVATE, login["password"])
        somebody.docker("pull", image)
        somebody.docker("rmi", image)
    assert aws.count("imds") > 0

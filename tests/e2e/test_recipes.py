"""The recipes of the pages, run: a real Docker engine, a registry, podman and skopeo.

What a recipe installs is installed already, and what AWS, GitHub or Kubernetes do around it is done
by the test; the commands and files are those of the pages. What a recipe takes from a package is
the program of the tests, but the package itself where they have been built (PACKAGES).
"""

import json
import os
import re
import secrets
import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.loopback import USER_ARN, Loopback
from tests.support.forms import NAME, PACKAGES, below, by_directory
from tests.support.helper import EXECUTABLE
from tests.support.needs import SYSTEM_PATH, installed
from tests.support.pages import (
    CI,
    INSTALL,
    KUBERNETES,
    MOVING_OVER,
    OTHER_TOOLS,
    README,
    TROUBLESHOOTING,
    text_of,
    texts_of,
)

from .rig import PRIVATE, Rig
from .users import User

PACKAGED = "PACKAGES" in os.environ
ROLE = "arn:aws:iam::111122223333:role/ci"

# sudo as root is the same user; what installs has nothing to do. There is no buildx here: what it
# asks of the helper is what build and push ask.
STUBS = {
    "apk": "exit 0",
    "apt-get": "exit 0",
    "pipx": '[ "$*" = "install ecr-credential-helper" ]',
    "sudo": 'while [ "${1#-}" != "$1" ]; do [ "$1" != -u ] || shift; shift; done; exec "$@"',
    "docker": """
        if [ "$1" != buildx ]; then exec REAL "$@"; fi
        [ "$2 $3 $4" = "build --push --tag" ]
        REAL build --tag "$5" "$6" && exec REAL push "$5"
        """,
}

# A new instance: users, homes and programs of its own, over those of the rig. $1 is an empty
# directory, $2 the engine's socket, $5 what user data has beside PATH. At the end each user pulls.
INSTANCE = """
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc
mkdir -m 755 "$1/root" "$1/work"
mount -t overlay overlay -o "lowerdir=/root,upperdir=$1/root,workdir=$1/work" /root
mount -t tmpfs tmpfs /mnt
groupadd --force docker
useradd --create-home --base-dir /mnt ec2-user
touch /run/docker.sock && mount --bind "$2" /run/docker.sock && chgrp docker /run/docker.sock
env -i PATH="$1/stubs:$PATH" $5 "$1/user-data" >&2
for user in root ec2-user; do
    runuser --login "$user" --whitelist-environment "$3" --command "$4" >&2
    stat --format %U "$(getent passwd "$user" | cut -d : -f 6)/.docker/config.json"
done
"""
INSTANCE_STUBS = {
    # What the package installs becomes part of /usr.
    "dnf": """
        [ "$1 $2 $3 $#" = "install --assumeyes docker 4" ]
        INSTALL
        mount -t overlay overlay -o "lowerdir=ROOT/usr:/usr" /usr
        """,
    "systemctl": '[ "$*" = "enable --now docker" ]',
}


class Follower(User):
    """Somebody who does what the pages say, with a way to the loopback AWS."""

    aws: Loopback

    def follow(self, script: str, **variables: str) -> str:
        """Run a script of a page in a directory with a Dockerfile; return its stdout."""
        stubs = self.home / "stubs"
        stubs.mkdir(exist_ok=True)
        docker = shutil.which("docker", path=SYSTEM_PATH) or ""
        for name, text in STUBS.items():
            (stubs / name).write_text(f"#!/bin/sh\n{text.replace('REAL', docker)}\n")
            (stubs / name).chmod(0o755)
        self.variables |= variables | {
            "DOCKER_BUILDKIT": "0",
            "DOCKER_HOST": f"unix://{self.rig.directory}/docker.sock",
            "PATH": f"{stubs}:{self.rig.programs}:{SYSTEM_PATH}",
        }
        context = self.rig.context(secrets.token_hex(8))
        # Nothing of a recipe may reach the machine.
        script = script.replace("/usr/local/bin/", f"{stubs}/")
        return self.run("bash", "-euo", "pipefail", "-c", f"cd {context}\n{script}").stdout

    def has_app(self) -> None:
        """Have the image that recipes pull be in the registry, and not here."""
        image = f"{PRIVATE}/app:latest"
        other = User(self.rig, "docker", self.aws.environment(with_keys=True))
        other.use_helper(PRIVATE)
        other.build(image)
        other.docker("push", image)
        other.docker("rmi", image)


def follower(rig: Rig, aws: Loopback, **variables: str) -> Follower:
    """Return somebody with nothing but `variables` and the way to the loopback AWS."""
    somebody = Follower(rig, "docker", aws.environment() | variables)
    somebody.config.unlink()
    somebody.aws = aws
    return somebody


@pytest.fixture
def reader(rig: Rig, aws: Loopback) -> Follower:
    """Give a test somebody with AWS credentials and a region who has no config.json yet."""
    somebody = follower(rig, aws, AWS_REGION="eu-west-1")
    somebody.variables |= aws.environment(with_keys=True)
    return somebody


def test_install_configure_pull(reader: Follower) -> None:
    """The first three blocks, one after the other."""
    reader.has_app()
    reader.follow(text_of("Install", "sh", README))
    reader.follow(text_of("Configure", "sh", README))
    reader.follow(text_of("Pull", "sh", README))
    assert json.loads(reader.config.read_text())["credHelpers"][PRIVATE] == "ecr"


def test_jenkins(reader: Follower) -> None:
    """The steps of the pipeline, with a config.json of the job's own."""
    pipeline = text_of("Jenkins", "groovy", CI)
    (place,) = re.findall(r'DOCKER_CONFIG = "(.*)"', pipeline)
    place = place.replace("${WORKSPACE_TMP}", str(reader.home / "tmp"))
    steps = re.findall(r"sh '(.*)'", pipeline)
    assert len(steps) == 3
    reader.follow("\n".join(steps), DOCKER_CONFIG=place, BUILD_NUMBER="7")
    assert Path(place, "config.json").exists()
    assert not reader.config.exists()


@pytest.mark.needs("runuser", "useradd")
@pytest.mark.parametrize("variable", ["", "HOME=/root"])
def test_amazon_linux(
    rig: Rig, aws: Loopback, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Both users have a config.json of their own, and pull with the role of the instance."""
    monkeypatch.setattr(aws, "instance_role", "node")
    somebody = follower(rig, aws)
    somebody.has_app()
    aws.calls.clear()
    here, root = somebody.home / "instance", somebody.home / "installed"
    for directory in (here / "stubs", root / "usr" / "bin"):
        directory.mkdir(parents=True)
    install = f'ln -s {EXECUTABLE} {root}/usr/bin/{NAME}; [ "${{4##*.}}" = rpm ]'
    if PACKAGED:
        installed("rpm")
        install = f'rpm --root={root} --dbpath=/var/lib/rpm --install "{PACKAGES}/${{4##*/}}"'
    scripts = {"user-data": text_of("EC2, Amazon Linux 2023", "sh", INSTALL)}
    for name, stub in INSTANCE_STUBS.items():
        text = stub.replace("INSTALL", install).replace("ROOT", str(root))
        scripts[f"stubs/{name}"] = f"#!/bin/sh -e\n{text}\n"
    for name, text in scripts.items():
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    command = ("unshare", "--mount", "sh", "-euc", INSTANCE, "instance")
    socket = rig.directory / "docker.sock"
    variables = ",".join(aws.environment())
    done = rig.run(
        *(*command, here, socket, variables, text_of("Pull", "sh", README), variable),
        env={**aws.environment(), "PATH": SYSTEM_PATH},
    )
    assert done.stdout.split() == ["root", "ec2-user"]
    assert aws.count("ecr") == 2
    assert aws.count("imds") > 0


def test_ubuntu(rig: Rig, aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role of the instance is used."""
    monkeypatch.setattr(aws, "instance_role", "node")
    somebody = follower(rig, aws)
    somebody.has_app()
    somebody.follow(text_of("EC2, Ubuntu", "sh", INSTALL))
    somebody.follow(text_of("Pull", "sh", README))
    assert aws.count("imds") > 0


def test_eks_pods(rig: Rig, aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod's role comes from the agent of EKS Pod Identity."""
    installed("skopeo")
    monkeypatch.setattr(aws, "container_role", "images")
    somebody = follower(rig, aws, AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.container_url)
    somebody.has_app()
    pod = yaml.safe_load(text_of("EKS pods", "yaml", KUBERNETES))
    _, _, script = pod["spec"]["containers"][0]["command"]
    somebody.follow(script)
    somebody.follow(f"docker pull {PRIVATE}/app:stable")


def test_kaniko(rig: Rig, aws: Loopback, tmp_path: Path) -> None:
    """Docker in kaniko's place finds the helper by PATH and config.json of the pod alone.

    The packaged one answers, too, where there is nothing but what the pod's volume has.
    """
    aws.add_role(ROLE, web_identity_token="header.claims.signature")
    spec = yaml.safe_load(text_of("kaniko", "yaml", KUBERNETES))["spec"]
    (init,), (kaniko,), (volume,) = spec["initContainers"], spec["containers"], spec["volumes"]
    assert volume["emptyDir"] == {}
    (place,) = {mount["mountPath"] for each in (init, kaniko) for mount in each["volumeMounts"]}
    somebody = follower(rig, aws, AWS_ROLE_ARN=ROLE)
    somebody.has_app()
    pod, image = somebody.home / "pod", tmp_path / NAME
    docker = pod / place.removeprefix("/")
    docker.mkdir(parents=True)
    (pod / "token").write_text("header.claims.signature")
    if PACKAGED:
        by_directory(tmp_path).parent.rename(image)
    else:
        image.mkdir()
        (image / NAME).symlink_to(EXECUTABLE)

    script = init["command"][2].replace(f"/opt/{NAME}", str(image))
    somebody.follow(script.replace(place, str(docker)))

    files = below(pod)
    somebody.variables |= {one["name"]: one["value"] for one in kaniko["env"]}
    path = somebody.variables["PATH"]
    found = {"PATH": path.replace(place, str(docker)), "DOCKER_CONFIG": str(docker)}
    found["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(pod / "token")
    program = str(shutil.which("docker", path=SYSTEM_PATH))
    rig.run(program, "pull", f"{PRIVATE}/app:latest", env=somebody.variables | found)
    if PACKAGED:
        helper = json.loads((docker / "config.json").read_text())["credHelpers"][PRIVATE]
        chroot = str(shutil.which("chroot", path=SYSTEM_PATH))
        inside = somebody.variables | {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "HOME": "/root"}
        get = (chroot, pod, f"docker-credential-{helper}", "get")
        assert '"Username":"AWS"' in rig.run(*get, env=inside, stdin=PRIVATE).stdout
    assert aws.count("sts", "AssumeRoleWithWebIdentity") == 1 + PACKAGED
    assert below(pod) == files
    assert not (somebody.home / ".cache").exists()


def test_buildx(reader: Follower) -> None:
    """As far as it goes where there is no buildx."""
    reader.follow(text_of("Configure", "sh", README))
    reader.follow(text_of("buildx", "sh", OTHER_TOOLS))


def test_podman(reader: Follower) -> None:
    """With Docker's config.json, and with podman's own list of helpers."""
    installed("podman")
    reader.has_app()
    reader.follow(text_of("podman", "sh", OTHER_TOOLS))
    reader.config.unlink()
    registries = reader.home / "registries.conf"
    registries.write_text(text_of("podman", "toml", OTHER_TOOLS))
    _, pull = text_of("podman", "sh", OTHER_TOOLS).splitlines()
    reader.follow(pull, CONTAINERS_REGISTRIES_CONF=str(registries))


def test_swarm(reader: Follower, aws: Loopback) -> None:
    """A service keeps the login that it was made with, until it is sent another."""
    reader.has_app()
    reader.variables["AWS_ECR_DISABLE_CACHE"] = "true"
    reader.follow(text_of("Configure", "sh", README))
    aws.calls.clear()
    reader.follow("docker swarm init --advertise-addr 127.0.0.1")
    try:
        service = f"--detach --name app --replicas 0 {PRIVATE}/app:latest"
        reader.follow(f"docker service create --with-registry-auth {service}")
        assert aws.count("ecr") == 1
        reader.follow("docker service update --detach --replicas-max-per-node 2 app")
        assert aws.count("ecr") == 1
        reader.follow(text_of("Swarm", "sh", OTHER_TOOLS))
        assert aws.count("ecr") == 2
    finally:
        reader.follow("docker swarm leave --force")


def test_the_nodes_of_a_swarm(rig: Rig, aws: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pulls with the role of its own."""
    monkeypatch.setattr(aws, "instance_role", "node")
    somebody = follower(rig, aws)
    somebody.has_app()
    somebody.use_helper(PRIVATE)
    (line,) = text_of("Swarm", "crontab", OTHER_TOOLS).splitlines()
    *when, user, command = line.split(maxsplit=6)
    assert len(when) == 5
    assert user == "root"
    somebody.follow(command)
    assert aws.count("imds") > 0


def test_a_login_that_is_still_in_a_script(reader: Follower) -> None:
    """It succeeds, and leaves no password in config.json."""
    reader.has_app()
    reader.follow(text_of("Configure", "sh", README))
    assert "Login Succeeded" in reader.follow(text_of("From `docker login`", "sh", MOVING_OVER))
    assert json.loads(reader.config.read_text())["auths"] == {PRIVATE: {}}
    reader.follow(text_of("Pull", "sh", README))


def test_moving_over_from_ecr_login(reader: Follower) -> None:
    """By `--migrate`, and by a link in its place."""
    reader.has_app()
    migrate, link = texts_of("From ecr-login", "sh", MOVING_OVER)
    reader.use_helper(PRIVATE, name="ecr-login")
    reader.follow(link)
    reader.follow(text_of("Pull", "sh", README))
    assert os.path.islink(reader.home / "stubs" / "docker-credential-ecr-login")
    reader.follow(migrate)
    assert json.loads(reader.config.read_text()) == {"credHelpers": {PRIVATE: "ecr"}}
    reader.follow(text_of("Pull", "sh", README))


def test_what_to_run_when_something_is_wrong(reader: Follower) -> None:
    """It passes where nothing is."""
    reader.follow(text_of("Configure", "sh", README))
    certificates = str(reader.rig.certificates())
    script = text_of("When something is wrong", "sh", README)
    assert script == text_of("When something is wrong", "sh", TROUBLESHOOTING)
    said = reader.follow(script, SSL_CERT_FILE=certificates)
    assert f"pass  identity: {USER_ARN}" in said

"""The recipes of docs/other-tools.md, run, up to a registry that takes the login."""

import base64
import json
import re
import shlex
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.loopback import Loopback
from tests.support.helper import EXECUTABLE
from tests.support.needs import SYSTEM_PATH, built, installed
from tests.support.pages import INSTALL, OTHER_TOOLS, text_of

from .rig import OTHER, PRIVATE, Rig
from .users import User

CLUSTER = "A cluster outside EC2"
UPDATER = "Argo CD Image Updater"
COOLIFY = "Coolify, Dokploy, and others that run Docker in a container"
IMAGE = f"{PRIVATE}/app:latest"

# kubectl as far as the page uses it: each call is noted, and what is applied is kept, below HOME.
KUBECTL = """\
#!/bin/sh -e
echo "$@" >> "$HOME/kubectl"
[ "$1 $2" = "apply -f" ] || exit 0
manifests=$(cat "$(echo "$3" | sed s,^-$,/dev/stdin,)")
[ "$manifests" ] || { echo "error: no objects passed to apply" >&2; exit 1; }
printf '%s\\n' "$manifests" > "$HOME/applied-$(wc -l < "$HOME/kubectl")"
"""


class Somebody(User):
    """Somebody who follows the page, with programs of their own in front of the machine's."""

    def has(self, name: str, script: str) -> None:
        """Put a program on PATH."""
        program = self.home / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)

    def follow(self, script: str, *, check: bool = True, **variables: str) -> CompletedProcess[str]:
        """Run a script of the page in the home directory."""
        self.variables |= variables
        self.variables["PATH"] = f"{self.home}/bin:{self.rig.programs}:{SYSTEM_PATH}"
        return self.run("sh", "-euc", f"cd {self.home}\n{script}", check=check)

    def applied(self) -> str:
        """Return what the last call of kubectl applied."""
        calls = (self.home / "kubectl").read_text().count("\n")
        return (self.home / f"applied-{calls}").read_text()


@pytest.fixture
def somebody(rig: Rig, aws: Loopback) -> Somebody:
    """Give a test somebody with AWS credentials, and an image to pull."""
    other = User(rig, "docker", aws.environment(with_keys=True))
    other.use_helper(PRIVATE)
    other.build(IMAGE)
    other.docker("push", IMAGE)
    other.docker("rmi", IMAGE)
    aws.calls.clear()
    one = Somebody(rig, "docker", aws.environment(with_keys=True))
    one.config.unlink()
    one.variables["DOCKER_HOST"] = f"unix://{rig.directory}/docker.sock"
    return one


def assert_takes(somebody: Somebody, user: str, password: str) -> None:
    """Assert that the registry takes a login, and not one with another password."""
    installed("skopeo")
    inspect = ("skopeo", "inspect", "--creds")
    somebody.run(*inspect, f"{user}:{password}", f"docker://{IMAGE}")
    wrong = somebody.run(*inspect, f"{user}:{password[:-4]}", f"docker://{IMAGE}", check=False)
    assert wrong.returncode != 0


def assert_pulls(somebody: Somebody, auths: str) -> None:
    """Assert that podman pulls with what a container runtime reads out of a pull secret."""
    installed("podman")
    file = somebody.home / "auth.json"
    file.write_text(auths)
    somebody.run("podman", "pull", "--authfile", file, IMAGE)


def kinds_in(manifests: str, somebody: Somebody) -> list[str]:
    """Return the kinds of manifests that an API server would keep."""
    return somebody.rig.run(built("go", "manifests"), stdin=manifests).stdout.split()


def login_in(secret: str, image: str, somebody: Somebody) -> list[str]:
    """Return user and password that a kubelet pulls an image with, by a Secret."""
    found = somebody.rig.run(built("go", "manifests"), "-image", image, stdin=secret).stdout
    return found.removesuffix("\n").split(":", 1)


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    """Return the one container that a CronJob starts."""
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    assert container["command"][:2] == ["sh", "-ec"]
    return container


def test_a_cluster_outside_ec2(somebody: Somebody, aws: Loopback) -> None:
    """The Secret is one that an API server takes, the job may renew it, and it pulls."""
    renew = text_of(CLUSTER, "yaml", OTHER_TOOLS)
    assert kinds_in(renew, somebody) == ["ServiceAccount", "Role", "RoleBinding", "CronJob"]
    account, role, binding, job = yaml.safe_load_all(renew)
    (somebody.home / "renew.yaml").write_text(renew)
    somebody.has("kubectl", KUBECTL)

    somebody.follow(text_of(CLUSTER, "sh", OTHER_TOOLS))
    _, renewer, patch = (somebody.home / "kubectl").read_text().splitlines()
    assert renewer == "apply -f renew.yaml"
    first = (somebody.home / "applied-1").read_text()
    assert kinds_in(first, somebody) == ["Secret"]
    secret = json.loads(first)
    assert json.loads(patch.partition("--patch ")[2])["imagePullSecrets"] == [
        {"name": secret["metadata"]["name"]}
    ]

    # The job, six hours later.
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    container = container_of(job)
    aws.calls.clear()
    somebody.follow(
        container["command"][2], **{one["name"]: one["value"] for one in container["env"]}
    )
    assert kinds_in(somebody.applied(), somebody) == ["Secret"]
    renewed = json.loads(somebody.applied())
    assert renewed["metadata"] == secret["metadata"]
    assert renewed["data"] != secret["data"]
    assert aws.count("ecr", "GetAuthorizationToken") == 1
    assert_takes(somebody, *login_in(somebody.applied(), IMAGE, somebody))
    assert login_in(somebody.applied(), f"{OTHER}/app", somebody) == [""]
    assert_pulls(somebody, base64.b64decode(renewed["data"][".dockerconfigjson"]).decode())

    # What kubectl needs to apply an object that is there: to read it, and to patch it.
    assert role["metadata"]["namespace"] == renewed["metadata"]["namespace"]
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [renewed["metadata"]["name"]],
            "verbs": ["get", "patch"],
        }
    ]


def test_the_image_of_the_job_has_the_helper_as_any_image() -> None:
    """By the lines of docs/install.md, which are run where the packages have been built."""
    _, _, *ours = text_of(CLUSTER, "dockerfile", OTHER_TOOLS).splitlines()
    assert ours == text_of("Image", "dockerfile", INSTALL).splitlines()


def test_a_job_that_gets_no_token_applies_nothing(somebody: Somebody) -> None:
    """The Secret that is there stays, and the job fails, so that it is tried again."""
    *_, job = yaml.safe_load_all(text_of(CLUSTER, "yaml", OTHER_TOOLS))
    somebody.has("kubectl", KUBECTL)
    del somebody.variables["AWS_SECRET_ACCESS_KEY"], somebody.variables["AWS_ACCESS_KEY_ID"]
    done = somebody.follow(container_of(job)["command"][2], check=False)
    assert done.returncode != 0
    assert "no AWS credentials found" in done.stderr
    assert list(somebody.home.glob("applied-*")) == []


def test_what_a_secret_may_be_called(somebody: Somebody) -> None:
    """An API server takes each name and namespace that the command takes, at their limits."""
    for name, namespace in (("a" * 253, "b" * 63), ("0.a-b.c", "0"), (".".join("a" * 127), "x-1")):
        arguments = f"--kubernetes-secret {name} --namespace {namespace}"
        secret = somebody.follow(f"docker-credential-ecr auths {PRIVATE} {arguments}").stdout
        assert kinds_in(secret, somebody) == ["Secret"]
    done = somebody.rig.run(
        built("go", "manifests"), stdin=secret.replace('".dockerconfigjson"', '"x"'), check=False
    )
    assert done.returncode == 1


def test_argo_cd_image_updater(somebody: Somebody) -> None:
    """The script is run as a file, without arguments, and its line is split at the first colon."""
    values = yaml.safe_load(text_of(UPDATER, "yaml", OTHER_TOOLS))
    (registry,) = values["config"]["registries"]
    source, _, path = registry["credentials"].partition(":")
    assert source == "ext"
    script = values["authScripts"]["scripts"][Path(path).name]
    image = text_of(UPDATER, "dockerfile", OTHER_TOOLS)
    (copied,) = re.findall(r"(/\S+/docker-credential-ecr)$", image)
    script = script.replace(f"{copied}/docker-credential-ecr", str(EXECUTABLE))
    script = script.replace("HOME=/tmp", f"HOME={somebody.home}/tmp")
    somebody.has("ecr.sh", script)
    done = somebody.run(somebody.home / "bin" / "ecr.sh")
    user, password = done.stdout.removesuffix("\n").split(":", 1)
    assert registry["api_url"] == f"https://{registry['prefix']}" == f"https://{PRIVATE}"
    assert_takes(somebody, user, password)


def test_flux(somebody: Somebody) -> None:
    """It reads the Secret that the job renews, in its own namespace."""
    repository = yaml.safe_load(text_of("Flux", "yaml", OTHER_TOOLS))
    renew = text_of(CLUSTER, "yaml", OTHER_TOOLS)
    *_, job = yaml.safe_load_all(renew.replace("team", "flux-system"))
    somebody.has("kubectl", KUBECTL)
    somebody.follow(container_of(job)["command"][2])
    secret = json.loads(somebody.applied())
    assert secret["metadata"] == {
        "name": repository["spec"]["secretRef"]["name"],
        "namespace": repository["metadata"]["namespace"],
    }
    assert_takes(somebody, *login_in(somebody.applied(), repository["spec"]["image"], somebody))


def test_renovate(somebody: Somebody) -> None:
    """Its rules are JSON in the environment; with the user AWS it takes the password as it is."""
    somebody.has("renovate", '#!/bin/sh\nprintf %s "$RENOVATE_HOST_RULES"\n')
    (rule,) = json.loads(somebody.follow(text_of("Renovate", "sh", OTHER_TOOLS)).stdout)
    assert (rule["hostType"], rule["matchHost"]) == ("docker", PRIVATE)
    assert rule["username"] == "AWS"
    assert_takes(somebody, rule["username"], rule["password"])


def test_dependabot(somebody: Somebody) -> None:
    """The workflow hands the token on by stdin, to the secret that the configuration names."""
    (job,) = yaml.safe_load(text_of("Dependabot", "yaml", OTHER_TOOLS))["jobs"].values()
    *_, install, renew = job["steps"]
    assert install["run"] == "pipx install ecr-credential-helper"
    somebody.has("gh", '#!/bin/sh\necho "$@" > "$HOME/called"\ncat > "$HOME/secret"\n')
    somebody.follow(renew["run"], GITHUB_REPOSITORY="o/r", GH_TOKEN="x")
    called = (somebody.home / "called").read_text().split()
    assert called == ["secret", "set", "ECR_TOKEN", "--app", "dependabot", "--repo", "o/r"]
    registry = yaml.safe_load(text_of("Dependabot", "yml", OTHER_TOOLS))["registries"]["ecr"]
    assert registry["password"] == f"${{{{secrets.{called[2]}}}}}"
    assert registry["url"] == f"https://{PRIVATE}"
    secret = (somebody.home / "secret").read_text().rstrip("\r\n")
    assert_takes(somebody, registry["username"], secret)


def test_coolify(somebody: Somebody) -> None:
    """The login is in config.json, where a container without the helper can use it."""
    (line,) = text_of(COOLIFY, "crontab", OTHER_TOOLS).splitlines()
    *_, when, user, command = re.fullmatch(r"((\S+ ){5})(\S+) (.*)", line).groups()  # type: ignore[union-attr]
    assert user == "root"
    assert when
    somebody.follow(command)
    bare = User(somebody.rig, "docker", {"PATH": SYSTEM_PATH})  # no helper, no AWS credentials
    bare.config.write_bytes(somebody.config.read_bytes())
    assert list(json.loads(bare.config.read_text())) == ["auths"]
    bare.docker("pull", IMAGE)


def test_the_lines_for_bazel() -> None:
    """Each is a pattern that Bazel takes: a `*` at its beginning alone, and a helper on PATH."""
    lines = text_of("Bazel", "bazelrc", OTHER_TOOLS).splitlines()
    assert len(lines) == 3
    for line in lines:
        common, option = shlex.split(line)
        flag, pattern, helper = option.split("=")
        assert (common, flag, helper) == ("common", "--credential_helper", "docker-credential-ecr")
        assert re.fullmatch(r"(\*|[-a-zA-Z0-9]+)(\.[-a-zA-Z0-9]+)+", pattern)


def test_docker_auth_config(somebody: Somebody) -> None:
    """Docker since 28.3 takes what is printed as it is, without a helper or a config.json."""
    auths = somebody.follow(f"docker-credential-ecr auths {PRIVATE}").stdout
    docker = str(built("go", "docker"))
    bare = User(somebody.rig, docker, {"PATH": SYSTEM_PATH, "DOCKER_AUTH_CONFIG": auths})
    bare.docker("pull", IMAGE)
    bare.variables["DOCKER_AUTH_CONFIG"] = json.dumps({**json.loads(auths), "more": {}})
    bare.docker("rmi", IMAGE)
    assert bare.docker("pull", IMAGE, check=False).returncode != 0

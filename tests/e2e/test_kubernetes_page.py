"""The recipes of docs/kubernetes.md, run; the kubelet's own plugin code takes what they leave.

Those of pods are run in test_recipes.py. Absolute directories are below the user's home here, and
what a recipe does not bring itself (systemctl, k3d, kind) only writes down how it is called: what
is tested is that the command, the files and the flags fit together.
"""

import json
import os
import re
import shutil
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from ecr_credential_helper.commands.kubelet_config import NODE, PROVIDERS
from tests.commands.test_kubelet import matches
from tests.loopback import USER_ARN, USER_KEY, USER_SECRET, Loopback, session_arn
from tests.support.forms import NAME, by_directory
from tests.support.needs import SYSTEM_PATH, built
from tests.support.pages import KUBERNETES, TOP, text_of, texts_of

from .clients import ClientUser, Seed
from .rig import PRIVATE, RigError
from .test_kubelet import ROLE, TOKEN, Kubelet, Login, all_logins

PACKAGED = "PACKAGES" in os.environ
FLAGS = ("image-credential-provider-config", "image-credential-provider-bin-dir")
TOOLS = ("systemctl", "k3d", "kind")
BOTH = "Service accounts, and the node for the rest"
# The top directories that a recipe names, where no path goes on to the left of it.
ABSOLUTE = re.compile(r"(?<![\w.$/}-])/(?=(etc|opt|root|usr|var)/)")


class Machine:
    """A node to be: a root directory, and what the tools of recipes have been called with."""

    def __init__(self, user: ClientUser) -> None:
        self.user = user
        self.root = user.home / "root"
        self.stubs = self.root / "stubs"
        for directory in ("stubs", "etc/default", "opt", "root/.aws", "usr/local/bin", "var/lib"):
            (self.root / directory).mkdir(parents=True)
        for tool in TOOLS:
            stub = self.stubs / tool
            stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "{tool} $*" >>{self.stubs}/called\n')
            stub.chmod(0o755)
        user.variables["PATH"] = f"{self.stubs}:{user.helper.parent}:{SYSTEM_PATH}"

    def placed(self, recipe: str) -> str:
        """Return a recipe for this root."""
        return ABSOLUTE.sub(f"{self.root}/", recipe)

    def follow(self, recipe: str, *, warns: bool = False) -> str:
        """Run a shell recipe; return what it prints."""
        script = f"cd {self.root}\n{self.placed(recipe)}"
        done = self.user.run("bash", "-euo", "pipefail", "-c", script)
        assert bool(done.stderr) == warns, done.stderr
        return done.stdout

    @property
    def called(self) -> list[str]:
        """The tools that were called, each with its arguments."""
        return (self.stubs / "called").read_text().splitlines()

    def unpack(self) -> None:
        """Unpack the archive into /opt: the package itself where it has been built."""
        program = self.root / "opt" / NAME
        if PACKAGED:
            by_directory(self.user.home).parent.rename(program)
            return
        program.mkdir()
        (program / NAME).write_text(f'#!/bin/sh\nexec {self.user.helper} "$@"\n')
        (program / NAME).chmod(0o755)

    def kubelet(self, config: str, programs: str) -> Kubelet:
        """Return a kubelet that has these two flags, of this root."""
        return Kubelet(self.user, Path(config), Path(programs))


@pytest.fixture
def machine(client_user: ClientUser) -> Machine:
    """Give a test a machine on which nothing is set up, with AWS credentials."""
    return Machine(client_user)


def flags_in(words: str) -> list[str]:
    """Return the values of the kubelet's two flags, on a command line or in what names them."""
    return [re.findall(rf"--{flag}=([^\s\"]+)", words)[-1] for flag in FLAGS]


def assert_node_pulls(kubelet: Kubelet, aws: Loopback, image: str) -> None:
    """Assert that the kubelet has one login, and that it is the node's."""
    [login] = kubelet.logins(image)
    assert aws.issued[login["password"]].principal == USER_ARN


def test_the_command(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """The flags that it names are those with which a kubelet starts and pulls."""
    said = machine.follow(text_of("Kubernetes", "sh", KUBERNETES))
    config, programs = flags_in(said)

    assert Path(config).read_text() == text_of("What it writes", "yaml", KUBERNETES)
    assert_node_pulls(machine.kubelet(config, programs), aws, seed.image)


def test_kubeadm(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """A node that is there has the flags from the file, which a shell reads as systemd does."""
    machine.follow(text_of("kubeadm", "sh", KUBERNETES))
    sourced = f". {machine.root}/etc/default/kubelet; echo $KUBELET_EXTRA_ARGS"
    config, programs = flags_in(machine.user.run("sh", "-euc", sourced).stdout)

    assert machine.called == ["systemctl restart kubelet"]
    assert_node_pulls(machine.kubelet(config, programs), aws, seed.image)


def test_kubeadm_of_a_new_node(machine: Machine) -> None:
    """The types of kubeadm take the configuration, and its flags are those of the node there."""
    recipe = text_of("kubeadm", "yaml", KUBERNETES)
    arguments = yaml.safe_load(recipe)["nodeRegistration"]["kubeletExtraArgs"]

    assert checked(machine, recipe) == ["JoinConfiguration"]
    joined = " ".join(f"--{each['name']}={each['value']}" for each in arguments)
    assert flags_in(joined) == flags_in(text_of("kubeadm", "sh", KUBERNETES).replace("\\\n", " "))


def test_k3s(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """What is in k3s's directory is what it gives to its kubelet by itself."""
    machine.follow(text_of("k3s and RKE2", "sh", KUBERNETES))
    place = machine.root / "var/lib/rancher/credentialprovider"

    assert machine.called == ["systemctl restart k3s"]
    assert_node_pulls(
        machine.kubelet(str(place / "config.yaml"), str(place / "bin")), aws, seed.image
    )


def test_k3d(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """A node that has the volumes and nothing else has the program behind the link, too."""
    machine.unpack()
    machine.user.variables["HOME"] = str(machine.root / "root")
    machine.follow(text_of("k3d", "sh", KUBERNETES))

    [call] = machine.called
    volumes = re.findall(r"--volume (\S+):(\S+)@all", call)
    assert volumes[2] == (f"{machine.root}/root/.aws", f"{machine.root}/root/.aws")
    assert all(host == inside for host, inside in volumes)
    node = only(machine, [Path(host) for host, _ in volumes])
    place = "var/lib/rancher/credentialprovider"
    assert_node_pulls(
        node.kubelet(f"{node.root}/{place}/config.yaml", f"{node.root}/{place}/bin"),
        aws,
        seed.image,
    )


def test_kind(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """The mounts have what the flags in the patch name, and the program behind the link."""
    machine.unpack()
    (machine.root / "kind.yaml").write_text(machine.placed(text_of("kind", "yaml", KUBERNETES)))
    machine.follow(text_of("kind", "sh", KUBERNETES))

    assert machine.called == ["kind create cluster --config kind.yaml"]
    [node] = yaml.safe_load((machine.root / "kind.yaml").read_text())["nodes"]
    mounts = [(each["hostPath"], each["containerPath"]) for each in node["extraMounts"]]
    assert all(host == inside for host, inside in mounts)
    [patch] = map(yaml.safe_load, node["kubeadmConfigPatches"])
    arguments = patch["nodeRegistration"]["kubeletExtraArgs"]
    assert patch["kind"] == "InitConfiguration"
    within = only(machine, [Path(host) for host, _ in mounts])
    config, programs = (arguments[flag] for flag in FLAGS)
    assert_node_pulls(within.kubelet(config, programs), aws, seed.image)


def only(machine: Machine, kept: list[Path]) -> Machine:
    """Take from a machine all that is not mounted into its nodes; return it."""
    assert all(path.is_dir() for path in kept)
    aside = machine.root.with_name("aside")
    machine.root.rename(aside)
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        (aside / path.relative_to(machine.root)).rename(path)
    shutil.rmtree(aside)
    return machine


def test_nodes_of_eks(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """AWS's provider stays the first, as it was; both are asked, which the command says."""
    place = machine.root / "etc/eks/image-credential-provider"
    place.mkdir(parents=True)
    theirs = TOP / "tests/commands/kubelet_configs/eks.json"
    shutil.copy(theirs, place / "config.json")
    (place / "ecr-credential-provider").write_text("#!/bin/sh\nexit 1\n")
    (place / "ecr-credential-provider").chmod(0o755)

    said = machine.follow(text_of("Nodes of EKS", "sh", KUBERNETES), warns=True)

    config, programs = flags_in(said)
    providers = json.loads(Path(config).read_text())["providers"]
    assert providers == [*json.loads(theirs.read_text())["providers"], PROVIDERS[NODE]]
    assert machine.called == ["systemctl restart kubelet"]
    done = machine.kubelet(config, programs).run(seed.image)
    [[login]] = all_logins(done)
    assert aws.issued[login["password"]].principal == USER_ARN
    assert 'provider="ecr-credential-provider"' in done.stderr


def test_talos(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """The image of the extension has the program where the kubelet of Talos looks for it."""
    machine.unpack()
    manifest, patch = texts_of("Talos", "yaml", KUBERNETES)
    context = machine.root / "opt"
    (context / "manifest.yaml").write_text(manifest)
    (context / "Dockerfile").write_text(text_of("Talos", "dockerfile", KUBERNETES))
    image = f"{PRIVATE}/extension:1"
    machine.user.docker("build", "--tag", image, context)
    box = machine.user.docker("create", image, "none").stdout.strip()
    machine.user.docker("cp", f"{box}:/", machine.root / "image")
    machine.user.docker("rm", box)
    machine.user.docker("rmi", image)

    found = yaml.safe_load((machine.root / "image/manifest.yaml").read_text())
    assert (found["version"], found["metadata"]["name"]) == ("v1alpha1", NAME)
    config = machine.root / "config.json"
    provided = yaml.safe_load(machine.placed(patch))["machine"]["kubelet"]
    config.write_text(json.dumps(provided["credentialProviderConfig"]))
    programs = machine.root / "image/rootfs/usr/local/lib/kubelet/credentialproviders"
    assert_node_pulls(machine.kubelet(str(config), str(programs)), aws, seed.image)
    assert (machine.root / "var/lib/kubelet/ecr-credential-helper").is_dir()


def test_bottlerocket() -> None:
    """The settings are of AWS's provider alone, and its patterns have the hosts of ECR."""
    settings = tomllib.loads(text_of("Bottlerocket", "toml", KUBERNETES))["settings"]["kubernetes"]
    [(name, provider)] = settings["credential-providers"].items()

    assert name == "ecr-credential-provider"
    assert set(provider) == {"enabled", "cache-duration", "image-patterns"}
    assert any(matches(pattern, PRIVATE) for pattern in provider["image-patterns"])


def test_nodes_outside_of_ec2(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """The process of root's AWS config file is run, with a certificate that is there."""
    recipe = machine.placed(text_of("Nodes outside of EC2", "ini", KUBERNETES))
    parser = ConfigParser(interpolation=None)
    parser.read_string(recipe)
    command = parser["default"]["credential_process"].split()
    keys = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    program = machine.root / "usr/local/bin/aws_signing_helper"
    (machine.root / "root/.aws/config").write_text(recipe)
    program.write_text(
        f"#!/bin/sh\necho \"$*\" >>{machine.stubs}/called\necho '{json.dumps(keys)}'\n"
    )
    program.chmod(0o755)
    machine.follow(text_of("Kubernetes", "sh", KUBERNETES))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONFIG_FILE"):
        machine.user.variables.pop(name, None)
    machine.user.variables["HOME"] = str(machine.root / "root")
    place = machine.root / "etc/kubernetes/credential-provider"

    assert_node_pulls(
        machine.kubelet(str(place / "config.yaml"), str(place / "bin")), aws, seed.image
    )
    assert machine.called == [" ".join(command[1:])]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    assert command[1] == "credential-process"
    assert options["--certificate"] == options["--private-key"]
    for option, resource in (
        ("--trust-anchor-arn", "rolesanywhere:eu-west-1:111122223333:trust-anchor/"),
        ("--profile-arn", "rolesanywhere:eu-west-1:111122223333:profile/"),
        ("--role-arn", "iam::111122223333:role/"),
    ):
        assert options[option].startswith(f"arn:aws:{resource}")


def test_service_accounts_and_the_node(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """A pod with the role of the page is tried with that, and then as the node."""
    *_, account = yaml.safe_load_all(text_of(BOTH, "yaml", KUBERNETES))
    role = account["metadata"]["annotations"]["eks.amazonaws.com/ecr-role-arn"]
    aws.add_role(role, web_identity_token=TOKEN)
    config, programs = flags_in(machine.follow(text_of(BOTH, "sh", KUBERNETES)))
    kubelet = machine.kubelet(config, programs)

    done = kubelet.run("-service-account=puller", f"-role={role}", seed.image, token=TOKEN)

    [logins] = all_logins(done)
    assert [login["serviceAccount"] for login in logins] == ["team/puller", ""]
    principals = [aws.issued[login["password"]].principal for login in logins]
    assert principals == [session_arn(role, "ecr-credential-provider"), USER_ARN]
    assert_node_pulls(kubelet, aws, seed.image)


def checked(machine: Machine, text: str, *options: str) -> list[str]:
    """Return what Kubernetes' own types, validation and RBAC say about API objects."""
    done = machine.user.run(built("go", "manifests"), *options, stdin=text)
    return done.stdout.splitlines()


def test_nodes_may_ask_for_tokens(machine: Machine) -> None:
    """The objects of the page are valid, and give nodes what NodeRestriction asks for."""
    recipe = text_of(BOTH, "yaml", KUBERNETES)
    audience = "-audience=sts.amazonaws.com"
    kinds = ["ClusterRole", "ClusterRoleBinding", "ServiceAccount"]
    assert checked(machine, recipe, audience) == [*kinds, "allowed: true"]
    for part, other in (("[sts.amazonaws.com]", "[sts]"), ("system:nodes", "system:masters")):
        assert checked(machine, recipe.replace(part, other), audience)[-1] == "allowed: false"
    with pytest.raises(RigError, match="unknown field"):
        checked(machine, recipe.replace("verbs:", "verb:"))


def test_service_accounts_alone(machine: Machine, aws: Loopback, seed: Seed) -> None:
    """In place of what the command writes it serves service accounts, and the node no more."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    config, programs = flags_in(machine.follow(text_of("Kubernetes", "sh", KUBERNETES)))
    Path(config).write_text(text_of("Service accounts alone", "yaml", KUBERNETES))
    kubelet = machine.kubelet(config, programs)

    [login] = kubelet.logins("-service-account=any", seed.image, token=TOKEN)

    assert login["serviceAccount"] == "team/any"
    assert kubelet.logins(seed.image) == [Login(username="", password="", serviceAccount="")]


def test_what_to_run_when_something_is_wrong(machine: Machine) -> None:
    """It is the kubelet's request and its answer."""
    command = text_of("When something is wrong", "console", KUBERNETES).removeprefix("$ ")
    answer = json.loads(machine.follow(command))
    assert list(answer["auth"]) == [PRIVATE]


def test_what_the_kubelet_says_of_a_mistake(machine: Machine, seed: Seed) -> None:
    """The table at the end of the page has the kubelet's own words."""
    page = KUBERNETES.read_text()
    config, programs = flags_in(machine.follow(text_of("Kubernetes", "sh", KUBERNETES)))
    kubelet = machine.kubelet(config, programs)
    (Path(programs) / NAME).unlink()

    missing = kubelet.run(seed.image)

    assert re.search(r"plugin binary executable .*did not exist", missing.stderr)
    assert "`plugin binary executable ... did not exist`" in page
    kubelet.config.write_text(kubelet.config.read_text().partition("providers:")[0])
    empty = kubelet.run(seed.image)
    assert "at least 1 item in plugins is required" in empty.stderr
    assert "`at least 1 item in plugins is required`" in page

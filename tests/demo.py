"""The main job, as a demo: `make demo`, or `make demo REGISTRY=<host>[/<repository>:<tag>]`.

Without a registry it is shown against a stand-in for AWS on this machine, and where a Docker
engine can be started here, with a real push and pull. With one it runs against the AWS account that
your own credentials lead to.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.rig import PRIVATE, Rig
from tests.loopback import Loopback

PROGRAMS = Path(sysconfig.get_path("scripts"))
HELPER = "docker-credential-ecr"
SHOWN = 12


def main() -> int:
    """Run the demonstration that the command line asks for, and return its exit status."""
    with tempfile.TemporaryDirectory(prefix="ecr-demo-") as name:
        home = Path(name)
        if len(sys.argv) > 1:
            return demonstrate_with_aws(sys.argv[1], home)
        with Loopback() as aws:
            clean = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}
            variables = clean | aws.environment(with_keys=True) | {"HOME": str(home)}
            variables.pop("XDG_CACHE_HOME", None)
            demonstrate(PRIVATE, home, variables, aws)
            demonstrate_engine(aws)
    return 0


def demonstrate(
    host: str, home: Path, variables: Mapping[str, str], aws: Loopback | None = None
) -> bool:
    """Show the configuration, a cold and a warm get, and what reached the disk."""
    title("All that Docker is told: config.json names the helper for the host")
    config = home / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"credHelpers": {host: "ecr"}}, indent=4))
    say(config.read_text())

    title("What Docker then does: it asks the helper, which asks AWS")
    if not get(host, variables):
        return False
    say_calls(aws)
    title("Once more: the token comes from the cache")
    get(host, variables)
    say_calls(aws)

    title("What reached the disk")
    cache = Path(variables.get("AWS_ECR_CACHE_DIR") or home / ".cache" / "ecr-credential-helper")
    for path in [cache, *sorted(cache.glob(f"{host}.*"))]:
        say(f"{path.stat().st_mode & 0o777:o}  {path}")
    return True


def get(host: str, variables: Mapping[str, str]) -> bool:
    """Run `get` as Docker does, and show everything but the token; False if it failed."""
    started = time.perf_counter()
    done = subprocess.run(
        [PROGRAMS / HELPER, "get"],
        input=host,
        env=dict(variables),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    took = (time.perf_counter() - started) * 1000
    say(f"$ echo {host} | {HELPER} get")
    if done.returncode:
        say(done.stdout.strip())
        return False
    answer = json.loads(done.stdout)
    answer["Secret"] = f"{answer['Secret'][:SHOWN]}... ({len(answer['Secret'])} characters)"
    say(json.dumps(answer))
    say(f"({took:.0f} ms)")
    return True


def demonstrate_engine(aws: Loopback) -> None:
    """Push and pull with a Docker engine of our own, where one can be started."""
    title("The same with a real Docker engine and registry")
    missing = Rig.missing()
    if missing:
        say(f"not shown here, {missing}")
        return
    with Rig(aws.url) as rig:
        image = f"{PRIVATE}/demo:1"
        directory = rig.directory / "demo"
        directory.mkdir()
        config = directory / "config.json"
        config.write_text(json.dumps({"credHelpers": {PRIVATE: "ecr"}}))
        before = config.read_bytes()
        variables = {**aws.environment(with_keys=True), "DOCKER_BUILDKIT": "0"}
        context = rig.context("hello from an image that went through the registry")
        for command in (
            ("build", "--quiet", "--tag", image, str(context)),
            ("push", image),
            ("rmi", image),
            ("pull", image),
            ("run", "--rm", "--network", "none", image),
        ):
            say(f"$ docker {' '.join(command)}")
            done = rig.docker(*command, config_dir=directory, env=variables)
            say("\n".join(done.stdout.splitlines()[-2:]))
        same = "is byte for byte what it was" if config.read_bytes() == before else "HAS CHANGED"
        say(f"config.json {same}: {before.decode()}")


def demonstrate_with_aws(registry: str, home: Path) -> int:
    """Show the main job against the real AWS of whoever runs this."""
    host, _, image = registry.partition("/")
    cache = home / "cache"
    variables = {**os.environ, "AWS_ECR_CACHE_DIR": str(cache)}
    if not demonstrate(host, home, variables):
        return 1
    docker = shutil.which("docker")
    if not image or not docker:
        say("(a pull is shown for REGISTRY=<host>/<repository>:<tag>, with Docker on PATH)")
        return 0
    title("A pull, with nothing but that config.json")
    variables["DOCKER_CONFIG"] = str(home / ".docker")
    variables["PATH"] = f"{PROGRAMS}{os.pathsep}{variables['PATH']}"
    say(f"$ docker pull {registry}")
    return subprocess.run([docker, "pull", registry], env=variables, check=False).returncode


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n== {text}")


def say(text: str) -> None:
    """Print a text at once, in order with what the programs print."""
    print(text, flush=True)  # noqa: T201 - this is what a demonstration is for


def say_calls(aws: Loopback | None) -> None:
    """Print how often AWS was asked so far, where that is known."""
    if aws:
        say(f"(asked of AWS so far: {aws.count('ecr', 'GetAuthorizationToken')})")


if __name__ == "__main__":
    sys.exit(main())

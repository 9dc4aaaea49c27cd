"""People who use the rig, and what to do where something that they use is missing."""

import base64
import json
import secrets
from pathlib import Path
from subprocess import CompletedProcess

from .rig import Rig


class User:
    """Somebody at a shell: a home of their own, AWS variables, and one docker CLI."""

    def __init__(self, rig: Rig, cli: str, variables: dict[str, str]) -> None:
        self.rig = rig
        self.cli = cli
        self.home = rig.directory / f"home-{secrets.token_hex(4)}"
        temporary = self.home / "tmp"  # some clients name files by the clock, and others run too
        temporary.mkdir(parents=True)
        self.variables = {"HOME": str(self.home), "TMPDIR": str(temporary), **variables}
        self.config = self.home / ".docker" / "config.json"
        self.config.parent.mkdir(parents=True)
        self.config.write_text("{}")

    def use_helper(self, *hosts: str, name: str = "ecr") -> bytes:
        """Write a config.json that holds nothing but credHelpers, and return its bytes."""
        self.config.write_text(json.dumps({"credHelpers": dict.fromkeys(hosts, name)}))
        return self.config.read_bytes()

    def use_password(self, host: str, password: str) -> None:
        """Write a config.json that holds a password in plain text and no helper."""
        auth = base64.b64encode(f"AWS:{password}".encode()).decode()
        self.config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    def docker(
        self, *args: str | Path, check: bool = True, stdin: str = ""
    ) -> CompletedProcess[str]:
        """Run the docker CLI of this user."""
        return self.rig.docker(
            *args,
            config_dir=self.config.parent,
            env=self.variables,
            cli=self.cli,
            check=check,
            stdin=stdin,
        )

    def run(
        self, *command: str | Path, check: bool = True, stdin: str = ""
    ) -> CompletedProcess[str]:
        """Run any other command as this user."""
        return self.rig.run(*command, env=self.variables, check=check, stdin=stdin)

    def build(self, image: str, note: str = "hello") -> str:
        """Build an image that prints `note`, with the classic builder, and return its id."""
        self.variables["DOCKER_BUILDKIT"] = "0"
        self.docker("build", "--no-cache", "--tag", image, self.rig.context(note))
        return self.image_id(image)

    def image_id(self, image: str) -> str:
        """Return the id by which the engine knows an image."""
        return self.docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()

    def token(self, host: str) -> str:
        """Return a token that the helper itself gives for a host."""
        answer = self.run("docker-credential-ecr", "get", stdin=host).stdout
        secret: str = json.loads(answer)["Secret"]
        return secret

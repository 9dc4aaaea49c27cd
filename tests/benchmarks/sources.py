"""The places that a client can have its AWS credentials from, and a workspace with one of them."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.loopback import USER_KEY, USER_SECRET, Loopback
from tests.support.helper import make_authority

from .workspace import REGION, Workspace

ROLE = "arn:aws:iam::111122223333:role/pull"
STS = f"sts.{REGION}.amazonaws.com"
PROCESS_SLEEPS = 0.080
WEB_TOKEN = "header.claims.signature"
POD_TOKEN = "token-of-the-pod"
KEYS = f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"


def use_keys(here: Workspace) -> None:
    """Put the keys of a user into the environment."""
    here.env |= {"AWS_ACCESS_KEY_ID": USER_KEY, "AWS_SECRET_ACCESS_KEY": USER_SECRET}


def use_profile(here: Workspace) -> None:
    """Give the workspace a profile with the keys of a user."""
    configure(here, f"[default]\n{KEYS}")


def use_assumed_role(here: Workspace) -> None:
    """Give the workspace a profile that assumes a role."""
    here.aws.add_role(ROLE)
    role = f"role_arn = {ROLE}\nsource_profile = user\nregion = {REGION}\n"
    configure(here, f"[default]\n{role}\n[profile user]\n{KEYS}")


def use_credential_process(here: Workspace) -> None:
    """Give the workspace a slow program that prints the keys of a user."""
    keys = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    program = here.directory / "credentials.sh"
    program.write_text(f"#!/bin/sh\nsleep {PROCESS_SLEEPS}\necho '{json.dumps(keys)}'\n")
    program.chmod(0o700)
    configure(here, f"[default]\ncredential_process = {program}\n")


def use_imds(here: Workspace) -> None:
    """Give the workspace the role of an instance."""
    here.aws.instance_role = "instance"
    del here.env["AWS_EC2_METADATA_DISABLED"]


def use_task(here: Workspace) -> None:
    """Give the workspace the role of a task of ECS.

    ECS's own address cannot be had here, so the endpoint is named in full.
    """
    here.aws.container_role = "task"
    here.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = here.aws.container_url


def use_pod(here: Workspace) -> None:
    """Give the workspace the role of a pod of EKS (Pod Identity)."""
    use_task(here)
    here.aws.container_authorization = POD_TOKEN
    token = here.directory / "pod-token"
    token.write_text(POD_TOKEN)
    here.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(token)


def use_web_identity(here: Workspace) -> None:
    """Give the workspace a role for a token in a file, as EKS does for a service account."""
    here.aws.add_role(ROLE, web_identity_token=WEB_TOKEN)
    token = here.directory / "web-token"
    token.write_text(WEB_TOKEN)
    here.env |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}


def configure(here: Workspace, text: str) -> None:
    """Write the AWS config file."""
    path = here.directory / ".aws" / "config"
    path.parent.mkdir()
    path.write_text(text)


SOURCES: dict[str, Callable[[Workspace], None]] = {
    "keys": use_keys,
    "ECS": use_task,
    "EKS pod identity": use_pod,
    "IMDS": use_imds,
    "web identity": use_web_identity,
    "profile": use_profile,
    "assumed role": use_assumed_role,
    "credential_process": use_credential_process,
}


@contextlib.contextmanager
def workspace(source: str = "keys", *, tls: bool = False) -> Iterator[Workspace]:
    """Set up a workspace for the length of a `with` block, with credentials from one of SOURCES."""
    with tempfile.TemporaryDirectory(prefix="ecr-bench-") as name:
        directory = Path(name)
        authority = make_authority(directory, STS)
        with Loopback(certificate=(authority.chain, authority.key)) as aws:
            here = Workspace(directory, aws, authority, tls=tls)
            SOURCES[source](here)
            yield here

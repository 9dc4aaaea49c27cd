"""Checks for what commonly keeps Docker from using this helper, each with its fix.

`configure` runs some of them and reports problems with what it wrote; `doctor` runs all of them.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.settings import Target, target_of
from ecr_credential_helper.system import paths
from ecr_credential_helper.system.files import Directory

from .docker_config import DockerConfig
from .hosts import address_of, target_named
from .json_text import parsed

PASS, WARN, FAIL = "pass", "warn", "fail"

_MANY = 10
_MEANING_OF_PEER = (
    "credsStore is ecr-login: that helper is asked for every host not in credHelpers, it answers "
    "for any ECR host, and logins to other registries, Docker Hub too, are lost or refused"
)


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, pass, warn or fail, the facts, and the fix.

    There is a fix whenever the status is not pass.
    """

    check: str
    status: str
    found: str
    fix: str = ""


@dataclass
class Case:
    """What is checked, and what the earlier checks have found out about it.

    `name` is what this program was called by, `helper` what config.json calls it, `directory` where
    config.json is. `server_url` is the registry in question; if empty, all that config.json names
    are. `clock` gives epoch seconds.

    The checks fill in the rest: `config`; `target`, whom to ask; once there are credentials,
    boto3's `session`, and `request`, which says with which identity it asks; `date`, the Date
    header of AWS's endpoint; and the `token` that ECR gave.
    """

    name: str
    helper: str
    directory: str
    server_url: str
    clock: Callable[[], float]
    config: DockerConfig | None = None
    target: Target | None = None
    session: Any = None
    request: TokenRequest | None = None
    date: str = ""
    token: str = field(default="", repr=False)

    @property
    def hosts(self) -> list[str]:
        """The registries in question, as config.json names them."""
        if self.server_url:
            return [address_of(self.server_url) or self.server_url]
        helpers = self.config.helpers if self.config else {}
        return [host for host, helper in helpers.items() if helper == self.helper]

    @property
    def configure(self) -> str:
        """The command that fixes config.json."""
        return f"{self.name} configure {' '.join(self.hosts) or 'HOST'}"


def settings_file(_: Case) -> Finding:
    """Check whether our own settings file can be used."""
    try:
        target_of("public.ecr.aws")
        path = paths.settings_file()
    except HelperError as error:
        return Finding("settings", FAIL, error.message, error.hint)
    except RuntimeError as error:
        return Finding("settings", WARN, str(error), "set HOME")
    return Finding("settings", PASS, path if os.path.exists(path) else f"none in {path}")


def host(case: Case) -> Finding | None:
    """Check whether the host in question is ECR."""
    if not case.server_url:
        return None
    try:
        case.target = target_named(case.server_url)
    except HelperError as error:
        return Finding("host", FAIL, error.message, error.hint)
    registry = case.target.registry
    whose = "ECR Public" if registry.public else f"account {registry.account} in {registry.region}"
    return Finding("host", PASS, f"{registry.host}, {whose}")


def config_file(case: Case) -> Finding:
    """Check whether Docker can read config.json."""
    check = "config.json"
    try:
        case.config = DockerConfig(case.directory)
    except HelperError as error:
        return Finding(check, FAIL, error.message, error.hint)
    if case.config.old is None:
        status = FAIL if case.server_url else WARN
        return Finding(check, status, f"there is none in {case.directory}", case.configure)
    return Finding(check, PASS, case.config.path)


def sudo(case: Case) -> Finding | None:
    """Check whether, under sudo, Docker reads root's config.json instead of the user's."""
    user = os.environ.get("SUDO_USER", "")
    if not user or os.environ.get("DOCKER_CONFIG"):
        return None
    users = os.path.join(os.path.expanduser(f"~{user}"), ".docker")
    if os.path.abspath(case.directory) == users:
        return Finding("sudo", PASS, f"the config.json of {user} is read")
    return Finding(
        "sudo",
        WARN,
        f"under sudo Docker reads {case.directory} and not {users}, and AWS's files likewise",
        f"run docker without sudo (group docker), or: sudo DOCKER_CONFIG={users} docker ...",
    )


def helpers(case: Case) -> Finding | None:
    """Check whether config.json makes Docker ask this helper."""
    if case.config is None:
        return None
    if case.server_url:
        return _helper_for(case.hosts[0], case)
    none = [key for key, name in case.config.helpers.items() if not name]
    if none:
        return Finding(
            "credHelpers",
            WARN,
            f'{", ".join(none)}: "" has Docker use a password in config.json itself',
            f"{case.name} configure {' '.join(none)}",
        )
    if not case.hosts:
        return Finding(
            "credHelpers", WARN, f"none of them is {case.helper}", f"{case.name} configure HOST"
        )
    return number_of_helpers(case)


def _helper_for(wanted: str, case: Case) -> Finding:
    """Check which helper Docker asks for the host `wanted`."""
    assert case.config  # noqa: S101 - it was read before this
    named = case.config.helpers.get(wanted)
    if named == case.helper:
        return Finding("credHelpers", PASS, f"{wanted}: {named}")
    if named is None and case.config.store == case.helper:
        return Finding("credHelpers", PASS, f"{wanted} is not there; credsStore is {case.helper}")
    similar = [key for key in case.config.helpers if address_of(key) == address_of(wanted)]
    if named:
        found = f"Docker asks {named!r} for {wanted}, and not this helper"
    elif named == "":
        found = f'"" has Docker use a password in config.json itself for {wanted}'
    elif similar:
        found = f"it has {similar[0]!r}, and Docker looks for {wanted!r}, exactly"
    else:
        found = f"{wanted} is not there; a name is matched whole, without wildcards"
    return Finding("credHelpers", FAIL, found, case.configure)


def number_of_helpers(case: Case) -> Finding:
    """Check whether there are so many helpers that the classic builder gets slow."""
    number = len(case.config.helpers) if case.config else 0
    if number > _MANY:
        return Finding(
            "credHelpers",
            WARN,
            f"{number} hosts: the classic builder (DOCKER_BUILDKIT=0) and Compose ask the helper "
            "for every one of them before they begin",
            "build with BuildKit, which asks for what it pulls; or take out hosts you do not use",
        )
    return Finding("credHelpers", PASS, f"{case.helper} is asked for {len(case.hosts)} of {number}")


def store(case: Case) -> Finding | None:
    """Check which helper is asked for all other hosts: an ECR helper there loses their logins."""
    if case.config is None:
        return None
    typo = [key for key in case.config.keys if key.casefold() in ("credstore", "credhelper")]
    fix = f"name your ECR hosts with `{case.name} configure`, then take the credsStore line out"
    if typo:
        status, found = WARN, f"config.json has the key {typo[0]}, which Docker does not know"
        fix = 'the key for one host is "credHelpers", for all others "credsStore"'
    elif case.config.store == "ecr-login":
        status, found = WARN, _MEANING_OF_PEER
    elif case.config.store == case.helper:
        status = WARN
        found = f"credsStore is {case.helper}: logins to other registries than ECR are refused"
    else:
        status, found, fix = PASS, case.config.store or "none", ""
    return Finding("credsStore", status, found, fix)


def passwords(case: Case) -> Finding | None:
    """Look for passwords of our hosts in config.json: some clients use them before any helper."""
    if case.config is None:
        return None
    hosts = {address for address in map(address_of, case.hosts) if address}
    kept = case.config.passwords(hosts)
    if kept:
        return Finding(
            "auths",
            WARN,
            f"a password is kept for {', '.join(kept)}: it expires within 12 hours, and some "
            "clients use it before they ask a helper",
            case.configure,
        )
    return Finding("auths", PASS, "no password of these hosts is kept")


def auth_variable(case: Case) -> Finding:
    """Check whether DOCKER_AUTH_CONFIG has a login to one of our hosts, used before any helper."""
    check, value = "DOCKER_AUTH_CONFIG", os.environ.get("DOCKER_AUTH_CONFIG")
    if not value:
        return Finding(check, PASS, "not set")
    try:
        auths = dict(parsed(value)["auths"])
    except (ValueError, LookupError, TypeError):
        return Finding(check, WARN, "set, but not JSON with `auths`", "unset DOCKER_AUTH_CONFIG")
    addresses = {address_of(host) for host in case.hosts}
    covered = sorted(key for key in auths if address_of(key) in addresses)
    if covered:
        return Finding(
            check,
            FAIL,
            f"it has a login to {', '.join(covered)}, which Docker takes before it asks a helper",
            "take it out of DOCKER_AUTH_CONFIG, or unset that",
        )
    return Finding(check, PASS, "set, for other registries than these")


def program(case: Case) -> Finding:
    """Look on PATH for the program that Docker runs for this helper."""
    wanted = f"docker-credential-{case.helper}"
    own = _own_path(case.name)
    found = shutil.which(wanted)
    if found is None:
        return Finding(
            "helper",
            FAIL,
            f"{wanted} is not on PATH, so Docker cannot run it",
            f"sudo ln -s {shlex.quote(own)} /usr/local/bin/{wanted}",
        )
    if os.path.exists(own) and os.path.realpath(found) != os.path.realpath(own):
        return Finding(
            "helper",
            WARN,
            f"Docker runs {found}, and this is {own}",
            f"remove one of them, or put {os.path.dirname(own)} first in PATH",
        )
    return Finding("helper", PASS, f"Docker runs {found}")


def _own_path(name: str) -> str:
    """Return the path of this program, however it was started."""
    installed = os.path.join(sys.prefix, "bin", name)
    own = sys.executable if getattr(sys, "frozen", False) else installed
    return os.path.abspath(shutil.which(sys.argv[0]) or own)


def docker_package(_: Case) -> Finding:
    """Check whether Docker comes from a snap, which cannot run programs outside the snap."""
    docker = shutil.which("docker")
    if docker is None:
        return Finding("docker", PASS, "not on PATH; other clients work without it")
    real = os.path.realpath(docker)
    if docker.startswith("/snap/") or real.startswith("/snap/") or real.endswith("/snap"):
        return Finding(
            "docker",
            FAIL,
            f"{docker} is a snap, which cannot run helpers that are outside of it",
            "sudo snap remove docker, and install it from https://docs.docker.com/engine/install",
        )
    return Finding("docker", PASS, docker)


def cache_directory(_: Case) -> Finding:
    """Check whether tokens can be stored: the directory is ours, no link, and writable."""
    if os.environ.get("AWS_ECR_DISABLE_CACHE"):
        return Finding("cache", PASS, "off, by AWS_ECR_DISABLE_CACHE")
    try:
        path = paths.cache_directory()
    except RuntimeError as error:
        return Finding("cache", WARN, f"tokens are not kept: {error}", "set AWS_ECR_CACHE_DIR")
    if not os.path.lexists(path):
        return Finding("cache", PASS, f"{path}, made when it is needed")
    try:
        _write_into(path)
    except OSError as error:
        return Finding(
            "cache",
            WARN,
            f"tokens are not kept in {path}: {error.strerror or error}",
            f"remove {path}, or set AWS_ECR_CACHE_DIR to a directory of your own",
        )
    return Finding("cache", PASS, path)


def _write_into(path: str) -> None:
    """Write a file into the cache directory and remove it. Raises OSError if that fails."""
    if os.path.islink(path):
        raise OSError("it is a symbolic link, which is not followed")
    probe = f"doctor.{os.urandom(8).hex()}.tmp"
    with Directory(path) as opened:
        try:
            opened.create(probe, b"x" * 4096)
        finally:
            opened.remove(probe)

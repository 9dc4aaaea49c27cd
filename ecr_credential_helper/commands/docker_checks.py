"""Checks for what commonly keeps Docker from using this helper, each with its fix.

`configure` runs some of them and reports problems with what it wrote; `doctor` runs all of them.
"""

import base64
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import HelperError, printable
from ecr_credential_helper.settings import Target, target_of
from ecr_credential_helper.system import paths
from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.system.processes import own_command

from .docker_config import DockerConfig, directory
from .hosts import address_of, target_named
from .json_text import parsed

PASS, WARN, FAIL = "pass", "warn", "fail"

_MANY = 10
_READS_VARIABLE = (28, 3)  # Docker's version
_DOCKER_TIMEOUT = 10.0  # seconds
_MEANING_OF_PEER = (
    "credsStore is ecr-login: that helper is asked for every host not in credHelpers, it answers "
    "for any ECR host, and logins to other registries, Docker Hub too, are lost or refused"
)


class Repair(NamedTuple):
    """A fix that needs no judgment: the command for it, and what does the same.

    `do` raises OSError or HelperError.
    """

    command: str
    do: Callable[[], object]


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, pass, warn or fail, the facts, and the fix.

    There is a fix whenever the status is not pass; `repair` is there if it needs no judgment.
    """

    check: str
    status: str
    found: str
    fix: str = ""
    repair: Repair | None = None


def repairable(check: str, status: str, found: str, repair: Repair) -> Finding:
    """Return a finding whose fix needs no judgment."""
    return Finding(check, status, found, repair.command, repair)


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

    def configure(self, *hosts: str) -> Repair:
        """Return what fixes config.json for these hosts."""
        arguments = ["configure", *hosts]
        if self.directory != directory(None):
            arguments += ["--docker-config", self.directory]
        return Repair(shlex.join([self.name, *arguments]), lambda: _run_own(arguments))


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
        found = f"there is none in {case.directory}"
        if case.server_url:
            return repairable(check, FAIL, found, case.configure(*case.hosts))
        return Finding(check, WARN, found, f"{case.name} configure")
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
            case.configure(*none).command,
        )
    if not case.hosts:
        found = f"none of them is {case.helper}"
        return Finding("credHelpers", WARN, found, f"{case.name} configure")
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
    return repairable("credHelpers", FAIL, found, case.configure(wanted))


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
        fix = 'name it "credHelpers" for one host, "credsStore" for all others'
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
        return repairable(
            "auths",
            WARN,
            f"a password is kept for {', '.join(kept)}: it expires within 12 hours, and some "
            "clients use it before they ask a helper",
            case.configure(*case.hosts),
        )
    return Finding("auths", PASS, "no password of these hosts is kept")


def auth_variable(case: Case) -> Finding:
    """Check whether DOCKER_AUTH_CONFIG has a login to one of our hosts, used before any helper.

    Docker reads it since 28.3, and all of it or nothing (cli/config/configfile in docker/cli).
    """
    check, value = "DOCKER_AUTH_CONFIG", os.environ.get("DOCKER_AUTH_CONFIG")
    if not value or not value.strip():
        return Finding(check, PASS, "not set")
    version = _docker_version()
    if version and version < _READS_VARIABLE:
        found = f"set, but Docker {version[0]}.{version[1]} does not read it; 28.3 and newer do"
        return Finding(check, PASS, found)
    docker = f"Docker {version[0]}.{version[1]}" if version else "Docker, from 28.3 on,"
    try:
        auths = _logins(value)
    except ValueError as error:
        return Finding(
            check,
            WARN,
            f"{docker} drops all of it, and says so each time: {printable(str(error))}",
            "unset DOCKER_AUTH_CONFIG where docker runs; GitLab's runner has read its own by then",
        )
    addresses = {address_of(host) for host in case.hosts}
    covered = sorted(key for key in auths if address_of(key) in addresses)
    if covered:
        return Finding(
            check,
            FAIL if version else WARN,
            f"it has a login to {', '.join(covered)}, which {docker} takes before it asks a helper",
            "take that login out of DOCKER_AUTH_CONFIG, or unset it",
        )
    return Finding(check, PASS, "set, for other registries than these")


def _logins(text: str) -> list[str]:
    """Return the registries in a DOCKER_AUTH_CONFIG. Raises ValueError where Docker drops it."""
    try:
        document = parsed(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - as for all else in it
    for key in document:
        if key.casefold() != "auths":
            raise ValueError(f"it has `{key}` beside `auths`")
    auths = next(iter(document.values()), None) or {}
    if not isinstance(auths, dict):
        raise ValueError("its `auths` is not an object")  # noqa: TRY004 - likewise
    for host, entry in auths.items():
        if not isinstance(entry, dict) or [key.casefold() for key in entry] != ["auth"]:
            raise ValueError(f"the entry of {host} is not one `auth` alone")
        (login,) = entry.values()
        try:
            user, colon, _ = base64.b64decode(login, validate=True).partition(b":")
        except (ValueError, TypeError):
            user, colon = b"", b""
        if not user or not colon:
            raise ValueError(f"the `auth` of {host} is no user and password")
    return list(auths)


def _docker_version() -> tuple[int, int] | None:
    """Return the version of the docker CLI on PATH, None if there is none that says it."""
    try:
        said = subprocess.run(
            ["docker", "--version"],  # noqa: S607 - the one that a person would run
            capture_output=True,
            check=False,
            timeout=_DOCKER_TIMEOUT,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(rb"Docker version (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def program(case: Case) -> Finding:
    """Look on PATH for the program that Docker runs for this helper."""
    wanted = f"docker-credential-{case.helper}"
    own = own_path(case.name)
    found = shutil.which(wanted)
    if found is None:
        missing = f"{wanted} is not on PATH, so Docker cannot run it"
        link = _link_on_path(wanted)
        if link and os.path.exists(own):
            command = shlex.join(["ln", "-s", own, link])
            return repairable(
                "helper", FAIL, missing, Repair(command, lambda: os.symlink(own, link))
            )
        fix = f"sudo ln -s {shlex.quote(own)} /usr/local/bin/{wanted}"
        if sys.platform == "win32":
            fix = f"add {os.path.dirname(own)} to PATH"
        return Finding("helper", FAIL, missing, fix)
    if os.path.exists(own) and _real(found) != _real(own):
        return Finding(
            "helper",
            WARN,
            f"Docker runs {found}, and this is {own}",
            f"remove one of them, or put {os.path.dirname(own)} first in PATH",
        )
    return Finding("helper", PASS, f"Docker runs {found}")


def _real(path: str) -> str:
    """Return a path without links; on Windows without capitals, for PATHEXT may add some."""
    return os.path.normcase(os.path.realpath(path))


def own_path(name: str) -> str:
    """Return the path of this program, however it was started."""
    installed = os.path.join(sys.prefix, "bin", name)
    if sys.platform == "win32":
        installed = os.path.join(sys.prefix, "Scripts", f"{name}.exe")
    own = sys.executable if getattr(sys, "frozen", False) else installed
    return os.path.abspath(shutil.which(sys.argv[0]) or own)


def _link_on_path(name: str) -> str | None:
    """Return where on PATH a link of this name may be made, by us and over nothing; else None."""
    wanted = "/usr/local/bin"  # where root puts what does not come from a package
    places = os.environ.get("PATH", "").split(os.pathsep)
    for place in sorted(places, key=lambda place: place != wanted):
        link = os.path.join(place, name)
        if os.path.isabs(place) and _is_ours_alone(place) and not os.path.lexists(link):
            return link
    return None


def _is_ours_alone(path: str) -> bool:
    """Whether a directory belongs to us, and we and nobody else may write into it."""
    if sys.platform == "win32":
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return mine and not status.st_mode & 0o022 and os.access(path, os.W_OK)


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
        found = f"tokens are not kept in {path}: {error.strerror or error}"
        if _is_ours_and_wide(path):
            command = f"chmod 700 {shlex.quote(path)}"
            return repairable(
                "cache", WARN, found, Repair(command, lambda: os.chmod(path, stat.S_IRWXU))
            )
        fix = f"remove {path}, or set AWS_ECR_CACHE_DIR to a directory of your own"
        return Finding("cache", WARN, found, fix)
    return Finding("cache", PASS, path)


def _is_ours_and_wide(path: str) -> bool:
    """Whether a directory belongs to us, and others may enter it."""
    if sys.platform == "win32":
        return False
    status = os.lstat(path)
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return mine and bool(status.st_mode & 0o77)


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


def _run_own(arguments: list[str]) -> None:
    """Run a command of this program. Raises HelperError with what it says if it fails."""
    done = subprocess.run(  # noqa: S603 - our own program
        own_command(arguments), input=b"", capture_output=True, check=False
    )
    if done.returncode:
        raise HelperError(done.stderr.decode("utf-8", "replace").strip())

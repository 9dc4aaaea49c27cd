"""doctor: every check once where it finds something wrong, and each with a fix."""

import base64
import json
import os
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import httpsession

from ecr_credential_helper.commands import aws_checks, docker_checks
from ecr_credential_helper.commands.docker_checks import Case
from ecr_credential_helper.registry import registry_of
from ecr_credential_helper.settings import Target
from tests.aws.failures import pass_mfa, role_with_mfa
from tests.e2e.rig import OTHER, PRIVATE
from tests.loopback import USER_ARN, Fault, Loopback, role_arn_of
from tests.support import needs
from tests.support.helper import EXECUTABLE, Helper, assert_no_secret
from tests.support.needs import SYSTEM_PATH
from tests.support.processes import PATIENCE, ended, process_ids
from tests.support.terminal import on_a_terminal, without_colour

PUBLIC = "public.ecr.aws"
NO_KEYS: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}

Checks = dict[str, dict[str, str]]


@pytest.fixture
def healthy(helper: Helper) -> Helper:
    """Return a helper with which nothing is wrong."""
    helper.env["PATH"] = f"{EXECUTABLE.parent}:{SYSTEM_PATH}"
    write_config(helper, {"credHelpers": {PRIVATE: "ecr"}})
    return helper


def write_config(helper: Helper, document: dict[str, Any]) -> None:
    """Make the user's config.json."""
    path = helper.home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


def examine(helper: Helper, *arguments: str, **env: str | None) -> Checks:
    """Return the checks by their name, after asserting what holds for every run."""
    result = helper.run("doctor", "--json", *arguments, env=env)
    assert result.stderr == b""
    assert result.answer["host"] == (arguments[0] if arguments else None)
    checks = result.answer["checks"]
    assert all(set(check) == {"check", "status", "found", "fix"} for check in checks)
    assert all(bool(check["fix"]) == (check["status"] != "pass") for check in checks)
    failed = [check["check"] for check in checks if check["status"] == "fail"]
    assert result.answer["ok"] == (not failed) == (result.status == 0)
    if arguments and failed:
        assert failed == [checks[-1]["check"]], "it goes on past what breaks a pull"
    names = [check["check"] for check in checks]
    assert len(set(names)) == len(names)
    return {check["check"]: check for check in checks}


def assert_found(check: dict[str, str], status: str, found: str, fix: str = "") -> None:
    """Assert what one check says."""
    assert check["status"] == status, check
    assert found in check["found"], check
    assert fix in check["fix"], check


def test_nothing_is_wrong(healthy: Helper, aws: Loopback) -> None:
    """Every check passes, and a person can read it in 80 columns."""
    result = healthy.run("doctor")
    lines = result.out.splitlines()
    assert (result.status, result.err, lines[-1]) == (0, "", "nothing is wrong")
    assert f"pass  identity: {USER_ARN}" in lines
    assert max(map(len, (line for line in lines if "/" not in line))) <= 80
    assert_no_secret(result, aws)
    assert (aws.count("sts"), aws.count("ecr")) == (1, 1)
    assert {check["status"] for check in examine(healthy).values()} == {"pass"}
    assert not healthy.cache.exists()


def test_what_passed_is_a_line_and_what_did_not_is_told_in_full(healthy: Helper) -> None:
    """At any width; in the end it is said what to do first."""
    write_config(healthy, {"credHelpers": {PRIVATE: "ecr"}, "credsStore": "ecr-login"})
    for columns in (60, 80, 140):
        result = healthy.run("doctor", env={"COLUMNS": str(columns), "AWS_PROFILE": "nobody"})
        lines = result.out.splitlines()
        told = [line for line in lines if not line.startswith("pass  ")]
        assert len(lines) - len(told) == sum(line.startswith("pass") for line in lines) >= 8
        assert max(map(len, lines)) <= columns
        text = " ".join(" ".join(told).split())
        assert "logins to other registries, Docker Hub too, are lost or refused fix: name" in text
        assert text.endswith(
            "failed: 1, warnings: 1; first name a profile that is in the AWS config file: "
            "`aws configure list-profiles` lists them"
        )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, f"at credHelpers; first run docker-credential-ecr configure {PRIVATE}"),
        ({"credHelpers": {PRIVATE: "ecr"}}, "at registry; first check the region in the host"),
    ],
)
def test_of_a_pull_it_is_said_where_it_breaks(
    healthy: Helper, document: dict[str, Any], said: str
) -> None:
    """What comes after it was not looked at."""
    write_config(healthy, document)
    result = healthy.run("doctor", PRIVATE)
    assert result.status == 1
    verdict = result.out.rpartition("\n\n")[2]
    assert " ".join(verdict.split()).startswith(f"a pull breaks {said}")


def test_the_way_of_a_pull_leads_to_the_registry_itself(healthy: Helper, aws: Loopback) -> None:
    """The last check is the registry itself; here its name does not resolve."""
    checks = examine(healthy, f"https://{PRIVATE}")
    assert_found(checks["host"], "pass", f"{PRIVATE}, account 111122223333 in eu-west-1")
    assert_found(checks["registry"], "fail", f"https://{PRIVATE}/v2/", "check the region")
    assert list(checks)[-1] == "registry"
    assert aws.count("ecr") == 1


# Docker's side.


def test_a_mistake_in_the_settings_file(healthy: Helper) -> None:
    """It is named with its place."""
    settings = healthy.home / "settings.toml"
    settings.write_text('[[registry]]\nmatsch = "x"\n')
    checks = examine(healthy, PRIVATE, AWS_ECR_CONFIG_FILE=str(settings))
    assert_found(checks["settings"], "fail", "unknown key 'matsch'", "in the settings file")


@pytest.mark.parametrize(
    "host", ["docker.io", "https://index.docker.io/v1/", f"{PRIVATE}.evil.com"]
)
def test_a_host_that_is_not_ecr(healthy: Helper, host: str) -> None:
    """The finding says that this helper is not for it."""
    checks = examine(healthy, host)
    assert_found(checks["host"], "fail", "is no host of Amazon ECR", "a host is like")


def test_no_config_json(healthy: Helper) -> None:
    """For a pull of a given host this is a failure."""
    (healthy.home / ".docker" / "config.json").unlink()
    fix = f"docker-credential-ecr configure {PRIVATE}"
    assert_found(examine(healthy, PRIVATE)["config.json"], "fail", "there is none in", fix)
    assert_found(examine(healthy)["config.json"], "warn", "there is none in", "-ecr configure")


def test_a_broken_config_json(healthy: Helper) -> None:
    """The other checks still run if no host is given."""
    (healthy.home / ".docker" / "config.json").write_text('{"auths": {}, }')
    checks = examine(healthy)
    assert_found(checks["config.json"], "fail", "not JSON", "correct the file by hand")
    assert checks["identity"]["status"] == "pass"
    assert_found(examine(healthy, PRIVATE)["config.json"], "fail", "not JSON")


def test_docker_config_is_named_on_the_command_line(healthy: Helper, tmp_path: Path) -> None:
    """As for `configure`."""
    result = healthy.run("doctor", "--json", "--docker-config", str(tmp_path / "none"))
    found = {check["check"]: check for check in result.answer["checks"]}
    assert_found(found["config.json"], "warn", str(tmp_path / "none"))


def test_sudo_reads_roots_config(healthy: Helper) -> None:
    """It depends on whose config.json is read."""
    checks = examine(healthy, SUDO_USER="daemon")
    if os.geteuid() == 0:
        assert_found(checks["sudo"], "warn", "under sudo Docker reads", "sudo DOCKER_CONFIG=")
    users = os.path.expanduser("~root/.docker")
    own = examine(healthy, SUDO_USER="root", DOCKER_CONFIG=users)
    assert "sudo" not in own


@pytest.mark.parametrize(
    ("helpers", "found"),
    [
        ({}, "is not there; a name is matched whole, without wildcards"),
        ({PRIVATE: "ecr-login"}, "Docker asks 'ecr-login'"),
        ({PRIVATE: ""}, '"" has Docker use a password in config.json itself'),
        ({f"https://{PRIVATE}": "ecr"}, f"it has 'https://{PRIVATE}', and Docker looks for"),
        ({"*.dkr.ecr.eu-west-1.amazonaws.com": "ecr"}, "without wildcards"),
    ],
)
def test_docker_does_not_ask_this_helper(
    healthy: Helper, helpers: dict[str, str], found: str
) -> None:
    """The fix is one command."""
    write_config(healthy, {"credHelpers": helpers})
    fix = f"docker-credential-ecr configure {PRIVATE}"
    assert_found(examine(healthy, PRIVATE)["credHelpers"], "fail", found, fix)
    assert healthy.run(*fix.split()[1:]).status == 0
    assert examine(healthy, PRIVATE)["credHelpers"]["status"] == "pass"


def test_no_registry_is_configured(healthy: Helper) -> None:
    """Without a host in question, that is no failure."""
    write_config(healthy, {"credHelpers": {"gcr.io": "gcloud"}})
    assert_found(examine(healthy)["credHelpers"], "warn", "none of them is ecr", "-ecr configure")
    write_config(healthy, {"credHelpers": {PRIVATE: "", OTHER: "ecr"}})
    assert_found(examine(healthy)["credHelpers"], "warn", f'{PRIVATE}: ""', PRIVATE)


def test_many_helpers(healthy: Helper) -> None:
    """They are all asked before a classic build."""
    hosts = {f"{number:012}.dkr.ecr.eu-west-1.amazonaws.com": "ecr" for number in range(11)}
    write_config(healthy, {"credHelpers": hosts})
    assert_found(examine(healthy)["credHelpers"], "warn", "11 hosts: the classic", "BuildKit")


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"credStore": "ecr"}, "the key credStore, which Docker does not know"),
        ({"credHelper": {}}, "the key credHelper, which Docker does not know"),
        ({"credsStore": "ecr-login"}, "credsStore is ecr-login: that helper is asked"),
        ({"credsStore": "ecr"}, "logins to other registries than ECR are refused"),
    ],
)
def test_a_store_that_is_none_or_too_much(
    healthy: Helper, members: dict[str, Any], found: str
) -> None:
    """Docker goes on; it is a person who is surprised later."""
    write_config(healthy, {"credHelpers": {PRIVATE: "ecr"}, **members})
    assert_found(examine(healthy, PRIVATE)["credsStore"], "warn", found)


def test_a_name_that_would_draw_on_the_terminal_does_not(healthy: Helper) -> None:
    """Whoever may write config.json may not write to the terminal of whoever looks."""
    write_config(healthy, {"credHelpers": {PRIVATE: "\x1b[2Jecr"}})
    for options in ([], ["--fix"]):
        result = healthy.run("doctor", *options, PRIVATE)
        assert b"\x1b" not in result.stdout + result.stderr
        assert "asks" in result.out


def test_a_store_that_asks_this_helper_is_enough(healthy: Helper) -> None:
    """A host without an entry of its own is asked of the store."""
    write_config(healthy, {"credsStore": "ecr"})
    assert_found(examine(healthy, PRIVATE)["credHelpers"], "pass", "credsStore is ecr")


def test_a_stale_password(healthy: Helper) -> None:
    """Its key may have a scheme; the fix takes it away."""
    auths = {f"https://{PRIVATE}": {"auth": "c2VjcmV0"}}
    write_config(healthy, {"credHelpers": {PRIVATE: "ecr"}, "auths": auths})
    check = examine(healthy, PRIVATE)["auths"]
    assert_found(check, "warn", f"https://{PRIVATE}", f"configure {PRIVATE}")
    assert healthy.run("configure", PRIVATE).status == 0
    assert examine(healthy, PRIVATE)["auths"]["status"] == "pass"


LOGIN = base64.b64encode(b"AWS:a-token").decode()
GITLAB = {"credHelpers": {PRIVATE: "ecr-login"}}


def with_docker(helper: Helper, tmp_path: Path, said: str) -> None:
    """Have a docker on PATH that says its version so."""
    needs.check("POSIX")
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho '{said}'\n")
    docker.chmod(0o755)
    helper.env["PATH"] = f"{tmp_path}:{helper.env['PATH']}"


@pytest.mark.parametrize(
    ("value", "status", "found"),
    [
        ({"auths": {PRIVATE: {"auth": LOGIN}}}, "fail", f"a login to {PRIVATE}, which Docker 29.1"),
        ({"auths": {f"https://{PRIVATE}": {"auth": LOGIN}}}, "fail", "a login to https://"),
        ({"Auths": {"gcr.io": {"auth": LOGIN}}}, "pass", "set, for other registries"),
        ({}, "pass", "set, for other registries"),
        (
            GITLAB,
            "warn",
            "Docker 29.1 drops all of it, and says so each time: it has `credHelpers`",
        ),
        ({"auths": {PRIVATE: {"auth": LOGIN}}, **GITLAB}, "warn", "it has `credHelpers` beside"),
        ({"auths": {PRIVATE: {}}}, "warn", f"the entry of {PRIVATE} is not one `auth` alone"),
        ({"auths": {PRIVATE: {"auth": LOGIN, "email": ""}}}, "warn", "not one `auth` alone"),
        ({"auths": {PRIVATE: {"auth": "c2VjcmV0"}}}, "warn", "is no user and password"),
        ({"auths": {PRIVATE: {"auth": 5}}}, "warn", "drops all of it"),
        ({"auths": 5}, "warn", "drops all of it"),
        ([], "warn", "it is not a JSON object"),
        ("{", "warn", "drops all of it"),
    ],
)
def test_a_login_in_the_environment(
    healthy: Helper, tmp_path: Path, value: object, status: str, found: str
) -> None:
    """Docker takes all of it or nothing: for this host a login there goes before every helper."""
    with_docker(healthy, tmp_path, "Docker version 29.1.5, build 1234567")
    text = value if isinstance(value, str) else json.dumps(value)
    check = examine(healthy, PRIVATE, DOCKER_AUTH_CONFIG=text)["DOCKER_AUTH_CONFIG"]
    assert_found(check, status, found, "" if status == "pass" else "DOCKER_AUTH_CONFIG")
    assert LOGIN not in json.dumps(check)


@pytest.mark.parametrize(
    ("said", "status", "found"),
    [
        ("Docker version 28.3.0, build 1234567", "fail", "which Docker 28.3 takes before it asks"),
        ("Docker version 28.2.9, build 1234567", "pass", "Docker 28.2 does not read it"),
        ("Docker version 9.10.1", "pass", "Docker 9.10 does not read it; 28.3 and newer do"),
        ("podman version 5.4.2", "warn", "which Docker, from 28.3 on, takes before it asks"),
    ],
)
def test_which_docker_reads_the_login_in_the_environment(
    healthy: Helper, tmp_path: Path, said: str, status: str, found: str
) -> None:
    """It is the installed one that matters."""
    with_docker(healthy, tmp_path, said)
    login = json.dumps({"auths": {PRIVATE: {"auth": LOGIN}}})
    check = examine(healthy, PRIVATE, DOCKER_AUTH_CONFIG=login)["DOCKER_AUTH_CONFIG"]
    assert_found(check, status, found)


def test_the_helper_is_not_on_path(healthy: Helper) -> None:
    """The fix is a command to copy."""
    check = examine(healthy, PRIVATE, PATH="/nowhere")["helper"]
    assert_found(check, "fail", "is not on PATH", f"sudo ln -s {EXECUTABLE} /usr/local/bin/")


def test_another_program_comes_first_on_path(healthy: Helper, tmp_path: Path) -> None:
    """Docker runs that one."""
    other = tmp_path / "docker-credential-ecr"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    checks = examine(healthy, PRIVATE, PATH=f"{tmp_path}:{healthy.env['PATH']}")
    assert_found(checks["helper"], "warn", f"Docker runs {other}, and this is", "remove one")


# What it does itself.


def mended(helper: Helper) -> None:
    """Assert that a pull from PRIVATE would get as far as the registry."""
    checks = examine(helper, PRIVATE)
    assert list(checks)[-1] == "registry"
    assert {check["status"] for check in list(checks.values())[:-1]} == {"pass"}


@pytest.fixture
def broken(healthy: Helper) -> Helper:
    """Return a helper whose user has everything wrong that needs no judgment to put right."""
    auths = {PRIVATE: {"auth": LOGIN}, "gcr.io": {"auth": LOGIN}}
    write_config(healthy, {"auths": auths, "credHelpers": {PRIVATE: "ecr-login"}})
    healthy.cache.mkdir(mode=0o755)
    for name in ("bin", "shared"):
        (healthy.home / name).mkdir()
    (healthy.home / "shared").chmod(0o777)
    healthy.env["PATH"] = f"relative:{healthy.home}/shared:{healthy.home}/bin:/nowhere"
    return healthy


def test_yes_does_all_that_needs_no_judgment(broken: Helper) -> None:
    """Each is shown before, and what is found after it is what is so then."""
    result = broken.run("doctor", "--fix", "--yes", PRIVATE)
    shown = " ".join(result.err.split())
    link = f"{broken.home}/bin/docker-credential-ecr"
    for command in (
        f"docker-credential-ecr configure {PRIVATE}",
        f"ln -s {EXECUTABLE} {link}",
        f"chmod 700 {broken.cache}",
    ):
        assert f"{command} done" in shown
    assert "a pull breaks at registry; first check the region" in " ".join(result.out.split())
    document = json.loads((broken.home / ".docker" / "config.json").read_text())
    assert document == {"auths": {"gcr.io": {"auth": LOGIN}}, "credHelpers": {PRIVATE: "ecr"}}
    assert os.readlink(link) == str(EXECUTABLE)
    assert not (broken.home / "shared" / "docker-credential-ecr").exists()
    mended(broken)


def test_a_person_is_asked_before_each(broken: Helper) -> None:
    """Yes to the first, no to the second."""
    result = on_a_terminal(broken, "doctor", "--fix", PRIVATE, typed="y\nn\n", TERM="xterm")
    assert without_colour(result.out).count("do this? [y/n] (n):") == 2
    checks = examine(broken, PRIVATE)
    assert checks["credHelpers"]["status"] == "pass"
    assert checks["helper"]["status"] == "fail"
    assert result.status == 1


@pytest.mark.parametrize("typed", ["\n", "\x04", "n\n", "maybe\nn\n"])
def test_whoever_does_not_agree_gets_nothing_done(broken: Helper, typed: str) -> None:
    """Enter and the end of the input are no agreement."""
    before = (broken.home / ".docker" / "config.json").read_bytes()
    on_a_terminal(broken, "doctor", "--fix", PRIVATE, typed=typed, TERM="dumb")
    assert (broken.home / ".docker" / "config.json").read_bytes() == before


def test_without_a_terminal_nothing_is_done(broken: Helper) -> None:
    """And it is said how a script does it."""
    before = (broken.home / ".docker" / "config.json").read_bytes()
    result = broken.run("doctor", "--fix", PRIVATE, stdin=b"y\n" * 9)
    assert "there is no terminal to ask on: --yes does it" in " ".join(result.err.split())
    assert (broken.home / ".docker" / "config.json").read_bytes() == before
    assert result.status == 1


def test_a_fix_that_fails_is_said_so(broken: Helper) -> None:
    """The others are done all the same, and nothing is tried twice."""
    kept = {"auths": {PRIVATE: {"auth": LOGIN}}, "credHelpers": {PRIVATE: "ecr"}}
    write_config(broken, kept)
    settings = broken.home / "settings.toml"
    settings.write_text('[[registry]]\nmatsch = "x"\n')
    broken.env["AWS_ECR_CONFIG_FILE"] = str(settings)
    result = broken.run("doctor", "--fix", "--yes")
    assert result.err.count("failed: ") == 1
    assert "unknown key 'matsch'" in result.err
    checks = examine(broken)
    assert (checks["auths"]["status"], checks["helper"]["status"]) == ("warn", "pass")


def test_there_may_be_nothing_to_do(healthy: Helper) -> None:
    """Then nothing is said about it."""
    result = healthy.run("doctor", "--fix", "--yes")
    assert (result.status, result.err) == (0, "")
    assert result.out == healthy.run("doctor").out


def test_another_directory_of_docker_is_mended_there(broken: Helper) -> None:
    """Where --docker-config names it."""
    elsewhere = broken.home / "elsewhere"
    (broken.home / ".docker").rename(elsewhere)
    options = ("--docker-config", str(elsewhere))
    result = broken.run("doctor", "--fix", "--yes", *options, PRIVATE)
    assert f"configure {PRIVATE} --docker-config {elsewhere}" in " ".join(result.err.split())
    helpers = json.loads((elsewhere / "config.json").read_text())["credHelpers"]
    assert helpers == {PRIVATE: "ecr"}


@pytest.mark.parametrize("arguments", [["--yes"], ["--fix", "--json"]])
def test_what_does_not_go_together_is_a_mistake(healthy: Helper, arguments: list[str]) -> None:
    """As argparse says it."""
    result = healthy.run("doctor", *arguments)
    assert (result.status, result.stdout) == (2, b"")
    assert "usage: docker-credential-ecr doctor" in result.err


def test_docker_is_a_snap(healthy: Helper, tmp_path: Path) -> None:
    """It cannot run what is outside of it."""
    (tmp_path / "snap").write_text("#!/bin/sh\n")
    (tmp_path / "snap").chmod(0o755)
    (tmp_path / "docker").symlink_to("snap")
    checks = examine(healthy, PRIVATE, PATH=f"{tmp_path}:{healthy.env['PATH']}")
    assert_found(checks["docker"], "fail", "is a snap", "snap remove docker")


def test_docker_is_not_there(healthy: Helper) -> None:
    """Other clients, such as podman, work without it."""
    check = examine(healthy, PATH=str(EXECUTABLE.parent))["docker"]
    assert_found(check, "pass", "not on PATH")


@pytest.mark.parametrize(
    ("trouble", "found"),
    [
        ("link", "it is a symbolic link"),
        ("file", "Not a directory"),
        ("foreign", "it belongs to another user"),
    ],
)
def test_tokens_cannot_be_kept(healthy: Helper, trouble: str, found: str) -> None:
    """A pull works without; it is slower."""
    if trouble == "link":
        (healthy.home / "real").mkdir(mode=0o700)
        healthy.cache.symlink_to(healthy.home / "real")
    elif trouble == "file":
        healthy.cache.write_text("")
    else:
        needs.check("root")
        healthy.cache.mkdir(mode=0o700)
        os.chown(healthy.cache, 12345, 12345)
    check = examine(healthy, PRIVATE)["cache"]
    assert_found(check, "warn", found, "set AWS_ECR_CACHE_DIR")


def test_others_may_enter_the_cache(healthy: Helper) -> None:
    """Where it is one's own, its mode is the fix."""
    healthy.cache.mkdir(mode=0o755)
    check = examine(healthy, PRIVATE)["cache"]
    assert_found(check, "warn", "other users may enter it", f"chmod 700 {healthy.cache}")


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows only when something is written."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("AWS_ECR_CACHE_DIR", str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    finding = docker_checks.cache_directory(Case("x", "ecr", "", "", lambda: 0.0))
    monkeypatch.undo()
    assert (finding.status, "No space left on device" in finding.found) == ("warn", True)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_can_be_used_is_left_as_it_was(healthy: Helper) -> None:
    """It is tried out, and nothing stays behind; off is a choice."""
    healthy.cache.mkdir(mode=0o700)
    assert examine(healthy)["cache"]["status"] == "pass"
    assert list(healthy.cache.iterdir()) == []
    assert_found(examine(healthy, AWS_ECR_DISABLE_CACHE="1")["cache"], "pass", "off")


# AWS's side.


def test_no_credentials(healthy: Helper) -> None:
    """For a private registry that is the end; a public one is pulled from anonymously."""
    check = examine(healthy, PRIVATE, **NO_KEYS)["credentials"]
    assert_found(check, "fail", "no AWS credentials found", "aws sso login")
    write_config(healthy, {"credHelpers": {PUBLIC: "ecr"}})
    check = examine(healthy, PUBLIC, **NO_KEYS)["credentials"]
    assert_found(check, "warn", "public images are pulled anonymously")


def test_a_profile_that_does_not_exist(healthy: Helper) -> None:
    """It is named, as `get` does."""
    check = examine(healthy, PRIVATE, AWS_PROFILE="nobody")["credentials"]
    assert_found(check, "fail", "the AWS profile nobody does not exist", "list-profiles")


def test_a_credential_process_that_fails(healthy: Helper) -> None:
    """What it says is passed on."""
    config = healthy.home / "aws-config"
    config.write_text("[default]\ncredential_process = sh -c 'echo no card >&2; exit 1'\n")
    env = {**NO_KEYS, "AWS_CONFIG_FILE": str(config)}
    check = examine(healthy, PRIVATE, **env)["credentials"]
    assert_found(check, "fail", "no card", "credential_process")


def test_a_credential_process_that_hangs(healthy: Helper) -> None:
    """It is given up when a `get` would give it up, and ended."""
    config = healthy.home / "aws-config"
    config.write_text(
        "[default]\ncredential_process = sh -c 'echo $$ >\"$HOME/ids\"; exec sleep 50'\n"
    )
    env = {**NO_KEYS, "AWS_CONFIG_FILE": str(config), "AWS_ECR_TIMEOUT": PATIENCE}
    started = time.monotonic()
    check = examine(healthy, PRIVATE, **env)["credentials"]
    assert time.monotonic() - started < 20
    assert_found(check, "fail", f"got no answer within {PATIENCE} s", "credential_process")
    assert all(map(ended, process_ids(healthy.home / "ids", 1)))


def test_a_role_with_mfa(healthy: Helper, aws: Loopback) -> None:
    """Its session in the AWS CLI's cache is used; without one the fix is said, and no more."""
    role_with_mfa(healthy, aws)
    check = examine(healthy, PRIVATE)["credentials"]
    assert_found(check, "fail", "needs an MFA code", "--profile test")
    arn = pass_mfa(healthy, aws)
    checks = examine(healthy, PRIVATE)
    assert_found(checks["credentials"], "pass", "profile test (assume-role)")
    assert_found(checks["identity"], "pass", arn)
    assert checks["token"]["status"] == "pass"


@pytest.mark.parametrize(("service", "status"), [("sts", "warn"), ("ecr", "fail")])
def test_an_aws_that_hangs(healthy: Helper, aws: Loopback, service: str, status: str) -> None:
    """Whatever timeouts are set, no check takes longer than a `get`."""
    aws.faults[service] = Fault("hang")
    started = time.monotonic()
    checks = examine(healthy, AWS_ECR_TIMEOUT=PATIENCE, AWS_ENDPOINT_URL_ECR=aws.url)
    assert time.monotonic() - started < 25
    check = checks["identity" if service == "sts" else "token"]
    assert_found(check, status, f"got no answer within {PATIENCE} s", "raise AWS_ECR_TIMEOUT")


def test_a_timeout_that_is_none(healthy: Helper) -> None:
    """It fails every `get` that has to ask AWS, so it is told."""
    check = examine(healthy, PRIVATE, AWS_ECR_TIMEOUT="soon")["credentials"]
    assert_found(check, "fail", "AWS_ECR_TIMEOUT is 'soon'", "a number of seconds")


def test_an_sso_session_that_has_expired(healthy: Helper) -> None:
    """The fix is the command that starts a new one."""
    config = healthy.home / "aws-config"
    config.write_text(
        "[profile dev]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = pull\n"
        "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\n"
        "sso_region = eu-west-1\n"
    )
    env = {**NO_KEYS, "AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "dev"}
    check = examine(healthy, PRIVATE, **env)["credentials"]
    assert_found(check, "fail", "SSO session", "aws sso login --profile dev")


def test_a_container_that_cannot_reach_the_metadata_service(healthy: Helper) -> None:
    """The hop limit is the usual cause."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        env: dict[str, str | None] = {
            **NO_KEYS,
            "container": "podman",
            "AWS_EC2_METADATA_DISABLED": None,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}",
        }
        check = examine(healthy, **env)["metadata"]
    assert_found(check, "warn", "hop limit of 1", "--http-put-response-hop-limit 2")


def test_a_container_that_reaches_the_metadata_service(healthy: Helper) -> None:
    """Then the hop limit is not the cause."""
    env: dict[str, str | None] = {**NO_KEYS, "container": "podman"}
    env["AWS_EC2_METADATA_DISABLED"] = None
    assert examine(healthy, **env)["metadata"]["status"] == "pass"


def test_keys_that_aws_does_not_know(healthy: Helper) -> None:
    """AWS says so before ECR is asked."""
    check = examine(healthy, PRIVATE, AWS_ACCESS_KEY_ID="AKIAI44QH8DHBEXAMPLE")["identity"]
    assert_found(check, "fail", "AWS does not know the access key", "check the access key")


def test_sts_that_cannot_be_reached_is_no_end(healthy: Helper, aws: Loopback) -> None:
    """Behind a VPC endpoint only ECR may be in reach, and a pull works."""
    aws.faults["sts"] = Fault("500")
    checks = examine(healthy, PRIVATE)
    assert_found(checks["identity"], "warn", "GetCallerIdentity")
    assert checks["token"]["status"] == "pass"


def test_sts_is_not_taken_for_ecr(healthy: Helper, aws: Loopback) -> None:
    """Calls to STS are reported as STS, and the calls to ECR after them as ECR."""
    env = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    aws.faults["ecr"] = Fault("reset")
    checks = examine(healthy, AWS_ENDPOINT_URL_ECR=aws.url, **env)
    who = "the keys in the environment"
    assert_found(checks["identity"], "warn", f"sts:GetCallerIdentity for {who} got no answer")
    assert_found(checks["token"], "fail", f"ecr:GetAuthorizationToken in eu-west-1 as {who} got no")


def test_a_role_that_cannot_be_assumed(healthy: Helper, aws: Loopback) -> None:
    """That of the settings file: the one that `get` would take."""
    settings = healthy.home / "settings.toml"
    role = role_arn_of("pull")
    settings.write_text(f'[[registry]]\nmatch = "*"\nrole_arn = "{role}"\n')
    env = {"AWS_ECR_CONFIG_FILE": str(settings)}
    assert_found(examine(healthy, PRIVATE, **env)["identity"], "fail", "denied", "trust policy")
    aws.add_role(role)
    assert_found(examine(healthy, PRIVATE, **env)["identity"], "pass", "assumed-role/pull")
    env["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1"
    check = examine(healthy, PRIVATE, **env)["identity"]
    assert_found(check, "warn", f"sts:AssumeRole for role {role} of the keys in the environment")


def test_an_endpoint_that_is_not_there(healthy: Helper) -> None:
    """Nobody listens, or the name is unknown."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        checks = examine(healthy, PRIVATE, AWS_ENDPOINT_URL_ECR=url)
    assert_found(checks["endpoint"], "fail", "Connection refused", "firewall")
    checks = examine(healthy, PRIVATE, AWS_ENDPOINT_URL_ECR="not a URL")
    assert_found(checks["endpoint"], "fail", "there is none", "check the region")


@pytest.mark.parametrize(
    "variable", ["HTTPS_PROXY", "AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS"]
)
def test_a_password_in_a_url_is_not_shown(healthy: Helper, variable: str) -> None:
    """Neither that of a proxy nor that of an endpoint."""
    for scheme in ("http", "socks5"):
        url = f"{scheme}://developer:canary-password@127.0.0.1:1"
        env: dict[str, str | None] = {"AWS_ENDPOINT_URL": None, "AWS_MAX_ATTEMPTS": "1"}
        result = healthy.run("doctor", env={**env, variable: url})
        assert result.status in (0, 1)
        assert "canary-password" not in result.out + result.err


def test_tls_that_nobody_vouches_for(healthy: Helper, aws: Loopback) -> None:
    """A proxy that re-signs is the usual cause."""
    write_config(healthy, {"credHelpers": {"111122223333.dkr.ecr.us-west-2.amazonaws.com": "ecr"}})
    env = {**healthy.proxy, "AWS_CA_BUNDLE": None, "AWS_ENDPOINT_URL_STS": aws.url}
    check = examine(healthy, "111122223333.dkr.ecr.us-west-2.amazonaws.com", **env)["endpoint"]
    assert_found(check, "fail", "certificate", "AWS_CA_BUNDLE")
    env["AWS_CA_BUNDLE"] = healthy.proxy["AWS_CA_BUNDLE"]
    checks = examine(healthy, "111122223333.dkr.ecr.us-west-2.amazonaws.com", **env)
    assert_found(checks["endpoint"], "pass", "https://api.ecr.us-west-2.amazonaws.com answers")


def test_a_ca_bundle_of_the_aws_config_file(healthy: Helper, aws: Loopback) -> None:
    """The endpoint is asked with the authorities that `get` trusts, wherever they are named."""
    config = healthy.home / "aws-config"
    config.write_text(f"[default]\nca_bundle = {healthy.proxy['AWS_CA_BUNDLE']}\n")
    proxied = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
    write_config(healthy, {"credHelpers": {proxied: "ecr"}})
    env = {**healthy.proxy, "AWS_CA_BUNDLE": None, "AWS_ENDPOINT_URL_STS": aws.url}
    env["AWS_CONFIG_FILE"] = str(config)
    checks = examine(healthy, proxied, **env)
    assert_found(checks["endpoint"], "pass", "https://api.ecr.us-west-2.amazonaws.com answers")
    assert checks["token"]["status"] == "pass"


def test_the_authorities_of_the_system_are_not_those_of_aws(healthy: Helper, aws: Loopback) -> None:
    """A CA that only the system trusts is one that `get` does not."""
    proxied = "111122223333.dkr.ecr.us-west-2.amazonaws.com"
    write_config(healthy, {"credHelpers": {proxied: "ecr"}})
    env = {**healthy.proxy, "AWS_CA_BUNDLE": None, "AWS_ENDPOINT_URL_STS": aws.url}
    env["SSL_CERT_FILE"] = healthy.proxy["AWS_CA_BUNDLE"]
    assert_found(examine(healthy, proxied, **env)["endpoint"], "fail", "certificate")
    assert healthy.get(proxied, env=env).status == 1


def test_the_authorities_of_any_system_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenSSL, made for another distribution, has none: the system's, or botocore's."""
    known = SimpleNamespace(cafile="file", capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: known)
    assert aws_checks._system_bundle() is None
    known.cafile, known.capath = None, "directory"
    assert aws_checks._system_bundle() is None
    known.capath = None
    there = tmp_path / "ca-bundle.crt"
    monkeypatch.setattr(aws_checks, "_SYSTEM_BUNDLES", (str(tmp_path / "none"), str(there)))
    assert aws_checks._system_bundle() == httpsession.where()
    there.touch()
    assert aws_checks._system_bundle() == str(there)


@pytest.mark.parametrize(
    ("offset", "status", "found"),
    [
        (3000, "fail", "slow"),
        (-3000, "fail", "fast"),
        (120, "warn", "slow"),
        (20, "pass", "minute"),
    ],
)
def test_a_clock_that_is_wrong(
    healthy: Helper, aws: Loopback, offset: float, status: str, found: str
) -> None:
    """AWS accepts a clock that is five minutes off, and no signature beyond that."""
    aws.clock_offset = offset
    aws.faults["sts"] = Fault("500")  # else its refusal would come first
    assert_found(examine(healthy, PRIVATE)["clock"], status, found)


def test_a_permission_that_is_missing(healthy: Helper, aws: Loopback) -> None:
    """The identity is fine, and may not ask ECR."""
    aws.faults["ecr"] = Fault("denied")
    check = examine(healthy, PRIVATE)["token"]
    assert_found(check, "fail", "was denied", "allow ecr:GetAuthorizationToken")


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.0.3.7", "warn"),
        ("172.31.9.9", "warn"),
        ("fd00:ec2::7", "warn"),
        ("3.120.0.9", "pass"),
        ("127.0.0.1", "pass"),
        (None, None),
    ],
)
def test_names_in_on_aws_behind_a_vpc_endpoint(
    monkeypatch: pytest.MonkeyPatch, address: str | None, status: str | None
) -> None:
    """PrivateLink serves the older names alone."""
    asked = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    of = registry_of("111122223333.dkr-ecr.eu-west-1.on.aws")
    assert of
    finding = aws_checks.private_link(Case("x", "ecr", "", of.host, time.time, target=Target(of)))
    assert (finding and finding.status) == status
    assert asked == [PRIVATE]
    plain = registry_of(PRIVATE)
    assert plain
    case = Case("x", "ecr", "", PRIVATE, time.time, target=Target(plain))
    assert aws_checks.private_link(case) is None
    assert asked == [PRIVATE]


class Refusing(BaseHTTPRequestHandler):
    """A registry, or what stands in its place, that answers with one status."""

    status = 403

    def do_GET(self) -> None:
        """Answer with the status, and with 200 to whoever follows a redirect."""
        self.send_response(200 if self.path == "/elsewhere" else self.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize(
    ("status", "host", "verdict"),
    [
        (403, PRIVATE, "fail"),
        (302, PRIVATE, "fail"),
        (401, PRIVATE, "fail"),
        (401, PUBLIC, "pass"),
        (200, PRIVATE, "pass"),
    ],
)
def test_a_registry_that_refuses_the_token(
    monkeypatch: pytest.MonkeyPatch, status: int, host: str, verdict: str
) -> None:
    """And a redirect, which a token does not follow."""
    monkeypatch.setattr(Refusing, "status", status)
    server = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fetch = aws_checks._fetch

    def here(_: str, headers: dict[str, str]) -> tuple[int, str]:
        return fetch(f"http://127.0.0.1:{server.server_port}/v2/", headers)

    monkeypatch.setattr(aws_checks, "_fetch", here)
    of = registry_of(host)
    assert of
    case = Case("x", "ecr", "", host, lambda: 0.0, target=Target(of), token="dG9rZW4=")
    finding = aws_checks.registry(case)
    server.shutdown()
    server.server_close()
    assert finding
    assert finding.status == verdict
    assert bool(finding.fix) == (verdict != "pass")
    assert "dG9rZW4=" not in finding.found

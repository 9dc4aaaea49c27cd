"""configure, and the config.json it edits: every other character of it has to survive."""

import base64
import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_credential_helper.commands import configure, json_text, saving
from ecr_credential_helper.commands.docker_config import DockerConfig
from ecr_credential_helper.commands.hosts import host_in
from ecr_credential_helper.errors import HelperError
from tests.aws.test_sources import (
    ASKED,
    SOURCES,
    Source,
    plain,
    source_profile,
    without_keys,
)
from tests.commands.test_doctor import LOGIN, with_docker
from tests.e2e.rig import PRIVATE
from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support import needs
from tests.support.helper import EXECUTABLE, Helper, Result, finish
from tests.support.needs import SYSTEM_PATH
from tests.support.processes import PATIENCE

OTHER = "444455556666.dkr.ecr.us-east-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
HUB = "https://index.docker.io/v1/"
SECRET = base64.b64encode(b"AWS:a password that has to go").decode()
MINE = "the password of another registry"
IN_OHIO = {"AWS_REGION": "us-east-2"}


@pytest.fixture
def config(helper: Helper) -> Path:
    """Name the config.json of the helper's user, in a directory that does not exist yet."""
    helper.env["PATH"] = f"{EXECUTABLE.parent}{os.pathsep}{SYSTEM_PATH}"
    return helper.home / ".docker" / "config.json"


def write(config: Path, text: str) -> bytes:
    """Make a config.json and return its bytes."""
    config.parent.mkdir(exist_ok=True)
    config.write_text(text, newline="\n")  # as Docker writes it, on Windows too
    return config.read_bytes()


def save(config: DockerConfig) -> None:
    """Save a config.json that was edited."""
    saving.edit(lambda: ([config.change], None))


def told(result: Result) -> str:
    """Return what stderr says, unwrapped; it fits into 80 columns, but for commands and paths."""
    lines = result.err.splitlines()
    for line in lines:
        assert len(line) <= 80 or line.startswith("fix: sudo ") or len(line.split()) == 1, line
    return " ".join(lines)


def assert_refused(result: Result, config: Path, before: bytes) -> str:
    """Assert that nothing was changed and nothing left behind; return what stderr says."""
    assert (result.status, result.stdout) == (1, b"")
    assert config.read_bytes() == before
    assert [path.name for path in config.parent.iterdir()] == [config.name]
    return result.err


# The registry of the present AWS settings.


def test_with_no_host_it_is_the_registry_of_the_aws_settings(
    helper: Helper, config: Path, aws: Loopback
) -> None:
    """STS says whose account it is, and the user is told by what."""
    result = helper.run("configure", env={"AWS_REGION": "eu-west-1"})
    assert (result.status, result.err) == (0, "")
    whose = f"account {ACCOUNT} in eu-west-1, by the keys in the environment\n"
    assert result.out == f"{whose}{config}\n  + {PRIVATE}: ecr\n"
    assert [call.operation for call in aws.calls] == ["GetCallerIdentity"]


def test_account_and_region_are_those_of_the_profile(
    helper: Helper, config: Path, aws: Loopback
) -> None:
    """A role of another account, in the region of its profile."""
    source_profile(helper, aws)
    file = helper.home / ".aws" / "config"
    text = file.read_text().replace("[profile test]", "[profile test]\nregion = cn-north-1")
    file.write_text(text)
    result = helper.run("configure")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(
        "account 444455556666 in cn-north-1, by profile test (assume-role)\n"
    )
    host = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert json.loads(config.read_text())["credHelpers"] == {host: "ecr"}


def test_half_of_a_registry_is_filled_in(helper: Helper, config: Path, aws: Loopback) -> None:
    """The regions of the present account; an account in the present region, which asks nobody."""
    result = helper.run("configure", "--region", "eu-west-1", "--region", "us-east-1")
    assert result.out.startswith(f"account {ACCOUNT} in eu-west-1, us-east-1, by the keys")
    calls = len(aws.calls)
    assert helper.run("configure", "--account", "444455556666", env=IN_OHIO).status == 0
    assert list(json.loads(config.read_text())["credHelpers"]) == [
        f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com",
        "444455556666.dkr.ecr.us-east-2.amazonaws.com",
    ]
    assert len(aws.calls) == calls


def test_without_a_region_nothing_is_written(helper: Helper, config: Path, aws: Loopback) -> None:
    """AWS is not asked either."""
    result = helper.run("configure")
    assert (result.status, result.stdout) == (1, b"")
    assert result.err == (
        "docker-credential-ecr: no region: the AWS settings name none\n"
        "hint: give --region, or set AWS_REGION\n"
    )
    assert not config.parent.exists()
    assert aws.calls == []


def test_without_credentials_nothing_is_written(helper: Helper, config: Path) -> None:
    """The usual cause and fix."""
    without_keys(helper)
    result = helper.run("configure", env=IN_OHIO)
    assert (result.status, result.stdout) == (1, b"")
    assert result.err.startswith("docker-credential-ecr: no AWS credentials found\nhint: ")
    assert not config.parent.exists()


@pytest.mark.parametrize(
    "source",
    # Not those that fail only when ECR is asked, nor one that the settings file chooses by host.
    [
        source
        for source in SOURCES
        if not source.cause.startswith(ASKED) and source.name != "credential_source-environment"
    ],
    ids=lambda source: source.name,
)
def test_with_a_source_that_fails_nothing_is_written(
    source: Source, helper: Helper, config: Path, aws: Loopback
) -> None:
    """Its usual cause and fix; without its account nobody can say which registry it is."""
    source.declare(helper, aws)
    source.spoil(helper, aws)
    result = helper.run("configure", env=IN_OHIO)
    assert result.status == 1
    assert plain(result, helper, aws) == (
        "",
        f"docker-credential-ecr: {source.cause}\nhint: {source.hint}\n",
    )
    assert not config.parent.exists()


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("denied", "allow it in the policy of the VPC endpoint for STS"),
        ("hang", "see what hangs (credential_process, IMDS, proxy, network), or raise"),
        ("throttled", "try again later: AWS limits how often"),
    ],
)
def test_where_sts_fails_the_account_may_be_given(
    helper: Helper, config: Path, aws: Loopback, kind: str, hint: str
) -> None:
    """Only ECR may be in reach, and that is all that a pull needs."""
    aws.faults["sts"] = Fault(kind)
    result = helper.run("configure", env={**IN_OHIO, "AWS_ECR_TIMEOUT": PATIENCE})
    assert (result.status, result.stdout) == (1, b"")
    cause, advice = result.err.splitlines()
    assert cause.startswith("docker-credential-ecr: sts:GetCallerIdentity for the keys in the env")
    assert advice.startswith(f"hint: {hint}")
    assert advice.endswith("; or give --account, which asks nobody")
    assert not config.parent.exists()
    assert helper.run("configure", "--account", ACCOUNT, env=IN_OHIO).status == 0


# What Docker finds afterwards.


@pytest.mark.needs("POSIX")
def test_a_first_config_is_made_for_the_user_alone(helper: Helper, config: Path) -> None:
    """There is no directory yet: both are made as Docker makes them."""
    result = helper.run("configure", PRIVATE)
    assert (result.status, result.stderr) == (0, b"")
    assert config.read_text() == f'{{\n\t"credHelpers": {{\n\t\t"{PRIVATE}": "ecr"\n\t}}\n}}\n'
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert result.out == f"{config}\n  + {PRIVATE}: ecr\n"


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_file_is_an_empty_document(helper: Helper, config: Path, text: str) -> None:
    """Docker takes it for one, too."""
    write(config, text)
    assert helper.run("configure", PRIVATE).status == 0
    assert json.loads(config.read_text()) == {"credHelpers": {PRIVATE: "ecr"}}


def test_accounts_and_regions_are_spelled_out(helper: Helper, config: Path) -> None:
    """Each account is taken in each region, in the partition that the region is in."""
    accounts = ("--account", "111122223333", "--account", "444455556666")
    regions = ("--region", "eu-west-1", "--region", "cn-north-1")
    assert helper.run("configure", *accounts, *regions, "--public").status == 0
    assert list(json.loads(config.read_text())["credHelpers"]) == [
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "444455556666.dkr.ecr.eu-west-1.amazonaws.com",
        "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "public.ecr.aws",
    ]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-gov-west-1", "amazonaws.com"),
        ("eusc-de-east-1", "amazonaws.eu"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
    ],
)
def test_a_region_says_its_partition(region: str, suffix: str) -> None:
    """The names are those of AWS's endpoint tables."""
    assert host_in("111122223333", region) == f"111122223333.dkr.ecr.{region}.{suffix}"


def test_a_host_is_written_as_docker_looks_for_it(helper: Helper, config: Path) -> None:
    """Docker compares whole keys: no scheme, no path, no usual port, lower case."""
    assert helper.run("configure", f"HTTPS://{PRIVATE.upper()}.:443/team/app").status == 0
    assert json.loads(config.read_text())["credHelpers"] == {PRIVATE: "ecr"}


def test_a_name_of_ones_own_may_be_configured(helper: Helper, config: Path) -> None:
    """The settings file says which registry is behind it; it may have a port."""
    settings_file = helper.home / "settings.toml"
    settings_file.write_text(f'[[registry]]\nmatch = "images.*"\nregistry = "{PRIVATE}"\n')
    env = {"AWS_ECR_CONFIG_FILE": str(settings_file)}
    assert helper.run("configure", "images.example.com:5000", env=env).status == 0
    assert json.loads(config.read_text())["credHelpers"] == {"images.example.com:5000": "ecr"}


def test_the_name_it_was_called_by_is_the_name_that_is_written(
    helper: Helper, config: Path
) -> None:
    """A link in place of AWS's helper is configured under that name."""
    assert helper.run("configure", PRIVATE, argv0="docker-credential-ecr-login").status == 0
    assert json.loads(config.read_text())["credHelpers"] == {PRIVATE: "ecr-login"}


def test_the_config_directory_is_found_as_docker_finds_it(helper: Helper, tmp_path: Path) -> None:
    """--docker-config goes before DOCKER_CONFIG, which goes before ~/.docker."""
    one, two = tmp_path / "one", tmp_path / "two"
    env = {"DOCKER_CONFIG": str(one)}
    assert helper.run("configure", PRIVATE, env=env).status == 0
    assert helper.run("configure", PRIVATE, "--docker-config", str(two), env=env).status == 0
    assert (one / "config.json").read_bytes() == (two / "config.json").read_bytes()
    assert not (helper.home / ".docker").exists()


# What must not be lost.

LETTERS = (
    '{ "n" : [1e400, 1.0, -0, 123456789012345678901234567890, 1E+2],\r\n'
    '  "\\u00e9\\/" : "\\u00e9 \\/ \\ud83d",  "credHelpers":{"gcr.io":"gcloud"},\n'
    '\n "HttpHeaders": {"X":  "é"}, "psFormat":"{{.ID}}\\u003c"}  \n\n'
)


def test_everything_else_survives_to_the_letter(helper: Helper, config: Path) -> None:
    """Numbers, escapes, spaces and line endings are not read and written, but left alone."""
    before = write(config, LETTERS)
    assert helper.run("configure", PRIVATE).status == 0
    added = f',"{PRIVATE}":"ecr"}}'.encode()
    assert config.read_bytes() == before.replace(b'"gcloud"}', b'"gcloud"' + added)
    assert helper.run("configure", "--remove", PRIVATE).status == 0
    assert config.read_bytes() == before


def test_bytes_that_are_not_utf_8_survive(helper: Helper, config: Path) -> None:
    """Docker reads them, so they are accepted unchanged."""
    config.parent.mkdir()
    before = b'{"HttpHeaders": {"X": "\xff\xc3"}}'
    config.write_bytes(before)
    assert helper.run("configure", PRIVATE).status == 0
    assert b"\xff\xc3" in config.read_bytes()
    assert helper.run("configure", "--remove", PRIVATE).status == 0
    assert config.read_bytes() == before


def test_what_is_there_already_is_not_written_again(helper: Helper, config: Path) -> None:
    """Neither a second configure nor the removal of a stranger touches the file."""
    before = write(config, f'{{"credHelpers":{{"{PRIVATE}":"ecr","{OTHER}":"ecr-login"}}}}')
    inode = config.stat().st_ino
    assert helper.run("configure", PRIVATE).out == f"{config}\n  = {PRIVATE}: ecr, as before\n"
    removed = helper.run("configure", "--remove", OTHER, PUBLIC)
    assert "'ecr-login', which is not this helper" in " ".join(removed.out.split())
    assert "not there" in removed.out
    assert (config.stat().st_ino, config.read_bytes()) == (inode, before)


def test_another_helper_gives_way_and_is_named(helper: Helper, config: Path) -> None:
    """Who configures a host wants this helper for it."""
    write(config, f'{{"credHelpers":{{"{PRIVATE}":"ecr-login"}}}}')
    assert f"+ {PRIVATE}: ecr, no longer 'ecr-login'" in helper.run("configure", PRIVATE).out


@pytest.mark.parametrize("value", ["null", "{}", "{ \n }"])
@pytest.mark.parametrize("key", ["credHelpers", "CREDHELPERS"])
def test_an_empty_table_is_filled_where_it_is(
    helper: Helper, config: Path, key: str, value: str
) -> None:
    """Docker reads keys in any case; a second one would be the same to it."""
    write(config, f'{{"{key}": {value}, "x": 1}}')
    assert helper.run("configure", PRIVATE).status == 0
    assert json.loads(config.read_text()) == {key: {PRIVATE: "ecr"}, "x": 1}


# Passwords.

STALE = (PRIVATE, f"https://{PRIVATE}", f"http://{PRIVATE}/", f"https://{PRIVATE.upper()}/v2/")


def test_stale_passwords_of_the_host_go_and_no_others(helper: Helper, config: Path) -> None:
    """With and without scheme, path and capitals; an entry without a secret stays."""
    kept: dict[str, Any] = {
        HUB: {"auth": MINE},
        OTHER: {"auth": MINE},
        f"{PRIVATE}:5000": {"auth": MINE},
        f"{PRIVATE}:443": {},
    }
    auths = {**kept, **{key: {"auth": SECRET} for key in STALE}}
    write(config, json.dumps({"auths": auths}, indent="\t"))
    result = helper.run("configure", PRIVATE)
    document = json.loads(config.read_text())
    assert document == {"auths": kept, "credHelpers": {PRIVATE: "ecr"}}
    said = " ".join(result.out.split())
    assert said.count("the password kept for it") == len(STALE)
    for path in helper.home.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()
    assert SECRET not in result.out + result.err


@pytest.mark.parametrize("field", ["auth", "Auth", "password", "identitytoken", "registrytoken"])
def test_each_form_of_a_password_is_one(helper: Helper, config: Path, field: str) -> None:
    """Docker reads all of these fields."""
    write(config, json.dumps({"auths": {PRIVATE: {"email": "a@b", field: SECRET}}}))
    assert helper.run("configure", PRIVATE).status == 0
    assert SECRET not in config.read_text()


@pytest.mark.parametrize("entry", ["null", "{}", '{"email": "a@b"}', '{"auth": ""}'])
def test_an_entry_without_a_secret_stays(helper: Helper, config: Path, entry: str) -> None:
    """Some clients only ask a helper where there is an entry."""
    write(config, f'{{"auths": {{"{PRIVATE}": {entry}}}}}')
    assert helper.run("configure", PRIVATE).status == 0
    assert json.loads(config.read_text())["auths"] == {PRIVATE: json.loads(entry)}


def test_a_dry_run_shows_a_diff_without_any_secret(helper: Helper, config: Path) -> None:
    """Neither what goes nor what stands beside it, in `auths` or in a header, is shown."""
    document = {
        "auths": {PRIVATE: {"auth": SECRET}, OTHER: {"auth": MINE}},
        "HttpHeaders": {"Authorization": MINE},
        "credsStore": "desktop",
    }
    before = write(config, json.dumps(document, indent="\t"))
    result = helper.run("configure", PRIVATE, "--dry-run")
    assert (result.status, config.read_bytes()) == (0, before)
    assert result.out.startswith(f"--- {config}\n+++ {config}\n@@ ")
    assert f'+\t\t"{PRIVATE}": "ecr"\n' in result.out
    assert f'-\t\t"{PRIVATE}": {{\n-\t\t\t"auth": "***"\n' in result.out
    assert "desktop" in result.out
    assert SECRET not in result.out
    assert MINE not in result.out
    assert helper.run("configure", "--remove", PRIVATE, "--dry-run").out == "nothing would change\n"


def test_a_dry_run_makes_nothing(helper: Helper, config: Path) -> None:
    """Not even the directory."""
    assert helper.run("configure", PRIVATE, "--dry-run").status == 0
    assert not config.parent.exists()


# What is refused.


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "not JSON"),
        ('{"a": 1,}', "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": 1} {}', "something after its end: line 1"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', 'the key "c" is there twice'),
        ('{"a": 1, "\\u0061": 2}', 'the key "a" is there twice'),
        ('{"auths": {}, "Auths": {}}', "auths and Auths are the same key to Docker"),
        ("[" * 100000, "nested too deeply"),
        ("[]", "not a JSON object"),
        ('{"credHelpers": []}', "credHelpers is not an object"),
        ('{"credHelpers": {"a": 5}}', "the value of a in credHelpers is not a text"),
        ('{"auths": "x"}', "auths is not an object"),
        ('{"auths": {"a": "x"}}', "the value of a in auths is not an object"),
        ('{"credsStore": {}}', "credsStore is not a text"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_a_broken_file_is_refused(helper: Helper, config: Path, text: str, cause: str) -> None:
    """Nothing is changed and the cause is named."""
    before = write(config, text)
    for arguments in ((PRIVATE,), ("--remove", PRIVATE), ("--migrate",), (PRIVATE, "--dry-run")):
        said = assert_refused(helper.run("configure", *arguments), config, before)
        assert cause in said
        assert str(config) in said


@pytest.mark.parametrize("host", ["docker.io", HUB, f"{PRIVATE}.evil.com", f"u@{PRIVATE}", ""])
def test_a_host_that_is_not_ecr_is_refused(helper: Helper, config: Path, host: str) -> None:
    """With one bad host, none is configured."""
    result = helper.run("configure", PRIVATE, host)
    assert (result.status, result.stdout) == (1, b"")
    assert "is no host of Amazon ECR" in result.err
    assert not config.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--remove",),
        ("--remove", "--account", "111122223333"),
        ("--remove", "--region", "eu-west-1"),
        ("--remove", "--migrate"),
        ("--profiles", "--account", "111122223333", "--account", "444455556666"),
        ("--x",),
    ],
)
def test_a_wrong_use_says_the_usage(
    helper: Helper, config: Path, arguments: tuple[str, ...]
) -> None:
    """It exits with 2, as programs do."""
    result = helper.run("configure", *arguments)
    assert (result.status, result.stdout) == (2, b"")
    assert result.err.startswith("usage: docker-credential-ecr ")
    assert not config.exists()


def test_an_account_that_is_none_is_refused(helper: Helper, config: Path) -> None:
    """A host that no registry can have is worth nothing in the file."""
    result = helper.run("configure", "--account", "1", "--region", "eu-west-1")
    assert (result.status, result.stdout) == (1, b"")
    assert "account 1 and region eu-west-1 make no registry" in result.err
    assert not config.exists()


@pytest.mark.parametrize("more", [(), ("--account", ACCOUNT), ("--profiles",)])
@pytest.mark.parametrize("region", ["EU WEST", "eu-west-1,us-east-1"])
def test_a_region_that_is_none_is_refused(
    helper: Helper, config: Path, aws: Loopback, more: tuple[str, ...], region: str
) -> None:
    """Whatever it was given for; AWS is not asked."""
    result = helper.run("configure", "--region", region, *more)
    assert (result.status, result.stdout) == (1, b"")
    assert result.err == (
        f"docker-credential-ecr: {region!r} is no AWS region\nhint: name one such as eu-west-1\n"
    )
    assert not config.exists()
    assert aws.calls == []


# Moving over from ecr-login.


def test_migrate_moves_the_hosts_of_ecr_login(helper: Helper, config: Path) -> None:
    """Those that are ECR; where they stand in the file does not change."""
    write(
        config,
        json.dumps(
            {
                "credHelpers": {PRIVATE: "ecr-login", "gcr.io": "gcloud", "quay.io": "ecr-login"},
                "auths": {PRIVATE: {"auth": SECRET}},
                "credsStore": "ecr-login",
            }
        ),
    )
    result = helper.run("configure", "--migrate", PUBLIC)
    document = json.loads(config.read_text())
    assert list(document["credHelpers"].items()) == [
        (PRIVATE, "ecr"),
        ("gcr.io", "gcloud"),
        ("quay.io", "ecr-login"),
        (PUBLIC, "ecr"),
    ]
    assert document["auths"] == {}
    assert "credsStore is ecr-login: that helper is asked for every host" in told(result)
    assert document["credsStore"] == "ecr-login"
    assert "  = quay.io: ecr-login, for it is no host of Amazon ECR\n" in result.out


def test_there_may_be_nothing_to_migrate(helper: Helper, config: Path) -> None:
    """That is said, and no file is made for it; nor for what is not there to be removed."""
    result = helper.run("configure", "--migrate")
    assert (result.out, result.status) == (f"{config}\n  nothing names ecr-login\n", 0)
    assert helper.run("configure", "--remove", PRIVATE).status == 0
    assert not config.parent.exists()


# Warnings.


@pytest.mark.needs("POSIX")
def test_a_helper_that_docker_cannot_find_is_warned_of(helper: Helper, config: Path) -> None:
    """With the command that fixes it."""
    result = helper.run("configure", PRIVATE, env={"PATH": "/nowhere"})
    assert result.status == 0
    assert "docker-credential-ecr is not on PATH" in told(result)
    assert f"fix: sudo ln -s {EXECUTABLE} /usr/local/bin/docker-credential-ecr\n" in result.err
    assert config.exists()


def test_a_login_in_the_environment_is_warned_of(
    helper: Helper, config: Path, tmp_path: Path
) -> None:
    """Docker takes it before any helper; a login to another registry does no harm."""
    with_docker(helper, tmp_path, "Docker version 29.1.5, build 1234567")
    logins = {host: json.dumps({"auths": {host: {"auth": LOGIN}}}) for host in (PRIVATE, HUB)}
    mine = helper.run("configure", PRIVATE, env={"DOCKER_AUTH_CONFIG": logins[PRIVATE]})
    assert "fix: take that login out of DOCKER_AUTH_CONFIG" in told(mine)
    assert helper.run("configure", PRIVATE, env={"DOCKER_AUTH_CONFIG": logins[HUB]}).err == ""
    assert "unset" in helper.run("configure", PRIVATE, env={"DOCKER_AUTH_CONFIG": "{"}).err
    assert config.exists()


@pytest.mark.needs("POSIX")
def test_a_docker_from_a_snap_is_warned_of(helper: Helper, config: Path, tmp_path: Path) -> None:
    """A snap cannot run a helper that is outside of it."""
    directory = tmp_path / "snap-bin"
    directory.mkdir()
    (directory / "snap").write_text("#!/bin/sh\n")
    (directory / "snap").chmod(0o755)
    (directory / "docker").symlink_to("snap")
    result = helper.run("configure", PRIVATE, env={"PATH": f"{directory}:{helper.env['PATH']}"})
    assert "is a snap, which cannot run helpers" in told(result)
    assert config.exists()


def test_many_helpers_are_warned_of(helper: Helper, config: Path) -> None:
    """The classic builder asks for each of them before it begins."""
    regions = [f"{place}-{number}" for place in ("eu-west", "us-east") for number in range(1, 7)]
    arguments = [word for region in regions for word in ("--region", region)]
    result = helper.run("configure", "--account", "111122223333", *arguments)
    assert "12 hosts: the classic builder" in told(result)
    assert config.exists()


# How the file is saved.


@pytest.mark.needs("POSIX")
def test_links_mode_and_owner_are_kept(helper: Helper, config: Path, tmp_path: Path) -> None:
    """A link stays a link, as in many people's dotfiles."""
    real = tmp_path / "dotfiles" / "docker.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 23456)
    before = real.stat()
    config.parent.mkdir()
    config.symlink_to(Path("..") / ".." / "dotfiles" / "docker.json")
    assert helper.run("configure", PRIVATE).status == 0
    after = real.stat()
    assert config.is_symlink()
    assert PRIVATE in real.read_text()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert after.st_ino != before.st_ino
    assert [path.name for path in real.parent.iterdir()] == [real.name]


@pytest.mark.needs("POSIX")
def test_a_link_to_nowhere_is_followed(helper: Helper, config: Path, tmp_path: Path) -> None:
    """The file is made where the link leads."""
    config.parent.mkdir()
    config.symlink_to(tmp_path / "new" / "config.json")
    assert helper.run("configure", PRIVATE).status == 0
    assert config.is_symlink()
    assert PRIVATE in (tmp_path / "new" / "config.json").read_text()


@pytest.mark.needs("root")
@pytest.mark.parametrize("made", [(), (".docker",), (".docker", ".docker/config.json")])
def test_what_root_makes_in_a_users_home_is_the_users(
    helper: Helper, config: Path, made: tuple[str, ...]
) -> None:
    """As after sudo that keeps HOME: the user's own Docker has to read it afterwards."""
    if made:
        write(config, "{}")
    if config.exists() and ".docker/config.json" not in made:
        config.unlink()
    for path in (helper.home, *helper.home.rglob("*")):
        os.chown(path, 12345, 23456)
    helper.env["SUDO_UID"] = "12345"
    assert helper.run("configure", PRIVATE).status == 0
    assert PRIVATE in config.read_text()
    for path in (config, config.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
        assert made or stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    deep = helper.home / "a" / "b"
    assert helper.run("configure", PRIVATE, "--docker-config", str(deep)).status == 0
    for path in (deep.parent, deep, deep / "config.json"):
        assert path.stat().st_uid == 12345


NO_RENAME = """
mount --bind "$1" "$1" && shift && exec "$@"
"""


@pytest.mark.needs("root", "unshare")
def test_a_bind_mount_is_written_in_place(helper: Helper, config: Path) -> None:
    """A file that is a mount, as in a container, cannot be renamed over."""
    write(config, json.dumps({"auths": {PRIVATE: {"auth": SECRET * 20}}}))
    inode = config.stat().st_ino
    needs.check("unshare --mount")
    command = ["unshare", "--mount", "sh", "-ec", NO_RENAME, "sh", str(config), str(EXECUTABLE)]
    done = subprocess.run(
        [*command, "configure", PRIVATE], env=helper.env, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(config.read_text()) == {"auths": {}, "credHelpers": {PRIVATE: "ecr"}}
    assert config.stat().st_ino == inode
    assert [path.name for path in config.parent.iterdir()] == [config.name]


FULL = """
mount -t tmpfs -o size=4k none "$2"; cp "$1" "$2/config.json"; mount --bind "$2/config.json" "$1"
"$3" configure "$4" && exit 9; cat "$1"
"""


@pytest.mark.needs("root", "unshare")
@pytest.mark.parametrize("size", [4050, 4096])
def test_a_full_disk_under_a_bind_mount_changes_nothing(
    helper: Helper, config: Path, tmp_path: Path, size: int
) -> None:
    """There is room for the file as it is, and not for another line."""
    before = write(config, json.dumps({"x": "y" * (size - 9)}))
    assert len(before) == size
    needs.check("unshare --mount")
    small = tmp_path / "small"
    small.mkdir()
    arguments = (str(config), str(small), str(EXECUTABLE), PRIVATE)
    command = ["unshare", "--mount", "sh", "-c", FULL, "sh", *arguments]
    done = subprocess.run(command, env=helper.env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, before)
    assert b"No space left on device" in done.stderr
    assert b"nothing was changed" in done.stderr


@pytest.mark.parametrize("again", [True, False])
def test_what_was_half_written_in_place_is_written_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """Where that fails as well, nobody is told that nothing was changed."""
    path = tmp_path / "config.json"
    path.write_text(before := '{"auths": {}}')
    config = DockerConfig(str(tmp_path))
    config.set_helper(PRIVATE, "ecr")
    write_bytes, calls = os.write, []

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    def failing(file: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 4 or (len(calls) > 4 and not again):
            raise OSError(5, "Input/output error")
        return write_bytes(file, data[:20] if len(calls) == 3 else data)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(HelperError, match="Input/output error") as caught:
        save(config)
    assert len(calls) == 5
    assert ("nothing was changed" in caught.value.hint) == again
    assert ("may be damaged" in caught.value.message) != again
    assert (path.read_text() == before) == again
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is named, and nothing is left behind."""
    config = DockerConfig(str(tmp_path))
    config.set_helper(PRIVATE, "ecr")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HelperError, match="No space left on device"):
        save(config)
    assert list(tmp_path.iterdir()) == []


def test_a_change_that_came_in_between_is_not_lost(tmp_path: Path) -> None:
    """A docker login may save the file at the same moment: the edit is made again, in its file."""
    path = tmp_path / "config.json"
    path.write_text("{}")
    seen = []

    def edited() -> tuple[list[saving.Change], None]:
        config = DockerConfig(str(tmp_path))
        seen.append(config.text)
        config.set_helper(PRIVATE, "ecr")
        if len(seen) < 3:
            path.write_text(f'{{"auths": {{"{len(seen)}": {{}}}}}}')
        return [config.change], None

    saving.edit(edited)
    assert seen == ["{}", '{"auths": {"1": {}}}', '{"auths": {"2": {}}}']
    assert json.loads(path.read_text()) == {"auths": {"2": {}}, "credHelpers": {PRIVATE: "ecr"}}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.needs("POSIX")
def test_one_change_is_no_reason_to_give_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it after a long wait for the lock of one that was stopped."""
    import fcntl

    path = tmp_path / "config.json"
    monkeypatch.setattr(saving, "_PATIENCE", 0.01)

    def edited() -> tuple[list[saving.Change], None]:
        config = DockerConfig(str(tmp_path))
        config.set_helper(PRIVATE, "ecr")
        if config.change.old is None:
            path.write_text("{}")
        return [config.change], None

    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    saving.edit(edited)
    os.close(lock)
    assert json.loads(path.read_text()) == {"credHelpers": {PRIVATE: "ecr"}}


def test_a_file_that_is_always_changed_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some time the user is told."""
    path = tmp_path / "config.json"
    monkeypatch.setattr(saving, "_PATIENCE", 0.05)

    def edited() -> tuple[list[saving.Change], None]:
        config = DockerConfig(str(tmp_path))
        config.set_helper(PRIVATE, "ecr")
        path.write_text(json.dumps({"auths": {os.urandom(4).hex(): {}}}))
        return [config.change], None

    with pytest.raises(HelperError, match=re.escape(f"another program keeps changing {path}")):
        saving.edit(edited)
    assert list(json.loads(path.read_text())) == ["auths"]
    assert list(tmp_path.iterdir()) == [path]


def test_twenty_at_once_leave_twenty(helper: Helper, config: Path) -> None:
    """A script that provisions in parallel: each run succeeds, and none loses another's host."""
    hosts = [f"{number:012}.dkr.ecr.eu-west-1.amazonaws.com" for number in range(20)]
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(helper.popen("configure", host)) for host in hosts]
        results = [finish(run) for run in runs]
    assert [result.status for result in results] == [0] * 20
    assert json.loads(config.read_text()) == {"credHelpers": dict.fromkeys(hosts, "ecr")}
    assert [path.name for path in config.parent.iterdir()] == [config.name]


KILLED = """
import os, signal, sys
from ecr_credential_helper.commands import saving
from ecr_credential_helper.commands.docker_config import DockerConfig

place, forbidden = int(sys.argv[2]), sys.argv[3:]
count = 0

def deadly(name, function):
    def call(*arguments, **options):
        global count
        if count == place:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        if name in forbidden:
            raise OSError(16, "Device or resource busy")
        result = function(*arguments, **options)
        if count == place:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return result
    return call

config = DockerConfig(sys.argv[1])
config.remove_password("HOST")
config.set_helper("HOST", "ecr")
for name in ("mkdir", "open", "stat", "fstat", "fchown", "fchmod", "write", "fsync", "close",
             "replace", "unlink", "ftruncate"):
    setattr(os, name, deadly(name, getattr(os, name)))
saving.edit(lambda: ([config.change], None))
"""


@pytest.mark.needs("POSIX")
@pytest.mark.parametrize("forbidden", [[], ["replace"]], ids=["rename", "in place"])
def test_a_kill_at_any_point_leaves_the_old_or_the_new_file(
    tmp_path: Path, forbidden: list[str]
) -> None:
    """SIGKILL before and after each call to the system that a save makes.

    In place, white space may be left at the end, which is the same document.
    """
    path = tmp_path / "config.json"
    old = json.dumps({"auths": {"HOST": {"auth": SECRET * 30}}})
    script = KILLED.replace("HOST", PRIVATE)
    old = old.replace("HOST", PRIVATE)
    new = ""
    seen = set()
    for place in range(60):
        path.write_text(old)
        path.chmod(0o640)
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, tmp_path, str(place), *forbidden], check=False
        )
        text = path.read_text()
        if done.returncode == 0:
            new = text
            break
        assert done.returncode == -signal.SIGKILL
        seen.add(text if not forbidden else text.rstrip(" "))
        for debris in tmp_path.iterdir():
            assert debris == path or SECRET not in debris.read_text()
            if debris != path:
                debris.unlink()
    assert place >= 16
    assert json.loads(new) == {"auths": {}, "credHelpers": {PRIVATE: "ecr"}}
    assert seen == {old, new}


# Whatever the document is.

HOSTS = (PRIVATE, OTHER, PUBLIC)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {}, optional={"auth": st.text(max_size=9), "email": st.just("a@b"), "username": st.just("u")}
)
AUTHS = st.none() | st.dictionaries(
    st.sampled_from((*HOSTS, *STALE, HUB, "gcr.io", f"{PRIVATE}:443", f"{PRIVATE}:80")),
    st.none() | ENTRIES,
    max_size=5,
)
HELPERS = st.none() | st.dictionaries(
    st.sampled_from((*HOSTS, "gcr.io", "quay.io", f"https://{PRIVATE}")),
    st.sampled_from(("ecr", "ecr-login", "gcloud", "")),
    max_size=4,
)


def members_of(known: dict[str, Any], other: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """Return the members of both, in an order that `order` gives."""
    members = list((other | known).items())
    members.sort(key=lambda member: order[crc32(repr(member[0]).encode()) % len(order)])
    return dict(members)


KNOWN = ("auths", "credhelpers", "credsstore")
KEYS = st.text(max_size=6).filter(lambda key: bool(key.casefold() not in KNOWN))
DOCUMENTS = st.builds(
    members_of,
    st.fixed_dictionaries(
        {}, optional={"auths": AUTHS, "credHelpers": HELPERS, "credsStore": st.just("desktop")}
    ),
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.lists(st.integers(0, 9), min_size=7, max_size=7),
)
LOOKS = st.fixed_dictionaries(
    {
        "indent": st.sampled_from((None, 0, 2, 4, "\t")),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from(((",", ":"), (", ", ": "), (" ,", " : "))),
    }
)


def without(document: dict[str, Any], hosts: list[str], stale: list[str]) -> dict[str, Any]:
    """Return what has to be left of `document` after configure and --remove of `hosts`."""
    left: dict[str, Any] = json.loads(json.dumps(document))
    for key in stale:
        del left["auths"][key]
    helpers = {
        host: name for host, name in (left.get("credHelpers") or {}).items() if host not in hosts
    }
    left.pop("credHelpers", None)
    return left | ({"credHelpers": helpers} if helpers else {})


def is_stale(key: str, entry: dict[str, str] | None, hosts: list[str]) -> bool:
    """Check the rule again, in another way."""
    host = key.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    secrets = {name: value for name, value in (entry or {}).items() if name != "email"}
    return host.removesuffix(":443") in hosts and any(secrets.values())


@settings(max_examples=150)
@given(DOCUMENTS, LOOKS, st.lists(st.sampled_from(HOSTS), min_size=1, unique=True))
def test_configure_and_remove_lead_back_to_the_first_document(
    tmp_path_factory: pytest.TempPathFactory,
    document: dict[str, Any],
    looks: dict[str, Any],
    hosts: list[str],
) -> None:
    """Apart from secrets and from helpers that gave way; to the letter where there were none.

    A table of helpers that was empty or null goes, and all around it stays to the letter.
    """
    directory = tmp_path_factory.getbasetemp() / "property"
    directory.mkdir(exist_ok=True)
    path = directory / "config.json"
    first = json.dumps(document, **looks)
    path.write_text(first)
    stale = [
        key for key, entry in (document.get("auths") or {}).items() if is_stale(key, entry, hosts)
    ]

    config = DockerConfig(str(directory))
    for host in hosts:
        configure._added(host, config, "ecr")
    configure._without_passwords(hosts, config)
    save(config)
    between = json.loads(path.read_text())
    assert all(between["credHelpers"][host] == "ecr" for host in hosts)

    config = DockerConfig(str(directory))
    for host in hosts:
        configure._removed(host, config, "ecr")
    save(config)
    text = path.read_text()
    expected = without(document, hosts, stale)
    assert json.loads(text) == expected
    assert list(json.loads(text)) == [key for key in document if key in expected]
    untouched = not stale and not any(host in (document.get("credHelpers") or {}) for host in hosts)
    if untouched and document:
        empty = not document.get("credHelpers")
        assert text == (json_text.without_member(first, 0, "credHelpers") if empty else first)


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), LOOKS, st.text(max_size=4))
def test_a_member_that_is_set_and_removed_was_never_there(
    document: dict[str, Any], looks: dict[str, Any], key: str
) -> None:
    """The two edits of JSON text are each other's inverse."""
    text = json.dumps(document, **looks)
    edited = json_text.with_member(text, 0, key, "[1e999]")
    assert json.loads(edited) == document | {key: [float("inf")]}
    back = json_text.without_member(edited, 0, key)
    assert json.loads(back) == {name: document[name] for name in document if name != key}
    if document and key not in document:
        assert back == text


def docker_reads(directory: Path) -> bool:
    """Return whether Docker's own client can read the config.json in `directory`."""
    done = subprocess.run(
        ["docker", "--config", directory, "context", "ls"],
        env={"PATH": SYSTEM_PATH, "HOME": str(directory)},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0 and b"Error" not in done.stderr and b"WARNING" not in done.stderr


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where there is no Docker client; see that this one can tell good from bad."""
    directory = tmp_path_factory.mktemp("docker")
    (directory / "config.json").write_text("{")
    needs.installed("docker")
    assert not docker_reads(directory)


@pytest.mark.usefixtures("docker")
@settings(max_examples=20)
@given(DOCUMENTS, LOOKS, st.lists(st.sampled_from(HOSTS), min_size=1, unique=True))
def test_docker_itself_reads_every_state(
    tmp_path_factory: pytest.TempPathFactory,
    document: dict[str, Any],
    looks: dict[str, Any],
    hosts: list[str],
) -> None:
    """After each single edit, Docker's own client parses the file."""
    directory = tmp_path_factory.mktemp("state")
    (directory / "config.json").write_text(json.dumps(document, **looks))
    if not docker_reads(directory):  # a made-up key that Docker knows and wants otherwise
        return
    for edit in (configure._added, configure._removed):
        for host in hosts:
            config = DockerConfig(str(directory))
            edit(host, config, "ecr")
            configure._without_passwords([host], config)
            save(config)
            assert docker_reads(directory)


def test_what_docker_saves_itself_comes_back_the_same(helper: Helper, config: Path) -> None:
    """The file looks as Docker writes it: tabs, and no end of line added."""
    before = write(config, '{\n\t"auths": {},\n\t"credsStore": "desktop"\n}')
    assert helper.run("configure", PRIVATE).status == 0
    helpers = f'\t"credHelpers": {{\n\t\t"{PRIVATE}": "ecr"\n\t}}\n}}'
    assert config.read_bytes().decode() == before.decode()[:-2] + ",\n" + helpers

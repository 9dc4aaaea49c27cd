"""Who would be asked: two identities never share a token, and one identity needs one only."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecr_credential_helper.registry import Registry
from ecr_credential_helper.settings import Role, Target
from ecr_credential_helper.system.environment import HARMLESS as HARMLESS_NAMES
from ecr_credential_helper.system.environment import HARMLESS_PREFIXES
from ecr_credential_helper.tokens import identity
from tests.loopback import (
    ACCOUNT,
    INSTANCE_ID,
    USER_ARN,
    USER_KEY,
    USER_SECRET,
    Loopback,
    role_arn_of,
    session_arn,
)
from tests.support import needs
from tests.support.entries import (
    HOST,
    OTHER_REGION,
    PUBLIC,
    entry_files,
    prefix_of,
    rewrite,
    secret_of,
)
from tests.support.helper import Helper

Environment = dict[str, str | None]

# What each of these names is a principal, or a way to one.
TELLING = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_V1_DISABLED",
    "AWS_IMDS_USE_IPV6",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
    "AWS_CREDENTIAL_FILE",
    "AWS_DATA_PATH",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_ACCOUNT_ID",
    "AWS_MFA_SERIAL",
    "AWS_VAULT",
    "AWS_VAULT_BACKEND",
    "AWS_SSO_PROFILE",
    "AWS_SOMETHING_NEW",
    "AWS_REGIONS",
    "AWS_REGIO",
    "AWS_LAMBDA_ROLE",
    "AWS_BATCH",
    "BOTO_CONFIG",
    "AWS_ECR_CONFIG_FILE",
    "XDG_CONFIG_HOME",
    "HOME",
)
HARMLESS = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_DEFAULTS_MODE",
    "AWS_SDK_LOAD_CONFIG",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_BATCH_JOB_ID",
    "AWS_XRAY_DAEMON_ADDRESS",
    "AWS_PAGER",
    "AWS_DEFAULT_OUTPUT",
    "AWS_EXECUTION_ENV",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_SDK_UA_APP_ID",
    "AWS_CLI_AUTO_PROMPT",
    "AWS_ECR_TIMEOUT",
    "AWS_ECR_CACHE_DIR",
    "AWS_ECR_DISABLE_CACHE",
    "AWS_ECR_LOG_FILE",
    "AWSOME",
    "PATH",
    "TERM",
)
SECRET = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_DB_PASSWORD",
    "AWS_PASSPHRASE",
    "AWS_CLIENT_SECRET",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home directory, in an environment that holds nothing else."""
    for name in list(os.environ):
        if name != "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", TELLING)
def test_what_can_change_the_principal_changes_the_identity(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Unset, one value and another value are three identities; to come back is to be the same."""
    first = identity.current()
    monkeypatch.setenv(name, "/one")
    second = identity.current()
    monkeypatch.setenv(name, "/two")
    third = identity.current()
    assert len({first, second, third}) == 3
    monkeypatch.setenv(name, "/one")
    assert identity.current() == second


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", [*HARMLESS, *SECRET])
def test_what_cannot_change_it_or_is_secret_does_not(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Our own settings, output, timeouts and secrets leave the identity as it is."""
    first = identity.current()
    monkeypatch.setenv(name, "do-not-write-me")
    assert identity.current() == first
    assert b"do-not-write-me" not in identity.current()


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", [name for name in TELLING if name != "HOME"])
def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty value is no value."""
    first = identity.current()
    monkeypatch.setenv(name, "")
    assert identity.current() == first


@pytest.mark.usefixtures("home")
def test_no_value_can_pass_for_another_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line endings and backslashes in values are written so that they make no line of their own."""
    seen = set()
    for variables in (
        {"AWS_A": "x", "AWS_B": "y"},
        {"AWS_A": "x\nvariable AWS_B=y"},
        {"AWS_A": "x\\nvariable AWS_B=y"},
        {"AWS_A": "x\\\nvariable AWS_B=y"},
        {"AWS_A": "x\\\\nvariable AWS_B=y"},
        {"AWS_A": "\n\n"},
        {"AWS_A": "\udcff\udcfe"},
    ):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            seen.add(identity.current())
    assert len(seen) == 7
    assert not [text for text in seen if b"\n\n" in text or text.startswith(b"\n")]


def create(file: Path) -> None:
    """Make the file."""
    file.write_text("[default]\nregion = a\n")


def rewrite_in_place(file: Path) -> None:
    """Change the content, and neither size, inode nor modification time."""
    before = file.stat()
    time.sleep(0.02)
    file.write_text("[default]\nregion = b\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (before.st_size, before.st_ino, before.st_mtime_ns) == (
        after.st_size,
        after.st_ino,
        after.st_mtime_ns,
    )


def replace_by_twin(file: Path) -> None:
    """Put another file of the same size and modification time in its place."""
    before, twin = file.stat(), file.with_name("twin")
    twin.write_text("[default]\nregion = c\n")
    os.utime(twin, ns=(before.st_atime_ns, before.st_mtime_ns))
    twin.replace(file)
    assert file.stat().st_ino != before.st_ino


def append(file: Path) -> None:
    """Make the file longer."""
    with file.open("a") as stream:
        stream.write("#")


def touch(file: Path) -> None:
    """Set another modification time."""
    os.utime(file, (1, 1))


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        (".aws/config", None),
        (".aws/credentials", None),
        (".config/ecr-credential-helper/config.toml", None),
        (".boto", None),
        ("elsewhere", "AWS_CONFIG_FILE"),
        ("elsewhere", "AWS_SHARED_CREDENTIALS_FILE"),
        ("elsewhere", "AWS_ECR_CONFIG_FILE"),
        ("elsewhere", "BOTO_CONFIG"),
        ("elsewhere", "AWS_CREDENTIAL_FILE"),
    ],
)
def test_what_changes_in_a_file_changes_the_identity(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, variable: str | None
) -> None:
    """A file that is made, edited, swapped or removed is another identity each time."""
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if variable:
        monkeypatch.setenv(variable, str(file))
    seen = [identity.current()]
    for change in (create, rewrite_in_place, replace_by_twin, append, touch):
        change(file)
        seen.append(identity.current())
        assert identity.current() == seen[-1]
    assert len(set(seen)) == 6
    file.unlink()
    assert identity.current() == seen[0]


@pytest.mark.usefixtures("home")
def test_the_machine_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine that shares the home directory the identity is another."""
    first, here = identity.current(), os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((here[0], "elsewhere", *here[2:])))
    second = identity.current()
    monkeypatch.setattr(identity, "_machine_id", lambda: "0" * 32)
    assert len({first, second, identity.current()}) == 3
    assert first.startswith(f"machine {here.nodename} ".encode())


@pytest.mark.usefixtures("home")
def test_the_machine_id_is_read_from_its_file() -> None:
    """The identity names the machine's id, a dash where it has none."""
    path = Path("/etc/machine-id")
    expected = path.read_text().strip() if path.exists() else ""
    assert identity.current().splitlines()[0].split()[2].decode() == (expected or "-")


@pytest.mark.usefixtures("home")
def test_a_machine_id_that_cannot_be_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container engine makes a directory of a file to mount that is not there."""

    def fail(*_: object, **__: object) -> None:
        raise IsADirectoryError

    monkeypatch.setattr(os, "read", fail)
    assert identity.current().splitlines()[0].endswith(b" -")


def test_a_boto_file_is_named_as_botocore_has_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tilde and variables in BOTO_CONFIG lead to the file that is watched."""
    for name in ("~/elsewhere", "$HOME/elsewhere"):
        monkeypatch.setenv("BOTO_CONFIG", name)
        before = identity.current()
        (home / "elsewhere").write_text(name)
        assert identity.current() != before


def test_it_is_told_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no home directory can be told there still is an identity."""
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    assert b"variable AWS_PROFILE=prod\n" in identity.current()


# Whole processes: each credential source


NO_KEYS: Environment = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
CONFIG = f"""
[profile static]
aws_access_key_id = AKIASTATIC
aws_secret_access_key = static-secret
[profile assume]
role_arn = {role_arn_of("assume")}
source_profile = static
role_session_name = one
[profile assume-from-instance]
role_arn = {role_arn_of("assume-from-instance")}
credential_source = Ec2InstanceMetadata
role_session_name = two
[profile process]
credential_process = sh process.sh
[profile sso]
sso_session = corp
sso_account_id = {ACCOUNT}
sso_role_name = Pull
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
"""


def write_sso_session(home: Path) -> None:
    """Write what `aws sso login` leaves behind."""
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    content = {"accessToken": "sso-access", "expiresAt": later, "region": "eu-west-1"}
    name = hashlib.sha1(b"corp").hexdigest()
    (cache / f"{name}.json").write_text(json.dumps(content))


def write_process(home: Path) -> None:
    """Write a credential_process that counts its runs."""
    answer = {"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "process-secret"}
    (home / "process.sh").write_text(f"echo run >> runs\necho '{json.dumps(answer)}'\n")


SOURCES: dict[str, tuple[Environment, str]] = {
    "env": ({}, USER_ARN),
    "profile": ({**NO_KEYS, "AWS_PROFILE": "static"}, f"arn:aws:iam::{ACCOUNT}:user/static"),
    "assume": ({**NO_KEYS, "AWS_PROFILE": "assume"}, session_arn(role_arn_of("assume"), "one")),
    "assume-from-instance": (
        {**NO_KEYS, "AWS_PROFILE": "assume-from-instance", "AWS_EC2_METADATA_DISABLED": None},
        session_arn(role_arn_of("assume-from-instance"), "two"),
    ),
    "web-identity": (
        {
            **NO_KEYS,
            "AWS_ROLE_ARN": role_arn_of("pod"),
            "AWS_WEB_IDENTITY_TOKEN_FILE": "web-token",
            "AWS_ROLE_SESSION_NAME": "three",
        },
        session_arn(role_arn_of("pod"), "three"),
    ),
    "sso": (
        {**NO_KEYS, "AWS_PROFILE": "sso"},
        session_arn(role_arn_of("AWSReservedSSO_Pull_0123456789abcdef"), "developer"),
    ),
    "process": ({**NO_KEYS, "AWS_PROFILE": "process"}, f"arn:aws:iam::{ACCOUNT}:user/process"),
    "imds": (
        {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None},
        session_arn(role_arn_of("instance"), INSTANCE_ID),
    ),
    "container": (
        {
            **NO_KEYS,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{container}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-authorization",
        },
        session_arn(role_arn_of("task"), "container"),
    ),
}


@pytest.fixture
def sources(helper: Helper, aws: Loopback) -> Iterator[dict[str, tuple[Environment, str]]]:
    """Set up every credential source in one home directory; return how each is chosen."""
    aws.add_user("AKIASTATIC", "static-secret", f"arn:aws:iam::{ACCOUNT}:user/static")
    aws.add_user("AKIAPROCESS", "process-secret", f"arn:aws:iam::{ACCOUNT}:user/process")
    for role in ("assume", "assume-from-instance"):
        aws.add_role(role_arn_of(role))
    aws.add_role(role_arn_of("pod"), web_identity_token="web.identity.token")
    aws.add_sso_role(ACCOUNT, "Pull")
    aws.add_sso_session("sso-access")
    aws.instance_role, aws.container_role = "instance", "task"
    aws.container_authorization = "container-authorization"
    (helper.home / "web-token").write_text("web.identity.token")
    write_sso_session(helper.home)
    write_process(helper.home)
    (helper.home / ".aws" / "config").write_text(CONFIG)
    yield {
        name: (
            {
                key: value and value.format(container=aws.container_url)
                for key, value in env.items()
            },
            principal,
        )
        for name, (env, principal) in SOURCES.items()
    }
    assert_no_secret_kept(helper, aws)


def assert_no_secret_kept(helper: Helper, aws: Loopback) -> None:
    """Assert that no key of the cache, in a file or in its name, holds a secret."""
    secrets = {USER_SECRET, *(key.secret for key in aws.keys.values())}
    secrets |= {key.session_token for key in aws.keys.values() if key.session_token}
    secrets |= {"container-authorization", "web.identity.token", "sso-access", *aws.issued}
    files = entry_files(helper.cache)
    assert files
    for file in files:
        text = prefix_of(file.read_bytes()).decode() + file.name
        assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize("source", SOURCES)
def test_twenty_gets_are_one_call(
    helper: Helper, aws: Loopback, sources: dict[str, tuple[Environment, str]], source: str
) -> None:
    """After the first get nothing is called: no ECR, STS, SSO, IMDS, container or process."""
    env, principal = sources[source]
    first = secret_of(helper.get(HOST, env=env).answer)
    calls = list(aws.calls)
    assert aws.issued[first].principal == principal
    assert aws.count("ecr") == 1
    assert {secret_of(helper.get(HOST, env=env).answer) for _ in range(19)} == {first}
    assert aws.calls == calls
    if source == "process":
        assert (helper.home / "runs").read_text() == "run\n"


def test_no_source_is_answered_with_anothers_token(
    helper: Helper, aws: Loopback, sources: dict[str, tuple[Environment, str]]
) -> None:
    """All sources in turn, twice: each gets its own principal's token, and each asks once."""
    for _ in range(2):
        for env, principal in sources.values():
            secret = secret_of(helper.get(HOST, env=env).answer)
            assert aws.issued[secret].principal == principal
    assert aws.count("ecr") == len(sources)


def key_id(helper: Helper, aws: Loopback) -> Environment:
    """Change the access key."""
    del helper
    aws.add_user("AKIAOTHER", "other-secret", f"arn:aws:iam::{ACCOUNT}:user/other")
    return {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other-secret"}


def config_path(helper: Helper, _: Loopback) -> Environment:
    """Name another config file with the same content."""
    (helper.home / "other").write_text("[default]\n")
    return {"AWS_CONFIG_FILE": str(helper.home / "other")}


def config_twin(helper: Helper, _: Loopback) -> Environment:
    """Replace the config file with an identical one."""
    replace_by_twin(helper.home / ".aws" / "config")
    return {}


def credentials_file(helper: Helper, _: Loopback) -> Environment:
    """Write a shared credentials file."""
    (helper.home / ".aws" / "credentials").write_text("[default]\n")
    return {}


def profile(_: Helper, __: Loopback) -> Environment:
    """Choose a profile."""
    return {"AWS_PROFILE": "default"}


def role_arn(_: Helper, __: Loopback) -> Environment:
    """Name a role, which counts only with a token file, or so it may be."""
    return {"AWS_ROLE_ARN": role_arn_of("other")}


def token_file(_: Helper, __: Loopback) -> Environment:
    """Name a web identity token file."""
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token"}


def container_uri(_: Helper, __: Loopback) -> Environment:
    """Name a container's endpoint."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/other"}


@pytest.mark.parametrize(
    "change",
    [
        key_id,
        config_path,
        config_twin,
        credentials_file,
        profile,
        role_arn,
        token_file,
        container_uri,
    ],
)
def test_a_changed_configuration_asks_again(
    helper: Helper, aws: Loopback, change: Callable[[Helper, Loopback], Environment]
) -> None:
    """What may lead to another principal is never answered with the token at hand."""
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text("[default]\nregion = a\n")
    first = secret_of(helper.get(HOST).answer)
    env = change(helper, aws)
    assert helper.run("list", env=env).stdout == b"{}\n"
    assert secret_of(helper.get(HOST, env=env).answer) != first
    assert aws.count("ecr") == 2


@pytest.mark.parametrize(
    "name",
    [
        "AWS_ACCOUNT_ID",
        "AWS_LAMBDA_ROLE",
        "AWS_MFA_SERIAL",
        "AWS_ROLE_SESSION_NAME",
        "AWS_SOMETHING_NEW",
        "AWS_SSO_PROFILE",
        "AWS_VAULT",
    ],
)
def test_a_variable_that_counts_asks_again(helper: Helper, aws: Loopback, name: str) -> None:
    """Unset, one value and another are three tokens; to come back to a value asks nothing."""
    tokens = [secret_of(helper.get(HOST, env={name: value}).answer) for value in (None, "1", "2")]
    assert len(set(tokens)) == aws.count("ecr") == 3
    assert secret_of(helper.get(HOST, env={name: "1"}).answer) == tokens[1]
    assert aws.count("ecr") == 3


def test_no_variable_that_counts_leaves_the_token_in_use(helper: Helper, aws: Loopback) -> None:
    """With any of them set to something else, there is none at hand."""
    helper.get(HOST)
    held = helper.run("list").stdout
    assert held != b"{}\n"
    for name in TELLING:
        if name.startswith("AWS_"):
            value = f"{helper.home}/elsewhere"
            assert helper.run("list", env={name: value}).stdout == b"{}\n", name
    assert helper.run("list").stdout == held
    assert aws.count("ecr") == 1


def test_no_harmless_variable_costs_a_call(helper: Helper, aws: Loopback) -> None:
    """Set to one value, to another, and all of them at once, as from step to step of a CI job."""
    first = secret_of(helper.get(HOST).answer)
    calls = len(aws.calls)
    names = sorted(HARMLESS_NAMES) + [f"{prefix}SOMETHING" for prefix in HARMLESS_PREFIXES]
    for name in names:
        assert secret_of(helper.get(HOST, env={name: "one"}).answer) == first, name
    assert secret_of(helper.get(HOST, env=dict.fromkeys(names, "two")).answer) == first
    assert len(aws.calls) == calls


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_DEFAULT_REGION": "sa-east-1", "AWS_REGION": "sa-east-1"},
        {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
        {"AWS_CREDENTIAL_EXPIRATION": "2001-01-01T00:00:00Z"},
        {"AWS_SDK_LOAD_CONFIG": "1"},
    ],
    ids="-".join,
)
def test_the_next_step_of_a_job_uses_the_token_at_hand(
    helper: Helper,
    aws: Loopback,
    sources: dict[str, tuple[Environment, str]],
    variables: Environment,
) -> None:
    """Whatever gave the credentials: a role by STS or SSO, the instance, a process, a container."""
    for env, principal in sources.values():
        secret = secret_of(helper.get(HOST, env=env).answer)
        assert aws.issued[secret].principal == principal
        calls = len(aws.calls)
        assert secret_of(helper.get(HOST, env={**env, **variables}).answer) == secret
        assert len(aws.calls) == calls


def test_what_changes_nobody_costs_no_call(helper: Helper, aws: Loopback) -> None:
    """Variables for output and timeouts, and empty ones, leave the cached token in use."""
    first = secret_of(helper.get(HOST).answer)
    calls = len(aws.calls)
    telling = [name for name in TELLING if name.startswith("AWS_") and name not in helper.env]
    for env in (
        {"AWS_PAGER": "less", "AWS_DEFAULT_OUTPUT": "table", "AWS_CLI_AUTO_PROMPT": "on"},
        {"AWS_ECR_TIMEOUT": "9", "AWS_MAX_ATTEMPTS": "9", "AWS_RETRY_MODE": "adaptive"},
        dict.fromkeys(telling, ""),
        {"TERM": "dumb", "NO_COLOR": "1", "PWD": "/"},
    ):
        assert secret_of(helper.get(HOST, env=env).answer) == first
    assert len(aws.calls) == calls


def test_another_machine_with_the_same_home_asks_for_itself(helper: Helper, aws: Loopback) -> None:
    """Under another host name the cached token is not found."""
    needs.check("unshare --uts")
    first = secret_of(helper.get(HOST).answer)
    script = 'echo elsewhere > /proc/sys/kernel/hostname && exec "$1" get'
    command = ["unshare", "-u", "sh", "-c", script, "sh", str(helper.executable)]
    run = subprocess.run(
        command, env=helper.env, input=HOST.encode(), capture_output=True, check=True
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    assert secret_of(answer) != first
    assert aws.count("ecr") == 2


def write_keys(helper: Helper, key: str, secret: str) -> None:
    """Write the shared credentials file as `aws configure` does."""
    (helper.home / ".aws").mkdir(exist_ok=True)
    text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    (helper.home / ".aws" / "credentials").write_text(text)


def test_new_keys_count_at_once(helper: Helper, aws: Loopback) -> None:
    """The get after `aws configure` is the new user's, though the file is as long as before."""
    other = USER_KEY[::-1]
    aws.add_user(other, USER_SECRET, f"arn:aws:iam::{ACCOUNT}:user/other")
    for key, principal in ((USER_KEY, USER_ARN), (other, f"arn:aws:iam::{ACCOUNT}:user/other")):
        write_keys(helper, key, USER_SECRET)
        secret = secret_of(helper.get(HOST, env=NO_KEYS).answer)
        assert aws.issued[secret].principal == principal


# Whole processes: nothing found


NOT_FOUND = b"credentials not found in native keychain\n"


def test_nothing_found_is_remembered_for_a_minute(helper: Helper, aws: Loopback) -> None:
    """The same identity is not searched again for 60 seconds, whatever the host; another is."""
    env: Environment = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None}
    first = helper.get(HOST, env=env)
    searched = aws.count("imds")
    assert first.stdout == NOT_FOUND
    assert searched > 0
    for host in (HOST, OTHER_REGION, PUBLIC):
        result = helper.get(host, env=env)
        assert (result.status, result.stdout) == (1, NOT_FOUND)
        assert "no AWS credentials" in result.err
    assert aws.count("imds") == searched
    same: Environment = {**env, "AWS_DEFAULT_REGION": "eu-west-1"}
    assert helper.get(HOST, env=same).stdout == NOT_FOUND
    assert aws.count("imds") == searched
    other: Environment = {**env, "AWS_VAULT": "other"}
    assert helper.get(HOST, env=other).stdout == NOT_FOUND
    assert aws.count("imds") == 2 * searched
    for age, times in ((55, 2), (61, 3), (-600, 4)):
        rewrite(helper.cache, age=age, life=60)
        assert helper.get(HOST, env=env).stdout == NOT_FOUND
        assert aws.count("imds") == times * searched
    assert helper.run("list", env=env).stdout == b"{}\n"
    assert aws.count("ecr") == 0


def test_nothing_found_is_forgotten_when_there_is_something(helper: Helper, aws: Loopback) -> None:
    """Within the minute, keys from `aws configure` or from the environment count at once."""
    assert helper.get(HOST, env=NO_KEYS).stdout == NOT_FOUND
    assert secret_of(helper.get(HOST).answer) in aws.issued
    assert helper.get(HOST, env=NO_KEYS).stdout == NOT_FOUND
    write_keys(helper, USER_KEY, USER_SECRET)
    assert secret_of(helper.get(HOST, env=NO_KEYS).answer) in aws.issued
    assert aws.count("ecr") == 2


def test_an_error_is_not_remembered(helper: Helper, aws: Loopback) -> None:
    """Only `no credentials` is: what AWS refused once is asked again."""
    env: Environment = {"AWS_SECRET_ACCESS_KEY": "wrong"}
    assert helper.get(HOST, env=env).status == 1
    calls = aws.count("ecr")
    assert helper.get(HOST, env=env).status == 1
    assert aws.count("ecr") == 2 * calls
    assert secret_of(helper.get(HOST).answer) in aws.issued


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
TARGETS = st.builds(
    Target,
    st.just(Registry(HOST, region="eu-west-1")),
    profile=TEXTS,
    role=st.none()
    | st.builds(Role, arn=st.text(min_size=1), external_id=TEXTS, duration_seconds=st.none()),
)


@given(TARGETS, TARGETS)
@example(
    Target(Registry(HOST, region="eu-west-1"), "a\ntarget RoleArn=b"),
    Target(Registry(HOST, region="eu-west-1"), "a", Role("b", session_name="")),
)
def test_two_entries_of_the_settings_file_are_described_apart(one: Target, other: Target) -> None:
    """And what is added to the identity of the AWS settings can be told from it again."""
    settings = b"machine here -\nvariable AWS_PROFILE=target x=y\n"
    described = identity.with_target(settings, one)
    parts = [(to.profile, to.role.parameters if to.role else None) for to in (one, other)]
    same = parts[0] == parts[1]
    assert (described == identity.with_target(settings, other)) is same
    before, added = identity.without_target(described)
    assert before == settings
    assert set(added) <= {"profile", "RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"}
    assert ("profile" in added) is bool(one.profile)
    assert ("RoleArn" in added) is (one.role is not None)

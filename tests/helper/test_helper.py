"""Black box: the installed executable, from stdin to stdout, stderr, exit status and files.

Docker's protocol, the ECR hosts, and the errors of `get`, as a caller sees them.
"""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ecr_credential_helper import __version__
from tests.loopback import ACCOUNT, USER_KEY, USER_SECRET, Fault, Loopback, role_arn_of
from tests.support.helper import Helper, Result, assert_no_secret, finish
from tests.test_registry import REJECTED_ROWS

NAME = "docker-credential-ecr"
LINK = "docker-credential-ecr-login"
USAGE = f"Usage: {NAME} <store|get|erase|list|version>"

NOT_FOUND = b"credentials not found in native keychain\n"
NO_SERVER_URL = b"no credentials server URL\n"
NO_USERNAME = b"no credentials username\n"

PRIVATE = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
FOREIGN = ("https://index.docker.io/v1/", "docker.io", "ghcr.io", f"{PRIVATE}.evil.com", "unused")
LIMIT = 64 * 1024
MEBIBYTE = 1024 * 1024

ONCE = {"AWS_MAX_ATTEMPTS": "1"}
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
KEYS = f"aws_access_key_id = {USER_KEY}\naws_secret_access_key = {USER_SECRET}\n"


def login(server_url: str = PRIVATE, username: str = "AWS", secret: str = "opaque") -> bytes:
    """Return what Docker sends to `store`."""
    return json.dumps({"ServerURL": server_url, "Username": username, "Secret": secret}).encode()


def assert_answered(result: Result, server_url: str, aws: Loopback) -> None:
    """Assert that `get` succeeded with a token of the loopback, and with nothing around it."""
    assert (result.stderr, result.status) == (b"", 0)
    assert result.answer == {
        "ServerURL": server_url,
        "Username": "AWS",
        "Secret": result.answer["Secret"],
    }
    assert result.answer["Secret"] in aws.issued
    assert result.out.endswith("}\n")
    assert result.out.count("\n") == 1


def assert_silent_failure(result: Result, stdout: bytes) -> None:
    """Assert a failure that says one of the protocol's lines on stdout and nothing on stderr."""
    assert (result.stdout, result.stderr, result.status) == (stdout, b"", 1)


def assert_refused(result: Result, aws: Loopback) -> str:
    """Assert a failure with one clear line on stdout; return the cause that is named there.

    On stderr there is a hint at most.
    """
    assert result.status == 1
    assert_no_secret(result, aws)
    assert_one_hint_at_most(result.err.splitlines(keepends=True))
    return cause_in(result.out)


def assert_not_found_because(result: Result, aws: Loopback) -> str:
    """Assert the protocol's `not found` on stdout; return the cause that stderr names."""
    assert (result.stdout, result.status) == (NOT_FOUND, 1)
    assert_no_secret(result, aws)
    cause, *hints = result.err.splitlines(keepends=True)
    assert_one_hint_at_most(hints)
    return cause_in(cause)


def assert_one_hint_at_most(lines: list[str]) -> None:
    """Assert that there are no `lines`, or a single one, whole, with a hint."""
    assert all(line.startswith("hint: ") and line.endswith("\n") for line in lines)
    assert len(lines) <= 1


def cause_in(text: str) -> str:
    """Assert that `text` is one line in the program's voice; return it without the name."""
    name, _, cause = text.partition(": ")
    assert name == NAME
    assert cause.endswith("\n")
    assert cause.count("\n") == 1
    assert cause.strip().isprintable()
    assert not cause[0].isupper() or cause.startswith(("AWS ", "MFA "))
    assert not cause.endswith(".\n") or cause.endswith("...\n")
    return cause.strip()


# Verbs that need no registry


@pytest.mark.parametrize("verb", ["version", "--version", "-v"])
@pytest.mark.parametrize("name", [NAME, LINK])
def test_version_names_the_program_and_its_version(helper: Helper, verb: str, name: str) -> None:
    """The banner holds the name it was called by, and is given without reading stdin."""
    result = helper.run(verb, stdin=None, argv0=name)
    banner = f"{name} (ecr-credential-helper) {__version__}\n".encode()
    assert (result.stdout, result.stderr, result.status) == (banner, b"", 0)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", [NAME, LINK])
def test_help_shows_the_usage(helper: Helper, option: str, name: str) -> None:
    """Help goes to stdout with exit status 0, and needs no stdin."""
    result = helper.run(option, stdin=None, argv0=name)
    assert (result.stderr, result.status) == (b"", 0)
    assert result.out.startswith(f"Usage: {name} <store|get|erase|list|version>\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        *[(verb, "extra") for verb in ("get", "store", "erase", "list", "version")],
        ("get", ""),
        ("get", "list"),
        ("erase", "a", "b"),
    ],
    ids=" ".join,
)
def test_a_wrong_number_of_arguments_gets_the_usage(
    helper: Helper, arguments: tuple[str, ...]
) -> None:
    """The usage is one line on stdout, with exit status 1, as a client of the protocol reads it."""
    assert_silent_failure(helper.run(*arguments), f"{USAGE}\n".encode())


def test_a_person_who_only_types_the_name_is_not_kept_waiting(helper: Helper) -> None:
    """Without a verb the usage comes at once, though stdin is a terminal that says nothing."""
    assert_silent_failure(helper.run(stdin=None), f"{USAGE}\n".encode())


@pytest.mark.parametrize("verb", ["pull", "GET", "Get", "get ", " get", "-V", "--get", "-", "gèt"])
def test_an_unknown_verb_is_named(helper: Helper, verb: str) -> None:
    """The verb is matched to the letter, and the answer is on stdout with exit status 1."""
    result = helper.run(verb, stdin=PRIVATE.encode())
    assert_silent_failure(result, f"{NAME}: unknown action: {verb}\n".encode())


def test_an_unknown_verb_never_makes_two_lines(helper: Helper) -> None:
    """Errors of the protocol are one line, whatever the argument holds."""
    result = helper.run("get\nlist")
    assert result.status == 1
    assert result.out.startswith(f"{NAME}: unknown action: get")
    assert result.out.count("\n") == 1


def test_list_without_tokens_is_an_empty_object_and_reads_nothing(helper: Helper) -> None:
    """The answer is `{}` and never `null`, and comes though stdin stays open and empty."""
    result = helper.run("list", stdin=None)
    assert (result.stdout, result.stderr, result.status) == (b"{}\n", b"", 0)


@pytest.mark.parametrize("stdin", [b"", b"unused", b"\0" * LIMIT])
def test_list_does_not_care_what_is_on_stdin(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """Docker sends `unused`, docker-py nothing; neither matters, and the network is not asked."""
    result = helper.run("list", stdin=stdin, env=NO_KEYS)
    assert (result.stdout, result.stderr, result.status) == (b"{}\n", b"", 0)
    assert aws.calls == []


@pytest.mark.parametrize("name", [LINK, "ecr helper", "ecr-1.0"])
def test_messages_hold_the_name_it_was_called_by(helper: Helper, aws: Loopback, name: str) -> None:
    """A link of another name is a drop-in, down to its usage and its errors."""
    assert helper.run(argv0=name).out == USAGE.replace(NAME, name) + "\n"
    assert helper.run("pull", argv0=name).out == f"{name}: unknown action: pull\n"
    aws.faults["ecr"] = Fault("denied")
    assert helper.run("get", stdin=PRIVATE.encode(), argv0=name).out.startswith(f"{name}: ")
    aws.faults["ecr-public"] = Fault("denied")
    assert helper.run("get", stdin=PUBLIC.encode(), argv0=name).err.startswith(f"{name}: ")


def test_the_name_is_the_last_part_of_the_path(helper: Helper) -> None:
    """Called by a relative path, the program still names only itself."""
    link = helper.link(LINK)
    command = [f"./{link.name}", "version"]
    output = subprocess.check_output(command, cwd=link.parent, env=helper.env)
    assert output.decode() == f"{LINK} (ecr-credential-helper) {__version__}\n"


# What is sent to `get`, and what is echoed


@pytest.mark.parametrize(
    ("stdin", "server_url"),
    [
        (PRIVATE, PRIVATE),
        (f"{PRIVATE}\n", PRIVATE),
        (f"{PRIVATE}\r\n", PRIVATE),
        (f"  {PRIVATE}  ", PRIVATE),
        (f" {PRIVATE} \n", PRIVATE),
        (f"HTTPS://{PRIVATE.upper()}:443/V2/\n", f"HTTPS://{PRIVATE.upper()}:443/V2/"),
        (f"{PRIVATE}.", f"{PRIVATE}."),
        (f'{PRIVATE}/a"b""c', f'{PRIVATE}/a"b""c'),
        (f"{PRIVATE}/équipe/アプリ", f"{PRIVATE}/équipe/アプリ"),
        (f"{PRIVATE}/<a>&'b'", f"{PRIVATE}/<a>&'b'"),
    ],
)
def test_get_echoes_the_server_url_trimmed_and_otherwise_unchanged(
    helper: Helper, aws: Loopback, stdin: str, server_url: str
) -> None:
    """One line ending and the spaces around it go; what is left comes back, as valid JSON."""
    assert_answered(helper.run("get", stdin=stdin.encode()), server_url, aws)


def test_a_server_url_may_be_as_long_as_64_kib(helper: Helper, aws: Loopback) -> None:
    """At the limit the answer is a token, and the echo is complete."""
    server_url = f"{PRIVATE}/".ljust(LIMIT, "a")
    assert_answered(helper.get(server_url), server_url, aws)


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, 2 * LIMIT, MEBIBYTE])
def test_a_server_url_over_64_kib_is_not_an_ecr_host(
    helper: Helper, aws: Loopback, size: int
) -> None:
    """One byte over the limit the host is nobody's, however it begins."""
    assert_silent_failure(helper.get(f"{PRIVATE}/".ljust(size, "a")), NOT_FOUND)
    assert aws.calls == []


@pytest.mark.parametrize(
    "stdin",
    [
        f"{PRIVATE}\n\n".encode(),
        f"{PRIVATE}\r\n\r\n".encode(),
        f"{PRIVATE}\n\r".encode(),
        f"{PRIVATE}\r\r\n".encode(),
        f"{PRIVATE}\nhost=evil.com\n".encode(),
        f"{PRIVATE}/\xe9".encode("latin-1"),
        f"{PRIVATE}\xff".encode("latin-1"),
        PRIVATE.encode("utf-16"),
        PRIVATE.encode("utf-16-le"),
        PRIVATE.encode("utf-8-sig"),
        f"{PRIVATE}/".encode() + b"\xed\xa0\x80",
        PRIVATE.replace("/", "").encode().replace(b".", b"\xc0\xae"),
        f"{PRIVATE}/".encode() + b"\xc0\xaf",
    ],
)
def test_bytes_that_no_server_url_can_hold_are_not_an_ecr_host(
    helper: Helper, aws: Loopback, stdin: bytes
) -> None:
    """A second line ending, or what is not UTF-8, is neither taken off nor read over."""
    assert_silent_failure(helper.run("get", stdin=stdin), NOT_FOUND)
    assert aws.calls == []


@pytest.mark.parametrize("verb", ["get", "erase"])
@pytest.mark.parametrize("stdin", [b"", b"\n", b"\r\n", b" ", b"   \n", b" \r\n"])
def test_no_server_url_is_said_so(helper: Helper, verb: str, stdin: bytes) -> None:
    """Nothing, or nothing but spaces, is the protocol's `no credentials server URL`."""
    assert_silent_failure(helper.run(verb, stdin=stdin), NO_SERVER_URL)


@pytest.mark.parametrize("server_url", REJECTED_ROWS)
def test_a_host_that_is_not_ecr_gets_no_token(
    helper: Helper, aws: Loopback, server_url: str
) -> None:
    """The answer is the learned text alone, stderr is silent, and AWS is not asked."""
    assert_silent_failure(helper.get(server_url), NOT_FOUND)
    assert aws.calls == []
    assert aws.connects == []


# Who is asked by `get`


@pytest.mark.parametrize(
    ("server_url", "service", "region"),
    [
        (PRIVATE, "ecr", "eu-west-1"),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr", "cn-north-1"),
        (f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu", "ecr", "eusc-de-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov", "ecr", "us-iso-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "ecr", "us-isob-east-1"),
        (f"{ACCOUNT}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "ecr", "eu-isoe-west-1"),
        (f"{ACCOUNT}.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "ecr", "us-isof-south-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr", "us-gov-west-1"),
        (f"{ACCOUNT}.dkr-ecr.us-east-2.on.aws", "ecr", "us-east-2"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws", "ecr", "us-west-2"),
        (
            f"{ACCOUNT}.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
            "ecr",
            "cn-northwest-1",
        ),
        (f"{ACCOUNT}.dkr-ecr.us-east-1.amazonaws.com", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-east-1.amazonaws.com", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-east-1.on.aws", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.on.aws", "ecr", "us-east-1"),
        ("444455556666.dkr.ecr.ap-south-1.amazonaws.com", "ecr", "ap-south-1"),
        (PRIVATE.upper(), "ecr", "eu-west-1"),
        (f"{PRIVATE}.", "ecr", "eu-west-1"),
        (f"{PRIVATE}:443", "ecr", "eu-west-1"),
        (f"http://{PRIVATE}", "ecr", "eu-west-1"),
        (f"hTTpS://{PRIVATE}:8443/team/app", "ecr", "eu-west-1"),
        (PUBLIC, "ecr-public", "us-east-1"),
        ("ecr-public.aws.com", "ecr-public", "us-east-1"),
        (f"https://{PUBLIC.upper()}.:443/docker/library/alpine", "ecr-public", "us-east-1"),
    ],
)
def test_each_kind_of_host_is_asked_of_its_service_in_its_region(
    helper: Helper, aws: Loopback, server_url: str, service: str, region: str
) -> None:
    """One signed call goes out, for the host's own region, by us, and without registryIds."""
    elsewhere = {"AWS_REGION": "sa-east-1", "AWS_DEFAULT_REGION": "sa-east-1"}
    assert_answered(helper.get(server_url, env=elsewhere), server_url, aws)
    (call,) = aws.calls
    assert (call.service, call.operation, call.region) == (service, "GetAuthorizationToken", region)
    assert call.principal is not None
    assert call.body == {}
    assert f"ecr-credential-helper/{__version__}" in call.user_agent.split()


@pytest.mark.parametrize(
    ("server_url", "endpoint"),
    [
        ("dkr.ecr.us-west-2.amazonaws.com", "api.ecr.us-west-2.amazonaws.com"),
        ("dkr.ecr-fips.us-west-2.amazonaws.com", "api.ecr-fips.us-west-2.amazonaws.com"),
        ("dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
        ("dkr-ecr-fips.us-west-2.on.aws", "ecr-fips.us-west-2.api.aws"),
        ("dkr-ecr-fips.us-west-2.amazonaws.com", "api.ecr-fips.us-west-2.amazonaws.com"),
        ("dkr.ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
        ("dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
        (
            "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "ecr.cn-north-1.api.amazonwebservices.com.cn",
        ),
        ("dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov"),
        ("dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ("dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "api.ecr.us-isof-south-1.csp.hci.ic.gov"),
    ],
)
def test_a_private_host_is_asked_of_the_endpoint_that_its_name_asks_for(
    helper: Helper, aws: Loopback, server_url: str, endpoint: str
) -> None:
    """FIPS and dual stack in the host's name are FIPS and dual stack in the API's, over TLS."""
    server_url = f"{ACCOUNT}.{server_url}"
    assert_answered(helper.get(server_url, env=helper.proxy), server_url, aws)
    assert aws.connects == [endpoint]
    assert [call.host for call in aws.calls] == [endpoint]


@pytest.mark.parametrize("host", [PUBLIC, "ecr-public.aws.com"])
def test_a_public_host_is_asked_of_ecr_public_in_us_east_1(
    helper: Helper, aws: Loopback, host: str
) -> None:
    """Both public names share the one endpoint of ECR Public, over TLS."""
    assert_answered(helper.get(host, env=helper.proxy), host, aws)
    assert [call.host for call in aws.calls] == ["api.ecr-public.us-east-1.amazonaws.com"]


def test_the_users_own_endpoint_settings_keep_their_meaning(helper: Helper, aws: Loopback) -> None:
    """AWS_USE_FIPS_ENDPOINT sends a plain host to the FIPS endpoint, as in every AWS client."""
    server_url = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
    env = helper.proxy | {"AWS_USE_FIPS_ENDPOINT": "true"}
    assert_answered(helper.get(server_url, env=env), server_url, aws)
    assert [call.host for call in aws.calls] == ["api.ecr-fips.us-west-2.amazonaws.com"]


@pytest.mark.parametrize(
    ("host", "variable"),
    [(PRIVATE, "AWS_ENDPOINT_URL_ECR"), (PUBLIC, "AWS_ENDPOINT_URL_ECR_PUBLIC")],
)
def test_an_endpoint_for_one_service_goes_before_the_general_one(
    helper: Helper, aws: Loopback, refusing: str, host: str, variable: str
) -> None:
    """AWS_ENDPOINT_URL_<SERVICE> is asked, and not AWS_ENDPOINT_URL."""
    env = {"AWS_ENDPOINT_URL": refusing, variable: aws.url}
    assert_answered(helper.get(host, env=env), host, aws)


def test_an_empty_variable_counts_as_unset(helper: Helper, aws: Loopback) -> None:
    """Compose files and CI set what they do not know to nothing, and mean nothing by it."""
    names = (
        *("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_REGION", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_ECR", "AWS_MAX_ATTEMPTS"),
        *("AWS_RETRY_MODE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
        *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("AWS_ECR_TIMEOUT", "AWS_ECR_LOG_FILE", "AWS_ECR_CONFIG_FILE", "HTTPS_PROXY"),
    )
    assert_answered(helper.get(PRIVATE, env=dict.fromkeys(names, "")), PRIVATE, aws)


# As whom `get` asks


@pytest.mark.parametrize("region", ["", "region = eu-west-1"])
def test_a_profile_and_a_role_assumed_from_it_pay_for_a_token(
    helper: Helper, aws: Loopback, region: str
) -> None:
    """Each is asked as itself; a role whose profile names no region is assumed in the host's."""
    role = role_arn_of("pull")
    aws.add_role(role)
    write(helper.home / ".aws/credentials", f"[base]\n{KEYS}")
    write(
        helper.home / ".aws/config",
        f"[profile pull]\nrole_arn = {role}\nsource_profile = base\n{region}\n",
    )
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_PROFILE": "base"})
    assert_answered(result, PRIVATE, aws)
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_PROFILE": "pull"})
    assert_answered(result, PRIVATE, aws)
    principals = [call.principal or "" for call in aws.calls if call.service == "ecr"]
    assert principals[0].endswith(":user/developer")
    assert ":assumed-role/pull/" in principals[1]


def test_a_machines_own_role_pays_for_a_token(helper: Helper, aws: Loopback) -> None:
    """On an instance with a role nothing needs to be configured."""
    aws.instance_role = "builder"
    env = {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None}
    assert_answered(helper.get(PRIVATE, env=env), PRIVATE, aws)
    assert ":assumed-role/builder/" in str(aws.calls[-1].principal)


def test_a_containers_role_pays_for_a_token(helper: Helper, aws: Loopback) -> None:
    """In an ECS task the role of the task is asked."""
    aws.container_role = "task"
    env = {**NO_KEYS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.container_url}
    assert_answered(helper.get(PRIVATE, env=env), PRIVATE, aws)
    assert ":assumed-role/task/" in str(aws.calls[-1].principal)


# stdout is the caller's alone


NOISE = "noise that belongs to no answer"


def write_process(helper: Helper, noise: str) -> None:
    """Give the default profile a credential_process that runs `noise` in a shell before it answers.

    `noise` is a line of sh, whose `$PPID` is the helper.
    """
    credentials = {"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET}
    answer = f"echo {shlex.quote(json.dumps(credentials))}\n"
    script = write(helper.home / "credentials.sh", f"{noise}\n{answer}")
    write(helper.home / ".aws/config", f"[default]\ncredential_process = /bin/sh {script}\n")


def test_a_credential_process_cannot_write_to_stdout(helper: Helper, aws: Loopback) -> None:
    """Even one that finds its parent's stdout by /proc only reaches stderr."""
    write_process(helper, f"echo {shlex.quote(NOISE)} | tee /proc/$PPID/fd/1 >&2")
    result = helper.get(PRIVATE, env=NO_KEYS)
    assert result.status == 0
    assert result.answer["Secret"] in aws.issued
    assert result.out.count("\n") == 1
    assert NOISE in result.err
    assert_no_secret(result, aws, token_expected=True)


def test_a_library_cannot_write_to_stdout(helper: Helper, aws: Loopback) -> None:
    """What is printed or written to descriptor 1 during the AWS work reaches stderr."""
    write(
        helper.home / "site/sitecustomize.py",
        f"""\
import os, sys

class Noise:
    def find_spec(self, name, path=None, target=None):
        if name == "botocore.session":
            print("printed: {NOISE}")
            os.write(1, b"written: {NOISE}\\n")
            os.system("echo 'from a shell: {NOISE}'")

sys.meta_path.insert(0, Noise())
""",
    )
    result = helper.get(PRIVATE, env={"PYTHONPATH": str(helper.home / "site")})
    assert result.status == 0
    assert result.answer["Secret"] in aws.issued
    assert result.out.count("\n") == 1
    for how in ("printed", "written", "from a shell"):
        assert f"{how}: {NOISE}\n" in result.err


@pytest.mark.needs("Linux")
@pytest.mark.parametrize("verb", ["get", "list", "--version", "status"])
@pytest.mark.parametrize("gone", [False, True], ids=["full", "gone"])
def test_what_a_library_prints_costs_no_answer(helper: Helper, verb: str, *, gone: bool) -> None:
    """Where stderr cannot take it, it is lost, and the answer is not."""
    write(helper.home / "site/sitecustomize.py", f"print({NOISE!r})\n")
    expected = helper.run(verb, stdin=PRIVATE.encode())
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    env = {"PYTHONPATH": str(helper.home / "site")}
    with helper.popen(verb, env=env, stderr=writing if gone else full) as process:
        os.close(writing)
        os.close(full)
        result = finish(process, PRIVATE.encode())
    assert (result.status, result.stdout) == (0, expected.stdout)
    assert expected.stdout


# Logins that Docker wants to keep


@pytest.mark.parametrize(
    "stdin",
    [
        login(),
        login(f"https://{PRIVATE}"),
        login(f"{PRIVATE}:443/team/app"),
        login(PRIVATE.upper()),
        login(PUBLIC),
        login(f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws"),
        f'{{"serverurl":"{PRIVATE}","USERNAME":"AWS","sEcReT":"opaque"}}'.encode(),
        b" \r\n\t" + login() + b"\n",
        login() + login("https://index.docker.io/v1/", "robot"),
        login() + b"what comes after the first value",
        login()[:-1] + b', "Extra": {"deep": [1, null, true]}}',
    ],
)
def test_store_takes_a_login_to_ecr(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """`docker login` to an ECR host succeeds: keys in any case, the first JSON value alone."""
    result = helper.run("store", stdin=stdin)
    assert (result.stdout, result.status) == (b"", 0)
    assert "opaque" not in result.err
    assert aws.calls == []


@pytest.mark.parametrize("server_url", FOREIGN)
@pytest.mark.parametrize("username", ["AWS", "robot"])
@pytest.mark.parametrize("ignore", [None, "true"])
def test_store_never_swallows_a_login_to_another_registry(
    helper: Helper, aws: Loopback, server_url: str, username: str, ignore: str | None
) -> None:
    """As credsStore it would lose the login, so it says so and writes nothing anywhere."""
    env = {"AWS_ECR_IGNORE_CREDS_STORAGE": ignore}
    result = helper.store(server_url, username, "hunter2", env=env)
    assert "ECR" in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []


@pytest.mark.parametrize("username", ["robot", "aws", "Aws", "AWS ", "<token>", "AWS\n", "\0"])
def test_store_takes_no_other_user(helper: Helper, aws: Loopback, username: str) -> None:
    """An ECR registry has one user, and a login as another would never work."""
    result = helper.store(PRIVATE, username, "hunter2")
    assert "AWS" in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []


@pytest.mark.parametrize("stdin", [login(""), login("  "), login("\n"), b"{}", b'{"a":1}'])
def test_store_without_a_server_url_is_said_so(helper: Helper, stdin: bytes) -> None:
    """A missing and an empty server URL are the protocol's `no credentials server URL`."""
    assert_silent_failure(helper.run("store", stdin=stdin), NO_SERVER_URL)


@pytest.mark.parametrize(
    "stdin", [login(username=""), f'{{"ServerURL":"{PRIVATE}","Secret":"hunter2"}}'.encode()]
)
def test_store_without_a_user_is_said_so(helper: Helper, stdin: bytes) -> None:
    """A missing and an empty user name are the protocol's `no credentials username`."""
    assert_silent_failure(helper.run("store", stdin=stdin), NO_USERNAME)


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"hunter2",
        login()[:-1],
        b"\xff" + login(),
        login().decode().encode("utf-16"),
        b"\xef\xbb\xbf" + login(),
        b'{"ServerURL":"\xff","Username":"AWS","Secret":"hunter2"}',
        b"[]",
        b'"hunter2"',
        b"1",
        b"true",
        b"[" + login() + b"]",
        b'{"ServerURL":1,"Username":"AWS","Secret":"hunter2"}',
        b'{"ServerURL":["a"],"Username":"AWS","Secret":"hunter2"}',
        f'{{"ServerURL":"{PRIVATE}","Username":true,"Secret":"hunter2"}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}","Username":{{}},"Secret":"hunter2"}}'.encode()[:-1],
        f'{{"ServerURL":"{PRIVATE}","Username":"AWS","Secret":["hunter2"]}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}","Username":"AWS","Secret":{"9" * 9000}}}'.encode(),
        f'{{"ServerURL":"{PRIVATE}\\ud800","Username":"AWS","Secret":"hunter2"}}'.encode(),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda stdin: stdin[:40].decode("ascii", "backslashreplace"),
)
def test_store_refuses_what_is_no_login(helper: Helper, aws: Loopback, stdin: bytes) -> None:
    """Bad JSON, wrong types and deep nesting are one clear line, and nothing is written."""
    result = helper.run("store", stdin=stdin)
    assert "internal error" not in assert_refused(result, aws)
    assert "hunter2" not in result.out + result.err
    assert helper.files() == []


# Logins that Docker wants to forget


@pytest.mark.parametrize(
    "server_url",
    [
        PRIVATE,
        f"{PRIVATE}\n",
        f"https://{PRIVATE}/v2/",
        PUBLIC,
        *FOREIGN,
        "\\",
        "a\tb",
        "a" * LIMIT,
    ],
    ids=lambda server_url: server_url[:60],
)
def test_erase_may_always_be_repeated(helper: Helper, aws: Loopback, server_url: str) -> None:
    """`docker logout` erases twice, and of any host: nothing to forget is no error."""
    for _ in range(2):
        result = helper.run("erase", stdin=server_url.encode())
        assert (result.stdout, result.stderr, result.status) == (b"", b"", 0)
    assert aws.calls == []


# The streams


@pytest.mark.parametrize(
    ("verb", "stdin"),
    [
        ("get", f"{PRIVATE}/".encode().ljust(10 * MEBIBYTE, b"a")),
        ("get", b"docker.io\n" * MEBIBYTE),
        ("store", login(secret="a" * 10 * MEBIBYTE)),
        ("store", login("docker.io", secret="a" * 10 * MEBIBYTE)),
        ("store", b"\xff" * 10 * MEBIBYTE),
        ("erase", f"{PRIVATE}/".encode().ljust(10 * MEBIBYTE, b"a")),
    ],
    ids=["get", "get-foreign", "store", "store-foreign", "store-broken", "erase"],
)
def test_stdin_is_read_to_its_end(helper: Helper, verb: str, stdin: bytes) -> None:
    """A writer of 10 MiB gets all of it out of its hands, with no EPIPE, before the exit."""
    with helper.popen(verb) as process:
        assert process.stdin is not None
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            rest = memoryview(stdin)
            while rest:
                rest = rest[process.stdin.write(rest) :]
            process.stdin.close()
            assert process.wait(60) in (0, 1)
        finally:
            guard.cancel()


@pytest.mark.parametrize(
    ("verb", "stdout", "status"),
    [
        ("get", NO_SERVER_URL, 1),
        ("erase", NO_SERVER_URL, 1),
        ("list", b"{}\n", 0),
        ("version", f"{NAME} (ecr-credential-helper) {__version__}\n".encode(), 0),
    ],
)
def test_a_closed_stdin_is_an_empty_one(
    helper: Helper, verb: str, stdout: bytes, status: int
) -> None:
    """A caller that closed stdin gets the answer to nothing, and no traceback."""
    result = helper.run(verb, closed=[0])
    assert (result.stdout, result.stderr, result.status) == (stdout, b"", status)


def test_store_with_a_closed_stdin_is_refused(helper: Helper, aws: Loopback) -> None:
    """No stdin is no login, and one clear line."""
    assert_refused(helper.run("store", closed=[0]), aws)


@pytest.mark.parametrize("closed", [[1], [0, 1], [1, 2], [0, 1, 2]])
def test_a_closed_stdout_puts_the_answer_nowhere_else(
    helper: Helper, aws: Loopback, closed: list[int]
) -> None:
    """The token is not shown on stderr, and no traceback is, where stdout is closed."""
    result = helper.run("get", stdin=PRIVATE.encode(), closed=closed)
    assert result.stdout == b""
    assert_no_secret(result, aws)


def test_a_closed_stderr_does_not_matter(helper: Helper, aws: Loopback) -> None:
    """Without stderr the answer is the same, and so is the failure."""
    result = helper.run("get", stdin=PRIVATE.encode(), closed=[2])
    assert_answered(result, PRIVATE, aws)
    result = helper.run("get", stdin=PUBLIC.encode(), closed=[2], env=NO_KEYS)
    assert_silent_failure(result, NOT_FOUND)


def test_a_library_cannot_write_to_stdout_where_stderr_is_closed(
    helper: Helper, aws: Loopback
) -> None:
    """With nowhere else to go, what a credential_process says is lost, and not in the answer."""
    write_process(helper, f"echo {shlex.quote(NOISE)} >/proc/$PPID/fd/1")
    result = helper.run("get", stdin=PRIVATE.encode(), closed=[2], env=NO_KEYS)
    assert_answered(result, PRIVATE, aws)


def test_an_answer_that_cannot_be_written_is_a_failure(helper: Helper, aws: Loopback) -> None:
    """On a full device the exit status says that the caller has no answer."""
    with Path("/dev/full").open("wb") as full, helper.popen("get", stdout=full) as process:
        _, stderr = process.communicate(PRIVATE.encode(), 60)
    assert process.returncode == 1
    assert_no_secret(Result(1, b"", stderr), aws)


def test_a_caller_that_went_away_is_a_failure(helper: Helper, aws: Loopback) -> None:
    """A broken pipe on stdout ends in an exit status, not in a traceback."""
    with helper.popen("get") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(PRIVATE.encode())
        process.stdin.close()
        stderr = process.stderr.read()
        assert process.wait(60) == 1
    assert_no_secret(Result(1, b"", stderr), aws)


# What can go wrong when `get` asks


@dataclass(frozen=True)
class Trouble:
    """One way for `get` to fail: what brings it about, and what the cause has to name.

    `env` and `files` (below HOME) may hold `{refusing}`, an address where nobody listens.
    """

    named: tuple[str, ...]
    fault: Fault | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def arrange(self, helper: Helper, aws: Loopback, refusing: str) -> dict[str, str | None]:
        """Bring the trouble about; return the environment that `get` is to run in."""
        if self.fault:
            aws.faults["ecr"] = aws.faults["ecr-public"] = self.fault
        for name, text in self.files.items():
            write(helper.home / name, text)
        env = {name: value and value.format(refusing=refusing) for name, value in self.env.items()}
        return {**ONCE, **env}


def faulty(kind: str, *named: str, status: int = 502) -> Trouble:
    """Return the trouble of a service that answers by a fault of the loopback."""
    return Trouble(("GetAuthorizationToken", *named), fault=Fault(kind, status=status))


def credential_process(script: str, *named: str) -> Trouble:
    """Return the trouble of a credential_process that runs `script` in a shell."""
    process = f"[default]\ncredential_process = /bin/sh .aws/process {USER_SECRET}\n"
    named = ("credential", *named)
    return Trouble(named, env=NO_KEYS, files={".aws/config": process, ".aws/process": script})


SSO_PROFILE = """\
[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Pull
[sso-session corp]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
"""
MFA_PROFILE = f"""\
[profile base]
{KEYS}
[profile dev]
role_arn = {role_arn_of("pull")}
source_profile = base
mfa_serial = arn:aws:iam::{ACCOUNT}:mfa/developer
"""
IN_DEV = {**NO_KEYS, "AWS_PROFILE": "dev"}

TROUBLES = {
    "denied": faulty("denied", "denied"),
    "throttled": faulty("throttled", "throttled"),
    "expired-token": faulty("expired-token", "expired"),
    "500": faulty("500"),
    "reset": faulty("reset"),
    "half": faulty("half"),
    "html-502": faulty("html"),
    "html-200": faulty("html", status=200),
    "html-403": faulty("html", status=403),
    "redirect": faulty("redirect"),
    "wrong-user": faulty("wrong-user", "user"),
    "no-expiry": faulty("no-expiry"),
    "past-expiry": faulty("past-expiry", "expired"),
    "no-token": faulty("no-token", "token"),
    "not-base64": faulty("not-base64", "token"),
    "refused": Trouble(("GetAuthorizationToken",), env={"AWS_ENDPOINT_URL": "{refusing}"}),
    "proxy-refused": Trouble(
        ("GetAuthorizationToken",), env={"AWS_ENDPOINT_URL": None, "HTTPS_PROXY": "{refusing}"}
    ),
    "bad-endpoint": Trouble((), env={"AWS_ENDPOINT_URL": "not a url"}),
    "wrong-secret": Trouble(("signature",), env={"AWS_SECRET_ACCESS_KEY": USER_SECRET[::-1]}),
    "unknown-key": Trouble(("access key",), env={"AWS_ACCESS_KEY_ID": "AKIANOBODYEXAMPLE000"}),
    "half-a-key": Trouble((), env={"AWS_SECRET_ACCESS_KEY": None}),
    "unknown-profile": Trouble(("profile", "nobody"), env={**NO_KEYS, "AWS_PROFILE": "nobody"}),
    "profile-of-two-lines": Trouble((), env={**NO_KEYS, "AWS_PROFILE": "no\nbody"}),
    "unknown-default-profile": Trouble(
        ("profile", "nobody"), env={**NO_KEYS, "AWS_DEFAULT_PROFILE": "nobody"}
    ),
    "broken-config": Trouble(
        ("config",), files={".aws/config": f"[profile dev\n{KEYS}"}, env=IN_DEV
    ),
    "broken-credentials": Trouble(
        (), files={".aws/credentials": f"no section\n{KEYS}"}, env=NO_KEYS
    ),
    "binary-config": Trouble((), files={".aws/config": "\0\x01\x02\ufeff"}, env=IN_DEV),
    "unknown-source-profile": Trouble(
        ("nobody",),
        files={".aws/config": MFA_PROFILE.replace("= base", "= nobody")},
        env=IN_DEV,
    ),
    "role-denied": Trouble(
        ("AssumeRole", "denied", "dev"),
        files={".aws/config": MFA_PROFILE.partition("mfa_serial")[0]},
        env=IN_DEV,
    ),
    "mfa-without-terminal": Trouble(
        ("MFA", "dev", "terminal"), files={".aws/config": MFA_PROFILE}, env=IN_DEV
    ),
    "sso-never-logged-in": Trouble(
        ("SSO", "aws sso login --profile dev"), files={".aws/config": SSO_PROFILE}, env=IN_DEV
    ),
    "sso-by-default-profile": Trouble(
        ("SSO", "aws sso login --profile dev"),
        files={".aws/config": SSO_PROFILE},
        env={**NO_KEYS, "AWS_DEFAULT_PROFILE": "dev"},
    ),
    "sso-of-the-default": Trouble(
        ("SSO", "aws sso login"),
        files={".aws/config": SSO_PROFILE.replace("profile dev", "default")},
        env=NO_KEYS,
    ),
    "process-fails": credential_process("echo one >&2; echo two >&2; exit 3\n"),
    "process-fails-in-colour": credential_process(r"printf '\033[31mred\033[0m\r\n' >&2; exit 3"),
    "process-missing": Trouble(
        ("credential",),
        files={".aws/config": "[default]\ncredential_process = /nonexistent/process\n"},
        env=NO_KEYS,
    ),
    "process-says-nothing": credential_process("exit 0\n"),
    "process-says-no-json": credential_process('echo "secret: $1"\n'),
    "process-says-a-list": credential_process("echo '[]'\n"),
    "process-says-half": credential_process("""echo '{"Version": 1, "AccessKeyId": "AKIA"}'\n"""),
    "process-says-version-2": credential_process("""echo '{"Version": 2}'\n"""),
    "process-fails-with-secret": credential_process('echo "bad secret: $1" >&2; exit 1\n'),
}


# The contract promises a hint for the others: these have nothing that a user could do.
HINT_IS_OPTIONAL = {
    *("500", "half", "html-502", "html-200", "html-403", "redirect", "bad-endpoint"),
    *("wrong-user", "no-expiry", "past-expiry", "no-token", "not-base64"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_failure_is_one_line_that_names_its_cause(
    helper: Helper, aws: Loopback, refusing: str, name: str
) -> None:
    """On stdout there is what was asked, where, as whom and what came of it, and no secret."""
    trouble = TROUBLES[name]
    env = trouble.arrange(helper, aws, refusing)
    result = helper.get(PRIVATE, env=env)
    cause = assert_refused(result, aws)
    for word in trouble.named:
        assert word in cause
    assert result.err or name in HINT_IS_OPTIONAL
    if "GetAuthorizationToken" in trouble.named:
        assert "eu-west-1" in cause
    assert "internal error" not in cause
    assert aws.count("elsewhere") == 0


@pytest.mark.parametrize(
    "name",
    [
        *("denied", "throttled", "reset", "html-502", "wrong-user", "refused", "wrong-secret"),
        *("unknown-profile", "broken-config", "role-denied", "mfa-without-terminal"),
        *("sso-never-logged-in", "process-fails", "process-says-a-list"),
    ],
)
def test_a_public_host_is_pulled_from_anonymously_whatever_fails(
    helper: Helper, aws: Loopback, refusing: str, name: str
) -> None:
    """Stdout is the learned text, so that Docker goes on without; the cause is on stderr."""
    trouble = TROUBLES[name]
    env = trouble.arrange(helper, aws, refusing)
    result = helper.get(PUBLIC, env=env)
    cause = assert_not_found_because(result, aws)
    for word in trouble.named:
        assert word in cause
    assert result.err.count("\n") == 2 or name in HINT_IS_OPTIONAL
    assert "internal error" not in cause


@pytest.mark.parametrize("host", [PRIVATE, PUBLIC])
def test_without_aws_credentials_the_cause_and_the_way_out_are_on_stderr(
    helper: Helper, aws: Loopback, host: str
) -> None:
    """Stdout is the learned text; stderr says what is missing and, in a hint, what to do."""
    result = helper.get(host, env=NO_KEYS)
    assert "no AWS credentials" in assert_not_found_because(result, aws)
    assert result.err.splitlines()[1].startswith("hint: ")
    assert aws.calls == []


def test_a_machine_without_a_role_has_no_credentials(helper: Helper, aws: Loopback) -> None:
    """Where the metadata service knows no role, that is no error but nothing found."""
    result = helper.get(PRIVATE, env={**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None})
    assert "no AWS credentials" in assert_not_found_because(result, aws)


def test_temporary_credentials_stay_secret_too(helper: Helper, aws: Loopback) -> None:
    """A session token is in no message, whatever AWS says to it."""
    key = aws.issue_key(f"arn:aws:sts::{ACCOUNT}:assumed-role/pull/session", 3600)
    aws.faults["ecr"] = Fault("denied")
    env = {
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_SESSION_TOKEN": key.session_token,
    }
    assert "assumed-role/pull/session" in assert_refused(helper.get(PRIVATE, env=env), aws)


def test_tls_that_nobody_vouches_for_is_not_trusted(helper: Helper, aws: Loopback) -> None:
    """A proxy with a certificate of its own gets no request, and is told of."""
    env = {**ONCE, **helper.proxy, "AWS_CA_BUNDLE": None}
    cause = assert_refused(helper.get(PRIVATE.replace("eu-west-1", "us-west-2"), env=env), aws)
    assert "TLS" in cause
    assert aws.calls == []


def test_a_ca_bundle_that_is_not_there_is_pointed_at(helper: Helper, aws: Loopback) -> None:
    """AWS_CA_BUNDLE is what the user has to correct, so cause or hint names it."""
    env = {**ONCE, **helper.proxy, "AWS_CA_BUNDLE": "/nonexistent/ca.pem"}
    result = helper.get(PRIVATE, env=env)
    assert "AWS_CA_BUNDLE" in assert_refused(result, aws) + result.err
    assert aws.calls == []


@pytest.mark.parametrize("kind", ["throttled", "500", "reset"])
def test_what_passes_is_tried_again(helper: Helper, aws: Loopback, kind: str) -> None:
    """One fault of the kind that comes and goes costs a second call, and no failure."""
    aws.faults["ecr"] = Fault(kind, times=1)
    assert_answered(helper.get(PRIVATE), PRIVATE, aws)
    assert aws.count("ecr") == 2


def test_a_redirect_is_not_followed(helper: Helper, aws: Loopback) -> None:
    """A signed request never goes to another host than the one that was asked."""
    aws.faults["ecr"] = Fault("redirect")
    assert_refused(helper.get(PRIVATE, env=ONCE), aws)
    assert aws.count("elsewhere") == 0


def test_all_of_it_works_from_a_directory_that_is_gone(helper: Helper, aws: Loopback) -> None:
    """Docker may run the helper in a working directory that was removed meanwhile."""
    gone = helper.home / "gone"
    gone.mkdir()
    code = (
        "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]);"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    command = [sys.executable, "-c", code, str(gone), str(helper.executable), "get"]
    output = subprocess.check_output(command, input=PRIVATE.encode(), env=helper.env)
    assert json.loads(output)["Secret"] in aws.issued


@pytest.fixture
def refusing() -> Iterator[str]:
    """Return an address at which connections are refused for the length of the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def write(path: Path, text: str) -> Path:
    """Write a file for a test, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path

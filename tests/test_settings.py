"""The settings file: which identity asks for which registry, names of one's own, mistakes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.settings import target_of
from tests.aws.test_sources import HOST, NAME, NOT_FOUND, PULL, in_words, plain, write_aws
from tests.loopback import ACCOUNT, USER_ARN, Loopback, session_arn
from tests.support import needs
from tests.support.entries import entry_files
from tests.support.helper import Helper

OTHER_ACCOUNT = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"
OWN = "images.example.com"
ALICE, BOB = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("alice", "bob"))
OWN_LINES = ("[[registry]]", f'match = "{OWN}"', f'registry = "{HOST}"')


def settings(helper: Helper, *lines: str) -> Path:
    """Write the settings file, and return its path."""
    path = helper.home / "settings.toml"
    path.write_text("\n".join(lines) + "\n")
    helper.env["AWS_ECR_CONFIG_FILE"] = str(path)
    return path


def profiles(helper: Helper, aws: Loopback) -> None:
    """Declare the profiles alice and bob."""
    lines = []
    for number, arn in enumerate((ALICE, BOB)):
        key, secret = f"AKIA{number:016}", f"canary-secret-{number}"
        aws.add_user(key, secret, arn)
        lines += [f"[profile {arn.rpartition('/')[2]}]", f"aws_access_key_id = {key}"]
        lines += [f"aws_secret_access_key = {secret}"]
    write_aws(helper, "config", *lines)


def askers(aws: Loopback) -> list[str | None]:
    """Return who asked ECR, call by call."""
    return [call.principal for call in aws.calls if call.service == "ecr"]


# Whom to ask


def test_the_first_match_wins(helper: Helper, aws: Loopback) -> None:
    """Of the entries that fit a host the first one decides, and the others do not add to it."""
    profiles(helper, aws)
    settings(
        helper,
        "[[registry]]",
        f'match = "{OTHER_ACCOUNT}"',
        'profile = "bob"',
        "[[registry]]",
        'match = "*.dkr.ecr.*.amazonaws.com"',
        'profile = "alice"',
        "[[registry]]",
        f'match = "{HOST}"',
        'profile = "bob"',
        f'role_arn = "{PULL}"',
    )
    for host in (HOST, OTHER_ACCOUNT):
        assert helper.get(host).status == 0
    assert askers(aws) == [ALICE, BOB]


def test_a_profile_beats_the_environment(helper: Helper, aws: Loopback) -> None:
    """A matching entry's profile goes before AWS_PROFILE and before the keys in the environment."""
    profiles(helper, aws)
    settings(helper, "[[registry]]", f'match = "{HOST}"', 'profile = "alice"')
    helper.env["AWS_PROFILE"] = "bob"
    other = HOST.replace("eu-west-1", "us-west-2")
    assert [helper.get(host).status for host in (HOST, other)] == [0, 0]
    assert askers(aws) == [ALICE, USER_ARN]


@pytest.mark.parametrize(
    ("pattern", "profile"),
    [
        (HOST, "p"),
        (HOST.upper(), "p"),
        ("1111????3333.dkr.ecr.*.amazonaws.com", "p"),
        ("*", "p"),
        ("[0-9]*.dkr.ecr.eu-*", "p"),
        (HOST[:-1], ""),
        ("*.dkr.ecr.us-*", ""),
    ],
)
def test_patterns_are_the_shells(pattern: str, profile: str, settings_file: Path) -> None:
    """A pattern is matched against the whole host, in any case."""
    settings_file.write_text(f'[[registry]]\nmatch = "{pattern}"\nprofile = "p"\n')
    target = target_of(HOST)
    assert target is not None
    assert target.profile == profile


def test_the_role_reaches_sts(helper: Helper, aws: Loopback) -> None:
    """The role is assumed as the entry's profile, with all that the entry says of the role."""
    profiles(helper, aws)
    aws.add_role(PULL, external_id="over-there")
    settings(
        helper,
        "[[registry]]",
        'match = "*"',
        'profile = "alice"',
        f'role_arn = "{PULL}"',
        'external_id = "over-there"',
        'role_session_name = "ci"',
        "duration_seconds = 900",
    )
    assert helper.get(HOST).status == 0
    (assumed,) = (call for call in aws.calls if call.service == "sts")
    assert assumed.principal == ALICE
    assert {key: assumed.body[key] for key in assumed.body if key not in ("Action", "Version")} == {
        "RoleArn": PULL,
        "ExternalId": "over-there",
        "RoleSessionName": "ci",
        "DurationSeconds": "900",
    }
    assert askers(aws) == [session_arn(PULL, "ci")]


def test_a_role_has_defaults(helper: Helper, aws: Loopback) -> None:
    """A role alone is assumed under the helper's name, with nothing that was not asked for."""
    aws.add_role(PULL)
    settings(helper, "[[registry]]", 'match = "*"', f'role_arn = "{PULL}"')
    assert helper.get(HOST).status == 0
    (assumed,) = (call for call in aws.calls if call.service == "sts")
    assert assumed.principal == USER_ARN
    assert set(assumed.body) == {"Action", "Version", "RoleArn", "RoleSessionName"}
    assert askers(aws) == [session_arn(PULL, "ecr-credential-helper")]


def test_two_profiles_never_share_a_token(helper: Helper, aws: Loopback) -> None:
    """Two registries of one region under two profiles each have a token of their own, kept."""
    profiles(helper, aws)
    settings(
        helper,
        "[[registry]]",
        f'match = "{HOST}"',
        'profile = "alice"',
        "[[registry]]",
        f'match = "{OTHER_ACCOUNT}"',
        'profile = "bob"',
    )
    for _ in range(2):
        for host, owner in ((HOST, ALICE), (OTHER_ACCOUNT, BOB)):
            token = helper.get(host).answer["Secret"]
            assert aws.issued[token].principal == owner
    assert askers(aws) == [ALICE, BOB]


def test_one_identity_shares_its_token(helper: Helper, aws: Loopback) -> None:
    """Two registries of one region under one profile are served by one call."""
    profiles(helper, aws)
    settings(helper, "[[registry]]", 'match = "*"', 'profile = "alice"')
    tokens = {helper.get(host).answer["Secret"] for host in (HOST, OTHER_ACCOUNT)}
    assert len(tokens) == 1
    assert askers(aws) == [ALICE]


def test_a_changed_file_is_a_new_identity(helper: Helper, aws: Loopback) -> None:
    """A token that was kept before the settings file changed is not used after it."""
    profiles(helper, aws)
    assert helper.get(HOST).status == 0
    for profile in ("alice", "bob"):
        settings(helper, "[[registry]]", 'match = "*"', f'profile = "{profile}"')
        for _ in range(2):
            assert helper.get(HOST).status == 0
    assert askers(aws) == [USER_ARN, ALICE, BOB]


def test_no_cache_keeps_nothing(helper: Helper, aws: Loopback) -> None:
    """With cache = false a token is asked for each time, and nothing is left on the disk."""
    settings(helper, "[[registry]]", f'match = "{HOST}"', "cache = false")
    before = helper.files()
    for _ in range(2):
        assert helper.get(HOST).status == 0
    token = next(iter(aws.issued))
    assert helper.store(HOST, "AWS", token).status == 0
    assert len(askers(aws)) == 2
    assert helper.files() == before
    assert helper.run("list").out == "{}\n"


# A name of one's own


def test_a_name_of_ones_own(helper: Helper, aws: Loopback) -> None:
    """A name in front of ECR is answered as it was asked, kept, listed, and erased."""
    settings(helper, *OWN_LINES)
    url = f"https://{OWN.title()}:443/team/app"
    answer = helper.get(url).answer
    assert answer["ServerURL"] == url
    assert aws.accepts(HOST, "AWS", answer["Secret"])
    assert helper.get(OWN).answer == {**answer, "ServerURL": OWN}
    assert helper.run("list").out == f'{{"https://{OWN}":"AWS"}}\n'
    assert len(askers(aws)) == 1
    assert helper.run("erase", stdin=url.encode()).status == 0
    assert helper.run("list").out == "{}\n"
    assert helper.get(OWN).status == 0
    assert len(askers(aws)) == 2


def test_a_login_to_a_name_of_ones_own_is_kept(helper: Helper, aws: Loopback) -> None:
    """A docker login to a name of one's own is served from the cache without any call."""
    settings(helper, *OWN_LINES)
    token, _ = aws.issue_token(USER_ARN, "eu-west-1", "ecr")
    result = helper.store(OWN, "AWS", token)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert helper.get(OWN).answer == {"ServerURL": OWN, "Username": "AWS", "Secret": token}
    assert not aws.calls


def test_a_name_of_ones_own_has_an_identity(helper: Helper, aws: Loopback) -> None:
    """The identity of a name's entry is its own, not that of an entry for the registry behind."""
    profiles(helper, aws)
    lines = ("[[registry]]", f'match = "{HOST}"', 'profile = "alice"', *OWN_LINES)
    settings(helper, *lines, 'profile = "bob"')
    assert [helper.get(host).status for host in (OWN, HOST)] == [0, 0]
    assert askers(aws) == [BOB, ALICE]


def test_names_by_pattern(helper: Helper, aws: Loopback) -> None:
    """A pattern gives each host that fits it a token, of the registry's own endpoint and region."""
    public = ("[[registry]]", 'match = "mirror.*"', 'registry = "public.ecr.aws"')
    settings(helper, *public, *OWN_LINES[:1], 'match = "*.example.com"', f'registry = "{HOST}"')
    for host in ("a.example.com", "b.example.com", "mirror.example.com"):
        assert helper.get(host).answer["ServerURL"] == host
    assert [(call.service, call.region) for call in aws.calls] == [
        ("ecr", "eu-west-1"),
        ("ecr-public", "us-east-1"),
    ]


def test_other_hosts_stay_other_hosts(helper: Helper, aws: Loopback) -> None:
    """A host that is not ECR gets no token by a pattern alone, without a registry behind it."""
    settings(helper, "[[registry]]", 'match = "*"', 'profile = "nobody"')
    result = helper.get("docker.io")
    assert (result.status, result.out, result.err) == (1, f"{NOT_FOUND}\n", "")
    assert not aws.calls


# Where the file is


USUAL = "Library/Application Support" if sys.platform == "darwin" else ".config"


@pytest.mark.needs("POSIX")
@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"AWS_ECR_CONFIG_FILE": "~/my.toml"}, "my.toml"),
        ({"XDG_CONFIG_HOME": "{home}/xdg"}, "xdg/ecr-credential-helper/config.toml"),
        ({"XDG_CONFIG_HOME": "relative"}, f"{USUAL}/ecr-credential-helper/config.toml"),
        ({"AWS_ECR_CONFIG_FILE": ""}, f"{USUAL}/ecr-credential-helper/config.toml"),
        ({}, f"{USUAL}/ecr-credential-helper/config.toml"),
    ],
    ids=str,
)
def test_where_the_file_is(
    variables: dict[str, str], place: str, helper: Helper, aws: Loopback
) -> None:
    """AWS_ECR_CONFIG_FILE names the file, else it is in the user's configuration directory."""
    profiles(helper, aws)
    path = helper.home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[[registry]]\nmatch = "*"\nprofile = "alice"\n')
    helper.env |= {name: value.format(home=helper.home) for name, value in variables.items()}
    assert helper.get(HOST).status == 0
    assert askers(aws) == [ALICE]


def test_a_missing_file_is_no_mistake(helper: Helper, aws: Loopback) -> None:
    """There need not be a settings file, even where the variable names one."""
    helper.env["AWS_ECR_CONFIG_FILE"] = str(helper.home / "none.toml")
    assert helper.get(HOST).status == 0
    assert askers(aws) == [USER_ARN]


# Mistakes


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a settings file that this very process reads."""
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("AWS_ECR_CONFIG_FILE", str(path))
    return path


KEYS = "match, registry, profile, role_arn, external_id, role_session_name, duration_seconds, cache"
FINE = '[[registry]]\nmatch = "*"\n'
SECOND = "FILE: [[registry]] number 2:"
VALUE = "correct its value"
ROLE_LINE = f'role_arn = "{PULL}"\n'

MISTAKES: list[tuple[str, str, str]] = [
    ("colour = 1", "FILE: unknown key 'colour'", "the only table is [[registry]]"),
    ("[cache]", "FILE: unknown key 'cache'", "the only table is [[registry]]"),
    ("[registry]", "FILE: [registry] is not an array", "write it [[registry]]"),
    ("registry = 1", "FILE: [registry] is not an array", "write it [[registry]]"),
    ("registry = [1]", "FILE: [[registry]] number 1: not a table", "write it [[registry]]"),
    (f"{FINE}{FINE}colour = 1", f"{SECOND} unknown key 'colour'", f"the keys are {KEYS}"),
    (f'{FINE}{FINE}"a\\nb" = 1', rf"{SECOND} unknown key 'a\nb'", f"the keys are {KEYS}"),
    (
        f'{FINE}[[registry]]\nprofile = "p"',
        f'{SECOND} key "match" is missing',
        "say which hosts the entry is for",
    ),
    (f"{FINE}{FINE}profile = 1", f'{SECOND} key "profile" is not a text in quotes', VALUE),
    (f"{FINE}[[registry]]\nmatch = []", f'{SECOND} key "match" is not a text in quotes', VALUE),
    (f'{FINE}{FINE}cache = "no"', f'{SECOND} key "cache" is not true or false', VALUE),
    (f"{FINE}{FINE}cache = 0", f'{SECOND} key "cache" is not true or false', VALUE),
    (
        f'{FINE}{FINE}{ROLE_LINE}duration_seconds = "900"',
        f'{SECOND} key "duration_seconds" is not a whole number',
        VALUE,
    ),
    (
        f"{FINE}{FINE}{ROLE_LINE}duration_seconds = true",
        f'{SECOND} key "duration_seconds" is not a whole number',
        VALUE,
    ),
    *(
        (
            f'{FINE}[[registry]]\nmatch = "{pattern}"',
            f'{SECOND} key "match" is no pattern of a host',
            "no scheme, port or path",
        )
        for pattern in ("", f"https://{OWN}", f"{OWN}:443", f"{OWN}/app")
    ),
    *(
        (
            f'{FINE}{FINE}registry = "{registry}"',
            f'{SECOND} key "registry" names no ECR host',
            "name the ECR host behind yours",
        )
        for registry in ("", "docker.io", OWN, f"{HOST}.example.com", "a b")
    ),
    *(
        (
            f'{FINE}{FINE}role_arn = "{arn}"',
            f'{SECOND} key "role_arn" is no ARN of a role',
            "see `aws iam list-roles`",
        )
        for arn in ("", "pull", USER_ARN, f"{PULL}\\n")
    ),
    *(
        (
            f"{FINE}{FINE}{key} = {value}",
            f'{SECOND} key "{key}" without "role_arn"',
            "name the role, too",
        )
        for key, value in (
            ("external_id", '"x"'),
            ("role_session_name", '"x"'),
            ("duration_seconds", 900),
        )
    ),
    *(
        (
            f"{FINE}{FINE}{ROLE_LINE}duration_seconds = {seconds}",
            f'{SECOND} key "duration_seconds" is out of range',
            "from 900 to 43200",
        )
        for seconds in (-1, 0, 899, 43201)
    ),
    *(
        (
            f'{FINE}{FINE}{ROLE_LINE}{key} = "{value}"',
            f'{SECOND} key "{key}" has a value that AWS does not take',
            VALUE,
        )
        for key, value in (
            ("role_session_name", ""),
            ("role_session_name", "x"),
            ("role_session_name", "a b"),
            ("role_session_name", "a/b"),
            ("role_session_name", "é" * 3),
            ("role_session_name", "x" * 65),
            ("external_id", ""),
            ("external_id", "a b"),
            ("external_id", "x" * 1225),
        )
    ),
    (
        f"{FINE}profile = alice",
        "FILE: not TOML: Invalid value (at line 3, column 11)",
        "correct the settings file",
    ),
    (
        f'{FINE}match = "*"\n',
        "FILE: not TOML: Cannot overwrite a value (at line 3, column 12)",
        "correct the settings file",
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES)
@pytest.mark.parametrize("host", [HOST, OWN])
def test_a_mistake_is_named_with_its_place(
    host: str, text: str, message: str, hint: str, settings_file: Path
) -> None:
    """Each mistake is told with file, table or line, and key, whichever host is asked for."""
    settings_file.write_text(text, encoding="utf-8")
    with pytest.raises(HelperError) as caught:
        target_of(host)
    assert caught.value.message.replace(str(settings_file), "FILE") == message
    assert caught.value.hint == f"in the settings file: {hint}"


@pytest.mark.parametrize("seconds", [900, 43200])
def test_the_ends_of_ranges_are_fine(seconds: int, settings_file: Path) -> None:
    """The shortest and the longest session, and the longest texts that AWS takes, are taken."""
    name, external_id = "x" * 64, "x" * 1224
    settings_file.write_text(
        f'{FINE}{ROLE_LINE}duration_seconds = {seconds}\nrole_session_name = "{name}"\n'
        f'external_id = "{external_id}"\n'
    )
    target = target_of(HOST)
    assert target is not None
    assert target.role is not None
    assert target.role.parameters == {
        "RoleArn": PULL,
        "RoleSessionName": name,
        "ExternalId": external_id,
        "DurationSeconds": seconds,
    }


def not_utf8(path: Path) -> None:
    """Write what is not UTF-8."""
    path.write_bytes(b'[[registry]]\nmatch = "\xff"\n')


def a_loop(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path)


NO_FILE = "Is a directory" if os.name == "posix" else "Permission denied"
UNREADABLE = [
    (Path.mkdir, NO_FILE, "make the file readable"),
    pytest.param(
        *(a_loop, "Too many levels of symbolic links", "make the file readable"),
        marks=pytest.mark.needs("POSIX"),
    ),
    (
        not_utf8,
        "not TOML: 'utf-8' codec can't decode byte 0xff in position 22: invalid start byte",
        "correct the settings file",
    ),
]


@pytest.mark.parametrize(("make", "what", "hint"), UNREADABLE, ids=lambda value: str(value)[:20])
def test_a_file_that_cannot_be_read_is_told(
    make: Callable[[Path], None], what: str, hint: str, helper: Helper, aws: Loopback
) -> None:
    """What is there and cannot be read is not taken for no settings."""
    path = helper.home / "settings.toml"
    make(path)
    helper.env["AWS_ECR_CONFIG_FILE"] = str(path)
    result = helper.get(HOST)
    assert result.status == 1
    words = in_words(f"HOME/settings.toml: {what}", f"in the settings file: {hint}")
    assert plain(result, helper, aws) == words
    assert not aws.calls


@pytest.mark.needs("POSIX")
def test_a_file_without_permission_is_told(helper: Helper, aws: Loopback) -> None:
    """A settings file that its reader may not read is told, with its path."""
    path = settings(helper, 'profile = "x"')
    path.chmod(0)
    if os.geteuid() == 0:  # root reads all, unless it gives that up
        setpriv = needs.installed("setpriv")
        wrapper = helper.home / NAME
        bounded = f"{setpriv} --bounding-set=-dac_override,-dac_read_search"
        wrapper.write_text(f'#!/bin/sh\nexec {bounded} {helper.executable} "$@"\n')
        wrapper.chmod(0o700)
        helper.executable = wrapper
    result = helper.get(HOST)
    words = in_words(
        "HOME/settings.toml: Permission denied", "in the settings file: make the file readable"
    )
    assert plain(result, helper, aws) == words


def test_a_mistake_is_one_line_for_docker(helper: Helper, aws: Loopback) -> None:
    """Through the executable a mistake is one line on stdout and one on stderr, and no call."""
    settings(helper, "[[registry]]", 'match = "*"', "colour = 1")
    result = helper.get(HOST)
    words = in_words(
        "HOME/settings.toml: [[registry]] number 1: unknown key 'colour'",
        f"in the settings file: the keys are {KEYS}",
    )
    assert (result.status, plain(result, helper, aws)) == (1, words)
    assert not aws.calls


def test_a_mistake_leaves_the_other_verbs_alone(helper: Helper, aws: Loopback) -> None:
    """With a broken settings file list, erase and version still do what they are for."""
    path = settings(helper, "")
    assert helper.get(HOST).status == 0
    path.write_text("broken\n")
    listed, version = helper.run("list"), helper.run("version")
    assert (listed.status, listed.out, listed.err) == (0, "{}\n", "")
    assert (version.status, version.err) == (0, "")
    erased = helper.run("erase", stdin=HOST.encode())
    assert (erased.status, erased.out) == (0, "")
    assert plain(erased, helper, aws)[1] == (
        f"{NAME}: HOME/settings.toml: not TOML: Expected '=' after a key in a key/value pair "
        "(at line 1, column 7)\n"
    )
    assert not entry_files(helper.cache)


def test_a_mistake_does_not_stop_other_registries(helper: Helper, aws: Loopback) -> None:
    """A host that is no ECR by its name goes on anonymously, and the mistake is told on stderr."""
    settings(helper, "broken")
    result = helper.get("docker.io")
    out, err = plain(result, helper, aws)
    assert (result.status, out) == (1, "credentials not found in native keychain\n")
    assert "HOME/settings.toml: not TOML:" in err


def test_a_mistake_is_told_by_store(helper: Helper, aws: Loopback) -> None:
    """A login that the settings file might be about is not kept while the file is broken."""
    settings(helper, "broken")
    token, _ = aws.issue_token(USER_ARN, "eu-west-1", "ecr")
    result = helper.store(HOST, "AWS", token)
    assert result.status == 1
    assert plain(result, helper, aws)[0].startswith(f"{NAME}: HOME/settings.toml: not TOML:")
    assert not helper.cache.exists()

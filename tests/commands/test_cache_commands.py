"""status, warm and clear: the cache as a person sees it and looks after it."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from ecr_credential_helper.commands import screen
from ecr_credential_helper.tokens import identity
from ecr_credential_helper.tokens.cache import Cache, Entry, Key
from tests.e2e.rig import OTHER, PRIVATE
from tests.loopback import USER_KEY, Fault, Loopback, role_arn_of
from tests.support import needs
from tests.support.entries import until
from tests.support.helper import Helper, Result, assert_no_secret, end
from tests.support.terminal import on_a_terminal, without_colour

PUBLIC = "public.ecr.aws"
SAME_REGION = "444455556666.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _lives(aws: Loopback) -> None:
    """Give tokens a lifetime whose wording stays the same for half a minute."""
    aws.token_life = 42990.0


def status_of(helper: Helper, **env: str | None) -> dict[str, dict[str, Any]]:
    """Return the rows of `status --json` by their subject."""
    result = helper.run("status", "--json", env=env)
    assert (result.status, result.stderr) == (0, b"")
    return {row["subject"]: row for row in result.answer["entries"]}


def keep(
    helper: Helper, subject: str, *, issued: float, expires: float, token: str = "a-token"
) -> None:
    """Put an entry into the cache, for the identity that an earlier `get` kept its own under."""
    cache = Cache(str(helper.cache))
    _, same, _ = next(row for row in cache.entries() if row[0].subject == PRIVATE)
    cache.save(Key(subject, same), Entry(int(issued), int(expires), "sso", token))


# status


def test_an_empty_cache_is_said_to_be_empty(helper: Helper) -> None:
    """With no cache yet, `status` creates nothing."""
    result = helper.run("status")
    assert (result.out, result.err, result.status) == (f"{helper.cache}\n  empty\n", "", 0)
    assert helper.run("status", "--json").answer == {"cache": str(helper.cache), "entries": []}
    assert helper.files() == []


def test_status_shows_what_is_at_hand_and_for_whom(helper: Helper, aws: Loopback) -> None:
    """One row for a token, never the token, and at most the end of an access key."""
    helper.get(PRIVATE)
    helper.get(SAME_REGION)  # is answered with the same token
    helper.get(OTHER, env={"AWS_ROLE_SESSION_NAME": "another"})
    calls = len(aws.calls)
    result = helper.run("status")
    assert result.out == (
        f"{helper.cache}\n"
        "  registry                                      state  left         identity\n"
        f"* {PRIVATE}  good   11 h 56 min  access key ...MPLE (env)\n"
        f"* {SAME_REGION}\n"
        f"  {OTHER}  good   11 h 56 min  access key ...MPLE (env)\n"
        "\n* is what `get` answers with under the present AWS settings\n"
    )
    assert_no_secret(result, aws)
    assert USER_KEY not in result.out
    assert len(aws.calls) == calls


def test_the_json_of_status_has_a_stable_shape(helper: Helper, aws: Loopback) -> None:
    """Scripts read it: times are epoch seconds."""
    before = int(time.time())
    helper.get(PRIVATE)
    row = status_of(helper)[PRIVATE]
    assert before <= row.pop("issued") <= time.time()
    assert before + 42900 < row.pop("expires") <= time.time() + 43001
    assert 42900 < row.pop("seconds_left") <= 43001
    assert row == {
        "subject": PRIVATE,
        "kind": "registry",
        "who": "access key ...MPLE",
        "source": "env",
        "state": "fresh",
        "current": True,
    }
    assert aws.count("ecr") == 1


def test_each_stage_of_a_life_has_a_name(helper: Helper) -> None:
    """As `get` sees it."""
    helper.get(PRIVATE)
    now, hour = time.time(), 3600
    lives = {"fresh": (1, 11), "aging": (8, 4), "late": (11, 1), "expired": (13, -1)}
    for state, (past, left) in lives.items():
        keep(helper, f"{state}.example.com", issued=now - past * hour, expires=now + left * hour)
    rows = status_of(helper)
    assert {state: rows[f"{state}.example.com"]["state"] for state in lives} == {
        state: state for state in lives
    }
    assert not rows["expired.example.com"]["current"]
    assert rows["expired.example.com"]["seconds_left"] == 0


def test_each_stage_of_a_life_is_said_in_a_persons_words(helper: Helper) -> None:
    """What it means for the next pull; and a token that no host has asked for yet."""
    helper.get(PRIVATE)
    now, hour = time.time(), 3600
    lives = {"young": (1, 11), "old": (8, 4), "older": (11, 1), "gone": (13, -1)}
    for name, (past, left) in lives.items():
        host, token = f"{name}.example.com", f"token-{name}"
        keep(helper, host, issued=now - past * hour, expires=now + left * hour, token=token)
    assert helper.run("clear", PRIVATE).status == 0
    helper.run("get-login-password", "--region", "eu-west-1")
    lines = [re.split(r"  +", line.strip()) for line in helper.run("status").out.splitlines()]
    who = "access key ...MPLE (sso)"
    assert lines[2:-2] == [
        ["* any in eu-west-1 (ecr)", "good", "11 h 56 min", "access key ...MPLE (env)"],
        ["gone.example.com", "expired", who],
        ["* old.example.com", "good, being renewed", "3 h 59 min", who],
        ["* older.example.com", "about to expire", "59 min", who],
        ["* young.example.com", "good", "10 h 59 min", who],
    ]


def test_the_tokens_of_another_identity_are_told_apart(helper: Helper) -> None:
    """They are shown, and said not to be what `get` answers with."""
    helper.get(PRIVATE)
    rows = status_of(helper, AWS_PROFILE="another")
    assert [row["current"] for row in rows.values()] == [False, False]
    assert "* " not in helper.run("status", env={"AWS_PROFILE": "another"}).out


def test_what_the_settings_file_chooses_is_shown(helper: Helper, aws: Loopback) -> None:
    """A region's token is kept for the profile and the role that were asked for it."""
    role = role_arn_of("pull")
    aws.add_role(role, external_id="not-to-be-shown")
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text("[profile prod]\nregion = eu-west-1\n")
    keys = {name: helper.env.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    lines = "".join(f"{name.lower()} = {value}\n" for name, value in keys.items())
    (helper.home / ".aws" / "credentials").write_text(f"[prod]\n{lines}")
    settings = helper.home / "settings.toml"
    settings.write_text(
        f'[[registry]]\nmatch = "*"\nprofile = "prod"\nrole_arn = "{role}"\n'
        'external_id = "not-to-be-shown"\n'
    )
    helper.env["AWS_ECR_CONFIG_FILE"] = str(settings)
    assert helper.get(PRIVATE).status == 0
    rows = status_of(helper)
    assert rows["ecr_eu-west-1"]["who"] == f"profile prod of the settings file, role {role}"
    assert rows["ecr_eu-west-1"]["current"]
    assert "not-to-be-shown" not in json.dumps(rows)


def test_a_search_that_found_nothing_is_shown(helper: Helper) -> None:
    """It is why the next `get` fails at once."""
    env: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    helper.get(PRIVATE, env=env)
    assert status_of(helper, **env)["no_credentials"]["current"]
    shown = helper.run("status", env=env).out
    assert re.search(r"\n\* any +no AWS credentials were found  \d+ s\n", shown)


@pytest.mark.parametrize(
    "damage",
    [
        *("cut", "swapped", "foreign name"),
        *(pytest.param(name, marks=pytest.mark.needs("POSIX")) for name in ("wide", "linked")),
    ],
)
def test_what_get_would_not_use_is_not_shown(helper: Helper, damage: str) -> None:
    """Damaged, renamed, readable by others, behind a link: no entry."""
    helper.get(PRIVATE)
    path = next(path for path in helper.cache.iterdir() if path.name.startswith(PRIVATE))
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-9])
    elif damage == "swapped":
        path.write_bytes(data.replace(b"source env", b"source sso"))
    elif damage == "wide":
        path.chmod(0o644)
    elif damage == "foreign name":
        path.rename(path.with_name(path.name.replace("1111", "9999")))
    else:
        path.rename(helper.home / "elsewhere")
        path.symlink_to(helper.home / "elsewhere")
    assert list(status_of(helper)) == ["ecr_eu-west-1"]


def test_a_cache_that_is_not_used_is_said_so(helper: Helper) -> None:
    """Because it is off, or because others may enter it."""
    assert "no cache is used" in helper.run("status", env={"AWS_ECR_DISABLE_CACHE": "1"}).out
    off = helper.run("status", "--json", env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert off.answer == {"cache": None, "entries": []}
    needs.check("POSIX")
    helper.cache.mkdir(mode=0o755)
    result = helper.run("status")
    assert (result.status, result.stdout) == (1, b"")
    assert "other users may enter it (chmod 700 fixes that)" in result.err


# clear


def test_clear_drops_everything(helper: Helper, aws: Loopback) -> None:
    """Of all identities, and what a killed process left; nothing that is not ours."""
    helper.get(PRIVATE)
    helper.get(OTHER, env={"AWS_PROFILE": None, "AWS_ROLE_SESSION_NAME": "other"})
    names = sorted(path.name for path in helper.cache.iterdir())
    (helper.cache / f"{names[0]}.0123456789abcdef.tmp").write_text("half a token")
    (helper.cache / "somebody.else").write_text("")
    result = helper.run("clear")
    assert (result.out, result.status) == (f"cleared 4 entries in {helper.cache}\n", 0)
    assert [path.name for path in helper.cache.iterdir()] == ["somebody.else"]
    assert helper.run("clear").out == f"cleared 0 entries in {helper.cache}\n"
    helper.get(PRIVATE)
    assert aws.count("ecr") == 3


def test_clear_of_a_host_leaves_the_others(helper: Helper, aws: Loopback) -> None:
    """Its region's token goes too, for it would answer the next `get`."""
    helper.get(PRIVATE)
    helper.get(OTHER)
    assert helper.run("clear", f"https://{PRIVATE}").status == 0
    assert list(status_of(helper)) == [OTHER, "ecr_us-east-1"]
    helper.get(PRIVATE)
    assert aws.count("ecr") == 3


def test_clear_works_on_a_cache_that_is_off(helper: Helper) -> None:
    """Whoever turns the cache off wants no token left on disk."""
    helper.get(PRIVATE)
    assert helper.run("clear", env={"AWS_ECR_DISABLE_CACHE": "1"}).status == 0
    assert list(helper.cache.iterdir()) == []


@pytest.mark.needs("POSIX")
def test_clear_says_what_it_cannot_do(helper: Helper) -> None:
    """No cache is fine; one that is not ours alone, or a host that is none, is not."""
    assert helper.run("clear").status == 0
    wrong = helper.run("clear", "docker.io")
    assert (wrong.status, wrong.stdout) == (1, b"")
    assert "'docker.io' is no host of Amazon ECR" in wrong.err
    helper.cache.mkdir(mode=0o755)
    refused = helper.run("clear")
    assert (refused.status, refused.stdout) == (1, b"")
    assert "cannot clear" in refused.err


# warm


def test_warm_fetches_what_the_next_get_answers_with(helper: Helper, aws: Loopback) -> None:
    """One call a region; a second warm makes none."""
    result = helper.run("warm", PRIVATE, SAME_REGION, OTHER, PUBLIC)
    hosts = (PRIVATE, SAME_REGION, OTHER, PUBLIC)
    assert result.out.splitlines() == [
        "registry                                      token",
        *(f"{host:44}  good for 11 h 56 min" for host in hosts),
    ]
    assert (result.err, result.status) == ("", 0)
    assert (aws.count("ecr"), aws.count("ecr-public")) == (2, 1)
    calls = len(aws.calls)
    assert helper.run("warm", *hosts).status == 0
    assert all(helper.get(host).status == 0 for host in hosts)
    assert len(aws.calls) == calls


def test_warm_asks_for_many_at_once(helper: Helper, aws: Loopback) -> None:
    """The second and the third region are asked while the first has yet to answer."""
    aws.faults["ecr"] = Fault("hang")
    hosts = [f"111122223333.dkr.ecr.eu-west-{number}.amazonaws.com" for number in (1, 2, 3)]
    with helper.popen("warm", *hosts, env={"AWS_ECR_TIMEOUT": "300"}) as process:
        try:
            until(lambda: {call.region for call in aws.calls} >= {host[21:30] for host in hosts})
        finally:
            end(process)


def test_warm_goes_on_past_a_failure(helper: Helper, aws: Loopback) -> None:
    """Below the table each failure has its cause and its hint; the exit status is 1."""
    aws.faults["ecr-public"] = Fault("denied")
    result = helper.run("warm", "docker.io", PUBLIC, PRIVATE)
    assert (result.status, result.stderr) == (1, b"")
    lines = result.out.splitlines()
    assert lines[1:4] == [
        f"{'docker.io':44}  failed",
        f"{PUBLIC:44}  failed",
        f"{PRIVATE}  good for 11 h 56 min",
    ]
    assert lines[4:6] == ["", "docker.io: 'docker.io' is no host of Amazon ECR"]
    assert f"\n\n{PUBLIC}: ecr-public:GetAuthorizationToken" in result.out
    assert "\n  hint: allow ecr-public:GetAuthorizationToken and" in result.out
    assert max(map(len, lines)) <= 80
    assert_no_secret(result, aws)


def test_the_json_of_warm_has_a_stable_shape(helper: Helper, aws: Loopback) -> None:
    """Message and hint are those of `get`, each once."""
    aws.faults["ecr"] = Fault("denied", times=1)
    result = helper.run("warm", "--json", PRIVATE, PUBLIC)
    failed, warmed = json.loads(result.out)
    assert result.status == 1
    assert failed["host"] == PRIVATE
    assert failed["expires"] is None
    assert failed["message"].startswith("ecr:GetAuthorizationToken in eu-west-1 as the keys in")
    assert failed["hint"] == "allow ecr:GetAuthorizationToken to this identity in IAM"
    assert 0 < warmed.pop("expires") - time.time() <= 43001
    assert warmed == {"host": PUBLIC, "message": "", "hint": ""}


def test_warm_without_credentials_says_so(helper: Helper) -> None:
    """As `get` does."""
    env = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    result = helper.run("warm", "--json", PRIVATE, env=env)
    (failed,) = json.loads(result.out)
    assert (result.status, failed["message"]) == (1, "no AWS credentials found")
    assert "AWS" in failed["hint"]


def configured(helper: Helper, hosts: dict[str, str], *matches: str) -> None:
    """Write a config.json with these helpers, and a settings file with entries for these."""
    docker = helper.home / ".docker"
    docker.mkdir()
    (docker / "config.json").write_text(json.dumps({"credHelpers": hosts}))
    settings = helper.home / "settings.toml"
    settings.write_text("".join(f'[[registry]]\nmatch = "{match}"\n' for match in matches))
    helper.env["AWS_ECR_CONFIG_FILE"] = str(settings)


def test_warm_with_no_host_takes_all_that_docker_asks_for(helper: Helper, aws: Loopback) -> None:
    """The hosts of this helper alone, and those of the settings file that are no pattern."""
    others = {"docker.io": "pass", "123456789012.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login"}
    configured(helper, {PRIVATE: "ecr", PUBLIC: "ecr", **others}, "*.dkr.ecr.*", OTHER, PRIVATE)
    result = helper.run("warm", "--json")
    assert [row["host"] for row in json.loads(result.out)] == [PRIVATE, PUBLIC, OTHER]
    assert (result.status, result.err) == (0, "")
    calls = len(aws.calls)
    assert all(helper.get(host).status == 0 for host in (PRIVATE, PUBLIC, OTHER))
    assert len(aws.calls) == calls


def test_a_host_that_would_draw_on_the_terminal_does_not(helper: Helper) -> None:
    """It comes from config.json, which others may write for a project."""
    configured(helper, {"\x1b[2Jhost": "ecr"})
    result = helper.run("warm")
    assert (result.status, b"\x1b" in result.stdout + result.stderr) == (1, False)
    assert "host: " in result.out


def test_warm_looks_where_docker_does(helper: Helper) -> None:
    """As configure and doctor do."""
    configured(helper, {PRIVATE: "ecr"})
    (helper.home / ".docker").rename(helper.home / "elsewhere")
    elsewhere = str(helper.home / "elsewhere")
    assert PRIVATE in helper.run("warm", "--docker-config", elsewhere).out
    assert PRIVATE in helper.run("warm", env={"DOCKER_CONFIG": elsewhere}).out


def test_warm_with_nothing_to_do_says_so(helper: Helper, aws: Loopback) -> None:
    """And where there is something broken, what it is."""
    path = helper.home / ".docker" / "config.json"
    result = helper.run("warm")
    assert (result.status, result.stdout) == (1, b"")
    assert result.err == (
        f"docker-credential-ecr: {path} gives no registry to this helper\n"
        "hint: name a HOST, or run configure first\n"
    )
    (helper.home / ".docker").mkdir()
    (helper.home / ".docker" / "config.json").write_text("{")
    assert "config.json: not JSON" in helper.run("warm").err
    assert aws.calls == []


def test_warm_needs_a_cache(helper: Helper) -> None:
    """What is not kept was fetched for nothing."""
    result = helper.run("warm", PRIVATE, env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert (result.status, result.stdout) == (1, b"")
    assert "there is no cache to warm" in result.err
    settings = helper.home / "settings.toml"
    settings.write_text('[[registry]]\nmatch = "*"\ncache = false\n')
    kept = helper.run("warm", PRIVATE, env={"AWS_ECR_CONFIG_FILE": str(settings)})
    assert "the settings file says cache = false" in " ".join(kept.out.split())
    assert kept.status == 1


# On a terminal.


def test_a_terminal_sees_progress_and_colour(helper: Helper) -> None:
    """The progress is wiped away at the end."""
    result = on_a_terminal(helper, "warm", PRIVATE, PUBLIC, TERM="xterm")
    shown, wiped, end = result.out.rpartition("\x1b[2K")
    assert wiped
    assert [part for part in ("0/2", "1/2", "2/2") if part in shown] == ["0/2", "1/2", "2/2"]
    assert end == (
        "\x1b[1mregistry\x1b[0m                                      \x1b[1mtoken\x1b[0m\n"
        f"{PRIVATE}  \x1b[32mgood\x1b[0m for 11 h 56 min\n"
        f"{PUBLIC:44}  \x1b[32mgood\x1b[0m for 11 h 56 min\n"
    )


def longest_line(result: Result) -> int:
    """Return the length of the longest line that was wrapped: of words, and no command to copy."""
    lines = without_colour(result.out).splitlines()
    return max(len(line) for line in lines if len(line.split()) > 1 and "fix: " not in line)


def store_of_the_peer(helper: Helper) -> None:
    """Have doctor find what it has a sentence of 200 characters for."""
    (helper.home / ".docker").mkdir()
    (helper.home / ".docker" / "config.json").write_text('{"credsStore": "ecr-login"}')


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_what_is_shown_is_as_wide_as_the_terminal(helper: Helper, columns: int) -> None:
    """No wider, and a long sentence fills it."""
    store_of_the_peer(helper)
    shown = longest_line(on_a_terminal(helper, "doctor", columns=columns, TERM="xterm"))
    assert columns - 20 < shown <= columns


def test_a_width_that_is_asked_for_goes_first(helper: Helper) -> None:
    """COLUMNS, as in the help texts; where nothing says a width it is 80 columns."""
    store_of_the_peer(helper)
    assert 80 < longest_line(on_a_terminal(helper, "doctor", COLUMNS="120")) <= 120
    assert 60 < longest_line(on_a_terminal(helper, "doctor", columns=0, COLUMNS="")) <= 80
    assert 60 < longest_line(helper.run("doctor", env={"COLUMNS": "0"})) <= 80
    assert 80 < longest_line(helper.run("doctor", env={"COLUMNS": "120"})) <= 120


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_turned_off(helper: Helper, env: dict[str, str]) -> None:
    """By the usual variable, and by the terminal."""
    assert "\x1b[3" not in on_a_terminal(helper, "warm", PRIVATE, columns=80, **env).out


def test_an_empty_no_color_counts_as_unset(helper: Helper) -> None:
    """As https://no-color.org says."""
    assert "\x1b[32m" in on_a_terminal(helper, "warm", PRIVATE, TERM="xterm", NO_COLOR="").out


@pytest.mark.needs("terminal")
@pytest.mark.parametrize("verb", ["get", "erase"])
def test_a_person_who_runs_a_verb_by_hand_is_told_what_it_waits_for(
    helper: Helper, verb: str
) -> None:
    """Else it seems to hang."""
    import pty

    ours, theirs = pty.openpty()
    with helper.popen(verb, stdin=theirs) as process:
        os.close(theirs)
        assert process.stderr
        told = process.stderr.readline()
        assert told.startswith(b"docker-credential-ecr: type the host of a registry, then ")
        os.write(ours, f"{PRIVATE}\n\x04".encode())
        assert process.wait(60) == 0
    os.close(ours)


def test_a_program_is_told_nothing(helper: Helper) -> None:
    """Docker's stderr is the user's terminal."""
    assert helper.get(PRIVATE).err == ""


# In words.


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 00 min"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    """Never more precise than a person wants."""
    assert screen.duration(seconds) == words


def test_the_names_of_the_identity_are_those_that_status_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`status` tells whom an entry is for from the text that it was kept under."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "prod")
    assert b"\nvariable AWS_PROFILE=prod\n" in identity.current()

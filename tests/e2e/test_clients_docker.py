"""The docker CLI, new and old, with the helper as credHelpers and as credsStore."""

import json
import re

import pytest

from tests.support.clients_page import SHOWN
from tests.support.pages import TROUBLESHOOTING

from .clients import (
    HUB_KEY,
    ClientUser,
    Seed,
    assert_asked_once,
    assert_no_secret,
    encoded,
    from_image,
)
from .rig import PRIVATE

NO_CREDENTIALS = "no basic auth credentials\n"

# What Docker shows of stdout, where the helper has the cause; older versions hide it.
SAID = "error getting credentials - err: exit status 1, out: `"

pytestmark = [
    pytest.mark.usefixtures("cli"),
    pytest.mark.parametrize(
        "cli",
        ["docker", "/usr/bin/docker", "from source"],
        indirect=True,
        ids=["docker", "usr-bin-docker", "from-source"],
    ),
]


@pytest.fixture
def someone(client_user: ClientUser) -> ClientUser:
    """Give a test somebody at the docker CLI."""
    client_user.record("version", version_of(client_user))
    return client_user


def version_of(user: ClientUser) -> str:
    """Return the version of a user's docker CLI."""
    return user.docker("--version").stdout.split()[2].rstrip(",")


@pytest.mark.client("docker CLI", "pull", "push")
def test_docker_pulls_and_pushes(someone: ClientUser, seed: Seed, found: str) -> None:
    """An empty cache is filled by the pull, which leaves config.json as it was."""
    written = someone.use(found)

    pull = someone.docker("pull", seed.image)
    same = someone.image_id(seed.image) == seed.id
    someone.docker("tag", seed.image, f"{seed.image}-pushed")
    push = someone.docker("push", f"{seed.image}-pushed")
    someone.docker("rmi", seed.image, f"{seed.image}-pushed")

    assert same
    assert (pull.stderr, push.stderr) == ("", "")
    assert someone.config.read_bytes() == written
    assert_asked_once(someone, PRIVATE)
    assert_no_secret(someone, pull, push)


@pytest.mark.client("docker CLI", "pull in public, anonymous")
def test_docker_pulls_in_public_without_credentials(
    newcomer: ClientUser, public_seed: Seed, found: str
) -> None:
    """Without AWS credentials a public image is pulled all the same."""
    newcomer.use(found, public_seed.host)

    newcomer.docker("pull", public_seed.image)

    newcomer.docker("rmi", public_seed.image)
    assert newcomer.asked() == {public_seed.host}


@pytest.mark.client("docker CLI", "run")
def test_docker_runs_what_it_has_to_pull(someone: ClientUser, seed: Seed, found: str) -> None:
    """`docker run` of an image that is not there pulls it by the helper."""
    someone.use(found)

    ran = someone.docker("run", "--rm", "--network=none", seed.image)

    someone.docker("rmi", seed.image)
    assert ran.stdout.strip() == "seed"
    assert_asked_once(someone, PRIVATE)


@pytest.mark.client("docker CLI", "login")
def test_a_bare_login_asks_the_helper(someone: ClientUser, found: str) -> None:
    """`docker login HOST` takes the helper's answer, hands it back, and writes no secret."""
    someone.use(found)

    login = someone.docker("login", PRIVATE)

    assert "Login Succeeded\n" in login.stdout
    assert json.loads(someone.config.read_text())["auths"] == {PRIVATE: {}}
    assert [verb for verb, _ in someone.calls()] == ["get", "store"]
    assert_no_secret(someone, login)
    assert [path for token in someone.aws.issued for path in someone.files_with(token)] == []


@pytest.mark.client("docker CLI", "login, password piped", "logout")
def test_a_piped_login_is_kept_in_the_cache_alone_until_the_logout(
    newcomer: ClientUser, token: str, seed: Seed, found: str
) -> None:
    """Somebody without AWS credentials pulls with the token of a login, and no more after it.

    logout erases the host twice for a credHelper; four times, two of them as a URL, for a
    credsStore.
    """
    newcomer.use(found)

    login = newcomer.docker("login", "-u", "AWS", "--password-stdin", PRIVATE, stdin=token)
    config = json.loads(newcomer.config.read_text())
    cached = newcomer.cached()
    newcomer.docker("pull", seed.image)
    newcomer.docker("rmi", seed.image)
    logout = newcomer.docker("logout", PRIVATE)
    refused = newcomer.docker("pull", seed.image, check=False)

    assert (login.stdout, login.stderr) == ("Login Succeeded\n", "")
    assert config["auths"] == {PRIVATE: {}}
    assert cached == [f"https://{PRIVATE}"]
    assert newcomer.files_with(token) == newcomer.files_with(encoded(token)) == []
    assert (logout.returncode, logout.stderr, newcomer.cached()) == (0, "", [])
    forms = [PRIVATE] * 2
    forms += [f"http://{PRIVATE}", f"https://{PRIVATE}"] if found == "credsStore" else []
    assert newcomer.erased() == forms
    assert refused.returncode == 1
    assert refused.stderr.endswith(NO_CREDENTIALS)
    assert_no_secret(newcomer, login, logout, refused)


@pytest.mark.client("docker CLI", "build FROM")
def test_a_classic_build_finds_its_base_image(someone: ClientUser, seed: Seed, found: str) -> None:
    """`FROM` a private image works: with an empty cache for a credHelper, after a login for all."""
    someone.use(found)
    if found == "credsStore":
        someone.docker("login", PRIVATE)

    build = someone.docker("build", "--no-cache", "--tag", "built", from_image(someone, seed.image))

    someone.docker("rmi", "built", seed.image)
    listed = [("list", "unused"), ("get", f"https://{PRIVATE}")]
    assert someone.calls()[-2:] == listed or found == "credHelpers"
    assert someone.aws.count("ecr") == 1
    assert_no_secret(someone, build)


def test_a_classic_build_with_an_empty_store_goes_on_without(
    someone: ClientUser, seed: Seed
) -> None:
    """A credsStore lists what is at hand; where that is nothing the builder asks no further."""
    someone.use_store()

    build = someone.docker("build", from_image(someone, seed.image), check=False)

    assert build.returncode == 1
    assert build.stderr.endswith(NO_CREDENTIALS)
    assert someone.calls() == [("list", "unused")]


def test_a_login_to_docker_hub_is_refused_and_loses_nothing(someone: ClientUser) -> None:
    """With `credsStore: ecr` a Hub password is refused; what config.json had stays."""
    auths = {HUB_KEY: {"auth": encoded("before")}, "ghcr.io": {"auth": encoded("other")}}
    someone.config.write_text(json.dumps({"auths": auths, "credsStore": "ecr"}))
    written = someone.config.read_bytes()

    login = someone.docker("login", "-u", "me", "--password-stdin", stdin="hunter2", check=False)

    assert login.returncode == 1
    assert "Login Succeeded" not in login.stdout
    assert "error storing credentials - err: exit status 1" in login.stderr
    assert "this host is not ECR" in login.stderr
    assert "hint: name the helper in credHelpers for your ECR hosts" in login.stderr
    assert "hunter2" not in login.stdout + login.stderr
    assert someone.config.read_bytes() == written
    assert (someone.files_with("hunter2"), someone.cached()) == ([], [])


def test_a_login_to_docker_hub_beside_a_credhelper_is_dockers_own(someone: ClientUser) -> None:
    """With `credHelpers` a Hub login is stored as before, and the helper is not called."""
    someone.use_helper(PRIVATE)

    someone.docker("login", "-u", "me", "--password-stdin", stdin="hunter2")

    assert someone.calls() == []
    assert list(json.loads(someone.config.read_text())["auths"]) == [HUB_KEY]


def test_the_recorder_is_no_helper(someone: ClientUser, seed: Seed) -> None:
    """Without the helper the recorder gives no login, so the tests above prove the helper."""
    someone.use_helper(PRIVATE)
    recorder = someone.home / "bin" / "docker-credential-ecr"
    recorder.write_text("#!/bin/sh\nexit 1\n")

    pull = someone.docker("pull", seed.image, check=False)

    assert pull.returncode == 1
    assert pull.stderr.endswith((NO_CREDENTIALS, "out: ``\n"))


@pytest.mark.client("docker CLI", SHOWN)
def test_docker_shows_why_there_is_no_login(
    someone: ClientUser, seed: Seed, repository: str, failure: str
) -> None:
    """Push, run and pull show the cause, and since the page's versions also the helper's stdout."""
    image = f"{PRIVATE}/{repository}:1"
    someone.build(image)
    someone.use_helper(PRIVATE)
    someone.let_fail(failure)

    push = someone.docker("push", image, check=False)
    run = someone.docker("run", "--rm", "--network=none", seed.image, check=False)
    pull = someone.docker("pull", seed.image, check=False)

    someone.docker("rmi", image)
    assert (push.returncode, run.returncode, pull.returncode) == (1, 125, 1)
    cause = someone.cause()
    assert all(cause in done.stderr for done in (push, run))
    words = someone.sees(failure, pull)
    assert "CAUSE" in words
    for command, done in {"push": push, "run": run, "pull": pull}.items():
        speaks = numbers(version_of(someone)) >= shown_since()[command]
        assert (SAID in done.stderr) == (speaks and failure != "no credentials")


def numbers(version: str) -> list[int]:
    """Return the three numbers of a version."""
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def shown_since() -> dict[str, list[int]]:
    """Return the version since which each command shows what a helper says, by the page's table."""
    table = TROUBLESHOOTING.read_text().partition("\n## What Docker hides\n")[2]
    rows = re.findall(r"^\| (`docker .+`) \| ([\d.]+) \|$", table, re.MULTILINE)
    return {
        command: numbers(version)
        for commands, version in rows
        for command in re.findall(r"`docker (\w+)`", commands)
    }

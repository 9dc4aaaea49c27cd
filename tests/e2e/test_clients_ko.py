"""ko, which builds Go programs into images.

AWS's own Go helper is a part of it and is asked first. So ko comes to this helper only where that
one has no login: it finds no AWS credentials, or AWS refuses those that it finds.
"""

import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built, lacking

from .clients import ClientUser, Seed, assert_no_secret, encoded, go_module
from .rig import PRIVATE, PUBLIC, Rig

PROGRAM = 'package main\n\nfunc main() { println("built by ko") }\n'


@pytest.fixture(scope="session")
def source(rig: Rig) -> Path:
    """Write a program that needs nothing but Go itself, once for all tests."""
    directory = rig.directory / "hello"
    directory.mkdir()
    (directory / "main.go").write_text(PROGRAM)
    (directory / "go.mod").write_text("module example.com/hello\n")
    return directory


@pytest.fixture
def developer(newcomer: ClientUser, token: str, found: str) -> ClientUser:
    """Give a test somebody without AWS credentials, who logs in with a token."""
    if found == "credsStore":
        newcomer.use_store()
    else:
        newcomer.use_helper(PRIVATE, PUBLIC)
    ko(newcomer, "login", "--username=AWS", "--password-stdin", PRIVATE, stdin=token)
    return newcomer


def ko(
    user: ClientUser,
    *words: str,
    stdin: str = "",
    directory: str | Path = "/",
    check: bool = True,
) -> CompletedProcess[str]:
    """Run ko in a directory, and note its version."""
    user.record("version", go_module("github.com/google/ko"))
    program = ("env", f"--chdir={directory}", built("go", "ko"))
    done = user.run(*program, *words, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


def build(
    user: ClientUser, source: Path, base: str, repository: str, *, check: bool = True
) -> CompletedProcess[str]:
    """Build the program upon a base image and push it; what Go compiled is there for the next."""
    go = shutil.which("go")
    if go is None:
        lacking("missing: go (https://go.dev/dl)")
    user.variables |= {
        "GOCACHE": str(user.rig.directory / "go-cache"),
        "GOTOOLCHAIN": "local",
        "KO_DEFAULTBASEIMAGE": base,
        "KO_DOCKER_REPO": f"{PRIVATE}/{repository}",
        "PATH": f"{user.variables['PATH']}:{Path(go).parent}",
    }
    words = ("build", "--bare", "--sbom=none", "--platform=linux/amd64", ".")
    return ko(user, *words, directory=source, check=check)


def prints(user: ClientUser, image: str, *options: str) -> str:
    """Pull an image and run it; return what it prints."""
    user.docker("pull", image)
    ran = user.docker("run", "--rm", "--network=none", *options, image)
    user.docker("rmi", image)
    return (ran.stdout + ran.stderr).strip()


@pytest.mark.client("ko", "login, password piped", "push", "pull in public, anonymous")
def test_ko_builds_upon_a_public_image(
    developer: ClientUser, public_seed: Seed, source: Path, repository: str, found: str
) -> None:
    """The base is pulled anonymously, and the result pushed by the login, which is in no file."""
    done = build(developer, source, public_seed.image, repository)

    asked = {
        "credHelpers": {PUBLIC, PRIVATE},
        "credsStore": {public_seed.image.rpartition(":")[0], PUBLIC, f"{PRIVATE}/{repository}"},
    }
    assert developer.asked() == asked[found]
    token = developer.token(PRIVATE)
    assert developer.files_with(token) == developer.files_with(encoded(token)) == []
    assert prints(developer, done.stdout.strip()) == "built by ko"


@pytest.mark.client("ko", "build FROM")
def test_ko_builds_upon_a_private_image(
    developer: ClientUser, seed: Seed, source: Path, repository: str
) -> None:
    """The base is what was pushed, with the program on top."""
    done = build(developer, source, seed.image, repository)

    image = done.stdout.strip()
    assert prints(developer, image) == "built by ko"
    assert prints(developer, image, "--entrypoint=/program") == "seed"


@pytest.mark.client("ko", SHOWN)
def test_the_cause_of_a_failure_is_shown(
    client_user: ClientUser, seed: Seed, source: Path, repository: str, failure: str
) -> None:
    """Where AWS's helper has no login either, ko prints what ours answers."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    done = build(client_user, source, seed.image, repository, check=False)

    assert done.returncode == 1
    assert "CAUSE" in client_user.sees(failure, done)


def test_ko_asks_aws_itself_where_it_can(
    client_user: ClientUser, seed: Seed, source: Path, repository: str, found: str
) -> None:
    """With AWS credentials the helper is not asked, and the token is in a file of AWS's helper."""
    client_user.use(found)

    build(client_user, source, seed.image, repository)

    written = [client_user.files_with(encoded(token)) for token in client_user.aws.issued]
    assert [client_user.home / ".ecr" / "cache.json"] in written
    assert client_user.calls() == []

"""nerdctl's resolver, login and logout (go/nerdctl), which are all that speaks to the helper."""

from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_no_secret, go_module
from .rig import PRIVATE, PUBLIC

FORMS = [
    f"{scheme}{PRIVATE}{port}" for port in (":443", "") for scheme in ("", "https://", "http://")
]


def nerdctl(
    user: ClientUser, verb: str, what: str, *, stdin: str = "", check: bool = True
) -> CompletedProcess[str]:
    """Run one of nerdctl's commands."""
    user.record("version", go_module("github.com/containerd/nerdctl/v2"))
    done = user.run(built("go", "nerdctl"), verb, what, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


@pytest.mark.client("nerdctl", "pull")
def test_nerdctl_resolves(client_user: ClientUser, seed: Seed, found: str) -> None:
    """The first form of the host that it tries is answered, and AWS is asked once."""
    written = client_user.use(found)

    resolved = nerdctl(client_user, "resolve", seed.image)

    assert resolved.stdout.startswith("sha256:")
    assert client_user.config.read_bytes() == written
    assert client_user.asked() <= set(FORMS)
    assert client_user.aws.count("ecr") == 1


@pytest.mark.client("nerdctl", "pull in public, anonymous")
def test_nerdctl_resolves_in_public(newcomer: ClientUser, public_seed: Seed, found: str) -> None:
    """Without AWS credentials it goes on anonymously."""
    newcomer.use(found, public_seed.host)

    assert nerdctl(newcomer, "resolve", public_seed.image).stdout.startswith("sha256:")

    assert PUBLIC in "".join(newcomer.asked())


@pytest.mark.client("nerdctl", "login")
def test_a_bare_login_asks_the_helper(client_user: ClientUser, found: str) -> None:
    """The helper's answer is handed back to it, and no file holds the token."""
    client_user.use(found)

    login = nerdctl(client_user, "login", PRIVATE)

    assert "Login Succeeded" in login.stdout
    assert [
        path for token in client_user.aws.issued for path in client_user.files_with(token)
    ] == []


@pytest.mark.client("nerdctl", "login, password piped", "logout")
def test_a_login_is_kept_until_the_logout(
    newcomer: ClientUser, token: str, seed: Seed, found: str
) -> None:
    """A token that was piped in is kept by the helper alone; a logout erases all six forms."""
    newcomer.use(found)

    nerdctl(newcomer, "login", PRIVATE, stdin=token)
    cached, files = newcomer.cached(), newcomer.files_with(token)
    resolved = nerdctl(newcomer, "resolve", seed.image)
    nerdctl(newcomer, "logout", PRIVATE)
    refused = nerdctl(newcomer, "resolve", seed.image, check=False)

    assert (cached, files) == ([f"https://{PRIVATE}"], [])
    assert resolved.stdout.startswith("sha256:")
    assert newcomer.cached() == []
    assert refused.returncode == 1


@pytest.mark.client("nerdctl", SHOWN)
def test_what_is_seen_of_a_failure(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """The cause is shown, whichever form of the host fails last."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    done = nerdctl(client_user, "resolve", seed.image, check=False)

    assert done.returncode == 1
    assert "CAUSE" in client_user.sees(failure, done)

"""oras, Helm 3 and Helm 4, which share their way to the helper (oras-go 2)."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import (
    HUB_KEY,
    ClientUser,
    Seed,
    assert_asked_once,
    assert_no_secret,
    encoded,
    go_module,
)
from .rig import HUB, PRIVATE, PUBLIC

# Each with its executable and its module.
PROGRAMS = {
    "oras": ("oras", "oras.land/oras"),
    "Helm 3": ("helm3", "helm.sh/helm/v3"),
    "Helm 4": ("helm4", "helm.sh/helm/v4"),
}
CHART = "apiVersion: v2\nname: hello\nversion: 1.0.0\ndescription: a chart of a test\n"
WITHOUT = "basic credential not found"


@pytest.fixture(params=["Helm 3", "Helm 4"])
def helm(request: pytest.FixtureRequest) -> str:
    """Name each Helm."""
    name: str = request.param
    return name


@pytest.fixture(params=list(PROGRAMS))
def program(request: pytest.FixtureRequest) -> str:
    """Name each of the family."""
    name: str = request.param
    return name


def run(
    user: ClientUser, program: str, *words: str | Path, stdin: str = "", check: bool = True
) -> CompletedProcess[str]:
    """Run one of the family at the user's home, and note its version."""
    executable, module = PROGRAMS[program]
    user.record("version", go_module(module))
    at_home = ("env", f"--chdir={user.home}", built("go", executable))
    done = user.run(*at_home, *words, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


def read(
    user: ClientUser, program: str, image: str, *, check: bool = True
) -> CompletedProcess[str]:
    """Read a manifest, or what Helm makes of it."""
    words = ("manifest", "fetch", image)
    if program != "oras":
        words = ("show", "chart", f"oci://{image}")
    return run(user, program, *words, check=check)


def log_in(user: ClientUser, program: str, token: str) -> None:
    """Log in with a token on stdin."""
    words = ("--username=AWS", "--password-stdin", PRIVATE)
    registry = () if program == "oras" else ("registry",)
    run(user, program, *registry, "login", *words, stdin=token)


def push_chart(user: ClientUser, helm: str, namespace: str) -> str:
    """Push a chart; return its name in the registry."""
    chart = user.home / "hello"
    chart.mkdir()
    (chart / "Chart.yaml").write_text(CHART)
    run(user, helm, "package", chart)
    run(user, helm, "push", "hello-1.0.0.tgz", f"oci://{namespace}")
    return f"{namespace}/hello:1.0.0"


@pytest.mark.client("{helm}", "pull", "push", "inspect")
def test_helm_pushes_and_pulls_a_chart(
    client_user: ClientUser, repository: str, helm: str, found: str
) -> None:
    """What is shown and pulled is what was pushed; config.json stays as it was."""
    written = client_user.use(found)

    chart = push_chart(client_user, helm, f"{PRIVATE}/{repository}")
    shown = read(client_user, helm, chart)
    run(client_user, helm, "pull", f"oci://{chart}", "--untar", "--destination=pulled")

    assert "description: a chart of a test\n" in shown.stdout
    pulled = (client_user.home / "pulled" / "hello" / "Chart.yaml").read_text()
    assert "description: a chart of a test\n" in pulled
    assert client_user.config.read_bytes() == written
    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("oras", "pull", "push", "copy", "inspect")
def test_oras_pushes_pulls_and_copies(
    client_user: ClientUser, seed: Seed, repository: str, found: str
) -> None:
    """A file comes back as it was, and an image is the same in another repository."""
    written = client_user.use(found)
    pushed, copied = f"{PRIVATE}/{repository}:file", f"{PRIVATE}/{repository}:image"
    (client_user.home / "note").write_text("a file of a test")

    run(client_user, "oras", "push", pushed, "note:text/plain")
    run(client_user, "oras", "pull", pushed, "--output=pulled")
    run(client_user, "oras", "copy", seed.image, copied)
    manifest = json.loads(read(client_user, "oras", copied).stdout)

    assert (client_user.home / "pulled" / "note").read_text() == "a file of a test"
    assert manifest["config"]["digest"] == seed.id
    assert client_user.config.read_bytes() == written
    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("oras", "pull in public, anonymous")
def test_a_public_image_needs_no_credentials(
    newcomer: ClientUser, public_seed: Seed, found: str
) -> None:
    """Without AWS credentials oras goes on anonymously."""
    newcomer.use(found, PUBLIC)

    shown = read(newcomer, "oras", public_seed.image)

    assert public_seed.id in shown.stdout
    assert newcomer.asked() == {PUBLIC}


@pytest.mark.client("{helm}", "pull in public, anonymous")
def test_a_public_chart_needs_no_credentials(
    client_user: ClientUser, newcomer: ClientUser, repository: str, helm: str, found: str
) -> None:
    """Without AWS credentials Helm goes on anonymously."""
    client_user.use(found, PUBLIC)
    chart = push_chart(client_user, helm, f"{PUBLIC}/{repository}")
    newcomer.use(found, PUBLIC)

    shown = read(newcomer, helm, chart)

    assert "name: hello\n" in shown.stdout
    assert newcomer.asked() == {PUBLIC}


@pytest.mark.client("{program}", "login, password piped", "logout")
def test_a_login_is_kept_in_the_cache_alone_until_the_logout(
    newcomer: ClientUser, token: str, seed: Seed, program: str, found: str
) -> None:
    """Somebody without AWS credentials reads with the token of a login, and no more after it.

    Helm tells the helper of a login if its own configuration is Docker's. That the seed is no chart
    is for Helm to say, once it has read the manifest.
    """
    written = newcomer.use(found)
    newcomer.variables["HELM_REGISTRY_CONFIG"] = str(newcomer.config)
    registry = () if program == "oras" else ("registry",)

    log_in(newcomer, program, token)
    files = newcomer.files_with(token) + newcomer.files_with(encoded(token))
    cached = newcomer.cached()
    done = read(newcomer, program, seed.image, check=False)
    run(newcomer, program, *registry, "logout", PRIVATE)
    refused = read(newcomer, program, seed.image, check=False)

    assert (files, cached) == ([], [f"https://{PRIVATE}"])
    assert (seed.id in done.stdout) if program == "oras" else ("manifest does not" in done.stderr)
    assert (newcomer.erased(), newcomer.cached()) == ([PRIVATE], [])
    assert newcomer.config.read_bytes() == written
    assert refused.returncode == 1
    assert WITHOUT in refused.stderr


def test_helm_keeps_a_login_itself_unless_told_otherwise(
    newcomer: ClientUser, token: str, seed: Seed, helm: str, found: str
) -> None:
    """By default a login is in Helm's own file, readable, and goes before the helper."""
    newcomer.use(found)

    log_in(newcomer, helm, token)
    read(newcomer, helm, seed.image, check=False)

    own = newcomer.home / ".config" / "helm" / "registry" / "config.json"
    assert newcomer.files_with(encoded(token)) == [own]
    assert newcomer.calls() == []


@pytest.mark.client("{program}", SHOWN)
def test_the_cause_of_a_failure_is_shown(
    client_user: ClientUser, seed: Seed, program: str, failure: str
) -> None:
    """They print what the helper answers, and let through what it says to a person."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    done = read(client_user, program, seed.image, check=False)

    assert done.returncode == 1
    assert "CAUSE" in client_user.sees(failure, done)


def test_oras_names_the_port(client_user: ClientUser, seed: Seed) -> None:
    """A port is a part of what the helper is asked for, and no hindrance."""
    client_user.use_store()
    with_port = f"{PRIVATE}:443"

    shown = read(client_user, "oras", seed.image.replace(PRIVATE, with_port))
    run(client_user, "oras", "logout", with_port)

    assert seed.id in shown.stdout
    assert_asked_once(client_user, with_port)
    assert (client_user.erased(), client_user.cached()) == ([with_port], [])


def test_oras_goes_on_where_the_helper_has_no_login(client_user: ClientUser) -> None:
    """A credsStore is asked for other registries, too, and keeps no login to them."""
    written = client_user.use_store()
    words = ("login", "--username=me", "--password-stdin", HUB)

    refused = read(client_user, "oras", f"{HUB}/library/app:1", check=False)
    login = run(client_user, "oras", *words, stdin="hunter2", check=False)

    assert WITHOUT in refused.stderr
    assert client_user.asked() == {HUB_KEY}
    assert "this host is not ECR" in login.stderr
    assert client_user.files_with("hunter2") == []
    assert client_user.config.read_bytes() == written
    assert client_user.aws.calls == []

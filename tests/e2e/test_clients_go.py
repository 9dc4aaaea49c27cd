"""crane, cosign and syft, which share their way to the helper (go-containerregistry)."""

import json
import tarfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.loopback import Fault
from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret, encoded, go_module
from .rig import HUB, PRIVATE

MODULES = {
    "crane": "github.com/google/go-containerregistry",
    "cosign": "github.com/sigstore/cosign/v3",
    "syft": "github.com/anchore/syft",
}
LOGINS = {"crane": ("auth", "login"), "cosign": ("login",), "syft": ("login",)}

# It signs with a key of its own: Sigstore's servers are out of reach in the rig.
NO_SIGSTORE = ("--use-signing-config=false", "--tlog-upload=false")


@pytest.fixture(params=list(MODULES))
def program(request: pytest.FixtureRequest) -> str:
    """Name each of the family."""
    name: str = request.param
    return name


def run(
    user: ClientUser, program: str, *words: str | Path, stdin: str = "", check: bool = True
) -> CompletedProcess[str]:
    """Run one of the family, and note its version."""
    user.record("version", go_module(MODULES[program]))
    done = user.run(built("go", program), *words, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


def read(
    user: ClientUser, program: str, image: str, *, check: bool = True
) -> CompletedProcess[str]:
    """Read an image in the registry: its manifest, its signatures or its content."""
    words = {
        "crane": ("manifest", image),
        "cosign": ("tree", image),
        "syft": ("--output=syft-json", f"registry:{image}"),
    }
    return run(user, program, *words[program], check=check)


def log_in(user: ClientUser, program: str, token: str) -> CompletedProcess[str]:
    """Log in with a token on stdin."""
    words = (*LOGINS[program], "--username=AWS", "--password-stdin", PRIVATE)
    return run(user, program, *words, stdin=token)


def first_words(found: str, image: str) -> str:
    """Return how the helper is asked first: by the host, or a credsStore by the repository."""
    repository = image.rpartition(":")[0]
    return repository if found == "credsStore" else repository.partition("/")[0]


def image_id(user: ClientUser, image: str) -> str:
    """Return the id of an image in the registry, as an engine would know it."""
    manifest = json.loads(run(user, "crane", "manifest", image).stdout)
    digest: str = manifest["config"]["digest"]
    return digest


@pytest.mark.client("{program}", "inspect")
def test_an_image_is_read(client_user: ClientUser, seed: Seed, program: str, found: str) -> None:
    """An empty cache is filled by the first question; config.json stays as it was."""
    written = client_user.use(found)

    shown = read(client_user, program, seed.image)

    assert (seed.image if program == "cosign" else seed.id) in shown.stdout
    assert client_user.config.read_bytes() == written
    assert_asked_once(client_user, first_words(found, seed.image))


@pytest.mark.client("{program}", "pull in public, anonymous")
def test_a_public_image_needs_no_credentials(
    newcomer: ClientUser, public_seed: Seed, program: str, found: str
) -> None:
    """Without AWS credentials they go on anonymously; a credsStore is asked for the host, too."""
    newcomer.use(found, public_seed.host)

    read(newcomer, program, public_seed.image)

    assert newcomer.asked() == {first_words(found, public_seed.image), public_seed.host}


@pytest.mark.client("{program}", "login, password piped")
def test_a_login_is_kept_in_the_cache_alone(
    newcomer: ClientUser, token: str, seed: Seed, program: str, found: str
) -> None:
    """Somebody without AWS credentials reads with the token of a login, which is in no file."""
    newcomer.use(found)

    log_in(newcomer, program, token)

    assert json.loads(newcomer.config.read_text())["auths"] == {PRIVATE: {}}
    assert newcomer.files_with(token) == newcomer.files_with(encoded(token)) == []
    assert newcomer.cached() == [f"https://{PRIVATE}"]
    read(newcomer, program, seed.image)


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


@pytest.mark.client("crane", "logout")
def test_crane_logs_out(newcomer: ClientUser, token: str, seed: Seed, found: str) -> None:
    """After the logout there is no login, neither in the cache nor in config.json."""
    newcomer.use(found)
    log_in(newcomer, "crane", token)

    run(newcomer, "crane", "auth", "logout", PRIVATE)
    refused = read(newcomer, "crane", seed.image, check=False)

    assert PRIVATE in newcomer.erased()
    assert newcomer.cached() == []
    assert json.loads(newcomer.config.read_text())["auths"] == {}
    assert refused.returncode == 1
    assert "401 Unauthorized" in refused.stderr


@pytest.mark.client("crane", "pull", "push", "copy")
def test_crane_pulls_pushes_and_copies(
    client_user: ClientUser, seed: Seed, repository: str, found: str
) -> None:
    """What arrives, in a file or a repository, is the same image."""
    client_user.use(found)
    pulled = client_user.home / "pulled.tar"
    pushed = f"{PRIVATE}/{repository}:pushed"
    copied = f"{PRIVATE}/{repository}:copied"

    run(client_user, "crane", "pull", seed.image, pulled)
    run(client_user, "crane", "push", pulled, pushed)
    run(client_user, "crane", "copy", seed.image, copied)

    with tarfile.open(pulled) as archive:
        assert seed.id in archive.getnames()
    assert image_id(client_user, pushed) == image_id(client_user, copied) == seed.id
    asked = {first_words(found, image) for image in (seed.image, pushed)}
    assert_asked_once(client_user, *asked)


@pytest.mark.client("cosign", "pull", "push", "copy")
def test_cosign_signs_and_copies(
    client_user: ClientUser, seed: Seed, repository: str, found: str
) -> None:
    """A signature goes to the registry and is verified; a copy is saved to a directory."""
    client_user.use(found)
    client_user.variables["COSIGN_PASSWORD"] = "of the key"
    key, saved = client_user.home / "it", client_user.home / "saved"
    copied = f"{PRIVATE}/{repository}:1"
    run(client_user, "cosign", "generate-key-pair", f"--output-key-prefix={key}")

    run(client_user, "cosign", "sign", f"--key={key}.key", *NO_SIGSTORE, seed.image)
    verify = ("verify", f"--key={key}.pub", "--insecure-ignore-tlog")
    verified = run(client_user, "cosign", *verify, seed.image)
    run(client_user, "cosign", "copy", seed.image, copied)
    run(client_user, "cosign", "save", f"--dir={saved}", copied)

    [signed] = json.loads(verified.stdout)
    digest = signed["critical"]["image"]["docker-manifest-digest"]
    manifest = saved / "blobs" / "sha256" / digest.removeprefix("sha256:")
    assert json.loads(manifest.read_text())["config"]["digest"] == seed.id
    asked = {first_words(found, image) for image in (seed.image, copied)}
    assert_asked_once(client_user, *asked)


def test_a_public_image_needs_no_permission(
    client_user: ClientUser, public_seed: Seed, found: str
) -> None:
    """Where AWS denies the token for public images, crane goes on anonymously all the same."""
    client_user.use(found, public_seed.host)
    client_user.aws.faults = {"ecr-public": Fault("denied")}

    shown = read(client_user, "crane", public_seed.image)

    assert public_seed.id in shown.stdout
    assert client_user.aws.count("ecr-public") > 0


def test_crane_goes_on_where_the_helper_has_no_login(client_user: ClientUser) -> None:
    """A credsStore is asked for other registries, too; then it is the registry that refuses."""
    client_user.use_store()

    refused = read(client_user, "crane", f"{HUB}/library/app:1", check=False)

    assert "401 Unauthorized" in refused.stderr
    assert client_user.asked() == {f"{HUB}/library/app", HUB}
    assert client_user.aws.calls == []

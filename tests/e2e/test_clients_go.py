"""oras-go 1, as Helm 3 uses it: a small client that is compiled from Debian's sources."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.needs import installed, lacking

from .clients import ClientUser, Seed, assert_asked_once, assert_no_secret
from .rig import PRIVATE, Rig

SOURCE = Path(__file__).parent / "go" / "oras.go"
LIBRARY = Path("/usr/share/gocode/src/oras.land/oras-go")


@pytest.fixture(scope="session")
def program(rig: Rig) -> Path:
    """Compile the client, once for all tests."""
    go = installed("go")
    if not LIBRARY.exists():
        lacking("missing: oras-go (apt-get install golang-go golang-oras-oras-go-dev)")
    compiled = rig.directory / "oras"
    environment = {
        "GO111MODULE": "off",
        "GOPATH": "/usr/share/gocode",
        "GOCACHE": str(rig.directory / "gocache"),
    }
    rig.run(go, "build", "-o", compiled, SOURCE, env=environment, timeout=300)
    return compiled


def oras(
    user: ClientUser, program: Path, *words: str, stdin: str = "", check: bool = True
) -> CompletedProcess[str]:
    """Run the client with a configuration of its own, which is Docker's where it has none."""
    user.variables["SSL_CERT_FILE"] = str(user.rig.certificates())
    user.record("version", "1.1")
    done = user.run(program, user.config, *words, stdin=stdin, check=check)
    assert_no_secret(user, done)
    return done


@pytest.mark.client("oras-go 1 (Helm 3)", "inspect")
def test_oras_go_resolves(client_user: ClientUser, seed: Seed, program: Path, found: str) -> None:
    """A reference is resolved by the helper's answer."""
    client_user.use(found)

    resolved = oras(client_user, program, "resolve", seed.image)

    assert resolved.stdout.startswith("sha256:")
    assert_asked_once(client_user, PRIVATE)


@pytest.mark.client("oras-go 1 (Helm 3)", "login, password piped", "logout")
def test_oras_go_logs_in_and_out(
    newcomer: ClientUser, token: str, seed: Seed, program: Path, found: str
) -> None:
    """A login is kept by the helper alone, and works until the logout."""
    newcomer.use(found)

    oras(newcomer, program, "login", PRIVATE, stdin=token)
    files = newcomer.files_with(token)
    resolved = oras(newcomer, program, "resolve", seed.image)
    oras(newcomer, program, "logout", PRIVATE)
    refused = oras(newcomer, program, "resolve", seed.image, check=False)

    assert files == []
    assert resolved.stdout.startswith("sha256:")
    assert refused.returncode == 1
    assert newcomer.cached() == []
    assert "auth" not in json.loads(newcomer.config.read_text()).get("auths", {}).get(PRIVATE, {})

"""The program as pip installs it, wherever that is."""

from pathlib import Path

import pytest

from ecr_credential_helper import __version__
from tests.loopback import Loopback
from tests.support.answers import LINK, NAME
from tests.support.entries import HOST, LIFE, rewrite, secret_of, until
from tests.support.helper import Helper, Result
from tests.support.installed import environment, pip_install, script_for

SPACE = "with a space"
PLACES = {
    "short": "venv",
    "space": f"{SPACE}/venv",
    "long": f"{'l' * 100}/{'o' * 20}/venv",  # longer than pip lets a shebang be
    "longer": f"{'l' * 120}/{'o' * 120}/{SPACE}/venv",  # longer than any kernel does
}

pytestmark = pytest.mark.needs("Linux")


@pytest.fixture(params=PLACES)
def installed(request: pytest.FixtureRequest, helper: Helper, tmp_path: Path) -> Helper:
    """Return the program, installed by pip in one of the places."""
    directory = tmp_path / PLACES[request.param]
    python, _ = environment(directory)
    pip_install(python, tmp_path)
    helper.executable = python.with_name(NAME)
    return helper


@pytest.mark.parametrize("name", [NAME, LINK])
def test_it_starts_and_starts_itself_wherever_it_is(
    installed: Helper, aws: Loopback, name: str
) -> None:
    """Cold, warm, and refreshed by a process of its own; called itself, or by a link."""
    installed.executable = installed.link(name)
    first = installed.get(HOST)
    assert first == Result(0, first.stdout, b"")
    assert installed.get(HOST) == first
    assert aws.count("ecr") == 1
    rewrite(installed.cache, age=LIFE * 0.7)
    assert installed.get(HOST) == first
    secret = secret_of(first.answer)
    until(lambda: aws.count("ecr") == 2 and secret_of(installed.get(HOST).answer) != secret)
    assert f"\n{HOST}  good for " in installed.run("warm", HOST).out
    version = f"{name} (ecr-credential-helper) {__version__}\n"
    assert installed.run("version") == Result(0, version.encode(), b"")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_script_can_be_given_another_python(place: str) -> None:
    """As the tests of TLS do, from each kind of script to each."""
    body = "import sys\nprint(sys.executable)\n"
    python = f"/{place}/bin/python3"
    for before in ("/bin/python3", f"/{SPACE}/bin/python3", f"/{'l' * 200}/bin/python3"):
        assert script_for(python, script_for(before, f"#!x\n{body}")).endswith(f"\n{body}")
    text = script_for(python, script_for("/bin/python3", f"#!x\n{body}"))
    assert text.count(python) == 1
    assert text.startswith("#!")

"""What each command shows: on terminals of three widths, without colour, on a dumb one, piped.

The screens themselves are in screens/, one file for each scene. After a change, write them anew:
`SCREENS=write`; and read what has changed in them.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.aws.test_sources import no_sso_login, sso_session
from tests.e2e.rig import OTHER, PRIVATE
from tests.loopback import Fault, Loopback
from tests.support.helper import Authority, Helper, Result
from tests.support.stage import HOME, LIFE, stage
from tests.support.terminal import on_a_terminal, without_colour

SCREENS = Path(__file__).parent / "screens"
AWS_CONFIGS = Path(__file__).parent / "aws_configs"
KUBELET_CONFIGS = Path(__file__).parent / "kubelet_configs"
PUBLIC = "public.ecr.aws"
WIDTHS = (60, 80, 140)


@pytest.fixture
def helper(aws: Loopback, authority: Authority) -> Iterator[Helper]:
    """Give a test a helper whose lines are wrapped wherever the tests are run as anywhere else."""
    with stage(aws, authority) as helper:
        yield helper


class Scene(NamedTuple):
    """A command, and what it finds."""

    command: str
    arrange: Callable[[Helper, Loopback], None]


def nothing(_helper: Helper, _aws: Loopback) -> None:
    """Have a first run of all."""


def profiles(helper: Helper, _: Loopback) -> None:
    """Have profiles with and without an account."""
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws/config").write_bytes((AWS_CONFIGS / "sso_session").read_bytes())


def docker(helper: Helper, **document: object) -> None:
    """Write a config.json."""
    (helper.home / ".docker").mkdir()
    (helper.home / ".docker/config.json").write_text(json.dumps(document, indent="\t"))


def password(helper: Helper, _: Loopback) -> None:
    """Have a config.json with the password of a `docker login`."""
    docker(helper, auths={PRIVATE: {"auth": "c2VjcmV0"}}, credHelpers={PUBLIC: "ecr"})


def tokens(helper: Helper, aws: Loopback) -> None:
    """Have tokens of two identities, one of them old."""
    helper.get(PRIVATE)
    aws.token_life = 10770.0
    helper.get(OTHER, env={"AWS_ROLE_SESSION_NAME": "another"})


def one_denied(helper: Helper, aws: Loopback) -> None:
    """Have two registries, one of which AWS denies a token for."""
    docker(helper, credHelpers={PRIVATE: "ecr", PUBLIC: "ecr"})
    aws.faults["ecr-public"] = Fault("denied")


def expired(helper: Helper, aws: Loopback) -> None:
    """Have a login to IAM Identity Center that has expired, and a login of Docker's beside it."""
    sso_session(helper, aws)
    no_sso_login(helper, aws)
    docker(helper, credHelpers={PRIVATE: "ecr"}, auths={PRIVATE: {"auth": "c2VjcmV0"}})


def node(helper: Helper, _: Loopback) -> None:
    """Have a node of EKS, with AWS's provider beside its configuration."""
    place = helper.home / "node"
    place.mkdir()
    shutil.copy(KUBELET_CONFIGS / "eks.json", place / "config.json")
    (place / "ecr-credential-provider").touch()


SCENES = {
    "configure": Scene("configure", nothing),
    "configure-profiles": Scene("configure --profiles", profiles),
    "configure-dry-run": Scene(f"configure --dry-run {PRIVATE}", password),
    "configure-kubelet": Scene("configure --kubelet node --service-accounts", node),
    "status": Scene("status", tokens),
    "status-empty": Scene("status", nothing),
    "warm": Scene("warm", one_denied),
    "clear": Scene("clear", tokens),
    "doctor": Scene(f"doctor {PRIVATE}", expired),
    "doctor-fix": Scene(f"doctor --fix --yes {PRIVATE}", expired),
}


def shown(helper: Helper, scene: Scene, columns: int | None, **env: str) -> Result:
    """Run the command of a scene, and return its screen: both streams."""
    arguments = scene.command.split()
    if columns:
        return on_a_terminal(helper, *arguments, columns=columns, **env)
    result = helper.run(*arguments, env=env)
    return Result(result.status, result.stderr + result.stdout, b"")


@contextlib.contextmanager
def arranged(helper: Helper, aws: Loopback, scene: Scene) -> Iterator[None]:
    """Have what a scene finds, and nothing of it afterwards."""
    env = dict(helper.env)
    scene.arrange(helper, aws)
    yield
    helper.env, aws.token_life = env, LIFE
    aws.faults.clear()
    for path in helper.home.iterdir():
        if path.name != "bin":
            shutil.rmtree(path)


@pytest.mark.parametrize("name", SCENES)
def test_the_screen_of_a_command(name: str, helper: Helper, aws: Loopback) -> None:
    """It is as it was approved, at each width; and no wider, but for a command or a path."""
    scene, parts = SCENES[name], [f"$ docker-credential-ecr {SCENES[name].command}\n"]
    for columns in (*WIDTHS, None):
        with arranged(helper, aws, scene):
            result = shown(helper, scene, columns, TERM="dumb")
        assert "\x1b" not in result.out
        for line in result.out.splitlines():
            is_command = line.strip().startswith(("fix: ", "docker-credential-ecr configure "))
            assert len(line) <= (columns or 10_000) or is_command or len(line.split()) == 1
        where = f"at {columns} columns" if columns else "piped"
        parts.append(f"\n--- {where}, exit status {result.status}\n")
        parts.append(result.out.replace(str(helper.home), HOME))
    file = SCREENS / f"{name}.txt"
    if os.environ.get("SCREENS") == "write":
        file.write_text("".join(parts))
    assert "".join(parts) == file.read_text()


@pytest.mark.parametrize("name", SCENES)
def test_colour_adds_nothing_but_colour(name: str, helper: Helper, aws: Loopback) -> None:
    """A screen says the same with NO_COLOR, and without a terminal's tricks."""
    screens = []
    for env in ({"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        with arranged(helper, aws, SCENES[name]):
            result = shown(helper, SCENES[name], 80, **env)
        _, _, end = result.out.rpartition("\x1b[2K")  # where the progress is wiped away
        screens.append(end)
    coloured, plain, dumb = screens
    assert without_colour(coloured) == plain == dumb
    assert "\x1b" not in plain


def test_every_screen_has_its_scene() -> None:
    """None is left from before."""
    assert sorted(path.stem for path in SCREENS.iterdir()) == sorted(SCENES)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["configure", "status", "doctor", "warm", "clear"])
def test_help_is_no_wider_than_the_terminal(helper: Helper, command: str, columns: int) -> None:
    """But for the usage, which argparse wraps, but does not indent less for."""
    result = on_a_terminal(helper, command, "--help", columns=columns, TERM="dumb")
    usage, _, text = result.out.partition("\n\n")
    assert usage.startswith(f"usage: docker-credential-ecr {command}")
    assert max(map(len, text.splitlines())) <= columns
    assert "\x1b" not in result.out


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_token_is_never_wrapped(helper: Helper, aws: Loopback, columns: int) -> None:
    """It is one line for whatever reads it."""
    result = on_a_terminal(helper, "get-login-password", columns=columns, TERM="xterm")
    assert result.out.splitlines() == list(aws.issued)

"""The pictures of a terminal in docs/pictures/, drawn from real runs: `make pictures`.

That of a pull needs a Docker engine, and so root and what the end-to-end tests need.
"""

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.aws.test_sources import no_sso_login, sso_session
from tests.e2e.rig import OTHER, PRIVATE, Rig
from tests.e2e.users import User
from tests.loopback import Loopback
from tests.support.entries import rewrite
from tests.support.helper import Helper, make_authority
from tests.support.stage import HOME, LIFE, stage
from tests.support.terminal import on_a_terminal

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
COLUMNS = 110
PROGRAM = "docker-credential-ecr"
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # which would be fetched from elsewhere
# What docker says of a layer before the end; on a terminal the end takes its place.
_ON_THE_WAY = re.compile(r"(?m)^[0-9a-f]{12}: (?!Pull complete).*\n")
_TEXTS = re.compile(r"<text [^>]*>(.*?)</text>")


def svg(name: str, session: str) -> str:
    """Return what was on a terminal as a picture."""
    console = Console(
        file=io.StringIO(),
        width=COLUMNS,
        force_terminal=True,
        color_system="standard",
        highlight=False,
        record=True,
    )
    console.print(Text.from_ansi(session))
    return _FONTS.sub("", console.export_svg(title="", unique_id=name))


def words(picture: str) -> list[str]:
    """Return the words in a picture, whatever it looks like."""
    return " ".join(_TEXTS.findall(picture)).replace("&#160;", " ").split()


def typed(*arguments: str) -> str:
    """Return the line that a person typed."""
    return f"\x1b[1m$ {' '.join(arguments)}\x1b[0m\n"


def shown(helper: Helper, *arguments: str) -> str:
    """Return a command that was typed, and what the terminal showed for it."""
    result = on_a_terminal(helper, *arguments, columns=COLUMNS, TERM="xterm")
    _, _, end = result.out.rpartition("\x1b[2K")  # where the progress is wiped away
    return typed(PROGRAM, *arguments) + end.replace(str(helper.home), HOME)


def status(helper: Helper, _: Loopback) -> str:
    """Return a session with the tokens of two registries, one of them being renewed."""
    helper.get(OTHER)
    rewrite(helper.home / ".cache" / "ecr-credential-helper", age=LIFE * 0.7)
    helper.get(PRIVATE)
    return shown(helper, "status")


def doctor(helper: Helper, aws: Loopback) -> str:
    """Return a session in which the login to IAM Identity Center has expired."""
    sso_session(helper, aws)
    no_sso_login(helper, aws)
    (helper.home / ".docker").mkdir()
    (helper.home / ".docker" / "config.json").write_text(f'{{"credHelpers":{{"{PRIVATE}":"ecr"}}}}')
    return shown(helper, "doctor", PRIVATE)


def pull(user: User) -> str:
    """Return a session from AWS credentials and Docker to a pulled image: two commands."""
    image = f"{PRIVATE}/app:latest"
    user.use_helper(PRIVATE)
    user.build(image)
    user.docker("push", image)
    user.docker("rmi", image)
    user.config.unlink()
    user.variables |= {"AWS_REGION": "eu-west-1", "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    configured = user.run("script", "-qec", f"{PROGRAM} configure", "/dev/null").stdout
    pulled = _ON_THE_WAY.sub("", user.docker("pull", image).stdout)
    session = typed(PROGRAM, "configure") + configured + typed("docker", "pull", image) + pulled
    return session.replace("\r\n", "\n").replace(str(user.home), HOME)


OF_COMMANDS = {"status": status, "doctor": doctor}


def main() -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as place:
        authority = make_authority(Path(place))
        for name, draw in OF_COMMANDS.items():
            with Loopback() as aws, stage(aws, authority) as helper:
                (PICTURES / f"{name}.svg").write_text(svg(name, draw(helper, aws)))
    if missing := Rig.missing():
        sys.exit(f"docs/pictures/pull.svg stays as it is: {missing}")
    with Loopback() as aws, Rig(aws.url) as rig:
        user = User(rig, "docker", aws.environment(with_keys=True))
        (PICTURES / "pull.svg").write_text(svg("pull", pull(user)))


if __name__ == "__main__":
    main()

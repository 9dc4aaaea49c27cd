"""The pictures of a terminal show what the commands show today."""

import re
from collections.abc import Iterator

import pytest

from tests.loopback import Loopback
from tests.support.helper import Authority, Helper
from tests.support.pages import COMMANDS, README
from tests.support.stage import stage

from .pictures import OF_COMMANDS, PICTURES, svg, words


@pytest.fixture
def helper(aws: Loopback, authority: Authority) -> Iterator[Helper]:
    """Give a test a helper whose lines are wrapped wherever the tests are run as anywhere else."""
    with stage(aws, authority) as helper:
        yield helper


@pytest.mark.parametrize("name", OF_COMMANDS)
def test_a_picture_is_what_the_command_shows(name: str, helper: Helper, aws: Loopback) -> None:
    """Word by word; `make pictures` draws it anew."""
    drawn = svg(name, OF_COMMANDS[name](helper, aws))
    assert words(drawn) == words((PICTURES / f"{name}.svg").read_text())


def test_every_picture_is_on_a_page_and_fetches_nothing() -> None:
    """None is left from before, and none asks another server for a font; the README has one."""
    first = re.findall(r"\(docs/pictures/(\S+)\.svg\)", README.read_text())
    assert first == ["pull"]
    shown = [*first, *re.findall(r"\(pictures/(\S+)\.svg\)", COMMANDS.read_text())]
    assert sorted(shown) == sorted(path.stem for path in PICTURES.iterdir())
    assert {*OF_COMMANDS, "pull"} == set(shown)
    for path in PICTURES.iterdir():
        text = path.read_text().replace("https://www.textualize.io", "")
        assert set(re.findall(r"https?://[^\s\"<]+", text)) == {"http://www.w3.org/2000/svg"}

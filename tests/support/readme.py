"""The code blocks of the README and other pages, so that tests run what they tell people to do."""

import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]
README = TOP / "README.md"


class Block(NamedTuple):
    """One fenced block: the heading it stands under, its language and its text."""

    heading: str
    language: str
    text: str


def blocks(page: Path = README) -> list[Block]:
    """Return every fenced block of a page, in order."""
    found = []
    heading = ""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for prose, language, text in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        heading = ([heading, *re.findall(r"^#+ (.*)$", prose, re.MULTILINE)])[-1]
        found.append(Block(heading, language, text))
    return found


def text_of(heading: str, language: str, page: Path = README) -> str:
    """Return the text of the only block of a language below a heading."""
    (text,) = (block.text for block in blocks(page) if block[:2] == (heading, language))
    return text


def transcript(text: str) -> list[tuple[str, str]]:
    """Return the commands of a `console` block, each with the output that is shown for it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))

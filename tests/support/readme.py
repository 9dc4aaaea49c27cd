"""The code blocks of the README, so that tests can run what it tells people to do."""

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).resolve().parents[2] / "README.md"


class Block(NamedTuple):
    """One fenced block: the heading it stands under, its language and its text."""

    heading: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Return every fenced block, in order."""
    found = []
    heading = ""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    for prose, language, text in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        heading = ([heading, *re.findall(r"^#+ (.*)$", prose, re.MULTILINE)])[-1]
        found.append(Block(heading, language, text))
    return found


def text_of(heading: str, language: str) -> str:
    """Return the text of the only block of a language below a heading."""
    (text,) = (block.text for block in blocks() if block[:2] == (heading, language))
    return text


def transcript(text: str) -> list[tuple[str, str]]:
    """Return the commands of a `console` block, each with the output that is shown for it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))

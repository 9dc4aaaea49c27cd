"""The pages for users: the code blocks in them, so that tests run what they tell people to do."""

import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]
DOCS = TOP / "docs"

README = TOP / "README.md"
CACHE = DOCS / "cache.md"
CI = DOCS / "ci.md"
COMMANDS = DOCS / "commands.md"
INSTALL = DOCS / "install.md"
KUBERNETES = DOCS / "kubernetes.md"
MOVING_OVER = DOCS / "moving-over.md"
OTHER_TOOLS = DOCS / "other-tools.md"
REFERENCE = DOCS / "reference.md"
SEVERAL_ACCOUNTS = DOCS / "several-accounts.md"
TROUBLESHOOTING = DOCS / "troubleshooting.md"

# Every page but that for contributors.
PAGES = (README, *sorted(set(DOCS.glob("*.md")) - {DOCS / "architecture.md"}))


class Block(NamedTuple):
    """One fenced block: the heading it stands under, its language and its text."""

    heading: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return every fenced block of a page, in order."""
    found = []
    heading = ""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for prose, language, text in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        heading = ([heading, *re.findall(r"^#+ (.*)$", prose, re.MULTILINE)])[-1]
        found.append(Block(heading, language, text))
    return found


def texts_of(heading: str, language: str, page: Path) -> list[str]:
    """Return the texts of all blocks of a language below a heading of a page.

    A test in tests/docs/test_pages.py looks for the calls: each block has to be read by one.
    """
    return [block.text for block in blocks(page) if block[:2] == (heading, language)]


def text_of(heading: str, language: str, page: Path) -> str:
    """Return the text of the only such block."""
    (text,) = texts_of(heading, language, page)
    return text


def transcript(text: str) -> list[tuple[str, str]]:
    """Return the commands of a `console` block, each with the output that is shown for it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))

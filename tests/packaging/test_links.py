"""packaging/links.py, and the description on PyPI that is made with it."""

from importlib.metadata import metadata, version

import links
import pytest
from markdown_it import MarkdownIt

from tests.support.pages import README, TOP

VERSION = version("ecr-credential-helper")
BLOB = f"{links.REPOSITORY}/blob/v{VERSION}"
RAW = f"{links.REPOSITORY}/raw/v{VERSION}"
SAME = (
    "[out](https://a.b/c) [mail](mailto:a@b.c)",
    "`[in code](a.md)` and `` ` [in code](a.md) ``",
    "```\n[in code](a.md)\n```",
    "````md\n```\n[in code](a.md)\n````",
    "a `span over\nlines [in code](a.md)`",
)
CHANGED = {
    "[a](#part)": f"[a]({BLOB}/docs/page.md#part)",
    "[a](b.md), [b](../c.md#d)": f"[a]({BLOB}/docs/b.md), [b]({BLOB}/c.md#d)",
    "[`a`](b.md) `c` [d\n`e` f](g/)": f"[`a`]({BLOB}/docs/b.md) `c` [d\n`e` f]({BLOB}/docs/g)",
    "![a](b/c.svg)": f"![a]({RAW}/docs/b/c.svg)",
    "[![a](b.png)](c.md)": f"[![a]({RAW}/docs/b.png)]({BLOB}/docs/c.md)",
    "```\n```\n[b](b.md)\n```\n```": f"```\n```\n[b]({BLOB}/docs/b.md)\n```\n```",
}


def targets(text: str) -> list[str]:
    """Return where the links and pictures of a page lead to."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    parts = [part for token in tokens for part in (token, *(token.children or []))]
    assert [part.content for part in parts if part.type.startswith("html")] == []  # not looked into
    found = [part.attrs.get("href", part.attrs.get("src")) for part in parts]
    return [str(target) for target in found if target is not None]


@pytest.mark.parametrize("text", SAME)
def test_what_is_no_relative_link_stays(text: str) -> None:
    """Above all what is in code."""
    assert links.absolute(text, "docs/page.md", VERSION) == text


@pytest.mark.parametrize("text", CHANGED)
def test_a_relative_link_leads_to_this_version(text: str) -> None:
    """From the page's own directory; to a picture itself, and not to the page about it."""
    assert links.absolute(text, "docs/page.md", VERSION) == CHANGED[text]


def test_no_link_of_the_description_is_relative() -> None:
    """As it was built, and with each link of the README in it."""
    described = targets(metadata("ecr-credential-helper")["Description"])
    assert [target for target in described if not target.startswith("https://")] == []
    assert len(described) == len(targets(README.read_text()))
    here = [target for target in described if target.startswith((BLOB, RAW))]
    assert len(here) > 5
    for target in here:
        path = target.partition(f"/v{VERSION}/")[2].partition("#")[0]
        assert (TOP / path).exists(), path

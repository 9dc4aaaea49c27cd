"""Every link from a page to a file of the repository leads there, and to a heading in it."""

import re
from pathlib import Path

import pytest

from tests.support.pages import DOCS, TOP

PAGES = (
    *(TOP / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.glob("*.md")),
    TOP / "packaging" / "README.md",
    TOP / "tests" / "benchmarks" / "README.md",
)
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: +(\S+)$", re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def links_in(text: str) -> list[str]:
    """Return what the links of a page lead to, without those to other sites."""
    found = [one or other for one, other in LINK.findall(BLOCK.sub("", text))]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors_in(text: str) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    anchors: set[str] = set()
    for heading in HEADING.findall(BLOCK.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        same = (f"{slug}-{number}" if number else slug for number in range(len(anchors) + 1))
        anchors.add(next(name for name in same if name not in anchors))
    return anchors


def broken(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    wrong = []
    for link in links_in(text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors_in(target.read_text())):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """A page that moved, or a heading that is called something else now."""
    assert broken(page, page.read_text()) == []


def test_every_page_is_linked_from_the_readme() -> None:
    """What nobody finds, nobody reads."""
    linked = {link.partition("#")[0] for link in links_in((TOP / "README.md").read_text())}
    assert {str(page.relative_to(TOP)) for page in DOCS.glob("*.md")} <= linked


def test_a_broken_link_is_found() -> None:
    """A file, a heading of another page, and one of the page itself."""
    page = DOCS / "install.md"
    links = "[a](nowhere.md) [b](ci.md#nowhere) [c](#nowhere)\n\n[d]: nowhere.md"
    good = "[e](ci.md) [f](#platforms) [g](https://example.com) `[h]`\n```sh\n[i](nowhere)\n```\n"
    assert broken(page, f"{links}\n{good}") == [
        "nowhere.md",
        "ci.md#nowhere",
        "#nowhere",
        "nowhere.md",
    ]


def test_the_names_of_headings_are_githubs() -> None:
    """Lower case, without most signs, numbered where there are two of one name."""
    text = "# A `b-c`, and d\n## configure --profiles\n```sh\n# no heading\n```\n## Same\n## Same\n"
    assert anchors_in(text) == {"a-b-c-and-d", "configure---profiles", "same", "same-1"}

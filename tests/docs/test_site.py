"""The site: every page is on it, as it is written, and no link leads nowhere."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from markdown_it import MarkdownIt

from tests.support import needs
from tests.support.pages import TOP

CONFIG = yaml.safe_load((TOP / "mkdocs.yml").read_text())
PAGES = {
    "index.md": TOP / "README.md",
    **{name: TOP / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
    **{path.name: path for path in (TOP / "docs").glob("*.md")},
}
LINKED = ("ecr_credential_helper", "tests")  # what the pages lead to beside packaging/
pytestmark = pytest.mark.needs("make")
COUNTED = ("li", "table", "td", "pre", "img", "h2", "h3", "strong")


class Tags(HTMLParser):
    """All elements of a page of the site, and how many of each its article has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        self.found.append((tag, dict(attrs)))

    def counts(self) -> dict[str, int]:
        """Return how often there is each of those that are counted."""
        names = [tag for tag, _ in self.found]
        return {tag: names.count(tag) for tag in COUNTED}


def build(top: Path, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Build the site of a copy of the repository by `make docs`, in this environment."""
    needs.module("material", "docs")
    command = (
        *("make", f"--makefile={TOP}/Makefile", "docs", f"DOCS_ARGS=--site-dir {directory}"),
        *(f"BIN={Path(sys.executable).parent}", "INSTALLED=mkdocs.yml", "--old-file=mkdocs.yml"),
    )
    return subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the site."""
    directory = tmp_path_factory.mktemp("site")
    done = build(TOP, directory)
    assert done.returncode == 0, done.stderr
    return directory


def html(site: Path, page: str) -> str:
    """Return a page of the site."""
    name = "" if page == "index.md" else page.removesuffix(".md")
    return (site / name / "index.html").read_text()


def test_the_navigation_names_every_page_once() -> None:
    """Whoever writes a page says where it is found."""
    named = [page for entry in CONFIG["nav"] for page in pages_in(entry)]
    assert sorted(named) == sorted(PAGES)


def pages_in(entry: dict[str, str | list[dict[str, str]]]) -> list[str]:
    """Return the pages of an entry of the navigation, or of the group that it is."""
    (below,) = entry.values()
    return [below] if isinstance(below, str) else [page for one in below for page in one.values()]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_it_is_in_the_repository(site: Path, page: str) -> None:
    """MkDocs reads Markdown its own way, but loses no item of a list and no cell of a table."""
    article = html(site, page).partition("<article")[2].partition("</article>")[0]
    text = MarkdownIt("commonmark").enable("table").render(PAGES[page].read_text())
    assert Tags(article).counts() == Tags(text).counts()


def test_a_page_makes_the_browser_ask_nobody_else(site: Path) -> None:
    """No script, style, font or picture comes from another host."""
    for path in site.rglob("*.html"):
        for tag, attributes in Tags(path.read_text()).found:
            asked = attributes.get("src") if tag != "link" else attributes.get("href")
            assert not re.match(r"(https?:)?//", asked or ""), (path, tag)
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", path.read_text()), path


@pytest.mark.parametrize(
    "target", ["docs/none.md", "docs/ci.md#none", "#none", "packaging/none.py"]
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, target: str) -> None:
    """To a page, to a heading of one, and to another file."""
    top = tmp_path / "copy"
    shutil.copytree(TOP / "packaging", top / "packaging")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "mkdocs.yml", *LINKED):
        (top / name).symlink_to(TOP / name)
    (top / "README.md").write_text(f"{PAGES['index.md'].read_text()}\n[broken]({target})\n")
    done = build(top, tmp_path / "site")
    assert done.returncode == 2
    (warning,) = (line for line in done.stderr.splitlines() if line.startswith("WARNING"))
    assert target.rpartition("/")[2] in warning

"""What MkDocs calls to make the site of the pages as they lie in the repository (mkdocs.yml).

The pages beside docs/ are added, and links are turned to where a page is on the site; those to
other files lead to the repository.
"""

import logging
import posixpath
from pathlib import Path

import links
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

from ecr_credential_helper import __version__

ROOT = Path(__file__).resolve().parent.parent
# The pages beside docs/, and what they are called on the site.
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
}

_log = logging.getLogger("mkdocs.hooks.website")  # in strict mode a warning fails the build


def on_config(config: MkDocsConfig) -> None:
    """Have headings found by the anchors that GitHub gives them."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages beside docs/."""
    for path, name in BESIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its links turned."""
    del config, files
    here = page.file.src_uri
    path = {name: path for path, name in BESIDE.items()}.get(here, f"docs/{here}")

    def changed(target: str) -> str:
        to, anchor = links.path_of(target, path)
        if not to:
            return target
        if to in BESIDE or to.startswith("docs/"):
            name = BESIDE.get(to, to.removeprefix("docs/"))
            return posixpath.relpath(name, posixpath.dirname(here) or ".") + anchor
        if not (ROOT / to).exists():
            _log.warning("%s links to %s, which is not there", path, target)
        return links.on_github(to, anchor, __version__)

    return links.with_targets(markdown, changed)

"""The links of the pages in Markdown, for where the repository is not around them."""

import posixpath
import re
from collections.abc import Callable

REPOSITORY = "https://github.com/OWNER/ecr-credential-helper"

# Code, in which nothing is a link; or the target of a link or a picture, with what is around it.
_CODE_OR_TARGET = re.compile(
    r"^(?P<fence>```+).*?^(?P=fence)$|(?P<ticks>`+)[^`].*?(?<!`)(?P=ticks)(?!`)"
    r"|(?<=\]\()(?P<target>[^()\s]+)(?=\))",
    re.MULTILINE | re.DOTALL,
)


def with_targets(text: str, change: Callable[[str], str]) -> str:
    """Return a page with `change` made to the target of each link and picture."""
    return _CODE_OR_TARGET.sub(
        lambda found: change(found["target"]) if found["target"] else found[0], text
    )


def path_of(target: str, page: str) -> tuple[str, str]:
    """Return what a link on a page leads to: a path in the repository, and `#` and an anchor.

    The path is empty if it leads elsewhere. `page` is the path of the page.
    """
    if re.match(r"[a-z]+:", target):
        return "", ""
    path, mark, anchor = target.partition("#")
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    return whole, mark + anchor


def on_github(path: str, anchor: str, version: str) -> str:
    """Return the address of a file in the repository, as it is in a version."""
    kind = "raw" if path.endswith((".png", ".svg")) else "blob"
    return f"{REPOSITORY}/{kind}/v{version}/{path}{anchor}"


def absolute(text: str, page: str, version: str) -> str:
    """Return the text of a page with no link in it that is relative."""

    def changed(target: str) -> str:
        path, anchor = path_of(target, page)
        return on_github(path, anchor, version) if path else target

    return with_targets(text, changed)

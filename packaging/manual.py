"""A page in Markdown as the sections of a man page (groff_man(7)).

A table becomes tagged paragraphs: the first cell of a row is the tag. What this knows no form for
is an error, so that nothing is left out in silence.
"""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode as Node

# A character that roff reads, or shows as another one.
_ESCAPES = str.maketrans(
    {
        "\\": r"\e",
        "-": r"\-",
        "'": r"\(aq",
        '"': r"\(dq",
        "`": r"\(ga",
        "^": r"\(ha",
        "~": r"\(ti",
    }
)
_FONTS = {"strong": "B", "em": "I"}
_ABSOLUTE = ("https://", "http://", "mailto:")


def sections(page: str) -> dict[str, str]:
    """Return the roff text below each heading of the second level, by the heading.

    What comes before the first of them is left out. Raises ValueError.
    """
    found: dict[str, list[str]] = {}
    heading = ""
    for node in Node(MarkdownIt("commonmark").enable("table").parse(page)).children:
        if node.type == "heading" and node.tag == "h2":
            heading = node.children[0].content
            found[heading] = []
        elif heading:
            found[heading] += _block(node)
    return {heading: "\n".join(lines) for heading, lines in found.items()}


def _block(node: Node) -> Iterator[str]:
    """Yield the lines of a block. Raises ValueError."""
    match node.type:
        case "heading":
            yield f".SS {_text(node)}"
        case "paragraph":
            yield from (".PP", _text(node))
        case "fence" | "code_block":
            yield from (".PP", ".RS 4", ".EX", _escaped(node.content).rstrip("\n"), ".EE", ".RE")
        case "bullet_list" | "ordered_list":
            yield from _list(node)
        case "table":
            yield from _table(node)
        case _:
            raise ValueError(f"no form in a man page: {node.type}")


def _list(node: Node) -> Iterator[str]:
    """Yield the lines of a list; what else an item has is set in below its first paragraph."""
    for number, item in enumerate(node.children, int(node.attrs.get("start", 1))):
        mark = r"\(bu 2" if node.type == "bullet_list" else f"{number}. 4"
        first, *others = item.children
        yield from (f".IP {mark}", _text(first))
        if others:
            yield ".RS"
            for other in others:
                yield from _block(other)
            yield ".RE"


def _table(node: Node) -> Iterator[str]:
    """Yield the lines of a table; of more than two columns, each is named by its heading."""
    head, *body = (row for part in node.children for row in part.children)
    names = [_text(cell) for cell in head.children[1:]]
    for row in body:
        tag, *cells = map(_text, row.children)
        if len(names) > 1:
            cells = [f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell]
        yield from (".TP", tag, "\n.br\n".join(cells))


def _text(node: Node) -> str:
    """Return the lines of what is in a block."""
    return "".join(map(_inline, node.children))


def _inline(node: Node) -> str:
    """Return a part of a line. Raises ValueError."""
    within = "".join(map(_inline, node.children))
    match node.type:
        case "inline":
            return within
        case "text":
            return _escaped(node.content)
        case "softbreak":
            return "\n"
        case "code_inline":
            unbroken = " ".join(rf"\%{word}" for word in _escaped(node.content).split(" "))
            return rf"\fB{unbroken}\fR"
        case "strong" | "em":
            return rf"\f{_FONTS[node.type]}{within}\fR"
        case "link":
            target = str(node.attrs["href"])
            shown = target.startswith(_ABSOLUTE) and _escaped(target) != within
            return f"{within} ({_escaped(target)})" if shown else within
        case _:
            raise ValueError(f"no form in a man page: {node.type}")


def _escaped(text: str) -> str:
    """Return text that roff shows as it is; a dot at the beginning of a line is no request."""
    ascii_only = re.sub(
        r"[^\x00-\x7f]", lambda found: rf"\[u{ord(found[0]):04X}]", text.translate(_ESCAPES)
    )
    return re.sub(r"^\.", r"\\&.", ascii_only, flags=re.MULTILINE)

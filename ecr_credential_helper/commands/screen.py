"""Output for people: colour, progress, wrapped lines, lengths of time in words, JSON."""

import json
import os
import sys
import textwrap
from typing import Any

WIDTH = 80  # columns, if no terminal gives a width
GREEN, YELLOW, RED, BOLD = "32", "33", "31", "1"

_NARROWEST = 40
_MINUTE, _HOUR = 60, 3600


class Screen:
    """Where the output of a command is shown.

    `name` is what this program was called by; `colour` says whether the output may have colours;
    `width` is the number of columns that it is wrapped to.
    """

    def __init__(self, name: str, *, colour: bool = False, width: int = WIDTH) -> None:
        self.name = name
        self._width = max(width, _NARROWEST)
        self._colour = colour
        self._live = os.isatty(2) and os.environ.get("TERM") != "dumb"

    @property
    def helper(self) -> str:
        """What config.json calls this program: its name without `docker-credential-`."""
        prefix = "docker-credential-"
        return self.name.removeprefix(prefix) if self.name.startswith(prefix) else "ecr"

    def paint(self, text: str, colour: str) -> str:
        """Return `text` in `colour` if colours are allowed."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def progress(self, line: str) -> None:
        """Show `line` instead of the last one if stderr is a terminal; "" removes it."""
        if self._live:
            columns = os.get_terminal_size(2).columns or WIDTH
            sys.stderr.write(f"\r\x1b[2K{line[: columns - 1]}")
            sys.stderr.flush()

    def lines(self, text: str, first: str = "", rest: str = "") -> str:
        """Return `text` wrapped, its first line after `first`, each other line after `rest`."""
        return textwrap.fill(
            text,
            self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def fix(self, text: str, indent: str) -> str:
        """Return the fix, after `indent`; a command stays on one line, so that it can be copied."""
        text = f"fix: {text}"
        command = text.startswith(("fix: sudo ", "fix: docker-credential-"))
        return indent + text if command else self.lines(text, indent, indent)


def duration(seconds: float) -> str:
    """Return a length of time for people to read: `11 h 59 min`."""
    if seconds < _MINUTE:
        return f"{max(0, int(seconds))} s"
    hours, minutes = int(seconds // _HOUR), int(seconds % _HOUR // _MINUTE)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def as_json(document: Any) -> str:
    """Return `document` as indented JSON, for people and for programs."""
    return json.dumps(document, indent=2) + "\n"

"""Output for people: colour, tables, progress, wrapped lines, lengths of time in words, JSON.

Tables and progress are drawn by rich. It takes as long to load as argparse and all commands, so it
is loaded only by what draws one.
"""

import contextlib
import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

GREEN, YELLOW, RED, BOLD = "32", "33", "31", "1"

_DIFF_COLOURS = {"+": GREEN, "-": RED, "@": YELLOW}
_WIDTH = 80  # columns, if no terminal gives a width
_NARROWEST = 40
_SHORT = 12  # columns: a cell that is not wrapped
_GAP = 2  # columns between two of a table
_UNBOUND = 10_000  # columns: each row of a table in one line
_MINUTE, _HOUR = 60, 3600


class Screen:
    """Where the output of a command is shown.

    `name` is what this program was called by; `is_terminal` says whether a person may be looking
    at it, `colour` whether the output may have colours;
    `width` is the number of columns that it is wrapped to, 0 if the terminal does not know. With
    None there is no terminal: what is wrapped is wrapped for 80 columns, and a row of a table is
    one line, for `grep` and the like.
    """

    def __init__(
        self,
        name: str,
        *,
        colour: bool = False,
        width: int | None = None,
        is_terminal: bool = False,
    ) -> None:
        self.name = name
        self.is_terminal = is_terminal
        self._width = max(width or _WIDTH, _NARROWEST)
        self._row_width = _UNBOUND if width is None else self._width
        self._colour = colour

    @property
    def helper(self) -> str:
        """What config.json calls this program: its name without `docker-credential-`."""
        prefix = "docker-credential-"
        return self.name.removeprefix(prefix) if self.name.startswith(prefix) else "ecr"

    def paint(self, text: str, colour: str) -> str:
        """Return `text` in `colour` if colours are allowed."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Return a table, no word of it broken; where it is too wide, each row as a paragraph.

        A first column is not wrapped, nor is one of short texts. Cells may be painted.
        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="")
        narrowest = -_GAP
        for name, *column in zip(header, *rows, strict=True):
            cells = [line for cell in column for line in Text.from_ansi(cell).plain.splitlines()]
            whole = name == header[0] or all(len(cell) <= _SHORT for cell in cells)
            parts = cells if whole else [word for cell in cells for word in cell.split()]
            least = max(map(len, (name, *parts)))
            title = Text.from_ansi(self.paint(name, BOLD))
            table.add_column(title, no_wrap=whole, min_width=least)
            narrowest += least + _GAP
        for row in rows:
            table.add_row(*map(Text.from_ansi, row))
        console = Console(
            file=io.StringIO(),
            width=self._row_width,
            force_terminal=self._colour,
            color_system="standard" if self._colour else None,
            highlight=False,
        )
        with console.capture() as drawn:
            console.print(table, crop=False)
        lines = [line.rstrip() for line in drawn.get().splitlines()]
        widest = max(Text.from_ansi(line).cell_len for line in lines)
        if max(narrowest, widest) > self._row_width:
            return "".join(self._paragraph(header, row) for row in rows)
        return "".join(f"{line}\n" for line in lines)

    @contextlib.contextmanager
    def progress(self, total: int) -> Iterator[Callable[[str], None]]:
        """Show how many of `total` are done, while stderr is a terminal; it is wiped at the end.

        Gives a function that counts one more, and takes what it was.
        """
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True, highlight=False)
        with Progress(
            *(BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)),
            console=console,
            auto_refresh=False,
            transient=True,
            disable=not console.is_terminal or console.is_dumb_terminal,
        ) as progress:
            task = progress.add_task("", total=total)
            progress.refresh()
            yield lambda done: progress.update(task, advance=1, description=done, refresh=True)

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

    def after_name(self, text: str) -> str:
        """Return `text` wrapped to come after the program's name, which `tell` puts before it."""
        before = " " * len(f"{self.name}: ")
        return self.lines(text, before).removeprefix(before)

    def fix(self, text: str, indent: str) -> str:
        """Return the fix, after `indent`; a command stays on one line, so that it can be copied."""
        said = f"fix: {text}"
        return indent + said if is_command(text) else self.lines(said, indent, indent)

    def told(self, said: str, fix: str) -> str:
        """Return something for stderr, which begins with our name, with what to do about it."""
        return f"{self.after_name(said)}\n{self.fix(fix, '')}"

    def diff(self, path: str, before: str, after: str) -> list[str]:
        """Return what changes in a file, as the lines of a unified diff."""
        import difflib

        old, new = before.splitlines(), after.splitlines()
        lines = difflib.unified_diff(old, new, path, path, lineterm="")
        return [
            self.paint(line, _DIFF_COLOURS[line[0]]) if line[:1] in _DIFF_COLOURS else line
            for line in lines
        ]

    def cut(self, text: str, indent: int) -> str:
        """Return the beginning of `text` that fits into one line, `indent` columns from its start.

        What follows a semicolon explains more than a passed check needs.
        """
        text = text.partition(";")[0]
        room = self._row_width - indent
        return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"

    def say(self, text: str) -> None:
        """Write a text to stderr now: for what a person has to see before the result."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def agreed(self, question: str) -> bool:
        """Ask the person at the terminal, and return whether they agree; without one, say how."""
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            self.say("  not done, for there is no terminal to ask on: --yes does it")
            return False
        from rich.console import Console
        from rich.prompt import Confirm

        try:
            return Confirm.ask(
                question, console=Console(stderr=True, highlight=False), default=False
            )
        except EOFError:
            return False

    def _paragraph(self, header: Sequence[str], row: Sequence[str]) -> str:
        """Return a row as lines, each but the first with the name of its column."""
        pairs = zip(header[1:], row[1:], strict=True)
        rest = (self.lines(f"{name}: {cell}", "    ", "      ") for name, cell in pairs if cell)
        return "".join(f"{line}\n" for line in (row[0], *rest))


def is_command(fix: str) -> bool:
    """Whether a fix is a command to type, and not a sentence."""
    return fix.startswith(("docker-credential-", "sudo ", "ln -s ", "chmod "))


def duration(seconds: float) -> str:
    """Return a length of time for people to read: `11 h 59 min`."""
    if seconds < _MINUTE:
        return f"{max(0, int(seconds))} s"
    hours, minutes = int(seconds // _HOUR), int(seconds % _HOUR // _MINUTE)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def as_json(document: Any) -> str:
    """Return `document` as indented JSON, for people and for programs."""
    return json.dumps(document, indent=2) + "\n"

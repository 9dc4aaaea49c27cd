"""The commands for people: one module for each; argparse chooses between them."""

import argparse
import contextlib
import io
import os
from collections.abc import Callable

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError

from . import auths, clear, configure, doctor, get_login_password, kubelet, status, warm
from .screen import Screen

_COMMANDS = (configure, status, doctor, warm, clear, get_login_password, auths, kubelet)


def run(
    name: str,
    arguments: list[str],
    context: Context,
    *,
    stdin: Callable[[], bytes],
    columns: int | None,
) -> tuple[str, int]:
    """Run the command in `arguments`; return what to print and the exit status.

    `name` is what this program was called by, `stdin` reads standard input to its end, `columns` is
    the width of the terminal that shows what is printed, 0 if it is unknown, None if there is no
    terminal. Raises HelperError if the command fails.
    """
    help_text = io.StringIO()
    try:
        with contextlib.redirect_stdout(help_text):
            chosen = parser(name).parse_args(arguments, argparse.Namespace(stdin=stdin))
    except SystemExit as end:
        return help_text.getvalue(), int(end.code or 0)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    chosen_width = os.environ.get("COLUMNS", "")  # it goes before the terminal's, as in argparse
    width = int(chosen_width) if chosen_width.isdecimal() else columns
    terminal = columns is not None
    screen = Screen(name, colour=terminal and not plain, width=width, is_terminal=terminal)
    try:
        text, exit_status = chosen.run(chosen, context, screen)
    except HelperError as error:
        context.note(f"{arguments[0]}: {error.message}")
        raise
    return text, exit_status


def parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of all commands: help, completions and the man page are made from it."""
    whole = argparse.ArgumentParser(
        prog=name,
        description="A Docker credential helper for Amazon ECR, and what sets it up and looks "
        "after it. Docker itself runs it with get, store, erase or list, which read their input "
        "from stdin.",
    )
    commands = whole.add_subparsers(required=True, metavar="command", dest="command")
    for command in _COMMANDS:
        command.add_to(commands)
    return whole

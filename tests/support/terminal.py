"""What a person sees who types a command on a terminal."""

import os
import re

from .helper import Helper, Result
from .needs import check


def on_a_terminal(
    helper: Helper, *arguments: str, columns: int = 80, typed: str = "", **env: str | None
) -> Result:
    """Run the executable with a terminal as its stdin, stdout and stderr; its screen is stdout.

    `typed` is what the person types, which the terminal shows too.
    """
    check("terminal")
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with helper.popen(*arguments, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    return Result(process.returncode, shown.replace(b"\r\n", b"\n"), b"")


def without_colour(text: str) -> str:
    """Return a text without what sets colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _read(terminal: int) -> bytes:
    """Return what a terminal shows next, nothing at its end."""
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so at the end
        return b""

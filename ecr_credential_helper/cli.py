"""The entry point: reads argv and stdin, writes stdout and stderr, sets the exit status.

No other module uses the standard streams, except `commands.screen`, which shows progress and asks.
While a verb runs, file descriptor 1 is stderr: whatever a library or a credential_process prints,
only the answer reaches the caller's stdout.

What goes to stderr comes after the answer on stdout: some clients read both through one pipe, and
take the first thing in it for the answer (testcontainers-java); and what is left to do is what a
person should read last.
"""

import os
import sys
import time

from . import __version__, protocol, verbs
from .context import Context
from .errors import (
    CredentialsNotFound,
    HelperError,
    NoHeaders,
    ProtocolError,
    as_helper_error,
    printable,
)
from .system.environment import settle_home, settle_search_path

_CHUNK = 64 * 1024
_INTERRUPTED = 130
_COMMANDS = (
    *("configure", "status", "doctor", "warm", "clear", "get-login-password", "auths", "kubelet"),
)
_told: list[str] = []  # lines for stderr, once the answer is out

_PROMPT = "type the host of a registry, then Enter and Ctrl-D; Docker would send it"

_HELP = """\
Usage: {name} <store|get|erase|list|version>

A Docker credential helper for Amazon ECR. Docker runs it; name it in ~/.docker/config.json:

  {{"credHelpers": {{"111122223333.dkr.ecr.eu-west-1.amazonaws.com": "{suffix}"}}}}

  get      server URL on stdin; prints user and token as JSON
  store    {{"ServerURL", "Username", "Secret"}} on stdin; takes logins to ECR
  erase    server URL on stdin
  list     prints the registries that have a token in the cache
  version  prints the version

Commands for people (each with --help):

  configure           names this helper for your registries in config.json
  status              shows which tokens are in the cache, and for how long
  doctor              finds what keeps this from working, and how to fix it
  warm                fetches tokens ahead of time
  clear               drops tokens
  get-login-password  prints a token, as the AWS CLI's command does
  auths               prints logins, for programs that take no helper
  kubelet             answers a kubelet, as its image credential provider
"""


def main() -> None:
    """Run the verb that argv names, write its answer, and exit with its status.

    The process exits without the interpreter's own cleanup, which takes as long as a cache hit:
    nothing is left for it to do, and a thread that hangs is not waited for.
    """
    stdout = 1
    name = _own_name(sys.argv[0])
    try:
        columns = _columns(stdout) if _is_command(sys.argv[1:]) else None
        stdout = _claim_stdout()
        settle_home()
        settle_search_path()
        answer, status = _dispatch(name, sys.argv[1:], stdout, columns)
    except KeyboardInterrupt:
        answer, status = "", _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        answer, status = _failure(name, as_helper_error(error), sys.argv[1:]), 1
    listens = _write(stdout, answer)
    _flush()
    _write(2, "".join(_told))
    os._exit(status if listens else 1)


def _dispatch(name: str, arguments: list[str], stdout: int, columns: int | None) -> tuple[str, int]:
    """Return the answer to `arguments` and the exit status; `columns` is the terminal's width.

    Raises HelperError.
    """
    if _is_command(arguments):
        from . import commands

        return commands.run(
            name,
            arguments,
            _context(name),
            stdin=lambda: _read_stdin(protocol.LOGIN_LIMIT),
            columns=columns,
        )
    if not arguments and os.isatty(stdout):
        return _help(name), 0
    return _protocol(name, arguments), 0


def _is_command(arguments: list[str]) -> bool:
    """Whether `arguments` begin with a command for people, and not with a verb of the protocol."""
    return bool(arguments) and arguments[0] in _COMMANDS


def _protocol(name: str, arguments: list[str]) -> str:  # noqa: PLR0911 - one for each verb
    """Return the answer to a verb of the protocol. Raises HelperError."""
    if arguments in (["get"], ["erase"]) and os.isatty(0):
        _write(2, f"{name}: {_PROMPT}\n")
    match arguments:
        case ["get"]:
            return verbs.get(_read_stdin(protocol.SERVER_URL_LIMIT), _context(name))
        case ["store"]:
            return verbs.store(_read_stdin(protocol.LOGIN_LIMIT), _context(name))
        case ["erase"]:
            return verbs.erase(_read_stdin(protocol.SERVER_URL_LIMIT), _context(name))
        case ["list"]:
            return verbs.list_hosts(_context(name))
        case ["version" | "--version" | "-v"]:
            return f"{name} (ecr-credential-helper) {__version__}\n"
        case ["--help" | "-h"]:
            return _help(name)
        case ["refresh-now" | "refresh-in-background" as verb, host]:
            in_background = verb == "refresh-in-background"
            return verbs.refresh(host, _context(name), in_background=in_background)
        case [verb]:
            raise ProtocolError(f"{name}: unknown action: {verb}", _nearest(name, verb))
    raise ProtocolError(_help(name).partition("\n")[0], _nearest(name, *arguments[:1]))


def _help(name: str) -> str:
    return _HELP.format(name=name, suffix=name.removeprefix("docker-credential-"))


def _nearest(name: str, word: str = "") -> str:
    """Return a hint at the command that `word` was meant to be, empty if it is like none."""
    import difflib

    found = difflib.get_close_matches(word, _COMMANDS, 1)
    return f"the nearest command is `{name} {found[0]}`" if found else ""


def _context(name: str) -> Context:
    return Context(time.time, lambda line: _tell(f"{name}: {line}"))


def _failure(name: str, error: HelperError, arguments: list[str]) -> str:
    """Write or queue what belongs on stderr, and return what belongs on stdout."""
    if isinstance(error, ProtocolError):
        if error.hint:
            _tell(f"hint: {error.hint}")
        return f"{error.message}\n"
    stderr_alone = _is_command(arguments) or isinstance(error, NoHeaders)
    if stderr_alone or isinstance(error, CredentialsNotFound):
        if error.message:
            _tell(f"{name}: {error.message}")
        if error.hint:
            _tell(f"hint: {error.hint}")
        return "" if stderr_alone else f"{protocol.CREDENTIALS_NOT_FOUND}\n"
    # The cause is in the hint too: `docker pull` before Docker 29 drops a helper's stdout, and a
    # person would be left with "no basic auth credentials".
    _tell(f"hint: {error.hint} ({error.message})" if error.hint else f"hint: {error.message}")
    return f"{name}: {error.message}\n"


def _tell(line: str) -> None:
    """Queue a line for stderr; a command may have wrapped it into several."""
    lines = line.split("\n") if _is_command(sys.argv[1:]) else [line]
    _told.extend(f"{printable(part)}\n" for part in lines)


def _own_name(path: str) -> str:
    """Return the name this program was called by."""
    name = os.path.basename(path)
    return "docker-credential-ecr" if name == "__main__.py" else name.removesuffix(".exe")


def _claim_stdout() -> int:
    """Return a private copy of stdout, and put stderr in its place.

    Standard streams that the caller closed are opened on the null device first: else the next file
    that is opened would take their number, and what is printed would land in it.

    Raises OSError if no file descriptor is left.
    """
    try:
        while (null := os.open(os.devnull, os.O_RDWR)) < 3:  # noqa: PLR2004 - after 0, 1 and 2
            pass
        os.close(null)
    except OSError:  # a root directory without devices
        pass
    stdout = os.dup(1)
    os.dup2(2, 1)
    return stdout


def _columns(stream: int) -> int | None:
    """Return the width of the terminal on `stream`: 0 if unknown, None if it is no terminal.

    Windows knows it of the standard streams alone, so it is asked before they are changed.
    """
    try:
        return os.get_terminal_size(stream).columns
    except (OSError, ValueError):
        return None


def _flush() -> None:
    """Flush what a library printed, which goes to stderr; ignore it if that fails."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        pass


def _read_stdin(limit: int) -> bytes:
    """Read stdin to its end, and return its first `limit` bytes and one more if there are more.

    Raises HelperError if it cannot be read.
    """
    kept = b""
    while True:
        try:
            chunk = os.read(0, _CHUNK)
        except BlockingIOError:  # the caller's event loop made stdin non-blocking
            _wait_for(0)
            continue
        except OSError as error:
            raise HelperError(f"cannot read stdin: {error.strerror}") from error
        if not chunk:
            return kept
        kept += chunk[: limit + 1 - len(kept)]


def _write(stream: int, text: str) -> bool:
    """Write all of `text`; False if the caller no longer reads."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        try:
            data = data[os.write(stream, data) :]
        except BlockingIOError:
            _wait_for(stream)
        except OSError:
            return False
    return True


def _wait_for(stream: int) -> None:
    """Wait until a non-blocking stream can be read, or written if it is not stdin."""
    if sys.platform == "win32":  # where none is non-blocking
        return
    import select

    poll = select.poll()
    poll.register(stream, select.POLLOUT if stream else select.POLLIN)
    poll.poll()

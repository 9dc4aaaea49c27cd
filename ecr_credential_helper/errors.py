"""The errors of this program, each with a message and a hint for the person at the terminal."""

import os

_OUTSIDE = (
    "log in with `aws sso login` or `aws configure`, set AWS_PROFILE, or give this machine a role"
)
_INSIDE = (
    "pass AWS credentials into this container; for the role of an EC2 instance, "
    "raise its metadata hop limit to 2"
)
_NO_THREAD = (
    "no thread can be started: there is a limit on processes or memory, or a seccomp profile older "
    "than this program's C library"
)
_MORE_THREADS = (
    "raise the limits of this process (`ulimit -a`, `docker run --pids-limit`), or update the "
    "container engine and its libseccomp (Docker 20.10.10 or newer)"
)
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")


def in_container() -> bool:
    """Whether this looks like the inside of a container."""
    return any(map(os.path.exists, _CONTAINER_MARKS))


def printable(text: str) -> str:
    """Return `text` with a space for each character that could start a line or control a terminal.

    These are all characters that are not printable.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


class HelperError(Exception):
    """A failure that is reported to the user.

    `message` is one line: lower case, no full stop, what was wrong. `hint` is one line that says
    what to do about it, empty if there is no advice. Neither ever holds a token or a secret.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(self.message)

    def with_message(self, message: str) -> "HelperError":
        """Return an error of the same kind and with the same hint, and another message."""
        return rebuilt(type(self).__name__, message, self.hint)


def as_helper_error(error: Exception) -> HelperError:
    """Return `error` as a HelperError.

    One that no code expected is told by its type and where it was raised. What it says itself is
    not repeated: there may be a secret in it.
    """
    if isinstance(error, HelperError):
        return error
    if isinstance(error, MemoryError):
        return HelperError("out of memory", "raise the limit of this process: `ulimit -v`")
    if isinstance(error, OSError) and error.strerror:
        return HelperError(f"the system refused: {error.strerror}")
    if isinstance(error, ImportError):
        return HelperError(_failed_import(error), "install it again")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return HelperError(_NO_THREAD, _MORE_THREADS)
    return HelperError(f"internal error: {type(error).__name__}{_place(error)}")


def _failed_import(error: ImportError) -> str:
    """Return which module could not be imported, from which file if there is one, and where."""
    if not error.name:
        return f"a part of this program does not load: {type(error).__name__}{_place(error)}"
    if isinstance(error, ModuleNotFoundError):
        return f"a part of this program is missing: the module {error.name}, needed{_place(error)}"
    file = f" from {error.path}" if error.path else ""
    return f"a part of this program does not load: the module {error.name}{file}{_place(error)}"


def _place(error: Exception) -> str:
    """Return where an error was raised: " in urllib3/poolmanager.py, line 17", or nothing.

    The file is named from the directory of its package, which may lie in somebody's home.
    """
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next:
        trace = trace.tb_next
    names = str(trace.tb_frame.f_globals.get("__name__", "")).split(".")
    parts = trace.tb_frame.f_code.co_filename.replace(os.sep, "/").split("/")
    depth = len(names) + (parts[-1] == "__init__.py")
    return f" in {'/'.join(parts[-depth:])}, line {trace.tb_lineno}"


class ProtocolError(HelperError):
    """A request that the protocol has a fixed answer for; `message` is that answer, unprefixed."""


class CredentialsNotFound(HelperError):  # noqa: N818 - the name the protocol gives it
    """No credentials for this registry: the caller continues without credentials.

    `message` says why, for stderr; empty if the host is simply not ECR.
    """

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message, hint)


class NoHeaders(HelperError):  # noqa: N818 - it is what the caller gets
    """No answer to a request of the other protocol, whose errors go to stderr alone."""


class NoAWSCredentials(CredentialsNotFound):
    """botocore's credential chain found no AWS credentials."""

    def __init__(self) -> None:
        super().__init__("no AWS credentials found", _INSIDE if in_container() else _OUTSIDE)


class Denied(HelperError):  # noqa: N818 - it is an answer from AWS, not a failure to ask
    """AWS answered, and refused: a token in the cache must no longer be served."""


_KINDS = {kind.__name__: kind for kind in (CredentialsNotFound, NoAWSCredentials, Denied)}


def rebuilt(kind: str, message: str, hint: str) -> HelperError:
    """Return the error of a `kind`, which is the name of its class here, with message and hint."""
    kind_of_error = _KINDS.get(kind, HelperError)
    error = kind_of_error.__new__(kind_of_error)
    HelperError.__init__(error, message, hint)
    return error

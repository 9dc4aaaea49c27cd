"""The errors of this program, each with a message and a hint for the person at the terminal."""

import os

_OUTSIDE = (
    "log in with `aws sso login` or `aws configure`, set AWS_PROFILE, or give this machine a role"
)
_INSIDE = (
    "pass AWS credentials into this container; for the role of an EC2 instance, "
    "raise its metadata hop limit to 2"
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
    """Return `error` as a HelperError; one that no code expected gets a general message."""
    if isinstance(error, HelperError):
        return error
    if isinstance(error, MemoryError):
        return HelperError("out of memory", "raise the limit of this process: `ulimit -v`")
    if isinstance(error, OSError):
        return HelperError(f"the system refused: {error.strerror or error}")
    if isinstance(error, ImportError):
        return HelperError(f"a part of this program is missing: {error}", "install it again")
    return HelperError(f"internal error: {type(error).__name__}")


class ProtocolError(HelperError):
    """A request that the protocol has a fixed answer for; `message` is that answer, unprefixed."""


class CredentialsNotFound(HelperError):  # noqa: N818 - the name the protocol gives it
    """No credentials for this registry: the caller continues without credentials.

    `message` says why, for stderr; empty if the host is simply not ECR.
    """

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message, hint)


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

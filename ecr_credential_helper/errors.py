"""What can go wrong, in words for the person at the terminal."""

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
    """Return `text` without what could begin another line or steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


class HelperError(Exception):
    """A failure the user is told of.

    `message` is one line: lower case, no full stop, what was wrong. `hint` is one line that says
    what to do about it, empty where there is nothing to advise. Neither ever holds a token or a
    secret.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(self.message)


def as_helper_error(error: Exception) -> HelperError:
    """Return what an error means to the user that nobody expected where it was raised."""
    if isinstance(error, HelperError):
        return error
    if isinstance(error, MemoryError):
        return HelperError("out of memory", "raise the limit of this process: `ulimit -v`")
    if isinstance(error, OSError):
        return HelperError(f"the system refused: {error.strerror or error}")
    if isinstance(error, ImportError):
        return HelperError(f"a part of this program is missing: {error}", "install it anew")
    return HelperError(f"internal error: {type(error).__name__}")


class ProtocolError(HelperError):
    """A request that the protocol has a fixed answer for; `message` is that answer, bare."""


class CredentialsNotFound(HelperError):  # noqa: N818 - the name the protocol gives it
    """No credentials for this registry: the caller goes on anonymously.

    `message` says why, for stderr; empty where the host is simply none of ours.
    """

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__(message, hint)


class NoAWSCredentials(CredentialsNotFound):
    """Nowhere in botocore's chain is there a credential to ask with."""

    def __init__(self) -> None:
        super().__init__("no AWS credentials found", _INSIDE if in_container() else _OUTSIDE)


class Denied(HelperError):  # noqa: N818 - an answer, not a mishap
    """AWS was reached and the answer is no: a token at hand is no longer to be served."""

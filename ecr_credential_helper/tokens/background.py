"""A refresh that nobody waits for: a detached process of our own."""

import os

from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.system.processes import detach

from .cache import FRESH, Cache, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VERB = "refresh-in-background"

_PATIENCE = 60.0


def start(key: Key, cache: Cache, clock: "Callable[[], float]") -> bool:
    """See to it that the token under `key` is refreshed; False if it must be done in line.

    A mark beside the entry says that a process is at it, or failed at it within the last minute:
    then there is nothing to start.
    """
    if os.environ.get("AWS_ECR_DISABLE_BACKGROUND_REFRESH"):
        return False
    try:
        if _mark(key, cache, clock):
            # Between our look at the entry and the mark, another refresh may have come and gone.
            entry = cache.load(key)
            if entry and entry.stage(clock()) == FRESH:
                unmark(key, cache)
            else:
                detach([VERB, key.subject])
    except OSError:
        return False
    return True


def unmark(key: Key, cache: Cache) -> None:
    """Take away the mark of a refresh that succeeded."""
    try:
        with Directory(cache.path) as directory:
            directory.remove(_mark_name(key))
    except OSError:
        pass


def _mark(key: Key, cache: Cache, clock: "Callable[[], float]") -> bool:
    """Set the mark; False if it is there and younger than a minute. Raises OSError."""
    name = _mark_name(key)
    with Directory(cache.path) as directory:
        try:
            if abs(clock() - directory.changed(name)) < _PATIENCE:
                return False
            directory.remove(name)
        except FileNotFoundError:
            pass
        try:
            directory.create(name)
        except FileExistsError:
            return False
    return True


def _mark_name(key: Key) -> str:
    return f"{key.name}.refresh"

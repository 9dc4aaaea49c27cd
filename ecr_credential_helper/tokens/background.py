"""Refresh a token in the background, in a detached process."""

import os

from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.system.processes import detach

from .cache import FRESH, Cache, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

VERB = "refresh-in-background"
SECONDS = 120.0  # how long AWS may take: nobody waits for it

_RETRY_SECONDS = 60.0


def start(key: Key, cache: Cache, clock: "Callable[[], float]") -> bool:
    """Refresh the token under `key` in the background; False if the caller must refresh it itself.

    A mark (a file beside the cache entry) says that within the last minute a process was refreshing
    it, or failed to: then no process is started, and the answer is True.
    """
    if os.environ.get("AWS_ECR_DISABLE_BACKGROUND_REFRESH"):
        return False
    try:
        if _mark(key, cache, clock):
            # Another refresh may have finished between the read of the entry and the mark.
            entry = cache.load(key)
            if entry and entry.stage(clock(), key) == FRESH:
                unmark(key, cache)
            else:
                detach([VERB, key.subject])
    except OSError:
        return False
    return True


def renew_mark(key: Key, cache: Cache) -> None:
    """Let the mark count for another minute: the refresh goes on."""
    _change_mark(key, cache, Directory.touch)


def unmark(key: Key, cache: Cache) -> None:
    """Remove the mark of a refresh that succeeded."""
    _change_mark(key, cache, Directory.remove)


def _change_mark(key: Key, cache: Cache, change: "Callable[[Directory, str], None]") -> None:
    """Change the mark; if that fails, it counts for a minute and then no longer."""
    try:
        with Directory(cache.path) as directory:
            change(directory, _mark_name(key))
    except OSError:
        pass


def _mark(key: Key, cache: Cache, clock: "Callable[[], float]") -> bool:
    """Set the mark; False if there is one younger than a minute. Raises OSError."""
    name = _mark_name(key)
    with Directory(cache.path) as directory:
        try:
            if abs(clock() - directory.changed(name)) < _RETRY_SECONDS:
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

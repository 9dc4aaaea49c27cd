"""A refresh that nobody waits for: a detached process of our own."""

import os

from .cache import FRESH, Key
from .context import Context
from .files import Directory
from .processes import detach

VERB = "refresh-in-background"

_PATIENCE = 60.0


def start(key: Key, context: Context) -> bool:
    """See to it that the token under `key` is refreshed; False if it must be done in line.

    A mark beside the entry says that a process is at it, or failed at it within the last minute:
    then there is nothing to start.
    """
    if os.environ.get("AWS_ECR_DISABLE_BACKGROUND_REFRESH"):
        return False
    try:
        if _mark(key, context):
            # Between our look at the entry and the mark, another refresh may have come and gone.
            entry = context.cache.load(key)
            if entry and entry.stage(context.clock()) == FRESH:
                unmark(key, context)
            else:
                detach([VERB, key.subject])
    except OSError:
        return False
    return True


def unmark(key: Key, context: Context) -> None:
    """Take away the mark of a refresh that succeeded."""
    try:
        with Directory(context.cache.path) as directory:
            directory.remove(_mark_name(key))
    except OSError:
        pass


def _mark(key: Key, context: Context) -> bool:
    """Set the mark; False if it is there and younger than a minute. Raises OSError."""
    name = _mark_name(key)
    with Directory(context.cache.path) as directory:
        try:
            if abs(context.clock() - directory.changed(name)) < _PATIENCE:
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

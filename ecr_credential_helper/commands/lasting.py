"""A token for what keeps it: a login lasts only as long as its token."""

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import Denied, HelperError
from ecr_credential_helper.settings import Target
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.tokens.cache import DEAD, Key
from ecr_credential_helper.verbs import SHORT_PATIENCE


def lasting_token(target: Target, key: Key, context: Context) -> str:
    """Return a token for `target`, which the cache has under `key`, in the first part of its life.

    If AWS cannot be reached, it is a cached one that has not expired. Raises HelperError.
    """
    entry = context.cache.load(key)
    if entry and entry.stage(context.clock(), key) == DEAD:
        entry = None
    try:
        entry = context.fetch(target, Deadline(patience=SHORT_PATIENCE if entry else None))
    except Denied:
        raise
    except HelperError as error:
        if entry is None or entry.stage(context.clock(), key) == DEAD:
            raise
        context.tell(f"{error.message}; the token in the cache is still valid")
    return entry.token

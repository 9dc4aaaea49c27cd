"""Fetch a token on a cache miss: one process asks AWS, for all processes that wait for it.

Take the lock, look in the cache again, ask AWS, fill the cache. Not used on a cache hit.
"""

from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import NoAWSCredentials
from ecr_credential_helper.system.deadline import Deadline

from .cache import FRESH, Cache, Entry, Key, NoCache
from .identity import with_target
from .singleflight import SingleFlight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ecr_credential_helper.settings import Target

    class Caller(Protocol):
        """What a fetch needs of the Context.

        `identity` is the part of the key that the AWS settings set; `clock` gives epoch seconds;
        `note` takes one line for the debug log, `tell` one for stderr if the token cannot be kept.
        """

        cache: Cache
        identity: bytes
        clock: Callable[[], float]
        note: Callable[[str], None]
        tell: Callable[[str], None]


NOTHING_FOUND = "no_credentials"  # the subject of an entry that says: no AWS credentials found

_NOTHING_FOUND_LIFE = 60


def fetch(target: "Target", deadline: Deadline, caller: "Caller") -> Entry:
    """Return a fresh token for `target`, from AWS or from another process that just asked AWS.

    A token serves every registry of its region, so it is kept for the region as well as for the
    host, if the registry has one. What may pass is tried again until `deadline`.

    Raises NoAWSCredentials if there are none, which is remembered for a minute, and HelperError for
    every other failure, both by the deadline: its own, or that of the process that it waited for.
    """
    cache = caller.cache if target.cache else NoCache()
    identity, clock, tell = caller.identity, caller.clock, caller.tell
    whole_identity = with_target(identity, target)
    of_region, nothing_found = (
        Key(subject, whole_identity) for subject in (target.registry.scope, NOTHING_FOUND)
    )
    of_host = [Key(target.registry.host, identity)] if target.registry.host else []
    asked_for = (*of_host, of_region)[0]
    with SingleFlight(cache.path, f"{of_region.name}.lock", deadline, clock) as flight:
        for key in (*of_host, of_region):
            entry = cache.load(key)
            if entry and entry.stage(clock(), asked_for) == FRESH:
                _keep(cache, entry, of_host if key is of_region else [], tell)
                return entry
        past = cache.load(nothing_found)
        if past and past.issued <= clock() < past.expires:
            raise NoAWSCredentials
        try:
            entry = _ask(TokenRequest(target, deadline, caller.note), clock, flight)
        except NoAWSCredentials:
            now = int(clock())
            nothing = Entry(now, now + _NOTHING_FOUND_LIFE, "none", "")
            _keep(cache, nothing, [nothing_found], tell)
            raise
        _keep(cache, entry, [*of_host, of_region], tell)
        cache.sweep(clock())
        return entry


def _ask(request: TokenRequest, clock: "Callable[[], float]", flight: SingleFlight) -> Entry:
    """Ask AWS for a token until the deadline. Raises HelperError."""
    import gc

    gc.disable()  # a tenth of botocore's time: it makes many objects that are never freed

    def work() -> Entry:
        from ecr_credential_helper.aws import direct

        token = direct.authorization_token(request)
        if token is None:
            from ecr_credential_helper.aws import crt

            crt.hide_unless_needed()
            from ecr_credential_helper.aws.ecr import authorization_token

            token = authorization_token(request)
        now = clock()
        return Entry(int(now), int(now + token.life), token.source, token.secret)

    return request.deadline.wait_for(work, lambda: request.overdue, flight.report)


def _keep(cache: Cache, entry: Entry, keys: list[Key], tell: "Callable[[str], None]") -> None:
    """Keep `entry` under each of `keys`; if that fails, only a warning is given."""
    try:
        for key in keys:
            cache.save(key, entry)
    except OSError as error:
        why = error.strerror or error
        tell(f"the token is not kept, {cache.path} cannot be used: {why}")

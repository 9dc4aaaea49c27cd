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

    from ecr_credential_helper.settings import Target

NOTHING_FOUND = "no_credentials"  # the subject of an entry that says: no AWS credentials found

_NOTHING_FOUND_LIFE = 60


def fetch(
    target: "Target",
    cache: Cache,
    identity: bytes,
    clock: "Callable[[], float]",
    tell: "Callable[[str], None]",
) -> Entry:
    """Return a fresh token for `target`, from AWS or from another process that just asked AWS.

    A token serves every registry of its region, so it is kept for the region as well as for the
    host, if the registry has one. `identity` is the part of the key that the AWS settings set;
    `clock` gives epoch seconds; `tell` takes one line for stderr if the token cannot be kept.

    Raises NoAWSCredentials if there are none, which is remembered for a minute, and HelperError for
    every other failure, both within AWS_ECR_TIMEOUT seconds.
    """
    deadline = Deadline()
    if not target.cache:
        cache = NoCache()
    whole_identity = with_target(identity, target)
    of_region, nothing_found = (
        Key(subject, whole_identity) for subject in (target.registry.scope, NOTHING_FOUND)
    )
    of_host = [Key(target.registry.host, identity)] if target.registry.host else []
    with SingleFlight(cache.path, f"{of_region.name}.lock", deadline.seconds / 2):
        for key in (*of_host, of_region):
            entry = cache.load(key)
            if entry and entry.stage(clock()) == FRESH:
                _keep(cache, entry, of_host if key is of_region else [], tell)
                return entry
        past = cache.load(nothing_found)
        if past and past.issued <= clock() < past.expires:
            raise NoAWSCredentials
        try:
            entry = _ask(TokenRequest(target), clock, deadline)
        except NoAWSCredentials:
            now = int(clock())
            nothing = Entry(now, now + _NOTHING_FOUND_LIFE, "none", "")
            _keep(cache, nothing, [nothing_found], tell)
            raise
        _keep(cache, entry, [*of_host, of_region], tell)
        cache.sweep(clock())
        return entry


def _ask(request: TokenRequest, clock: "Callable[[], float]", deadline: Deadline) -> Entry:
    """Ask AWS for a token until the deadline. Raises HelperError."""
    import gc

    gc.disable()  # a tenth of botocore's time: it makes many objects that are never freed

    def work() -> Entry:
        from ecr_credential_helper.aws import crt

        crt.hide_unless_needed()
        from ecr_credential_helper.aws.ecr import authorization_token

        token = authorization_token(request)
        now = clock()
        return Entry(int(now), int(now + token.life), token.source, token.secret)

    return deadline.wait_for(work, lambda: request.asked)


def _keep(cache: Cache, entry: Entry, keys: list[Key], tell: "Callable[[str], None]") -> None:
    """Keep `entry` under each of `keys`; if that fails, only a warning is given."""
    try:
        for key in keys:
            cache.save(key, entry)
    except OSError as error:
        why = error.strerror or error
        tell(f"the token is not kept, {cache.path} cannot be used: {why}")

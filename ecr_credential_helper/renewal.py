"""What happens when the cache has no answer: one flight, the cache again, AWS, the cache filled.

Never on the way of a warm get.
"""

import sys

from .cache import FRESH, Cache, Entry, Key, NoCache
from .context import Context
from .deadline import Deadline
from .errors import NoAWSCredentials
from .flight import Flight
from .identity import shared_files
from .question import Question

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Target

NOTHING_FOUND = "no_credentials"  # the subject under which it is kept that there are none

_NOTHING_FOUND_LIFE = 60


def renew(target: "Target", context: Context) -> Entry:
    """Return a fresh token for `target`, which one process asks AWS for on behalf of all.

    A token serves every registry of its region, so it is kept for the region as well as the host,
    where the registry has one.

    Raises NoAWSCredentials if there are none, which is remembered for a minute, and HelperError for
    all else that can fail, both within AWS_ECR_TIMEOUT seconds.
    """
    deadline = Deadline()
    cache, clock = context.cache if target.cache else NoCache(), context.clock
    whole_identity = context.identity + target.identity
    of_region, nothing_found = (
        Key(subject, whole_identity) for subject in (target.registry.scope, NOTHING_FOUND)
    )
    of_host = [Key(target.registry.host, context.identity)] if target.registry.host else []
    with Flight(cache.path, f"{of_region.name}.lock", deadline.seconds / 2):
        for key in (*of_host, of_region):
            entry = cache.load(key)
            if entry and entry.stage(clock()) == FRESH:
                _keep(cache, entry, of_host if key is of_region else [], context)
                return entry
        past = cache.load(nothing_found)
        if past and past.issued <= clock() < past.expires:
            raise NoAWSCredentials
        question = Question(target)
        try:
            entry = _ask(question, clock, deadline)
        except NoAWSCredentials:
            now = int(clock())
            nothing = Entry(now, now + _NOTHING_FOUND_LIFE, "none", "")
            _keep(cache, nothing, [nothing_found], context)
            raise
        context.note(f"{question.asked}: a token for {entry.expires - entry.issued} s")
        _keep(cache, entry, [*of_host, of_region], context)
        cache.sweep(clock())
        return entry


def _ask(question: Question, clock: "Callable[[], float]", deadline: Deadline) -> Entry:
    """Ask AWS for a token until the deadline. Raises HelperError."""
    import gc

    gc.disable()  # botocore makes much that lives as long as this process: a tenth of its time

    def work() -> Entry:
        _spare_awscrt()
        from .ecr import authorization_token

        token = authorization_token(question)
        now = clock()
        return Entry(int(now), int(now + token.life), token.source, token.secret)

    return deadline.wait_for(work, lambda: question.asked)


def _spare_awscrt() -> None:
    """Hide awscrt from botocore unless it is needed: to import it is a fifth of a cold get.

    Of what is called here only the sessions of `aws login` need it, which are those of profiles
    with a `login_session` in the AWS config or credentials file.
    """
    for path in shared_files():
        try:
            with open(path, "rb") as file:
                if b"login_session" in file.read():
                    return
        except FileNotFoundError:
            continue
        except OSError:  # botocore has its own words for it
            return
    sys.modules.setdefault("awscrt", None)  # type: ignore[arg-type]  # an import of None fails


def _keep(cache: Cache, entry: Entry, keys: list[Key], context: Context) -> None:
    """Keep `entry` under each of `keys`; where that fails it costs a call, never an answer."""
    try:
        for key in keys:
            cache.save(key, entry)
    except OSError as error:
        why = error.strerror or error
        context.tell(f"the token is not kept, {cache.path} cannot be used: {why}")

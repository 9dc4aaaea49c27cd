"""What every verb and command works with: identity, cache, clock and output for the user."""

import os

from .system import paths
from .tokens import identity
from .tokens.cache import Cache, NoCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Target
    from .system.deadline import Deadline
    from .tokens.cache import Entry


class Context:
    """What a verb or a command works with.

    `identity` says as whom AWS would be asked for tokens. `disk` is the cache on disk; `cache` is
    the same, or one that is always empty if caching is switched off. `clock` gives epoch seconds,
    `tell` takes one line for the person at the terminal, `note` one for the debug log.
    """

    __slots__ = ("cache", "clock", "disk", "identity", "note", "tell")

    def __init__(self, clock: "Callable[[], float]", tell: "Callable[[str], None]") -> None:
        self.clock = clock
        self.tell = tell
        self.note = self._open_log()
        self.identity = identity.current()
        switched_off = bool(os.environ.get("AWS_ECR_DISABLE_CACHE"))
        self.disk = self._open_cache(silent=switched_off)
        self.cache = NoCache() if switched_off else self.disk

    def fetch(self, target: "Target", deadline: "Deadline | None" = None) -> "Entry":
        """Return a fresh token for `target`, as tokens.fetch does, with this cache and identity.

        The default deadline is AWS_ECR_TIMEOUT. Raises NoAWSCredentials and HelperError.
        """
        from .system.deadline import Deadline
        from .tokens.fetch import fetch

        return fetch(target, deadline or Deadline(), self)

    def _open_cache(self, *, silent: bool) -> Cache:
        try:
            return Cache(paths.cache_directory())
        except RuntimeError as error:
            if not silent:
                self.tell(f"tokens are not kept: {error}")
            return NoCache()

    def _open_log(self) -> "Callable[[str], None]":
        path = os.environ.get("AWS_ECR_LOG_FILE")
        if path:
            from .system.log import start

            try:
                return start(paths.expanded(path))
            except RuntimeError as error:
                self.tell(f"no log is written: {error}")
            except OSError as error:
                self.tell(f"no log is written to {path}: {error.strerror or error}")
        return lambda _line: None

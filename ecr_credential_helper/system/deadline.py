"""A time limit for all work with AWS: a credential_process, IMDS, a proxy or the network may hang.

Not used on a cache hit.
"""

import os
import time

from ecr_credential_helper.errors import HelperError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_DEFAULT = 25.0
_LONGEST = 1e6
_SEE_LIMITS = "raise the limits of this process on threads and memory: `ulimit -a`"
_SEE_WHAT_HANGS = (
    "see what hangs (credential_process, IMDS, proxy, network), or raise AWS_ECR_TIMEOUT"
)


class Deadline:
    """The moment by which AWS must answer: `seconds` (AWS_ECR_TIMEOUT) after it was created.

    Raises HelperError if AWS_ECR_TIMEOUT is not a number of seconds.
    """

    def __init__(self) -> None:
        self.seconds = _seconds()
        self._end = time.monotonic() + self.seconds

    def wait_for(self, work: "Callable[[], T]", asked: "Callable[[], str]") -> "T":
        """Run `work` in a thread of its own, and return what it returns.

        At the deadline it is abandoned: the processes that it started are ended, and the terminal
        shows typed text again. `asked` returns what AWS was being asked at that moment.

        Raises what `work` raises, and HelperError if it does not end by the deadline.
        """
        import threading

        from .processes import end_children, restore_echo

        outcome: list[T | BaseException] = []

        def run() -> None:
            try:
                outcome.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                outcome.append(error)

        worker = threading.Thread(target=run, daemon=True)
        try:
            worker.start()
        except RuntimeError as error:
            message = f"no thread can be started to ask AWS: {error}"
            raise HelperError(message, _SEE_LIMITS) from error
        try:
            worker.join(max(0.0, self._end - time.monotonic()))
        finally:
            # is_alive() is wrong after Ctrl-C in join() (Python before 3.13). An outcome that comes
            # later than now is only the effect of ending its processes.
            in_time = outcome[:1]
            if not in_time:
                end_children()
                restore_echo()
        if not in_time:
            message = f"{asked()} got no answer within {self.seconds:g} s"
            raise HelperError(message, _SEE_WHAT_HANGS)
        if isinstance(in_time[0], BaseException):
            raise in_time[0]
        return in_time[0]


def _seconds() -> float:
    """Return how many seconds AWS may take in total. Raises HelperError on a bad setting."""
    text = os.environ.get("AWS_ECR_TIMEOUT") or str(_DEFAULT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _LONGEST:
        raise HelperError(
            f"AWS_ECR_TIMEOUT is {text!r}, which is no number of seconds",
            "set AWS_ECR_TIMEOUT to a number of seconds above 0, or unset it",
        )
    return seconds

"""A time limit for all work with AWS: a credential_process, IMDS, a proxy or the network may hang.

Not used on a cache hit.
"""

import os
import time

from ecr_credential_helper.errors import HelperError, as_helper_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_DEFAULT = 25.0
_LONGEST = 1e6
_BEAT = 0.25


class Deadline:
    """The moment by which AWS must answer: `seconds` after it was created, 25 by default.

    AWS_ECR_TIMEOUT takes their place, and `at_least` if that is more. What may pass is tried again
    for at most `patience` seconds; by default until the deadline. `beat` is called four times a
    second while something is waited for.

    Raises HelperError if AWS_ECR_TIMEOUT is not a number of seconds.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        at_least: float = 0.0,
        patience: float | None = None,
        beat: "Callable[[], None]" = lambda: None,
    ) -> None:
        self.seconds = max(_seconds(seconds or _DEFAULT), at_least)
        self.beat = beat
        self._start = time.monotonic()
        self.patience = self.seconds if patience is None else min(patience, self.seconds)

    @property
    def passed(self) -> float:
        """How many seconds have passed."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """How many seconds are left until the deadline; 0 after it."""
        return max(0.0, self.seconds - self.passed)

    def wait_for(
        self,
        work: "Callable[[], T]",
        overdue: "Callable[[], HelperError]",
        report: "Callable[[HelperError], None]" = lambda _: None,
    ) -> "T":
        """Run `work` in a thread of its own, and return what it returns.

        At the deadline it is abandoned: the processes that it started are ended, and the terminal
        shows typed text again. `overdue` returns the error for that, were it now; `report` is given
        it four times a second.

        Raises what `work` raises, and what `overdue` returns if it does not end by the deadline.
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
            raise as_helper_error(error) from error
        try:
            while self.left and not outcome:
                report(overdue())
                self.beat()
                worker.join(min(self.left, _BEAT))
        finally:
            # is_alive() is wrong after Ctrl-C in join() (Python before 3.13). An outcome that comes
            # later than now is only the effect of ending its processes.
            in_time = outcome[:1]
            if not in_time:
                end_children()
                restore_echo()
        if not in_time:
            raise overdue()
        if isinstance(in_time[0], BaseException):
            raise in_time[0]
        return in_time[0]


def _seconds(default: float) -> float:
    """Return how many seconds AWS may take in total. Raises HelperError on a bad setting."""
    text = os.environ.get("AWS_ECR_TIMEOUT") or str(default)
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

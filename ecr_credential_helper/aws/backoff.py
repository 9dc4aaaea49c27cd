"""How long to wait before AWS is asked once more, after an answer or a failure that may pass.

Exponential backoff with full jitter: the wait is a random part of a window that doubles with each
failure, so that a fleet that was throttled at once spreads over time. The first windows are those
of the AWS SDKs' standard retry mode. Unlike there it ends after a time, not after a number of
attempts; the last try comes at a random moment shortly before, so that no second rush comes there.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AFTER_THROTTLING = 1.0
_AFTER_TROUBLE = 0.05
_LONGEST = 5.0  # others may wait for this process: what it learns must not be old
_MOST_DOUBLINGS = 30
_LAST_TRY = 3.0  # it is made in so many seconds at the end,
_LAST_SHARE = 1 / 8  # or in this share of a shorter time,
_ANSWER = 1 / 4  # of which this share is left for the answer


def dice() -> float:
    """Return a random number from 0 to 1, not 1 itself (the module random takes 5 ms to import)."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def pause(  # noqa: PLR0913 - the policy is a function of all these, and of nothing else
    failures: int,
    left: float,
    whole: float,
    *,
    throttled: bool,
    asked: float = 0.0,
    dice: "Callable[[], float]" = dice,
) -> float | None:
    """Return how many seconds to wait before the next try; None if there is no time for one.

    `failures` is how often the same call failed, the last time included. `left` of the `whole`
    seconds that there were are left until it must have succeeded. `throttled` says that AWS limits
    the rate; any other trouble is tried again sooner. `asked` is how many seconds AWS asked to be
    left alone (Retry-After): they are waited for in full, and the random part comes on top.
    """
    left -= asked
    last = min(_LAST_TRY, whole * _LAST_SHARE)
    if left < last:
        return None
    first = _AFTER_THROTTLING if throttled else _AFTER_TROUBLE
    wait = dice() * min(first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), _LONGEST)
    if wait > left - last:
        wait = left - last * (_ANSWER + (1 - _ANSWER) * dice())
    return asked + wait


def asked_pause(headers: "Mapping[str, str]") -> float:
    """Return how many seconds the headers of an answer ask to wait; 0 if they do not.

    `headers` has names in lower case. Retry-After is a number of seconds or a date (RFC 9110,
    section 10.2.3), x-amz-retry-after a number of milliseconds (AWS SDKs).
    """
    for name, unit in (("x-amz-retry-after", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdecimal():
            return int(text[:12]) / unit
    text = headers.get("retry-after", "")
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0

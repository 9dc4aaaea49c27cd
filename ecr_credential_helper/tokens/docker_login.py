"""The token of a `docker login`, which a person or a script brings along."""

import base64
import binascii
import json

_LONGEST_LIFE = 12 * 60 * 60


def expiry_of(secret: str, now: float) -> int | None:
    """Return when the ECR password `secret` expires, in epoch seconds; None if it does not say.

    It is base64 of a JSON object whose `expiration` is epoch seconds. AWS does not document that,
    so it counts only as a bound: never beyond the twelve hours that AWS does document, or below 0.
    """
    try:
        document = json.loads(base64.b64decode(secret, validate=True))
        return max(0, min(int(document["expiration"]), int(now) + _LONGEST_LIFE))
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None

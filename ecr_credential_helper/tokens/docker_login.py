"""The expiry of a token that was not fetched here, but given to `docker login`."""

import base64
import binascii
import json

_LONGEST_LIFE = 12 * 60 * 60


def expiry_of(secret: str, now: float) -> int | None:
    """Return when the ECR password `secret` expires, in epoch seconds; None if it does not say.

    It is base64 of a JSON object whose `expiration` is epoch seconds. AWS does not document that,
    so the result is limited: from 0 to `now` plus the twelve hours that AWS does document.
    """
    try:
        document = json.loads(base64.b64decode(secret, validate=True))
        return max(0, min(int(document["expiration"]), int(now) + _LONGEST_LIFE))
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None

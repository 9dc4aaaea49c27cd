"""The debug log that AWS_ECR_LOG_FILE asks for, and the redaction of text from other programs.

Two measures keep secrets out: the loggers of botocore that print requests, answers and signatures
are never enabled, and text that looks like a secret or is one from the environment is redacted.
"""

import logging
import os
import re
from collections.abc import Callable

from .environment import secret_values
from .files import open_log

# The loggers whose lines help, and hold no request, answer or signature.
_HEARD = (
    "ecr_credential_helper",
    "botocore.configprovider",
    "botocore.credentials",
    "botocore.httpsession",
    "botocore.retries",
    "botocore.tokens",
    "botocore.utils",
    "urllib3.connectionpool",
)
# A secret access key is 40 characters of base64, tokens are much longer; names are neither.
_LOOKS_SECRET = re.compile(
    r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])|[A-Za-z0-9+/_=-]{100,}", re.ASCII
)
_USERINFO = re.compile(r"(?<=//)[^/\s\"']+@")
_STRUCK = "[redacted]"

_logger = logging.getLogger("ecr_credential_helper")


def redacted(text: str) -> str:
    """Return `text` without what is or looks like a secret, and without the userinfo of URLs."""
    for value in secret_values():
        text = text.replace(value, _STRUCK)
    return _LOOKS_SECRET.sub(_STRUCK, _USERINFO.sub(f"{_STRUCK}@", text))


def start(path: str) -> Callable[[str], None]:
    """Start the log in the file `path`, made with mode 0600; return a function that logs a line.

    Raises OSError if it cannot be opened, or if others own it or have access to it.
    """
    logging.raiseExceptions = False  # on a full disk, lines are lost without a message
    handler = logging.StreamHandler(os.fdopen(open_log(path), "a", encoding="utf-8", newline="\n"))
    handler.setFormatter(_Redacting("%(asctime)s %(process)d %(name)s: %(message)s"))
    for name in _HEARD:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    return _logger.debug


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

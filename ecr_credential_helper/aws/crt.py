"""Avoid the import of awscrt, AWS's C library, which botocore imports if it is installed."""

import sys

from ecr_credential_helper.system.paths import aws_files


def hide_unless_needed() -> None:
    """Hide awscrt from botocore unless it is needed: its import is a fifth of a cache miss's time.

    Of all that this program calls, only the sessions of `aws login` need it: those of profiles
    with a `login_session` in the AWS config or credentials file. This must run before botocore is
    imported.
    """
    for path in aws_files():
        try:
            with open(path, "rb") as file:
                if b"login_session" in file.read():
                    return
        except FileNotFoundError:
            continue
        except OSError:  # botocore reports it
            return
    sys.modules.setdefault("awscrt", None)  # type: ignore[arg-type]  # makes the import fail

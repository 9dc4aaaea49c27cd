"""awscrt, AWS's library in C, which botocore imports wherever it is installed."""

import sys

from ecr_credential_helper.system.paths import aws_files


def hide_unless_needed() -> None:
    """Hide awscrt from botocore unless it is needed: to import it is a fifth of a cold get.

    Of what is called here only the sessions of `aws login` need it, which are those of profiles
    with a `login_session` in the AWS config or credentials file. It has to come before botocore is
    imported.
    """
    for path in aws_files():
        try:
            with open(path, "rb") as file:
                if b"login_session" in file.read():
                    return
        except FileNotFoundError:
            continue
        except OSError:  # botocore has its own words for it
            return
    sys.modules.setdefault("awscrt", None)  # type: ignore[arg-type]  # an import of None fails

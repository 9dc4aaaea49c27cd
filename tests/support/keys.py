"""Keys that the AWS CLI would have made."""

import base64

from . import needs


def dpop_key() -> str:
    """Return a new private key of an `aws login` session: SEC1, in base64.

    awscrt leaves out a leading zero of the secret number, in one key of 400, and then refuses to
    read the key: so it is made again until the number has all of its 32 bytes.
    """
    crypto = needs.module("awscrt.crypto", "test")
    while True:
        generated = crypto.EC.new_generate(crypto.ECType.P_256)
        key: bytes = generated.export_key(crypto.ECExportFormat.SEC1)
        if key[6] == 32:
            return base64.b64encode(key[: 2 + key[1]]).decode()

"""AWS Signature Version 4, of a POST to the path / without a query.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import time

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed(
    headers: dict[str, str], body: bytes, keys: tuple[str, str, str], scope: str, now: float
) -> dict[str, str]:
    """Return `headers`, Host among them, which are signed, and those that the signature adds.

    `keys` are access key, secret key and session token, empty if they are of no session. `scope` is
    "REGION/SERVICE", `now` the time in epoch seconds.
    """
    access_key, secret_key, session_token = keys
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    headers = {**headers, "X-Amz-Date": moment}
    if session_token:
        headers["X-Amz-Security-Token"] = session_token
    scope = f"{moment[:8]}/{scope}/aws4_request"
    canonical = canonical_request(headers, body)
    *_, names, _ = canonical.split("\n")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = f"AWS4{secret_key}".encode()
    for text in (*scope.split("/"), f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"):
        signature = hmac.digest(signature, text.encode(), "sha256")
    claim = f"Credential={access_key}/{scope}, SignedHeaders={names}"
    headers["Authorization"] = f"{_ALGORITHM} {claim}, Signature={signature.hex()}"
    return headers


def canonical_request(headers: dict[str, str], body: bytes) -> str:
    """Return the form of the request whose digest is signed, whatever its spelling on the way."""
    values = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    lines = "".join(f"{name}:{values[name]}\n" for name in sorted(values))
    return f"POST\n/\n\n{lines}\n{';'.join(sorted(values))}\n{hashlib.sha256(body).hexdigest()}"

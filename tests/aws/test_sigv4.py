"""The signature of the direct lane, held equal to botocore's."""

import random
from datetime import UTC, datetime

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ecr_credential_helper.aws import sigv4

CASES = 500
# Every printable ASCII character, spaces of all kinds, and what takes more than a byte in UTF-8.
CHARACTERS = "".join(map(chr, range(32, 127))) + "  \t\u00a0é€𝄞" + "/+=%&:;,"
ENDPOINTS = ("api.ecr.eu-west-1.amazonaws.com", "127.0.0.1:8080", "[::1]:8080", "a.b")
PLACES = ("eu-west-1/ecr", "us-east-1/ecr-public", "cn-north-1/ecr", "us-iso-east-1/ecr")


def texts(dice: random.Random, least: int, most: int) -> str:
    """Return a text of random characters."""
    return "".join(dice.choices(CHARACTERS, k=dice.randint(least, most)))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_signed_botocore_signs_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random headers, bodies, keys, tokens and clocks: one canonical form, one signature."""
    dice = random.Random(seed)
    for _ in range(CASES // 5):
        host, place = dice.choice(ENDPOINTS), dice.choice(PLACES)
        region, service = place.split("/")
        now = dice.randrange(2**32)
        keys = texts(dice, 1, 40), texts(dice, 1, 60), dice.choice(["", texts(dice, 1, 900)])
        headers = {"Content-Type": texts(dice, 0, 30), "X-Amz-Target": texts(dice, 0, 60)}
        headers |= {f"X-{number}-{dice.choice('aZ-b')}": texts(dice, 0, 9) for number in range(3)}
        body = texts(dice, 0, 50).encode()

        clock = datetime.fromtimestamp(now, UTC)
        monkeypatch.setattr(auth, "get_current_datetime", lambda clock=clock: clock)
        theirs = AWSRequest("POST", f"https://{host}/", dict(headers), body)
        signer = auth.SigV4Auth(Credentials(keys[0], keys[1], keys[2] or None), service, region)
        signer.add_auth(theirs)
        ours = sigv4.signed({"Host": host, **headers}, body, keys, place, now)

        signature = theirs.headers["Authorization"]
        unsigned = {name: value for name, value in ours.items() if name != "Authorization"}
        del theirs.headers["Authorization"]
        canonical = signer.canonical_request(theirs)
        assert sigv4.canonical_request(unsigned, body) == canonical
        assert dict(theirs.headers.items()) | {"Host": host} == unsigned
        assert ours["Authorization"] == signature

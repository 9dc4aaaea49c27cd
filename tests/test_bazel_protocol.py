"""The protocol of Bazel: which URIs get a header, over a table, and over a million made-up ones."""

import random
import re
from collections.abc import Iterator

import pytest

from ecr_credential_helper import bazel_protocol as bazel
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import registry_of
from tests.test_registry import REJECTED_ROWS

ACCOUNT = "111122223333"
HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
DUAL_STACK = f"{ACCOUNT}.dkr-ecr-fips.eu-west-1.on.aws"
PUBLIC = "public.ecr.aws"

# What gets a header, without a settings file.
SERVED = (
    f"https://{HOST}/v2/app/blobs/sha256:0",
    f"https://{HOST}/v2/app/manifests/latest?ns=a&b=c",
    f"https://{HOST}/v2/app/tags/list?next=https://evil.com/",
    f"https://{HOST}/",
    f"https://{HOST}",
    f"https://{HOST}:443/v2/",
    f"HTTPS://{HOST.upper()}/v2/",
    f"https://{HOST}./v2/",
    f"https://{DUAL_STACK}/v2/",
    "https://111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com/v2/",
    "https://111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/v2/",
    HOST,
    f"{HOST}:443",
    f"{HOST}/v2/",
    f"https://{PUBLIC}/token/",
    f"https://{PUBLIC}/token/?service=public.ecr.aws&scope=repository:a/b:pull",
    "https://ecr-public.aws.com/token/",
    f"{PUBLIC}/token/",
)
# ECR Public elsewhere: no header is needed, or one that another program has.
WITHOUT_HEADER = (
    PUBLIC,
    f"https://{PUBLIC}",
    f"https://{PUBLIC}/",
    f"https://{PUBLIC}/v2/a/b/manifests/latest",
    f"https://{PUBLIC}/token",
    f"https://{PUBLIC}/token//",
    f"https://{PUBLIC}/token/../v2/",
    f"https://{PUBLIC}/TOKEN/",
    f"https://{PUBLIC}//token/",
    f"https://{PUBLIC}/v2/?/token/",
    f"https://{PUBLIC}/token/#?",
    f"https://{PUBLIC}/%74oken/",
)
REFUSED = (
    f"http://{HOST}/v2/",
    f"http://{HOST}:443/v2/",
    f"HTTP://{HOST}/v2/",
    f"http://{PUBLIC}/token/",
    f"ftp://{HOST}/",
    f"grpcs://{HOST}/",
    f"https:/{HOST}/",
    f"https:{HOST}/",
    f"//{HOST}/",
    f"://{HOST}/",
    f"https://https://{HOST}/",
    f"https://{HOST}:80/",
    f"https://{HOST}:8443/",
    f"https://{HOST}:0443/",
    f"https://{HOST}:/",
    f"{HOST}:5000",
    f"https://user:password@{HOST}/",
    f"https://{HOST}@evil.com/",
    f"https://{HOST}:443@evil.com/",
    f"https://{HOST}.evil.com/",
    f"https://evil.com/{HOST}",
    f"https://evil.com?{HOST}",
    f"https://evil.com#https://{HOST}/",
    f"https://evil.com\\{HOST}/",
    f"https://{HOST}\\.evil.com/",
    f"https://{HOST}%2eevil.com/",
    f"https://{HOST}\n.evil.com/",
    f"https://{HOST}\t/",
    f" https://{HOST}/",
    f"https://{HOST}/ \n",
    f"https://{HOST}\0/",
    "https://１１１１22223333.dkr.ecr.eu-west-1.amazonaws.com/",  # noqa: RUF001 - the case at hand
    "https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/x?X-Amz-Signature=y",
    "https://api.ecr.eu-west-1.amazonaws.com/",
    "https://ghcr.io/v2/",
    "unix:///run/x",
    "",
    "/",
)

# What is wholly ECR's, written once more and in another way: one pattern for the whole URI.
SUFFIXES = (
    r"amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|"
    r"cloud\.adc-e\.uk|csp\.hci\.ic\.gov|on\.aws|on\.amazonwebservices\.com\.cn"
)
WHOLLY_PRIVATE = re.compile(
    r"(https://)?[0-9]{12}\.dkr[.-]ecr(-fips)?\.(?=[a-z0-9-]{1,63}\.)[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    rf"\.({SUFFIXES})\.?(:443)?(/[^@\\]*)?",
    re.IGNORECASE | re.ASCII,
)
WHOLLY_PUBLIC = re.compile(
    r"(?i:(https://)?(public\.ecr\.aws|ecr-public\.aws\.com))\.?(:443)?/token/(\?[^@\\]*)?",
    re.ASCII,
)


def gets_header(uri: str) -> bool | None:
    """Whether a URI gets a header; None if it is refused, as it is where ECR has no such host."""
    try:
        host = bazel.https_host_of(uri)
    except HelperError:
        return None
    registry = registry_of(host)
    return bazel.takes_headers(uri, public=registry.public) if registry else None


@pytest.mark.parametrize("uri", SERVED)
def test_what_is_ecrs_gets_a_header(uri: str) -> None:
    """By HTTPS, at the usual port, and of ECR Public where it takes a login."""
    assert gets_header(uri) is True


@pytest.mark.parametrize("uri", WITHOUT_HEADER)
def test_public_images_need_none(uri: str) -> None:
    """There is an answer, and no header in it."""
    assert gets_header(uri) is False


@pytest.mark.parametrize("uri", [*REFUSED, *REJECTED_ROWS])
def test_everything_else_is_refused(uri: str) -> None:
    """Another host, scheme or port, userinfo, and all that two programs could read in two ways."""
    assert gets_header(uri) is None


def made_up(seed: int, count: int) -> Iterator[str]:
    """Yield URIs that are put together of parts which are right or nearly so, some then damaged."""
    chance = random.Random(seed)
    one = chance.choice
    hosts = [HOST, DUAL_STACK, PUBLIC, "ecr-public.aws.com", HOST.upper()]
    schemes = ["https://"] * 6 + [
        "",
        "HTTPS://",
        "http://",
        "https:/",
        "//",
        "ftp://",
        "https://https://",
    ]
    before = [""] * 9 + ["user@", "a:b@", "evil.com/", "evil.com?", "evil.com#", "evil.", "-", " "]
    after = [""] * 9 + [".", "..", ".evil.com", "@evil.com", "%2e", "?", "#", ";", "\\", " ", "\n"]
    ports = [""] * 6 + [":443", ":443", ":", ":80", ":0443", ":4430", ":443:", ":٤٤٣"]
    paths = [
        "",
        "/",
        "/v2/",
        "/token/",
        "/token/",
        "/token/?a=b",
        "/token",
        "/@",
        "/a?b#c",
        "/ü",
        "?",
        "#",
    ]
    odd = "@\\/:?#.%-_ \n\r\t\0[]aZ0\u0661\uff11\u0131\u017f\u212a\u2028\u3002"
    for _ in range(count):
        uri = one(schemes) + one(before) + one(hosts) + one(after) + one(ports) + one(paths)
        while chance.random() < 0.4:
            at = chance.randrange(len(uri) + 1)
            uri = uri[:at] + one(odd) * chance.randrange(2) + uri[at + chance.randrange(2) :]
        yield uri


@pytest.mark.parametrize("seed", range(10))
def test_no_header_for_what_is_not_wholly_ecrs(seed: int) -> None:
    """Of a million URIs those get one that the pattern allows, and nearly all that it allows."""
    served = missed = 0
    for uri in made_up(seed, 100_000):
        whole = bool(WHOLLY_PRIVATE.fullmatch(uri) or WHOLLY_PUBLIC.fullmatch(uri))
        if gets_header(uri):
            assert whole, uri
            served += 1
        else:
            missed += whole
    assert served > 2_000
    assert missed < served / 50  # what cannot be printed, in a path


@pytest.mark.parametrize(
    ("request_text", "uri"),
    [
        ('{"uri":"https://x/"}', "https://x/"),
        (' \n{ "uri" : "https://x/" , "more": [1] }\n', "https://x/"),
        (r'{"uri":"https:\/\/x\u002f"}', "https://x/"),
        ('{"uri":1}', None),
        ('{"uri":null}', None),
        ('{"URI":"https://x/"}', None),
        ('["uri"]', None),
        ('"uri"', None),
        ("{}", None),
        ("{", None),
        ('{"uri":"x"} {}', None),
        ("[" * 100_000, None),
        ('{"uri":"' + "x" * 65536 + '"}', None),
        ("\ufeff" + '{"uri":"x"}', None),
    ],
)
def test_a_request_is_an_object_with_a_uri(request_text: str, uri: str | None) -> None:
    """Members that are not known are ignored; anything else is no request."""
    assert bazel.uri_of(request_text.encode()) == uri

r"""Server URLs: what is ECR and what only looks like it, compared to an independent reader.

The rule, as it is published (RFC 3986 for the frame, RFC 1123 for labels, the Amazon ECR user guide
for the names), in ABNF (RFC 5234), whose strings match in any case:

    server-url = [ ( "http" / "https" ) "://" ] host [ "." ] [ ":" port ] [ "/" *printable ]
    port       = 1*5DIGIT                ; at most 65535
    host       = private / "public.ecr.aws" / "ecr-public.aws.com"
    private    = 12DIGIT ".dkr" ( "." / "-" ) "ecr" [ "-fips" ] "." region "." suffix
    region     = let-dig [ *61( let-dig / "-" ) let-dig ]       ; not of digits alone
    suffix     = "amazonaws.com" / "amazonaws.com.cn" / "amazonaws.eu" / "c2s.ic.gov"
               / "sc2s.sgov.gov" / "cloud.adc-e.uk" / "csp.hci.ic.gov"
               / "on.aws" / "on.amazonwebservices.com.cn"
    printable  = every character that Unicode does not call a control, format, surrogate, private,
                 unassigned or separating one, but for "@" and "\"; SP is printable

The reader below takes a URL apart by urllib.parse and walks the labels from the right; it shares no
line with the package.
"""

import random
import unicodedata
from urllib.parse import urlsplit

import hypothesis
from hypothesis import strategies as st

from ecr_credential_helper.registry import host_of, registry_of

from .workspace import Figures, Workspace

PLAIN = ("com.amazonaws", "cn.com.amazonaws", "eu.amazonaws", "gov.ic.c2s", "gov.sgov.sc2s")
MORE = ("uk.adc-e.cloud", "gov.ic.hci.csp", "aws.on", "cn.com.amazonwebservices.on")
SUFFIXES = [tuple(name.split(".")) for name in (*PLAIN, *MORE)]
PUBLIC = ("public.ecr.aws", "ecr-public.aws.com")
REGIONS = ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1", "us-isob-east-1", "mars", "a1")

Reading = tuple[str, str, str, bool, bool]


def reading(server_url: str) -> Reading | None:
    """Return host, account, region, whether FIPS and dual stack; None for what is not ECR."""
    if server_url.startswith(" ") or any(map(forbidden, server_url)):
        return None
    try:
        parts = urlsplit(server_url if schemed(server_url) else f"//{server_url}")
        port = parts.port
    except ValueError:
        return None
    if schemed(server_url) and parts.scheme not in ("http", "https"):
        return None
    head, colon, digits = parts.netloc.partition(":")
    after = server_url.partition(parts.netloc)[2] if parts.netloc else server_url
    if after[:1] not in ("", "/") or (colon and (port is None or len(digits) > 5)):
        return None
    return of_labels(head.removesuffix(".")) if head.isascii() else None


def schemed(server_url: str) -> bool:
    """Whether a URL begins with a scheme and an authority: RFC 3986, section 3."""
    mark = server_url.find("://")
    return 0 <= mark < server_url.find("/")


def forbidden(character: str) -> bool:
    """Whether no server URL may hold a character."""
    if character in "@\\":
        return True
    return character != " " and unicodedata.category(character)[0] in "CZ"


def of_labels(host: str) -> Reading | None:
    """Read a host from the right, label by label."""
    host = host.lower()
    if host in PUBLIC:
        return host, "", "us-east-1", False, False
    labels = host.split(".")[::-1]
    for suffix in SUFFIXES:
        if tuple(labels[: len(suffix)]) == suffix:
            found = of_rest(labels[len(suffix) :])
            if found:
                account, region, fips = found
                return host, account, region, fips, "on" in suffix
    return None


def of_rest(labels: list[str]) -> tuple[str, str, bool] | None:
    """Read what is left of the suffix, from the right: account, region, whether FIPS."""
    if len(labels) not in (3, 4):
        return None
    region, service, account = labels[0], "-".join(labels[-2:0:-1]), labels[-1]
    if service not in ("dkr-ecr", "dkr-ecr-fips") or (len(account), account.isdigit()) != (
        12,
        True,
    ):
        return None
    if len(labels) == 4 and labels[2] != "dkr":
        return None
    if not 1 <= len(region) <= 63 or "-" in (region[0], region[-1]) or region.isdigit():
        return None
    if not region.replace("-", "a").isalnum():
        return None
    return account, region, service.endswith("fips")


def verdict(server_url: str) -> Reading | None:
    """Return what the package reads in a server URL, in the same terms."""
    host = host_of(server_url)
    registry = registry_of(host) if host else None
    if registry is None:
        return None
    return (registry.host, registry.account, registry.region, registry.fips, registry.dual_stack)


# Characters that case folding, normalization or a person may take for one of a host name.
ALIKE = "\u212a\u0131\u017f\uff0e\u3002\uff61\u2024\u2215\u2044\uff0f\uff1a\u0430\u0435\u0660\u00ad"
ODD = "\0\t\n\r \x7f\x85\u2028\ufeff\ud800%20%2e..@@\\//::??##[]{}<>\"'`|^~_-=&;,$!*()+"
ENDINGS = ("", "", "", ".", ":443", ".:443", ":", ":0", ":65535", ":65536", ":000443", "/", "/a/b")
MORE_ENDINGS = ("/a:t@x", "/a://b", "?q", "#f", "//", "..", "/\u00e9", "/ x", "/a?b#c", "\n", ";x")
FRONTS = (
    "",
    "",
    "",
    "https://",
    "http://",
    "HTTPS://",
    "hTTp://",
    "ftp://",
    "//",
    "://",
    "https:/",
)
MORE_FRONTS = (
    "https:///",
    "u@",
    "u:p@",
    "evil.com/",
    "evil.com?",
    "x.",
    ".",
    "https://https://",
    "1",
)


def real(dice: random.Random) -> str:
    """Return the name of a registry that AWS could give out."""
    if not dice.randrange(12):
        return dice.choice(PUBLIC)
    suffix = ".".join(dice.choice(SUFFIXES)[::-1])
    account = f"{dice.randrange(10**12):012}"
    service = dice.choice(("dkr.ecr", "dkr-ecr")) + dice.choice(("", "-fips"))
    return f"{account}.{service}.{dice.choice(REGIONS)}.{suffix}"


def spelled(host: str, dice: random.Random) -> str:
    """Return a server URL around a name: most of them good, some not."""
    if dice.randrange(3) == 0:
        host = "".join(dice.choice((c.upper(), c)) for c in host)
    front = dice.choice(FRONTS if dice.randrange(4) else MORE_FRONTS)
    return front + host + dice.choice(ENDINGS if dice.randrange(3) else MORE_ENDINGS)


def mutated(text: str, dice: random.Random) -> str:
    """Change one thing in a text: put in, take out, replace, double, swap, or splice."""
    at = dice.randrange(len(text) + 1)
    new = dice.choice((dice.choice(ALIKE), dice.choice(ODD), dice.choice("-.:/0aZ"), ".evil.com"))
    other = spelled(real(dice), dice)
    return (
        text[:at] + new + text[at:],
        text[:at] + text[at + 1 :],
        text[:at] + new + text[at + 1 :],
        text[:at] + text[max(0, at - dice.randrange(1, 14)) :],
        text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
        text[:at] + other[dice.randrange(len(other)) :],
        text.replace(".", new, 1),
        f"{text}{new}",
    )[dice.randrange(8)]


def compare(server_url: str, figures: Figures) -> None:
    """Count a server URL, and compare the package's reading of it to ours."""
    expected, found = reading(server_url), verdict(server_url)
    assert found == expected, f"{server_url!r}: {found}, and the rule says {expected}"
    figures["server URLs"] += 1
    figures["of them ECR"] += expected is not None


def run(workspace: Workspace) -> Figures:
    """Compare a million of them: hypothesis finds the shapes, a mutator works on real names."""
    figures: Figures = {"server URLs": 0, "of them ECR": 0}
    for _ in range(workspace.times(1_000_000)):
        server_url = spelled(real(workspace.dice), workspace.dice)
        for _ in range(workspace.dice.choice((0, 0, 1, 1, 2, 3))):
            server_url = mutated(server_url, workspace.dice)
        compare(server_url, figures)
    parts = st.sampled_from((*FRONTS, *MORE_FRONTS, *ENDINGS, *MORE_ENDINGS, *REGIONS, *PUBLIC))
    labels = st.sampled_from((".dkr", ".ecr", "-ecr", "-fips", ".", "123456789012", "12345678901"))
    ends = st.sampled_from(["." + ".".join(suffix[::-1]) for suffix in SUFFIXES])
    pieces = st.lists(st.one_of(parts, labels, ends, st.text(max_size=4)), max_size=10)

    @hypothesis.settings(max_examples=workspace.times(20_000), database=None, deadline=None)
    @hypothesis.seed(8)
    @hypothesis.given(pieces.map("".join))
    def look(server_url: str) -> None:
        compare(server_url, figures)

    look()
    return figures | {"look-alikes accepted": 0, "real ones refused": 0, "tracebacks": 0}

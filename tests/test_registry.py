"""Which hosts are ECR: tables of the contract's host forms, of look-alikes, and an oracle."""

import functools
import itertools
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecr_credential_helper.registry import Registry, host_of, registry_of

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")

# Each suffix with a region that AWS has there.
SUFFIXES = {
    "amazonaws.com": "us-west-2",
    "amazonaws.com.cn": "cn-north-1",
    "amazonaws.eu": "eusc-de-east-1",
    "c2s.ic.gov": "us-iso-east-1",
    "sc2s.sgov.gov": "us-isob-east-1",
    "cloud.adc-e.uk": "eu-isoe-west-1",
    "csp.hci.ic.gov": "us-isof-south-1",
}
DUAL_STACK_SUFFIXES = {
    "on.aws": "ap-southeast-2",
    "on.amazonwebservices.com.cn": "cn-northwest-1",
}

# (server URL, host): the ways to write one host.
SPELLINGS = (
    (HOST, HOST),
    (HOST.upper(), HOST),
    (HOST.title(), HOST),
    (f"{HOST}.", HOST),
    (f"{HOST}:443", HOST),
    (f"{HOST}:5000", HOST),
    (f"{HOST}:65535", HOST),
    (f"{HOST}.:443", HOST),
    (f"{HOST}/", HOST),
    (f"{HOST}/team/app", HOST),
    (f"{HOST}/team/app:1.2-3_4", HOST),
    (f"{HOST}:443/v2/", HOST),
    (f"{HOST}./v2/", HOST),
    (f"http://{HOST}", HOST),
    (f"https://{HOST}", HOST),
    (f"HTTPS://{HOST}", HOST),
    (f"hTTp://{HOST}", HOST),
    (f"https://{HOST}/", HOST),
    (f"https://{HOST}/v2/", HOST),
    (f"Https://{HOST.upper()}.:443/v2/", HOST),
    ("public.ecr.aws", "public.ecr.aws"),
    ("Public.ECR.aws", "public.ecr.aws"),
    ("https://public.ecr.aws/v2/", "public.ecr.aws"),
    ("public.ecr.aws.", "public.ecr.aws"),
    ("ecr-public.aws.com:443", "ecr-public.aws.com"),
)

# What is no ECR host, by the kind of trick.
REJECTED: dict[str, tuple[str, ...]] = {
    "another registry": (
        "https://index.docker.io/v1/",
        "docker.io",
        "ghcr.io",
        "localhost:5000",
        "127.0.0.1",
        "[::1]:443",
        "unused",
        ".",
        "/",
        f"/{HOST}",
        "https://",
    ),
    "another name at AWS": (
        "ecr.us-west-2.amazonaws.com",
        "api.ecr.us-west-2.amazonaws.com",
        "dkr.ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.s3.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.amazonaws.com",
        "api.ecr-public.us-east-1.amazonaws.com",
    ),
    "a suffix that AWS has not": (
        ".dkr.ecr.not-real.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com.fake.example.com",
        "210987654321.dkr.ecr.cn-north-1.on.aws.com.cn",
        f"{ACCOUNT}.dkr.ecr.us-west-2",
        f"{ACCOUNT}.dkr.ecr.us-west-2.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2.aws",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.co",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com.cn.cn",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.comx",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.eu.cn",
        f"{ACCOUNT}.dkr.ecr.us-west-2.xamazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2xamazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2-amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws-com",
        f"{ACCOUNT}.dkr-ecr.us-west-2.api.aws",
        f"{ACCOUNT}.dkr-ecr.us-west-2.on.aws.evil.com",
        f"{ACCOUNT}.dkr-ecr.us-west-2.on.aws.cn",
        f"{ACCOUNT}.dkr-ecr.us-west-2.on-aws",
        f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com",
        f"{ACCOUNT}.dkr-ecr.cn-north-1.amazonwebservices.com.cn",
    ),
    "another service label": (
        f"{ACCOUNT}.dkrxecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkrecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr_ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecrs.us-west-2.amazonaws.com",
        f"{ACCOUNT}.xdkr.ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.ecr.dkr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr-fip.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr-fipss.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr_fips.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.fips.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr-us-west-2.amazonaws.com",
    ),
    "no region": (
        f"{ACCOUNT}.dkr.ecr..amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us.west.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.-us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2-.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us/west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.*.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.{'a' * 64}.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr-fips..amazonaws.com",
    ),
    "no account": (
        f"{'1' * 11}.dkr.ecr.us-west-2.amazonaws.com",
        f"{'1' * 13}.dkr.ecr.us-west-2.amazonaws.com",
        "11112222333a.dkr.ecr.us-west-2.amazonaws.com",
        "111-222-3333.dkr.ecr.us-west-2.amazonaws.com",
        "+11122223333.dkr.ecr.us-west-2.amazonaws.com",
        "11112222333 .dkr.ecr.us-west-2.amazonaws.com",
        "111122223.33.dkr.ecr.us-west-2.amazonaws.com",
        "0x1122223333.dkr.ecr.us-west-2.amazonaws.com",
        "1_1122223333.dkr.ecr.us-west-2.amazonaws.com",
        "*.dkr.ecr.us-west-2.amazonaws.com",
        "١٢٣٤٥٦٧٨٩٠١٢.dkr.ecr.us-west-2.amazonaws.com",
        "12345678901٢.dkr.ecr.us-west-2.amazonaws.com",
        "１２３４５６７８９０１２.dkr.ecr.us-west-2.amazonaws.com",  # noqa: RUF001 - the case at hand
        "¹²³⁴⁵⁶⁷⁸⁹⁰¹².dkr.ecr.us-west-2.amazonaws.com",
    ),
    "public look-alike": (
        "public.ecr.aws.fake.example.com",
        "public.ecr.aws.com",
        "publicxecr.aws",
        "public-ecr.aws",
        "xpublic.ecr.aws",
        "a.public.ecr.aws",
        "ecr.aws",
        "public.ecr.aws@evil.com",
        "evil.com/public.ecr.aws",
        "ecr-public.aws",
        "ecr-public.aws.com.evil.com",
        "ecr.public.aws.com",
        "ecr-public-aws.com",
        f"{ACCOUNT}.public.ecr.aws",
    ),
    "another host before it": (
        f"evil.com/{HOST}",
        f"https://evil.com/{HOST}",
        f"evil.com:443/{HOST}",
        f"evil.com.{HOST}",
        f"evil-{HOST}",
        f"evil.com?{HOST}",
        f"evil.com#{HOST}",
        f"evil.com {HOST}",
        f"evil.com,{HOST}",
        f"evil.com:{HOST}",
    ),
    "another host after it": (
        f"{HOST}.evil.com",
        f"{HOST}evil.com",
        f"{HOST} evil.com",
        f"{HOST},evil.com",
        f"{HOST}:443.evil.com",
        f"{HOST}:evil.com",
        f"https://{HOST}.evil.com/{HOST}",
    ),
    "userinfo": (
        f"user@{HOST}",
        f"user:password@{HOST}",
        f"@{HOST}",
        f":@{HOST}",
        f"AWS:password@{HOST}",
        f"https://user@{HOST}",
        f"https://user:password@{HOST}/",
        f"https://@{HOST}",
        f"https://evil.com@{HOST}",
        f"https://{HOST}@evil.com",
        f"https://{HOST}@evil.com/",
        f"https://{HOST}:443@evil.com/",
        f"{HOST}@evil.com",
        f"{HOST}:password@evil.com",
        f"{HOST}:443@evil.com/v2/",
        f"evil.com/@{HOST}",
        f"{HOST}/@evil.com",
        f"https://evil.com#@{HOST}",
        f"https://evil.com?@{HOST}",
        f"user%40{HOST}",
        f"{HOST}%40evil.com",
        f"user\N{FULLWIDTH COMMERCIAL AT}{HOST}",
        f"{HOST}\N{SMALL COMMERCIAL AT}evil.com",
    ),
    "backslash": (
        f"{HOST}\\",
        f"{HOST}\\@evil.com",
        f"{HOST}\\.evil.com",
        f"{HOST}/a\\b",
        f"https://evil.com\\{HOST}",
        f"https://evil.com\\@{HOST}",
        f"https:\\\\{HOST}",
        f"\\\\{HOST}",
    ),
    "glued to the host": (
        f"{HOST}?",
        f"{HOST}?x=/",
        f"{HOST}#",
        f"{HOST}#/v2/",
        f"{HOST};x",
        f"{HOST}&x",
        f"{HOST}=",
        f"{HOST}*",
        f"{HOST}%",
        f"{HOST}%2f",
        f"{HOST}%2Fv2",
        f"{HOST}%00",
        f"{HOST}%0a",
        f"{HOST}:443?x",
        f'"{HOST}"',
        f"'{HOST}'",
        f"<{HOST}>",
        f"[{HOST}]",
        f"({HOST})",
        f"${HOST}",
        f"{HOST}|",
        f"{HOST}`",
        f"{HOST} /v2/",
    ),
    "port": (
        f"{HOST}:",
        f"{HOST}:/v2/",
        f"{HOST}::443",
        f"{HOST}:443:443",
        f"{HOST}:443:",
        f"{HOST}:65536",
        f"{HOST}:99999",
        f"{HOST}:4294967739",
        f"{HOST}:-1",
        f"{HOST}:+443",
        f"{HOST}:4_43",
        f"{HOST}:443.0",
        f"{HOST}:0x1bb",
        f"{HOST}:1e2",
        f"{HOST}: 443",
        f"{HOST}:443 /",
        f"{HOST}:https",
        f"{HOST}:٣",
        f"{HOST}:٤٤٣",
        f"{HOST}:４４３",  # noqa: RUF001 - the case at hand
        f"{HOST}:²",
    ),
    "scheme": (
        f"ftp://{HOST}",
        f"file://{HOST}",
        f"docker://{HOST}",
        f"oci://{HOST}",
        f"ssh://{HOST}",
        f"httpss://{HOST}",
        f"xhttp://{HOST}",
        f"//{HOST}",
        f"://{HOST}",
        f":{HOST}",
        f"http:{HOST}",
        f"https:{HOST}",
        f"http:/{HOST}",
        f"http:///{HOST}",
        f"https//{HOST}",
        f"https;//{HOST}",
        f"https ://{HOST}",
        f"https:// {HOST}",
        f"https://https://{HOST}",
        f"http+unix://{HOST}",
        f"javascript://{HOST}",
        f"http\N{LATIN SMALL LETTER LONG S}://{HOST}",
        f"https\N{FULLWIDTH COLON}//{HOST}",
    ),
    "dots": (
        f"{HOST}..",
        f"{HOST}..:443",
        f".{HOST}",
        f"..{HOST}",
        f"{ACCOUNT}..dkr.ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr..ecr.us-west-2.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2..amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws..com",
        "public..ecr.aws",
        "public.ecr.aws..",
        HOST.replace(".", "\N{FULLWIDTH FULL STOP}"),
        HOST.replace(".com", "\N{IDEOGRAPHIC FULL STOP}com"),
        HOST.replace(".com", "\N{HALFWIDTH IDEOGRAPHIC FULL STOP}com"),
        HOST.replace(".com", "\N{ONE DOT LEADER}com"),
        f"{HOST}\N{IDEOGRAPHIC FULL STOP}",
    ),
    "letters beyond ASCII": (
        HOST.replace("k", "\N{KELVIN SIGN}"),
        HOST.replace("s", "\N{LATIN SMALL LETTER LONG S}"),
        HOST.replace("k", "\N{FULLWIDTH LATIN SMALL LETTER K}"),
        HOST.replace("dkr", "\N{FULLWIDTH LATIN CAPITAL LETTER D}kr"),
        HOST.replace("c", "\N{CYRILLIC SMALL LETTER ES}"),
        HOST.replace("a", "\N{CYRILLIC SMALL LETTER A}"),
        HOST.replace("e", "\N{CIRCLED LATIN SMALL LETTER E}"),
        HOST.replace("e", "\N{MATHEMATICAL BOLD SMALL E}"),
        HOST.replace("ecr", "e\N{COMBINING ACUTE ACCENT}cr"),
        HOST.replace("us-west-2", "us\N{HYPHEN}west\N{HYPHEN}2"),
        HOST.replace("us-west-2", "us\N{NON-BREAKING HYPHEN}west-2"),
        HOST.replace("us-west-2", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}s-west-2"),
        f"{HOST}\N{ZERO WIDTH SPACE}",
        f"\N{ZERO WIDTH NO-BREAK SPACE}{HOST}",
        f"{HOST}\N{NO-BREAK SPACE}",
        HOST.replace("ecr", "e\N{SOFT HYPHEN}cr"),
        HOST.replace("ecr", "e\N{ZERO WIDTH JOINER}cr"),
        f"\N{RIGHT-TO-LEFT OVERRIDE}{HOST}",
        "pub\N{LATIN SMALL LETTER DOTLESS I}ic.ecr.aws",
        "public.ecr.aw\N{LATIN SMALL LETTER LONG S}",
        f"{HOST}\N{DIVISION SLASH}v2",
        f"{HOST}\N{FULLWIDTH SOLIDUS}v2",
    ),
    "control characters": (
        f"{HOST}\nevil.com",
        f"{HOST}\r\nevil.com",
        f"evil.com\n{HOST}",
        f"\n{HOST}",
        f"\r\n{HOST}",
        f"https://\n{HOST}",
        HOST.replace(".dkr", "\n.dkr"),
        HOST.replace(".dkr", "\r.dkr"),
        HOST.replace(".dkr", "\t.dkr"),
        f"{HOST}\r",
        f"{HOST}\t",
        f"\t{HOST}",
        f"{HOST}\v",
        f"{HOST}\f",
        f"{HOST}\0",
        f"{HOST}\0.evil.com",
        f"evil.com\0{HOST}",
        f"{HOST}\x01",
        f"{HOST}\x1b[2K",
        f"{HOST}\x1c",
        f"{HOST}\x7f",
        f"{HOST}\x85",
        f"{HOST}\u2028evil.com",
        f"{HOST}\u2029",
        f"{HOST}/a\nb",
        f"{HOST}/a\rb",
        f"{HOST}/a\tb",
        f"{HOST}/a\0b",
        f"{HOST}/a\x7fb",
        f"{HOST}/a\x1b[2Kb",
    ),
}
REJECTED_ROWS = [
    pytest.param(text, id=f"{kind}-{number}")
    for kind, texts in REJECTED.items()
    for number, text in enumerate(texts)
]


def found(server_url: str) -> Registry | None:
    """Return the registry that a server URL leads to, as the verbs determine it."""
    host = host_of(server_url)
    return registry_of(host) if host else None


@pytest.mark.parametrize(("suffix", "region"), (SUFFIXES | DUAL_STACK_SUFFIXES).items())
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("service", ["dkr.ecr", "dkr-ecr"])
def test_every_private_host_form_names_account_region_and_endpoint(
    service: str, suffix: str, region: str, *, fips: bool
) -> None:
    """Both service labels go with every suffix, and the name alone says which endpoint to ask."""
    host = f"{ACCOUNT}.{service}{'-fips' if fips else ''}.{region}.{suffix}"
    registry = found(host)
    assert registry is not None
    assert (registry.host, registry.account) == (host, ACCOUNT)
    assert (registry.service, registry.region) == ("ecr", region)
    assert registry.fips is fips
    assert registry.dual_stack is (suffix in DUAL_STACK_SUFFIXES)
    assert not registry.public


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
def test_both_public_hosts_are_asked_in_us_east_1(host: str) -> None:
    """ECR Public has one API for the world, and no account in its names."""
    registry = found(host)
    assert registry is not None
    assert (registry.host, registry.account) == (host, "")
    assert (registry.service, registry.region) == ("ecr-public", "us-east-1")
    assert registry.public
    assert not registry.fips


@pytest.mark.parametrize(("server_url", "host"), SPELLINGS)
def test_scheme_port_path_case_and_trailing_dot_do_not_change_the_host(
    server_url: str, host: str
) -> None:
    """All spellings of a server URL that clients use lead to the same registry."""
    registry = found(server_url)
    assert host_of(server_url) == host
    assert registry is not None
    assert registry.host == host


@pytest.mark.parametrize("server_url", REJECTED_ROWS)
def test_what_is_not_wholly_an_ecr_host_is_nobodys(server_url: str) -> None:
    """A look-alike, or a text that two parsers could read in two ways, names no registry."""
    assert found(server_url) is None


@functools.cache
def foreign_characters() -> list[tuple[str, set[str]]]:
    """Return all characters beyond ASCII that some folding makes ASCII, with what they become."""
    found = []
    for character in map(chr, range(0x80, 0x110000)):
        folded = {
            character.lower(),
            character.upper().lower(),
            character.casefold(),
            unicodedata.normalize("NFKC", character).lower(),
        }
        if any(form.isascii() for form in folded):
            found.append((character, folded))
    return found


@pytest.mark.parametrize("host", [HOST, *PUBLIC_HOSTS])
def test_no_foreign_character_passes_for_an_ascii_one(host: str) -> None:
    """Of all characters that some folding makes ASCII, none stands in for any of the host's."""
    foreign = foreign_characters()
    assert len(foreign) > 500
    for character, folded in foreign:
        for form in folded:
            if form and form in host:
                assert found(host.replace(form, character)) is None
                assert found(host.replace(form, character, 1)) is None


@pytest.mark.parametrize("host", [HOST, HOST.replace("dkr.ecr", "dkr-ecr-fips"), *PUBLIC_HOSTS])
def test_a_dot_is_a_dot(host: str) -> None:
    """No other character may stand in the place of a dot, save the hyphen that makes `dkr-ecr`."""
    for index, other in itertools.product(range(len(host)), "x-_/:0 "):
        if host[index] == ".":
            changed = host[:index] + other + host[index + 1 :]
            assert (found(changed) is None) is ("dkr-ecr" not in changed or "dkr-ecr" in host)


@given(st.text(max_size=3), st.integers(0, len(HOST)))
@example("\n", len(HOST))
@example("\n", 12)
@example("@", 0)
@example("/", 12)
def test_whatever_is_put_into_a_host_never_leads_to_another(text: str, index: int) -> None:
    """An insertion makes it no ECR host, or is a label's part, a port or a path, as parsed."""
    registry = found(changed := HOST[:index] + text + HOST[index:])
    assert (registry.host if registry else None) == oracle(changed)


PIECES = (
    *("http://", "https://", "HTTPS://", "ftp://", "//", ":", "/", ".", "..", "@", "?", "#", "\\"),
    *(ACCOUNT, ACCOUNT[:-1], ACCOUNT + "1", ".dkr", ".ecr", "-ecr", "-fips", ".us-west-2", ".2"),
    *(".amazonaws", ".com", ".cn", ".eu", ".on", ".aws", ".amazonwebservices", ".cloud.adc-e.uk"),
    *(".c2s.ic.gov", ".sc2s.sgov.gov", ".csp.hci", ".ic.gov", "public", "ecr-public", ":443", "\n"),
    *(HOST, HOST.upper(), "public.ecr.aws", "evil.com", ":99999", "-", "\u212a", "٣", " ", "\0"),
)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_near_misses_are_judged_as_the_contract_words_them(server_url: str) -> None:
    """Texts pieced together from parts of real names get a registry only if the whole is one."""
    registry = found(server_url)
    assert (registry.host if registry else None) == oracle(server_url)


@given(st.text())
@example("HTTP://A.b.")
@example("a:0/")
def test_a_host_is_ascii_in_lower_case_and_its_own_host(server_url: str) -> None:
    """What `host_of` returns is plain, and does not change when it is asked again."""
    host = host_of(server_url)
    if host is not None:
        assert host.isascii()
        assert host == host.lower()
        assert not set(host) & set("/:@?#\\ ")
        assert not host.endswith(".")
        assert host_of(host) == host


# Section 3 once more, in another language: what the functions say is held against it.
LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
SUFFIX = "|".join(map(re.escape, (*SUFFIXES, *DUAL_STACK_SUFFIXES)))
ORACLE = re.compile(
    r"(?:https?://)?"
    rf"(?P<host>[0-9]{{12}}\.dkr[.-]ecr(?:-fips)?\.(?![0-9]+\.){LABEL}\.(?:{SUFFIX})"
    r"|public\.ecr\.aws|ecr-public\.aws\.com)"
    r"\.?(?::(?P<port>[0-9]{1,5}))?(?:/.*)?",
    re.ASCII | re.IGNORECASE,
)


def oracle(server_url: str) -> str | None:
    """Return the ECR host that a server URL names, by a pattern of the whole."""
    match = ORACLE.fullmatch(server_url)
    if match is None or int(match["port"] or 0) >= 1 << 16:
        return None
    if "@" in server_url or "\\" in server_url or not server_url.isprintable():
        return None
    host = match["host"].lower()
    return host if len(host) <= 253 else None

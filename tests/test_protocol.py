"""The protocol: tables of what clients send, and properties of all they could send."""

import contextlib
import json
import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ecr_credential_helper import protocol
from ecr_credential_helper.errors import HelperError, ProtocolError
from ecr_credential_helper.registry import host_of

HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
BASE64 = string.ascii_letters + string.digits + "+/="
LOGIN = {"ServerURL": HOST, "Username": "AWS", "Secret": "opaque"}

# A text whose ends are neither line endings nor spaces, so that nothing of it is trimmed.
TRIMMED = st.text(min_size=1).filter(
    lambda text: text == text.strip(" ") and not text.endswith("\n")
)
PATHS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\@"))


def test_the_fixed_texts_are_those_that_clients_compare_with() -> None:
    """Docker's clients compare them for equality: a changed byte would break every one of them."""
    assert protocol.CREDENTIALS_NOT_FOUND == "credentials not found in native keychain"
    assert protocol.MISSING_SERVER_URL == "no credentials server URL"
    assert protocol.MISSING_USERNAME == "no credentials username"
    assert protocol.USERNAME == "AWS"


@pytest.mark.parametrize(
    ("data", "server_url"),
    [
        (b"host", "host"),
        (b"host\n", "host"),
        (b"host\r\n", "host"),
        (b" host ", "host"),
        (b" host \n", "host"),
        (b"host\n\n", "host\n"),
        (b"host\r", "host\r"),
        (b"host\r\r\n", "host\r"),
        (b"\nhost", "\nhost"),
        (b"\thost\t", "\thost\t"),
        (b"https://HOST:443/a b", "https://HOST:443/a b"),
        ("hôst".encode(), "hôst"),
        ("\N{NO-BREAK SPACE}host".encode(), "\N{NO-BREAK SPACE}host"),
    ],
)
def test_one_line_ending_and_the_spaces_go(data: bytes, server_url: str) -> None:
    """Of what a client sends, only its way to end a line is taken off."""
    assert protocol.decode_server_url(data) == server_url


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b" ", b"  \r\n"])
def test_nothing_is_no_server_url(data: bytes) -> None:
    """An empty request has a fixed answer of its own."""
    with pytest.raises(ProtocolError, match=r"^no credentials server URL$"):
        protocol.decode_server_url(data)


@pytest.mark.parametrize(
    "data",
    [
        f"{HOST}/".encode().ljust(64 * 1024 + 1, b"a"),
        HOST.encode() + b"\xff",
        HOST.encode() + b"/\xe9",
        HOST.encode() + b"/\xed\xa0\x80",
        HOST.encode().replace(b".", b"\xc0\xae"),
    ],
    ids=["over 64 KiB", "0xff", "latin-1", "surrogate", "overlong dots"],
)
def test_what_no_server_url_can_be_names_no_host(data: bytes) -> None:
    """Over 64 KiB, or not UTF-8: what comes back is no host."""
    assert host_of(protocol.decode_server_url(data)) is None


def test_the_limit_itself_is_within_it() -> None:
    """A server URL of 64 KiB is read whole."""
    data = f"{HOST}/".encode().ljust(64 * 1024, b"a")
    assert protocol.decode_server_url(data).encode() == data


@given(TRIMMED, st.sampled_from(["", " ", "   "]), st.sampled_from(["", "\n", "\r\n"]))
@example("a\rb", "", "\n")
def test_what_is_within_the_ends_is_never_changed(text: str, spaces: str, ending: str) -> None:
    """Whatever it holds, a server URL comes back as it was sent."""
    assume(not (ending == "\n" and (text + spaces).endswith("\r")))
    data = f"{spaces}{text}{spaces}{ending}".encode()
    assert protocol.decode_server_url(data) == text


@given(st.binary())
def test_any_bytes_are_a_text_or_the_fixed_answer(data: bytes) -> None:
    """No input of `get` and `erase` ends in another exception."""
    if data.strip(b" \r\n"):
        assert protocol.decode_server_url(data).strip(" ")
    else:
        with contextlib.suppress(ProtocolError):
            assert not protocol.decode_server_url(data).strip()


@given(PATHS, st.text(BASE64, min_size=1))
@example('/a"b""', "token")
@example("/ü/アプリ/\U0001f433", "token==")
def test_the_answer_of_get_is_one_line_of_json(path: str, secret: str) -> None:
    """What names a host comes back to the letter, whatever its path, and so does the token."""
    server_url = f"{HOST}/{path}"
    assert host_of(server_url) == HOST
    line = protocol.encode_credentials(server_url, secret)
    assert json.loads(line) == {"ServerURL": server_url, "Username": "AWS", "Secret": secret}
    assert line.endswith("}\n")
    assert len(line.splitlines()) == 1


@given(st.text(), st.text(BASE64, min_size=1))
@example(f"{HOST}/\u2028", "token")
@example(f'{HOST}/"', "token")
def test_no_server_url_that_names_a_host_breaks_the_answer(text: str, secret: str) -> None:
    """What `host_of` lets through is safe to put into JSON with its quotes escaped."""
    for server_url in (text, f"{HOST}/{text}", f"https://{HOST}:443/{text}"):
        if host_of(server_url):
            answer = json.loads(protocol.encode_credentials(server_url, secret))
            assert answer == {"ServerURL": server_url, "Username": "AWS", "Secret": secret}


def test_the_answer_of_get_has_the_shape_of_the_reference() -> None:
    """Members come in the order of the Go struct, with no spaces, then a newline."""
    line = protocol.encode_credentials("host", "token")
    assert line == '{"ServerURL":"host","Username":"AWS","Secret":"token"}\n'


@pytest.mark.parametrize(
    ("hosts", "line"),
    [
        ([], "{}\n"),
        ([HOST], f'{{"https://{HOST}":"AWS"}}\n'),
        ([HOST, "public.ecr.aws"], f'{{"https://{HOST}":"AWS","https://public.ecr.aws":"AWS"}}\n'),
    ],
)
def test_the_answer_of_list_is_one_object(hosts: list[str], line: str) -> None:
    """Each host is a URL with its user; none at all is an empty object, not null."""
    assert protocol.encode_list(hosts) == line


def case_of(key: str, flips: int) -> str:
    """Return `key` with the case of its letters flipped where `flips` has a bit."""
    return "".join(
        letter.swapcase() if flips >> index & 1 else letter for index, letter in enumerate(key)
    )


@given(
    values=st.tuples(TRIMMED, st.text(min_size=1), st.text()),
    order=st.permutations(list(LOGIN)),
    flips=st.integers(0, 511),
    ascii_only=st.booleans(),
)
def test_a_login_is_read_whatever_the_case_and_order_of_its_keys(
    values: tuple[str, str, str], order: list[str], flips: int, *, ascii_only: bool
) -> None:
    """Server URL, user and secret come back as they were sent."""
    login = dict(zip(LOGIN, values, strict=True))
    document = {case_of(key, flips): login[key] for key in order}
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert protocol.decode_login(data) == values


@given(st.binary())
@example(b" ")
@example(b"}")
@example(json.dumps(LOGIN).encode())
def test_only_the_first_json_value_counts(rest: bytes) -> None:
    """What comes after the login is not read, be it another login or no JSON at all."""
    data = json.dumps(LOGIN).encode() + rest
    try:
        rest.decode()
    except ValueError:
        return
    assert protocol.decode_login(data) == (HOST, "AWS", "opaque")


@pytest.mark.parametrize("absent", [None, ""])
def test_a_login_without_server_url_or_user_has_a_fixed_answer(absent: str | None) -> None:
    """The server URL is missed first, then the user; a login without a secret is one."""
    for key, message in (
        ("ServerURL", "no credentials server URL"),
        ("Username", "no credentials username"),
    ):
        login = {name: value for name, value in LOGIN.items() if name != key}
        if absent is not None:
            login[key] = absent
        with pytest.raises(ProtocolError) as caught:
            protocol.decode_login(json.dumps(login).encode())
        assert caught.value.message == message


@given(st.binary() | st.text().map(str.encode))
@example(b"")
@example(b"null")
@example(b"[" * 100_000)
@example(b'{"ServerURL":' * 100_000)
@example(b"9" * 10_000)
@example(b'{"ServerURL":"\\ud800","Username":"\\ud800"}')
def test_any_bytes_are_a_login_or_a_clear_error(data: bytes) -> None:
    """No input of `store` ends in another exception, and none is quoted in its error."""
    told = ""
    try:
        protocol.decode_login(data)
    except HelperError as error:
        told = error.message
    assert told.isprintable()
    assert len(told) < 100


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=5,
)


@given(st.fixed_dictionaries({key: JSON_VALUES | st.just(LOGIN[key]) for key in LOGIN}))
@example({"ServerURL": HOST, "Username": "AWS", "Secret": 1})
@example({"ServerURL": False, "Username": "AWS", "Secret": "opaque"})
@example({"ServerURL": HOST, "Username": [], "Secret": "opaque"})
def test_a_value_that_is_not_a_string_is_refused(login: dict[str, object]) -> None:
    """Only strings are a login; an absent one may be null."""
    if all(value is None or isinstance(value, str) for value in login.values()):
        return
    with pytest.raises(HelperError):
        protocol.decode_login(json.dumps(login).encode())

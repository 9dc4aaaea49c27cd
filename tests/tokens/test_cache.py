"""The cache: the exact bytes of entries, what counts as a miss, and no files left behind."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.system import files as system_files
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.files import Directory
from ecr_credential_helper.tokens.cache import (
    AGING,
    DEAD,
    FRESH,
    LATE,
    SWEPT,
    Cache,
    Entry,
    Key,
    NoCache,
    decode,
    digest,
    encode,
    subject_of,
)
from ecr_credential_helper.tokens.singleflight import SingleFlight
from tests.loopback import Loopback
from tests.support import needs
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_ACCOUNT,
    OTHER_REGION,
    PUBLIC,
    entry_files,
    entry_in,
    prefix_of,
    rewrite,
    secret_of,
    spread_of,
)
from tests.support.helper import Helper, assert_no_secret

IDENTITY = b"machine here -\nfile /home/u/.aws/config -\nvariable AWS_PROFILE=prod\n"
KEY = Key(HOST, IDENTITY)
SPREAD = spread_of(KEY.name)
ENTRY = Entry(1763913600, 1763956800, "sso", "eyJwYXlsb2FkIjoiIn0=")
CONTENT = encode(ENTRY, KEY.prefix)
NOBODY = 65534

needs_posix = pytest.mark.needs("POSIX")
needs_root = pytest.mark.needs("root")  # to give files away


def fields(entry: Entry | None) -> tuple[int, int, str, str] | None:
    """Return an entry as a tuple, which can be compared."""
    return (entry.issued, entry.expires, entry.source, entry.token) if entry else None


def checked(body: bytes) -> bytes:
    """Return an entry's content with a valid checksum."""
    return b"%scheck %s\n" % (body, digest(body).encode())


def is_miss(content: bytes) -> bool:
    """Whether a content is no entry under KEY."""
    try:
        return decode(content, KEY.prefix) is None
    except ValueError:
        return True


# The form of an entry


def test_the_form_of_an_entry_is_fixed() -> None:
    """A reader in another language can rely on every byte of the name and of the content."""
    body = (
        b"ecr-credential-helper cache 1\n"
        b"host 111122223333.dkr.ecr.eu-west-1.amazonaws.com\n"
        b"machine here -\nfile /home/u/.aws/config -\nvariable AWS_PROFILE=prod\n"
        b"\n"
        b"issued 1763913600\nexpires 1763956800\nsource sso\ntoken eyJwYXlsb2FkIjoiIn0=\n"
    )
    number = 0
    for byte in body:
        number = (number * 256 + byte) % (2**56 - 5)
    assert b"%scheck %014x\n" % (body, number) == CONTENT
    assert KEY.name == f"{HOST}.{digest(KEY.prefix)}"
    assert body.startswith(KEY.prefix)


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b"", "00000000000000"),
        (b"\x01", "00000000000001"),
        (b"\x01" + b"\0" * 7, "00000000000005"),
        (b"\xff" * 7, "00000000000004"),
        ((2**56 - 5).to_bytes(7, "big"), "00000000000000"),
        ((2**56 - 6).to_bytes(7, "big"), "fffffffffffffa"),
    ],
)
def test_a_digest_is_the_bytes_as_a_number_modulo_a_prime(data: bytes, number: str) -> None:
    """The digest is always fourteen digits, the remainder by 2**56 - 5."""
    assert digest(data) == number


@given(
    issued=st.integers(0, 2**40),
    life=st.integers(-(2**33), 2**33),
    source=st.from_regex(r"[a-z][a-z -]{0,30}", fullmatch=True),
    token=st.from_regex(r"[A-Za-z0-9+/=._-]{0,200}", fullmatch=True),
    identity=st.lists(st.from_regex(rb"[^\n]{1,60}\n", fullmatch=True), max_size=8),
)
def test_an_entry_comes_back_as_it_was_kept(
    issued: int, life: int, source: str, token: str, identity: list[bytes]
) -> None:
    """Decoding undoes encoding, under the same key and no other."""
    key = Key(HOST, b"".join(identity))
    entry = Entry(issued, issued + life, source, token)
    content = encode(entry, key.prefix)
    assert fields(decode(content, key.prefix)) == fields(entry)
    assert decode(content, Key(OTHER_ACCOUNT, b"".join(identity)).prefix) is None
    assert decode(content, Key(HOST, b"".join([*identity, b"x\n"])).prefix) is None


def test_every_truncated_entry_is_a_miss() -> None:
    """No truncated entry is accepted."""
    for size in range(len(CONTENT)):
        assert is_miss(CONTENT[:size])


def test_every_flipped_bit_is_a_miss() -> None:
    """An entry with any one bit changed is not used."""
    for place in range(len(CONTENT) * 8):
        damaged = bytearray(CONTENT)
        damaged[place // 8] ^= 1 << place % 8
        assert is_miss(bytes(damaged))


BODY = CONTENT[: CONTENT.rindex(b"check ")]
LINES = BODY[len(KEY.prefix) :].splitlines(keepends=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        CONTENT * 2,
        CONTENT + b"\n",
        CONTENT + b"more",
        CONTENT.upper(),
        CONTENT.replace(b"\n", b"\r\n"),
        checked(BODY.replace(b"cache 1\n", b"cache 2\n")),
        checked(BODY.replace(b"prod", b"test")),
        checked(BODY.replace(HOST.encode(), OTHER_ACCOUNT.encode())),
        checked(BODY.removeprefix(b"ecr-credential-helper cache 1\n")),
        checked(KEY.prefix),
        checked(KEY.prefix + b"".join(LINES[i] for i in (1, 0, 2, 3))),
        checked(KEY.prefix + b"".join(LINES[i] for i in (0, 1, 3, 2))),
        checked(KEY.prefix + b"".join(LINES[i] for i in (0, 2, 1, 3))),
        checked(KEY.prefix + b"".join(LINES[:3])),
        checked(KEY.prefix + b"".join([*LINES, LINES[3]])),
        checked(KEY.prefix + b"".join([*LINES, b"\n"])),
        checked(BODY.replace(b"issued ", b"")),
        checked(BODY.replace(b"expires 1763956800", b"expires soon")),
        checked(BODY.replace(b"expires 1763956800", b"expires 1763956800.5")),
        checked(BODY.replace(b"token ", b"token \xc3\xa9")),
    ],
)
def test_what_no_writer_wrote_is_a_miss(content: bytes, tmp_path: Path) -> None:
    """Other versions, other keys, fields swapped, missing or doubled are misses, never errors."""
    cache = Cache(str(tmp_path / "cache"))
    cache.save(KEY, ENTRY)
    file = tmp_path / "cache" / KEY.name
    assert fields(cache.load(KEY)) == fields(ENTRY)
    file.write_bytes(content)
    assert cache.load(KEY) is None


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        (KEY.name, HOST),
        ("ecr_eu-west-1.0123456789abcd", "ecr_eu-west-1"),
        (HOST, ""),
        ("", ""),
        (".0123456789abcd", ""),
        ("0123456789abcd", ""),
        (f"{HOST}.0123456789abc", ""),
        (f"{HOST}.0123456789abcde", ""),
        (f"{HOST}.0123456789abcg", ""),
        (f"{HOST}.0123456789ABCD", ""),
        (f"{KEY.name}.lock", ""),
        (f"{KEY.name}.0123456789abcdef.tmp", ""),
    ],
)
def test_a_name_says_whose_entry_it_is(name: str, subject: str) -> None:
    """Only a name that ends in fourteen digits is an entry's."""
    assert subject_of(name) == subject


# Life


@pytest.mark.parametrize(
    ("now", "stage"),
    [
        (-1, DEAD),
        (-0.001, DEAD),
        (0, FRESH),
        (1, FRESH),
        (LIFE / 2, FRESH),
        (LIFE * (4 + SPREAD) / 8 - 1, FRESH),
        (LIFE * (4 + SPREAD) / 8, AGING),
        (LIFE * 5 / 8, AGING),
        (LIFE - LIFE / 8 - 1, AGING),
        (LIFE - LIFE / 8, AGING),
        (LIFE - LIFE / 8 + 1, LATE),
        (LIFE - 61, LATE),
        (LIFE - 60, DEAD),
        (LIFE - 59, DEAD),
        (LIFE, DEAD),
        (LIFE + 1, DEAD),
        (LIFE * 1000, DEAD),
    ],
)
def test_a_token_ages(now: float, stage: int) -> None:
    """A token is fresh, aging, late and dead, each from the very moment that is promised."""
    start = 1763913600
    assert Entry(start, start + LIFE, "env", "t").stage(start + now, KEY) == stage


def test_each_machine_refreshes_at_its_own_time() -> None:
    """Between half and five eighths of a token's life, evenly, and always at the same time."""
    rest = b"file /root/.aws/config -\nfile /root/.aws/credentials -\nvariable AWS_REGION=a\n"
    keys = [Key(HOST, b"machine host-%d -\n%s" % (number, rest)) for number in range(4000)]
    moments = [KEY.spread, *(key.spread for key in keys)]
    counts = Counter(int(moment * 8) for moment in moments)
    assert sorted(counts) == list(range(8))
    assert max(counts.values()) < 1.3 * len(moments) / 8
    for key in keys[:100]:
        entry = Entry(1000, 1000 + LIFE, "env", "t")
        assert entry.stage(1000 + LIFE / 2 - 1, key) == FRESH
        assert entry.stage(1000 + LIFE * 5 / 8, key) == AGING
        assert Key(key.subject, key.prefix.split(b"\n", 2)[2][:-1]).spread == key.spread


@pytest.mark.parametrize("life", [-100, 0, 1, 59, 60])
def test_a_token_of_a_minute_is_dead_at_birth(life: int) -> None:
    """What lives no longer than the last minute is never served."""
    for now in (1000, 1000 + life / 2, 1000 + life):
        assert Entry(1000, 1000 + life, "env", "t").stage(now, KEY) == DEAD


@pytest.mark.parametrize(("now", "stage"), [(0, FRESH), (39, FRESH), (40, DEAD)])
def test_the_last_minute_outweighs_the_halves(now: int, stage: int) -> None:
    """A short token goes from fresh to dead, with no stage between."""
    assert Entry(0, 100, "env", "t").stage(now, KEY) == stage


# Files


def test_saving_leaves_one_file_and_no_other(tmp_path: Path) -> None:
    """A save replaces the entry and leaves no temporary file."""
    cache = Cache(str(tmp_path / "cache"))
    for number in range(3):
        cache.save(KEY, Entry(number, 100, "env", "t"))
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [KEY.name]
    assert fields(cache.load(KEY)) == (2, 100, "env", "t")


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A save whose last step fails is an OSError, and its temporary file is gone."""
    directory = tmp_path / "cache"
    cache = Cache(str(directory))
    cache.save(Key(OTHER_ACCOUNT, IDENTITY), ENTRY)
    (directory / KEY.name).mkdir()
    with pytest.raises(OSError, match=r"directory|denied"):
        cache.save(KEY, ENTRY)
    assert len(list(directory.iterdir())) == 2


@pytest.mark.needs("POSIX")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A write that ends early is an OSError, the old entry stays, no temporary file does."""
    program = (
        "import resource, signal, sys\n"
        "from ecr_credential_helper.tokens.cache import Cache, Entry, Key\n"
        "cache, key = Cache(sys.argv[1]), Key('host', b'me\\n')\n"
        "cache.save(key, Entry(0, 100, 'env', 'old'))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "try:\n"
        "    cache.save(key, Entry(0, 100, 'env', 'new' * 100))\n"
        "except OSError:\n"
        "    print(cache.load(key).token)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stdout == b"old\n"
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_reader_never_sees_half_an_entry(tmp_path: Path) -> None:
    """While two writers replace an entry over and over, every read finds a whole one."""
    cache = Cache(str(tmp_path / "cache"))
    tokens = ["a" * 3000, "b" * 9]
    cache.save(KEY, Entry(0, 100, "env", tokens[0]))
    left = threading.Semaphore(0)

    def write(token: str) -> None:
        for _ in range(100):
            cache.save(KEY, Entry(0, 100, "env", token))
        left.release()

    writers = [threading.Thread(target=write, args=(token,)) for token in tokens]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        entry = cache.load(KEY)
        assert entry is not None
        seen.add(entry.token)
    assert seen <= set(tokens)
    assert left.acquire(blocking=False)
    assert left.acquire(blocking=False)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [KEY.name]


def test_removing_takes_all_identities_of_one_subject(tmp_path: Path) -> None:
    """The other hosts' entries stay, and so do files that are not ours."""
    cache = Cache(str(tmp_path / "cache"))
    others = [Key(OTHER_ACCOUNT, b"a\n"), Key(OTHER_REGION, b"a\n"), Key("ecr_eu-west-1", b"a\n")]
    for key in (Key(HOST, b"a\n"), Key(HOST, b"b\n"), Key(HOST, b""), *others):
        cache.save(key, ENTRY)
    (tmp_path / "cache" / HOST).write_text("not ours")
    cache.remove(HOST)
    names = {file.name for file in (tmp_path / "cache").iterdir()}
    assert names == {HOST, *(key.name for key in others)}
    cache.remove(HOST)


def test_hosts_are_listed_once_and_without_regions(tmp_path: Path) -> None:
    """What is kept for a region or for nobody is not a host, nor is what is no entry."""
    cache = Cache(str(tmp_path / "cache"))
    for subject in (PUBLIC, HOST, "ecr_eu-west-1", "no_credentials"):
        for identity in (b"a\n", b"b\n"):
            cache.save(Key(subject, identity), ENTRY)
    (tmp_path / "cache" / f"{OTHER_ACCOUNT}.lock").touch()
    cache.sweep(time.time())
    assert (tmp_path / "cache" / SWEPT).exists()
    assert cache.hosts() == [HOST, PUBLIC]
    assert len(cache.entries()) == 8


def test_where_there_is_no_directory_there_is_nothing(tmp_path: Path) -> None:
    """Reading, listing, removing and sweeping what is not there is no error and makes nothing."""
    for cache in (Cache(str(tmp_path / "none" / "here")), NoCache()):
        assert cache.load(KEY) is None
        assert cache.hosts() == []
        cache.remove(HOST)
        cache.sweep(0)
    NoCache().save(KEY, ENTRY)
    assert list(tmp_path.iterdir()) == []


# Whole processes


def test_a_second_get_asks_nobody(helper: Helper, aws: Loopback) -> None:
    """A warm `get` answers what the cold one did, with AWS out of reach."""
    first = helper.get(HOST)
    calls = len(aws.calls)
    aws.stop()
    second = helper.get(f"https://{HOST.upper()}:443/v2/")
    assert calls == 1
    assert second.stderr == b""
    assert secret_of(second.answer) == secret_of(first.answer)
    assert_no_secret(second, aws, token_expected=True)


def remove(file: Path, _: Path) -> None:
    """Take the entry away."""
    file.unlink()


def damage(file: Path, _: Path) -> None:
    """Change one byte of the token."""
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)


def replace_by_other_version(file: Path, _: Path) -> None:
    """Leave an entry of a later version."""
    body = file.read_bytes().rpartition(b"check ")[0]
    file.write_bytes(checked(body.replace(b"cache 1\n", b"cache 2\n")))


def replace_by_huge(file: Path, _: Path) -> None:
    """Leave a file of a gigabyte, all of it a hole."""
    os.truncate(file, 1 << 30)


def replace_by_pipe(file: Path, _: Path) -> None:
    """Leave a pipe, which a reader could wait at for ever."""
    file.unlink()
    os.mkfifo(file, 0o600)


def replace_by_directory(file: Path, _: Path) -> None:
    """Leave a directory."""
    file.unlink()
    file.mkdir(0o700)


def replace_by_link(file: Path, outside: Path) -> None:
    """Move the entry elsewhere and leave a link to it."""
    shutil.move(file, outside)
    file.symlink_to(outside)


def open_to_group(file: Path, _: Path) -> None:
    """Let the group read the entry."""
    file.chmod(file.stat().st_mode | 0o040)


def open_to_all(file: Path, _: Path) -> None:
    """Let everybody read the entry."""
    file.chmod(file.stat().st_mode | 0o004)


def open_to_writers(file: Path, _: Path) -> None:
    """Let the group write the entry."""
    file.chmod(file.stat().st_mode | 0o020)


def give_away(file: Path, _: Path) -> None:
    """Make another user the owner of the entry."""
    os.chown(file, NOBODY, NOBODY)


Spoiling = Callable[[Path, Path], None]


@pytest.mark.parametrize(
    "spoil",
    [
        remove,
        damage,
        replace_by_other_version,
        replace_by_huge,
        pytest.param(replace_by_pipe, marks=needs_posix),
        replace_by_directory,
        pytest.param(replace_by_link, marks=needs_posix),
        pytest.param(open_to_group, marks=needs_posix),
        pytest.param(open_to_all, marks=needs_posix),
        pytest.param(open_to_writers, marks=needs_posix),
        pytest.param(give_away, marks=needs_root),
    ],
)
def test_an_entry_that_cannot_be_trusted_is_a_miss(
    helper: Helper, aws: Loopback, tmp_path: Path, spoil: Spoiling
) -> None:
    """The answer is a new token, never an error and never the token in the entry."""
    first = secret_of(helper.get(HOST).answer)
    for number, file in enumerate(entry_files(helper.cache)):
        spoil(file, tmp_path / f"outside{number}")
    listed = helper.run("list")
    second = helper.get(HOST)
    assert listed.stdout == b"{}\n"
    assert listed.stderr == b""
    assert secret_of(second.answer) not in ("", first)
    assert aws.count("ecr") == 2
    if spoil is replace_by_link:
        assert secret_in(tmp_path / "outside0") == first


def secret_in(file: Path) -> str:
    """Return the token that an entry's file holds."""
    return entry_in(file).token


@pytest.mark.needs("POSIX")
@pytest.mark.parametrize(
    ("spoil", "ending"),
    [
        (open_to_group, ""),
        (open_to_all, ""),
        pytest.param(give_away, "", marks=needs_root),
        (replace_by_link, ""),
        (replace_by_link, "/"),
    ],
)
def test_a_directory_that_cannot_be_trusted_is_not_used(
    helper: Helper, aws: Loopback, tmp_path: Path, spoil: Spoiling, ending: str
) -> None:
    """Nothing is read from it and nothing written to it; the token is answered all the same."""
    first = secret_of(helper.get(HOST).answer)
    spoil(helper.cache, tmp_path / "outside")
    before = {file: file.read_bytes() for file in helper.cache.iterdir()}
    env = {"AWS_ECR_CACHE_DIR": f"{helper.cache}{ending}"}
    listed = helper.run("list", env=env)
    second = helper.get(HOST, env=env)
    assert listed.stdout == b"{}\n"
    assert secret_of(second.answer) not in ("", first)
    assert aws.count("ecr") == 2
    assert second.err.count("\n") == 1
    assert str(helper.cache) in second.err
    assert {file: file.read_bytes() for file in helper.cache.iterdir()} == before
    erased = helper.run("erase", stdin=HOST.encode(), env=env)
    assert b"Traceback" not in erased.stderr
    assert {file: file.read_bytes() for file in helper.cache.iterdir()} == before


def test_an_entry_copied_over_another_is_a_miss(helper: Helper, aws: Loopback) -> None:
    """Neither another host's nor another identity's token is ever answered."""
    other = {"AWS_PROFILE": "other"}
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text("[profile other]\nregion = eu-west-1\n")
    mine = secret_of(helper.get(HOST).answer)
    theirs = secret_of(helper.get(HOST, env=other).answer)
    elsewhere = secret_of(helper.get(OTHER_REGION).answer)
    assert len({mine, theirs, elsewhere}) == 3
    file = next(f for f in entry_files(helper.cache, HOST) if secret_in(f) == mine)
    for path in entry_files(helper.cache):
        if path != file and secret_in(path) == mine:
            path.unlink()
    for foreign in (theirs, elsewhere):
        source = next(f for f in entry_files(helper.cache) if secret_in(f) == foreign)
        content, calls = source.read_bytes(), aws.count("ecr")
        file.write_bytes(content)
        for path in entry_files(helper.cache, "ecr_eu-west-1"):
            path.write_bytes(content)
        answered = secret_of(helper.get(HOST).answer)
        assert answered not in (theirs, elsewhere)
        assert aws.count("ecr") == calls + 1


@pytest.mark.needs("POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_made_is_for_its_owner_alone(helper: Helper, umask: int) -> None:
    """Directories are 0700 and files 0600 whatever the umask, parents of the cache included."""
    env = {"AWS_ECR_CACHE_DIR": str(helper.home / "a" / "b" / "cache")}
    old = os.umask(umask)
    try:
        assert helper.get(HOST, env=env).status == 0
    finally:
        os.umask(old)
    modes = {path: path.stat().st_mode & 0o7777 for path in (helper.home / "a").rglob("*")}
    modes[helper.home / "a"] = (helper.home / "a").stat().st_mode & 0o7777
    assert len(modes) == 6
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items())


@pytest.mark.needs("POSIX")
def test_a_umask_that_takes_all_away_costs_no_answer(helper: Helper, aws: Loopback) -> None:
    """With umask 0777 nothing wider than 0000 is made, and both gets are answered."""
    old = os.umask(0o777)
    try:
        results = [helper.get(HOST), helper.get(HOST)]
    finally:
        os.umask(old)
    assert all(secret_of(result.answer) in aws.issued for result in results)
    assert all(result.err.count("\n") <= 1 for result in results)
    assert helper.cache.stat().st_mode & 0o7777 == 0
    helper.cache.chmod(0o700)
    assert all(file.stat().st_mode & 0o7777 == 0 for file in helper.cache.iterdir())


def test_only_entries_are_left_behind(helper: Helper) -> None:
    """After a get there is an entry for the host, one for its region, and the mark of a sweep."""
    helper.get(HOST)
    files = sorted(file.name for file in helper.cache.iterdir())
    assert helper.files() == ["cache", *(f"cache/{name}" for name in files)]
    assert list(map(subject_of, files)) == [HOST, "ecr_eu-west-1", ""]
    assert files[2] == SWEPT


@pytest.mark.parametrize("by_path", [False, True])
def test_a_cache_that_is_off_is_never_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, by_path: bool
) -> None:
    """It has no name. Where files are opened by path, as on Windows, that means nowhere either."""
    monkeypatch.setattr(system_files, "_POSIX", os.name == "posix" and not by_path)
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    Cache(str(tmp_path)).save(KEY, ENTRY)
    off = NoCache()
    off.save(Key(OTHER_ACCOUNT, IDENTITY), ENTRY)
    off.remove(KEY.subject)
    off.sweep(0.0)
    assert (off.load(KEY), off.hosts()) == (None, [])
    with SingleFlight(off.path, "lock", Deadline(1.0)) as flight:
        flight.report(HelperError("nothing"))
    with pytest.raises(FileNotFoundError):
        Directory(off.path, create=True)
    assert os.listdir() == [KEY.name]


@pytest.mark.parametrize("verb", ["get", "list", "erase", "store"])
def test_a_cache_that_was_put_into_the_working_directory_is_not_used(
    helper: Helper, aws: Loopback, verb: str
) -> None:
    """With the cache off nothing is read, written or erased where the program was started."""
    first = helper.get(HOST)
    files = {file.name: file.read_bytes() for file in entry_files(helper.cache)}
    here = helper.home.with_name("here")
    here.mkdir(0o700)
    for name, content in files.items():
        (here / name).write_bytes(content)
        (here / name).chmod(0o600)
    env = {"AWS_ECR_DISABLE_CACHE": "1"}
    login = {"ServerURL": HOST, "Username": "AWS", "Secret": "x"}
    stdin = json.dumps(login) if verb == "store" else HOST
    result = helper.run(verb, stdin=stdin.encode(), env=env, cwd=here)
    assert result.status == 0
    if verb == "get":
        assert secret_of(result.answer) != secret_of(first.answer)
        assert aws.count("ecr") == 2
    elif verb == "list":
        assert result.answer == {}
    assert {file.name: file.read_bytes() for file in here.iterdir()} == files


def below_a_file(helper: Helper) -> dict[str, str | None]:
    """Name a cache directory that cannot exist, since its parent is a file."""
    (helper.home / "file").touch()
    return {"AWS_ECR_CACHE_DIR": str(helper.home / "file" / "cache")}


def on_a_file(helper: Helper) -> dict[str, str | None]:
    """Name a cache directory that is a file."""
    (helper.home / "file").touch()
    return {"AWS_ECR_CACHE_DIR": str(helper.home / "file")}


def on_a_dangling_link(helper: Helper) -> dict[str, str | None]:
    """Name a cache directory that is a link to nothing."""
    (helper.home / "link").symlink_to(helper.home / "nothing")
    return {"AWS_ECR_CACHE_DIR": str(helper.home / "link")}


def in_a_file_system_without_room(_: Helper) -> dict[str, str | None]:
    """Name a cache directory where nobody, root included, can make anything."""
    return {"AWS_ECR_CACHE_DIR": "/proc/1/cache"}


def without_a_home(helper: Helper) -> dict[str, str | None]:
    """Take HOME away, and the user from the password file."""
    patch = helper.home / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import pwd\n\ndef nobody(uid):\n    raise KeyError(uid)\n\npwd.getpwuid = nobody\n"
    )
    return {
        "AWS_ECR_CACHE_DIR": None,
        "HOME": None,
        "PYTHONPATH": str(patch),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.mark.parametrize(
    "arrange",
    [
        below_a_file,
        on_a_file,
        pytest.param(on_a_dangling_link, marks=needs_posix),
        pytest.param(in_a_file_system_without_room, marks=needs_posix),
        pytest.param(without_a_home, marks=[pytest.mark.inside, needs_posix]),
    ],
)
def test_without_a_place_to_keep_it_the_token_is_answered(
    helper: Helper, aws: Loopback, arrange: Callable[[Helper], dict[str, str | None]]
) -> None:
    """The cause is exactly one line on stderr, and no file is made anywhere."""
    env = arrange(helper)
    before = helper.files()
    for number in (1, 2):
        result = helper.get(HOST, env=env)
        assert secret_of(result.answer) in aws.issued
        assert result.err.count("\n") == 1
        assert result.err.startswith("docker-credential-ecr: ")
        assert "kept" in result.err
        assert_no_secret(result, aws, token_expected=True)
        assert aws.count("ecr") == number
    for verb, stdin, stdout in (("list", b"", b"{}\n"), ("erase", HOST.encode(), b"")):
        result = helper.run(verb, stdin=stdin, env=env)
        assert (result.status, result.stdout) == (0, stdout)
    assert helper.files() == before


@needs_root
def test_on_a_full_disk_the_token_is_answered(helper: Helper, aws: Loopback) -> None:
    """No space left on the device is one line on stderr, and no half entry is left."""
    helper.cache.mkdir(0o700)
    script = (
        'mount -t tmpfs -o size=4k,mode=700 none "$1" && dd if=/dev/zero of="$1/fill" bs=4k '
        '2>/dev/null; "$2" get; ls "$1" >&2'
    )
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(helper.cache), str(helper.executable)]
    needs.check("unshare --mount")
    result = subprocess.run(
        command, env=helper.env, input=HOST.encode(), capture_output=True, check=False
    )
    lines = result.stderr.decode().splitlines()
    assert result.stdout.count(b"\n") == 1
    assert any(token.encode() in result.stdout for token in aws.issued)
    assert "No space left on device" in lines[0]
    assert lines[1:] == ["fill", SWEPT]


def test_a_second_account_of_a_region_costs_no_call(helper: Helper, aws: Loopback) -> None:
    """One token serves all accounts of a region; erasing one host leaves the other listed."""
    first = secret_of(helper.get(HOST).answer)
    assert secret_of(helper.get(OTHER_ACCOUNT).answer) == first
    assert aws.count("ecr") == 1
    assert secret_of(helper.get(OTHER_REGION).answer) != first
    assert aws.count("ecr") == 2
    hosts = [f"https://{host}" for host in sorted((HOST, OTHER_ACCOUNT, OTHER_REGION))]
    assert list(helper.run("list").answer) == hosts
    assert helper.run("erase", stdin=HOST.encode()).status == 0
    hosts.remove(f"https://{HOST}")
    assert list(helper.run("list").answer) == hosts
    assert secret_of(helper.get(HOST).answer) != first
    assert aws.count("ecr") == 3
    assert secret_of(helper.get(OTHER_ACCOUNT).answer) == first
    assert aws.count("ecr") == 3


def test_endpoints_of_a_region_do_not_share(helper: Helper, aws: Loopback) -> None:
    """A FIPS host and a dual-stack host have tokens of their own, asked of their own endpoints."""
    hosts = [
        HOST,
        HOST.replace("ecr.", "ecr-fips."),
        "111122223333.dkr-ecr.eu-west-1.on.aws",
        PUBLIC,
    ]
    secrets = [secret_of(helper.get(host).answer) for host in hosts]
    assert len(set(secrets)) == 4
    assert len(aws.calls) == 4


def test_erase_drops_the_tokens_of_all_identities(helper: Helper, aws: Loopback) -> None:
    """After `erase` each identity's next get of that host asks AWS."""
    aws.add_user("AKIAOTHER", "other-secret", "arn:aws:iam::111122223333:user/other")
    other = {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other-secret"}
    for env in (None, other):
        helper.get(HOST, env=env)
    assert len(entry_files(helper.cache, HOST)) == 2
    erased = helper.run("erase", stdin=f"https://{HOST}/".encode())
    assert (erased.status, erased.stdout, erased.stderr) == (0, b"", b"")
    assert entry_files(helper.cache) == []
    for env in (None, other):
        assert helper.run("list", env=env).stdout == b"{}\n"
        helper.get(HOST, env=env)
    assert aws.count("ecr") == 4
    for _ in range(2):
        assert helper.run("erase", stdin=HOST.encode()).status == 0


def test_list_says_what_get_would_answer(helper: Helper, aws: Loopback) -> None:
    """Of this identity, fresh or aging, sorted, and without a call to anybody."""
    for host in (PUBLIC, HOST):
        helper.get(host)
    calls = len(aws.calls)
    both = f'{{"https://{HOST}":"AWS","https://{PUBLIC}":"AWS"}}\n'.encode()
    for age, listed in (
        (0, both),
        (LIFE * 3 // 4, both),
        (LIFE - LIFE // 16, b"{}\n"),
        (LIFE - 30, b"{}\n"),
        (LIFE + 1, b"{}\n"),
        (-100, b"{}\n"),
        (1, both),
    ):
        rewrite(helper.cache, age=age)
        result = helper.run("list")
        assert (result.status, result.stdout, result.stderr) == (0, listed, b"")
    assert helper.run("list", env={"AWS_PROFILE": "other"}).stdout == b"{}\n"
    assert len(aws.calls) == calls


@pytest.mark.parametrize("value", ["1", "false", " "])
def test_the_cache_can_be_turned_off(helper: Helper, aws: Loopback, value: str) -> None:
    """With any value but an empty one nothing is read, written or listed."""
    off = {"AWS_ECR_DISABLE_CACHE": value}
    helper.get(HOST)
    before = {file: file.read_bytes() for file in helper.cache.iterdir()}
    results = [helper.get(HOST, env=off), helper.run("list", env=off)]
    results.append(helper.store(HOST, "AWS", "dG9rZW4=", env=off))
    assert [result.status for result in results] == [0, 0, 0]
    assert results[0].stderr == b""
    assert results[1].stdout == b"{}\n"
    assert aws.count("ecr") == 2
    assert {file: file.read_bytes() for file in helper.cache.iterdir()} == before
    assert helper.run("list", env={"AWS_ECR_DISABLE_CACHE": ""}).stdout != b"{}\n"


def test_a_logout_counts_with_the_cache_turned_off(helper: Helper) -> None:
    """What was kept before the cache was turned off is dropped all the same."""
    helper.get(HOST)
    off = {"AWS_ECR_DISABLE_CACHE": "1"}
    assert helper.run("erase", stdin=HOST.encode(), env=off).status == 0
    assert entry_files(helper.cache) == []


def test_without_a_cache_no_file_is_written(helper: Helper) -> None:
    """A cache that is off leaves no directory, lock or log."""
    before = helper.files()
    assert helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1"}).status == 0
    assert helper.files() == before


def test_no_secret_is_in_a_header_or_a_name(helper: Helper, aws: Loopback) -> None:
    """Whatever is called SECRET, TOKEN or PASS stays out of the key; a file's name may be in it."""
    secret = "do-not-write-me"
    names = [
        *("AWS_SECRET_ACCESS_KEY", "AWS_MY_PASSWORD", "AWS_PASSPHRASE", "AWS_BEARER_TOKEN_ECR"),
        *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_ECR_SECRET_THING"),
    ]
    aws.add_user("AKIAQUIET", secret, "arn:aws:iam::111122223333:user/quiet")
    env = {**dict.fromkeys(names, secret), "AWS_ACCESS_KEY_ID": "AKIAQUIET"}
    env["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/tmp/the-token-file"
    assert helper.get(HOST, env=env).status == 0
    files = entry_files(helper.cache)
    assert len(files) == 2
    for file in files:
        header = prefix_of(file.read_bytes())
        assert secret.encode() not in file.read_bytes()
        assert b"variable AWS_ACCESS_KEY_ID=AKIAQUIET\n" in header
        assert b"variable AWS_WEB_IDENTITY_TOKEN_FILE=/tmp/the-token-file\n" in header
        assert secret not in file.name

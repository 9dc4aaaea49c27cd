"""The directory for this machine's processor, run where a Linux has least, or something else.

The roots of other machines are below a temporary directory, and entered by a change of root; the
kernel and the network are this machine's. `make packages-test` builds the directory.
"""

import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.aws.test_sources import login, profile
from tests.loopback import Fault, Loopback
from tests.support.entries import (
    HOST,
    LIFE,
    OTHER_REGION,
    entry_files,
    entry_in,
    rewrite,
    secret_of,
    until,
)
from tests.support.forms import DROP_IN, MACHINE, NAME, below, by_directory, run
from tests.support.helper import Authority, Helper, Result
from tests.support.needs import module
from tests.support.roots import (
    ANSWER,
    BUSYBOX,
    CREDENTIALS,
    LIBRARY,
    Root,
    compiled,
    debian,
    mounted,
    name_server,
    pairs,
    seen,
)

REAL = "111122223333.dkr.ecr.us-west-2.amazonaws.com"  # the loopback has a certificate for its AWS
TRIPLET = f"{MACHINE}-linux-gnu"
SHARED = ("-shared", "-fPIC")

pytestmark = pytest.mark.needs("Linux", "root", "busybox", "cc")
mounting = pytest.mark.needs("unshare --mount")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory; all that the tests do leaves its files as they are."""
    return by_directory(tmp_path_factory.mktemp("anywhere")).parent


@pytest.fixture
def empty(tmp_path: Path, directory: Path, aws: Loopback) -> Root:
    """Return a root with nothing but the directory."""
    (tmp_path / "root").mkdir()
    return Root(tmp_path / "root", directory, aws)


@pytest.fixture
def own(helper: Helper, directory: Path) -> Helper:
    """Return the helper with the directory on this machine, with all that is on it."""
    helper.executable = directory / NAME
    return helper


def cold_and_warm(root: Root, aws: Loopback) -> Result:
    """Hold that a token is fetched, and then kept, without a word; return the answer."""
    first = root.run("get", stdin=HOST)
    assert (first.status, first.err) == (0, "")
    assert secret_of(first.answer) in aws.issued
    assert root.run("get", stdin=HOST) == first
    assert aws.count("ecr") == 1
    return first


def renewed_behind(cache: Path, aws: Loopback, get: Callable[[], Result], first: Result) -> None:
    """Hold that half way through its life a token is the answer still, and is renewed behind it."""
    rewrite(cache, age=LIFE * 0.7)
    assert get() == first
    until(lambda: aws.count("ecr") == 2)
    old = secret_of(first.answer)
    until(lambda: all(entry_in(file).token != old for file in entry_files(cache)), 10)
    assert secret_of(get().answer) in aws.issued
    assert aws.count("ecr") == 2


# Roots with next to nothing


def test_it_needs_nothing_but_the_kernel(empty: Root, aws: Loopback) -> None:
    """Every command, with no /proc, /dev, /etc and /tmp, no home directory and no other program."""
    assert empty.run("version").out.startswith(f"{NAME} (ecr-credential-helper) ")
    first = cold_and_warm(empty, aws)
    renewed_behind(empty.cache, aws, lambda: empty.run("get", stdin=HOST), first)
    assert empty.run("list").answer == {f"https://{HOST}": "AWS"}
    for command, status in (("status", 0), ("doctor", 1), ("warm", 0)):
        done = empty.run(command, *([HOST] if command == "warm" else []))
        assert (done.status, done.err) == (status, "")
        assert "Traceback" not in done.out
        assert HOST in done.out or command == "doctor"
    assert empty.run("erase", stdin=HOST) == Result(0, b"", b"")
    assert empty.run("list").answer == {}
    assert {path.name for path in empty.path.iterdir()} == {"helper", "cache"}


@mounting
def test_a_root_that_is_read_only_costs_one_line(empty: Root, aws: Loopback) -> None:
    """The token is the answer each time, and that it cannot be kept is said on stderr."""
    for count in (1, 2):
        done = empty.run("get", stdin=HOST, within=mounted(empty.path, "ro"))
        assert secret_of(done.answer) in aws.issued
        assert (done.status, done.err.count("\n")) == (0, 1)
        assert "/cache" in done.err
        assert aws.count("ecr") == count
    assert not empty.cache.exists()


def test_a_static_shell_gives_the_credentials(empty: Root, aws: Loopback) -> None:
    """The credential_process is a script, in a root with busybox and no library."""
    empty.write("bin/sh", "")
    shutil.copy(BUSYBOX, empty.path / "bin" / "sh")
    empty.write("credentials", f"#!/bin/sh\necho '{ANSWER}'\necho $PPID >>/asked\n", 0o755)
    empty.ask_a_program()
    cold_and_warm(empty, aws)
    assert (empty.path / "asked").read_text().count("\n") == 1


# Machines with another C library


def of_debian(root: Path, release: str) -> str:
    """Make a root of a release of Debian; return where its libraries are."""
    debian(root, release)
    compiled(LIBRARY, root / "machine.so", "cc", *SHARED, LOADED="/loaded")
    script = f'env -0 >/seen\nexec python3 -S -c \'print(r"""{ANSWER}""")\''
    (root / "credentials").write_text(f"#!/bin/sh\n{script}\n")
    (root / "credentials").chmod(0o755)
    return f"/lib/{TRIPLET}:/usr/lib/{TRIPLET}"


def of_musl(root: Path, _: str) -> str:
    """Make a root with musl as its C library; return where its libraries are."""
    (root / "lib").mkdir(parents=True)
    loader = f"ld-musl-{MACHINE}.so.1"
    shutil.copy(Path("/lib") / loader, root / "lib" / loader)
    shutil.copy(Path("/lib") / loader, root / "lib" / "libc.so")
    compiled(LIBRARY, root / "machine.so", "musl-gcc", *SHARED, LOADED="/loaded")
    compiled(CREDENTIALS, root / "credentials", "musl-gcc", ANSWER=ANSWER, SEEN="/seen")
    return "/lib"


@pytest.mark.parametrize(
    ("make", "release"),
    [
        pytest.param(of_debian, "bullseye", marks=pytest.mark.needs("mmdebstrap")),
        pytest.param(of_debian, "trixie", marks=pytest.mark.needs("mmdebstrap")),
        pytest.param(of_musl, "musl", marks=pytest.mark.needs("musl-gcc")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_c_library_stays_with_the_machines_programs(
    tmp_path: Path, directory: Path, aws: Loopback, make: Callable[[Path, str], str], release: str
) -> None:
    """An older one, a newer one, musl: preloaded by variable and by file, it reaches not us.

    The credential_process, linked with it, has what was preloaded, and the caller's environment.
    """
    libraries = make(tmp_path / "root", release)
    root = Root(tmp_path / "root", directory, aws)
    root.write("etc/ld.so.preload", "/machine.so\n")
    root.ask_a_program()
    root.env |= {"LD_LIBRARY_PATH": libraries, "LD_PRELOAD": "/machine.so", "LC_ALL": "C.UTF-8"}
    root.env |= {"HOME": "/", "PATH": "/usr/bin:/bin", "PWD": "/", "LD_BIND_NOW": "1"}
    cold_and_warm(root, aws)
    loaded = (root.path / "loaded").read_text().splitlines()
    assert loaded[0] == "/credentials"
    assert not [program for program in loaded if program.startswith("/helper")]
    assert seen(root.path / "seen") == pairs(root.env)


# The environment


PLACE = "PLACE"  # stands for a directory with files that would break the program
ENVIRONMENTS = {
    "preload": {"LD_PRELOAD": f"{PLACE}/machine.so"},
    "preload-nothing": {"LD_PRELOAD": "/nonexistent.so", "LD_": "", "LDX": "1"},
    "libraries": {"LD_LIBRARY_PATH": PLACE, "LD_ORIGIN_PATH": PLACE, "LD_ASSUME_KERNEL": "2.4"},
    "audit": {"LD_AUDIT": f"{PLACE}/machine.so", "LD_PROFILE": "libc.so.6"},
    "debug": {"LD_DEBUG": "all", "LD_TRACE_LOADED_OBJECTS": "1", "LD_SHOW_AUXV": "1"},
    "tunables": {"GLIBC_TUNABLES": "glibc.malloc.top_pad=70368744177664", "LD_BIND_NOW": "1"},
    "locale": {"LC_ALL": "tr_TR.ISO-8859-9", "LANG": "C", "LC_CTYPE": "POSIX", "LANGUAGE": "tr"},
    "lang": {"LANG": "de_DE", "LOCPATH": PLACE, "GCONV_PATH": PLACE, "LC_MESSAGES": "ja_JP.EUC-JP"},
    "bytes": {"LC_ALL": "\udcff", "X": "\udcff\udc80 \n\t\x01", "\u00e4": "\u00f6", "E": ""},
    "names": {"\x01A": "1", "\x0cD": "2", "\x02": "3", "a b": "4"},
    "python": {
        **{f"PYTHON{name}": PLACE for name in ("HOME", "PATH", "STARTUP", "PYCACHEPREFIX")},
        **{f"PYTHON{name}": "1" for name in ("VERBOSE", "DEVMODE", "INSPECT", "DUMPREFS")},
        "PYTHONMALLOC": "debug",
        "PYTHONIOENCODING": "utf-16",
        "PYTHONHASHSEED": "none",
    },
    "openssl": {
        "OPENSSL_CONF": f"{PLACE}/openssl.cnf",
        **dict.fromkeys(("OPENSSL_MODULES", "OPENSSL_ENGINES", "SSL_CERT_DIR"), PLACE),
        "SSL_CERT_FILE": f"{PLACE}/openssl.cnf",
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of what would break the program, if it were found."""
    place = tmp_path_factory.mktemp("place")
    compiled(LIBRARY, place / "machine.so", "cc", *SHARED, LOADED=str(place / "loaded"))
    for name in ("libc.so.6", "libssl.so.3", "libz.so.1", "libm.so.6", "gconv-modules"):
        (place / name).write_text("garbage")
    for name in ("json", "urllib3", "os", "encodings", "sitecustomize"):
        (place / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
    (place / "openssl.cnf").write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.1\n"
    )
    return place


@pytest.mark.needs("musl-gcc")
@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_no_variable_steers_it_and_none_is_lost(
    own: Helper, aws: Loopback, place: Path, variables: dict[str, str]
) -> None:
    """By TLS, and in the background, too; a credential_process gets what the caller has set."""
    kept, program = own.home / "seen", own.home / "credentials"
    compiled(CREDENTIALS, program, "musl-gcc", "-static", ANSWER=ANSWER, SEEN=str(kept))
    profile(own, f"credential_process = {program}")
    variables = {name: value.replace(PLACE, str(place)) for name, value in variables.items()}
    (place / "loaded").unlink(missing_ok=True)
    own.env |= {name: value for name, value in own.proxy.items() if value} | variables
    del own.env["AWS_ENDPOINT_URL"]
    first = own.get(REAL)
    assert (first.status, first.err) == (0, "")
    assert seen(kept) == pairs(own.env)
    kept.unlink()
    renewed_behind(own.cache, aws, lambda: own.get(REAL), first)
    assert seen(kept) == pairs(own.env)
    assert not (place / "loaded").exists()


def test_a_variable_without_a_name_does_no_harm(own: Helper, aws: Loopback) -> None:
    """As programs of Windows leave them ("=C:=x"): they cannot be handed on, and need not be."""
    own.env[""] = "C:=x"
    first = own.get(HOST)
    assert (first.status, first.err) == (0, "")
    renewed_behind(own.cache, aws, lambda: own.get(HOST), first)


# Where it is


PLACES = {
    "colon": "a:b:/c",
    "space": " a b ",
    "origin": "$ORIGIN/${LIB}$",
    "semicolon": "a;b'\"\\",
    "letters": "\u00fc\u00f1\u00ee\u65e5\u672c",
    "bytes": "\udcff",
    "long": "/".join(["l" * 200] * 6),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_it_runs_from_any_path_and_by_any_name(
    tmp_path: Path, directory: Path, aws: Loopback, place: str
) -> None:
    """Found on PATH by a link of another name, where no library of the machine can stand in."""
    (tmp_path / "root" / "bin").mkdir(parents=True)
    root = Root(tmp_path / "root", directory, aws, place)
    first = cold_and_warm(root, aws)
    renewed_behind(root.cache, aws, lambda: root.run("get", stdin=HOST), first)
    (root.path / "bin" / DROP_IN).symlink_to(root.door)
    root.env["PATH"] = "/nonexistent:/bin"
    said = root.run("version", door=DROP_IN)
    assert said.out.startswith(f"{DROP_IN} (ecr-credential-helper) ")
    wrong = root.run("get", "more", door=DROP_IN)
    assert DROP_IN in wrong.out + wrong.err
    del root.env["AWS_ACCESS_KEY_ID"], root.env["AWS_SECRET_ACCESS_KEY"]
    root.env["AWS_PROFILE"] = "nobody"
    assert root.run("get", stdin=HOST, door=DROP_IN).out.startswith(f"{DROP_IN}: ")


# Libraries, and names of hosts


def test_all_that_is_mapped_is_its_own(
    own: Helper, aws: Loopback, authority: Authority, directory: Path
) -> None:
    """With TLS and awscrt in use, no file of the machine is in its memory."""
    login(own, aws)
    own.env |= {"AWS_ENDPOINT_URL": aws.https_url, "AWS_CA_BUNDLE": authority.bundle}
    aws.faults["ecr"] = Fault("hang")
    with own.popen("get") as process:
        assert process.stdin
        process.stdin.write(HOST.encode())
        process.stdin.close()
        until(lambda: aws.count("ecr") == 1 or process.poll() is not None)
        lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        process.kill()
    mapped = {line.split(maxsplit=5)[5] for line in lines if "/" in line}
    names = {Path(path).name.partition(".")[0] for path in mapped}
    assert {"python3", NAME, "libc", "libssl", "libcrypto", "_awscrt", "_ssl"} <= names
    assert not [path for path in mapped if not path.startswith(f"{directory}/")]


@pytest.mark.parametrize("by", ["files", "dns"])
def test_hosts_and_dns_are_asked_and_no_module_of_the_machine(
    empty: Root, aws: Loopback, by: str
) -> None:
    """As /etc/nsswitch.conf says, but for a module of the machine's C library that it names."""
    for place in (f"lib/{TRIPLET}", f"usr/lib/{TRIPLET}", "lib", "usr/lib", "lib64", "usr/lib64"):
        library = empty.path / place / "libnss_foo.so.2"
        compiled(LIBRARY, library, "cc", *SHARED, LOADED="/loaded")
    empty.write("etc/nsswitch.conf", "passwd: foo files\nhosts: foo files dns\n")
    empty.write("etc/hosts", "127.0.0.1 ecr.test\n" if by == "files" else "127.0.0.1 localhost\n")
    empty.write("etc/resolv.conf", "nameserver 127.0.0.99\n")
    run("ldconfig", "-r", empty.path)  # the machine knows of it by its cache, too
    empty.env["AWS_ENDPOINT_URL"] = f"http://ecr.test:{aws.port}"
    with name_server("127.0.0.99", "elsewhere.test" if by == "files" else "ecr.test"):
        cold_and_warm(empty, aws)
        empty.env["AWS_ENDPOINT_URL"] = f"http://nowhere.test:{aws.port}"
        empty.env["AWS_ECR_CACHE_DIR"] = "/other"
        failed = empty.run("get", stdin=HOST)
    assert (failed.status, failed.out.count("\n")) == (1, 1)
    assert f"http://nowhere.test:{aws.port}" in failed.out
    assert "the name does not resolve" in failed.out
    assert not (empty.path / "loaded").exists()


# What it is made of


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory for a processor, which need not be this machine's."""
    return by_directory(tmp_path_factory.mktemp("either"), request.param).parent


class Linked:
    """A program or library as the loader reads it, which looks at no section.

    `needs` and `name` are as in the file; `given` are its symbols with the version of each ("" if
    it has none), `taken` those it cannot do without, with library and version.
    """

    def __init__(self, file: Path) -> None:
        self.data = file.read_bytes()
        elf = module("elftools.elf.elffile", "test").ELFFile(BytesIO(self.data))
        (segment,) = (one for one in elf.iter_segments() if one["p_type"] == "PT_DYNAMIC")
        self.segment: Any = segment
        tags = [(tag.entry.d_tag, tag) for tag in segment.iter_tags()]
        self.needs = [str(tag.needed) for kind, tag in tags if kind == "DT_NEEDED"]
        self.paths = [kind for kind, _ in tags if kind in ("DT_RPATH", "DT_RUNPATH")]
        names = [str(tag.soname) for kind, tag in tags if kind == "DT_SONAME"]
        self.name = names[0] if names else file.name
        self.given: set[tuple[str, str]] = set()
        self.taken: set[tuple[str, str]] = set()
        versions = dict(self.given_versions())
        self.versions = set(versions.values())
        self.relied_on = list(self.taken_versions())
        versions |= {number: name for number, _, name in self.relied_on}
        numbers = segment.get_table_offset("DT_VERSYM")[1]
        for at, symbol in enumerate(segment.iter_symbols()):
            number = struct.unpack_from("<H", self.data, numbers + 2 * at)[0] if numbers else 0
            version = versions.get(number & 0x7FFF, "")
            if symbol.entry.st_shndx != "SHN_UNDEF":
                self.given |= {(symbol.name, version), (symbol.name, "")}
            elif symbol.name and symbol.entry.st_info.bind == "STB_GLOBAL":
                self.taken.add((symbol.name, version))

    def string(self, offset: int) -> str:
        """Return a string of the table that all names are in."""
        start = self.segment.get_table_offset("DT_STRTAB")[1] + offset
        return self.data[start : self.data.index(0, start)].decode()

    def given_versions(self) -> Iterator[tuple[int, str]]:
        """Yield the versions that its own symbols have: number and name."""
        at, more = self.segment.get_table_offset("DT_VERDEF")[1], 1
        while at and more:
            number, _, _, name, more = struct.unpack_from("<HHIII", self.data, at + 4)
            if number != 1:  # which is the library itself
                yield number, self.string(struct.unpack_from("<I", self.data, at + name)[0])
            at += more

    def taken_versions(self) -> Iterator[tuple[int, str, str]]:
        """Yield the versions that it relies on: number, library and name."""
        at, more = self.segment.get_table_offset("DT_VERNEED")[1], 1
        while at and more:
            count, library, one, more = struct.unpack_from("<HIII", self.data, at + 2)
            one += at
            for _ in range(count):
                number, name, step = struct.unpack_from("<HII", self.data, one + 6)
                yield number, self.string(library), self.string(name)
                one += step
            at += more


def test_no_library_and_no_symbol_is_missing(either: Path) -> None:
    """What a file is linked with is in the directory, for both processors, in that version."""
    files = [file for file in (either / "program").rglob("*") if file.is_file()]
    linked = [Linked(file) for file in files if file.read_bytes()[:4] == b"\x7fELF"]
    found = {one.name: one for one in linked if one.name == "python3" or ".so." in one.name}
    given = set().union(*(one.given for one in found.values()))
    assert len(found) == 11
    for one in linked:
        assert one.paths == []
        assert set(one.needs) <= set(found)
        for _, library, version in one.relied_on:
            assert library in one.needs
            assert version in found[library].versions
        assert one.taken - given == set()
    counts = {one.name.partition(".")[0]: (len(one.relied_on), len(one.taken)) for one in linked}
    for name in ("python3", "_awscrt", "_ssl", "libcrypto"):
        assert min(counts[name]) > 0


def test_only_what_is_started_is_executable(either: Path) -> None:
    """The front door and the loader; no file is writable by others, or runs as somebody else."""
    modes = {name: (either / name).lstat().st_mode & 0o7777 for name in below(either)}
    executable = {name for name, mode in modes.items() if mode == 0o755}
    assert executable == {NAME, f"program/{NAME}"}
    assert {mode for name, mode in modes.items() if name not in executable} == {0o644}


def test_all_python_is_bytecode_that_is_never_checked(either: Path) -> None:
    """No source, no place for a cache, and no time of a file counts."""
    names = [path for path in either.rglob("*") if path.suffix in (".py", ".pyo", ".pth")]
    assert names + list(either.rglob("__pycache__")) == []
    modules = list(either.rglob("*.pyc"))
    assert len(modules) > 400
    assert {path.read_bytes()[4:8] for path in modules} == {b"\1\0\0\0"}  # by hash, unchecked


def state(directory: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Return all files and directories, with mode, time and content."""
    found = {}
    for path in (directory, *directory.rglob("*")):
        is_at = path.lstat()
        content = b"" if path.is_dir() else path.read_bytes()
        found[path] = (is_at.st_mode, is_at.st_mtime_ns, content)
    return found


def test_it_writes_nothing_beside_itself(
    helper: Helper, aws: Loopback, authority: Authority, tmp_path: Path
) -> None:
    """A directory that it could write into is as before, whatever it has done."""
    helper.executable = by_directory(tmp_path)
    before = state(helper.executable.parent)
    login(helper, aws)
    helper.env |= {"AWS_ENDPOINT_URL": aws.https_url, "AWS_CA_BUNDLE": authority.bundle}
    renewed_behind(helper.cache, aws, lambda: helper.get(HOST), helper.get(HOST))
    for command in ("version", "list", "status", "doctor"):
        helper.run(command)
    assert state(helper.executable.parent) == before


# What forbids it


@mounting
def test_noexec_is_named(own: Helper, directory: Path) -> None:
    """On stdout, in one line, as a client shows it."""
    launcher = own.home / "launcher"
    words = " ".join(f"'{word}'" for word in mounted(directory / "program", "noexec"))
    launcher.write_text(f'#!/bin/sh\nexec {words} {own.executable} "$@"\n')
    launcher.chmod(0o755)
    own.executable = launcher
    for done in (own.get(HOST), own.run("version")):
        assert (done.status, done.err, done.out.count("\n")) == (1, "", 1)
        assert done.out.startswith(f"{NAME}: ")
        assert "noexec" in done.out


# As Docker's profile before 20.10.10: EPERM for a system call (clone3) that it does not know.
SECCOMP = """
import ctypes, os, struct, sys
rules = ((0x20, 0, 0, 0), (0x15, 0, 1, 435), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("H6xP", 4, ctypes.addressof(code)))
prctl = ctypes.CDLL(None).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, program) == 0
"""


def test_an_old_seccomp_profile_is_named(own: Helper, aws: Loopback) -> None:
    """Where no thread can be started the message says what may be the cause."""
    launcher = own.home / "launcher"
    start = f"os.execv({str(own.executable)!r}, [{NAME!r}, *sys.argv[1:]])\n"
    launcher.write_text(f"#!{sys.executable}\n{SECCOMP}{start}")
    launcher.chmod(0o755)
    plain, own.executable = own.executable, launcher
    cold, warm = own.get(HOST), own.run("warm", HOST, OTHER_REGION)
    assert (cold.status, cold.out.count("\n"), warm.status, warm.out) == (1, 1, 1, "")
    assert "seccomp" in cold.out
    assert "seccomp" in warm.err
    own.executable = plain
    first = own.get(HOST)
    own.executable = launcher
    assert own.get(HOST) == first
    rewrite(own.cache, age=LIFE * 0.7)
    aging = own.get(HOST)
    assert (aging.status, aging.out, aging.err.count("\n")) == (0, first.out, 1)
    assert "seccomp" in aging.err
    assert aws.count("ecr") == 1

"""The directory for the other processor, run by this machine's kernel with QEMU.

That is arm64 on a machine with x86-64, and the other way round. Each command has a namespace of its
own, in which the kernel hands programs of that processor to QEMU (Linux 6.7 and newer). So not a
byte of the directory is replaced: the front door starts the interpreter, and a refresh in the
background the front door, as on a machine with that processor. `make packages-test` builds it.
"""

import filecmp
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.aws.test_sources import credential_process, login
from tests.commands.test_doctor import write_config
from tests.loopback import USER_ARN, Loopback
from tests.packaging import test_front
from tests.support.entries import HOST, LIFE, entry_files, rewrite, secret_of, until
from tests.support.forms import DROP_IN, MACHINE, NAME, PACKER, ROOT, below, by_directory, run
from tests.support.helper import Helper, Result
from tests.support.needs import SYSTEM_PATH, lacking

OTHER = "x86_64" if MACHINE == "aarch64" else "aarch64"
QEMU = f"qemu-{OTHER}-static"
MODULES = Path("lib/python3.11")
INPUTS = ROOT / "build" / "inputs"
REAL = "111122223333.dkr.ecr.us-west-2.amazonaws.com"  # the loopback has a certificate for its AWS

pytestmark = pytest.mark.needs("Linux", "cc", "make", QEMU)

# How the kernel tells a program of that processor: the first bytes, where the mask has ones.
NUMBER = {"aarch64": 0xB7, "x86_64": 0x3E}[OTHER]
MAGIC = r"\x7fELF\x02\x01\x01" + 9 * r"\x00" + rf"\x02\x00\x{NUMBER:x}\x00"
MASK = 7 * r"\xff" + r"\x00" + 8 * r"\xff" + r"\xfe\xff\xff\xff"
LAUNCHER = r"""
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
#define PUT(file, ...) dprintf(open(file, O_WRONLY | O_CLOEXEC), __VA_ARGS__)
int main(int argc, char **argv)
{
    int user = geteuid(), group = getegid();
    if (!unshare(CLONE_NEWUSER | CLONE_NEWNS)) {
        PUT("/proc/self/setgroups", "deny");
        PUT("/proc/self/uid_map", "0 %d 1", user);
        PUT("/proc/self/gid_map", "0 %d 1", group);
        if (!mount("none", PLACE, "binfmt_misc", 0, NULL))
            PUT(PLACE "/register", "%s", RULE);
    }
    execv(PROGRAM, argv);
    perror(PROGRAM);
    return 126;
}
"""


def launcher(directory: Path, program: Path) -> Path:
    """Return what starts a program, by the name it is called by, where the kernel knows QEMU.

    The program, and all that it starts, may be of either processor.
    """
    place = directory / "handlers"
    place.mkdir(parents=True)
    # P: the name that a program is called by is kept. F: QEMU is found from everywhere.
    rule = f":other:M::{MAGIC}:{MASK}:{shutil.which(QEMU, path=SYSTEM_PATH)}:PF"
    texts = {"PROGRAM": str(program), "PLACE": str(place), "RULE": rule}
    defined = [f"-D{name}={json.dumps(text)}" for name, text in texts.items()]
    built = directory / program.name
    command = ["cc", "-D_GNU_SOURCE", *defined, "-x", "c", "-o", str(built), "-"]
    subprocess.run(command, input=LAUNCHER.encode(), check=True)
    return built


@pytest.fixture(scope="module", autouse=True)
def _kernel() -> None:
    """Leave the tests where no namespace may tell the kernel of QEMU, and the machine has not."""
    mount = ["mount", "-t", "binfmt_misc", "none", "/tmp"]
    command = ["unshare", "--user", "--map-root-user", "--mount", *mount]
    known = Path("/proc/sys/fs/binfmt_misc", f"qemu-{OTHER}").exists()
    if not known and subprocess.run(command, capture_output=True, check=False).returncode:
        lacking("missing: a namespace with a binfmt_misc of its own (Linux 6.7, unshare --user)")


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the directory for each processor."""
    return {
        machine: by_directory(tmp_path_factory.mktemp(machine), machine).parent
        for machine in (MACHINE, OTHER)
    }


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what starts any program by its path."""
    return launcher(tmp_path_factory.mktemp("start"), Path("/usr/bin/env"))


@pytest.fixture
def other(helper: Helper, directories: dict[str, Path], tmp_path: Path) -> Helper:
    """Return the helper with the front door of the other processor."""
    helper.executable = launcher(tmp_path / "other", directories[OTHER] / NAME)
    return helper


@pytest.fixture
def alone(directories: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Return the front door for each processor, without anything behind it."""
    doors = {}
    for machine, directory in directories.items():
        (tmp_path / machine).mkdir()
        doors[machine] = Path(shutil.copy(directory / NAME, tmp_path / machine))
    return {**doors, OTHER: launcher(tmp_path / "alone", doors[OTHER])}


def test_it_is_of_that_processor_and_knows_its_name(
    other: Helper, directories: dict[str, Path]
) -> None:
    """Its programs have that processor's number, and it says by what name it is called."""
    for file in (NAME, f"program/{NAME}", "program/python3"):
        header = (directories[OTHER] / file).read_bytes()[18:20]
        assert header == bytes((NUMBER, 0))
    for name in (DROP_IN, NAME):
        said = other.run("version", argv0=name)
        assert said.out.startswith(f"{name} (ecr-credential-helper) ")
        assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("first", [MACHINE, OTHER])
def test_what_one_processor_keeps_the_other_serves(
    other: Helper, aws: Loopback, directories: dict[str, Path], alone: dict[str, Path], first: str
) -> None:
    """A token of either's Python program is the same answer by both front doors, to the byte."""
    if first == MACHINE:
        other.executable = directories[MACHINE] / NAME
    cold = other.get(HOST)
    assert cold == Result(0, cold.stdout, b"")
    assert secret_of(cold.answer) in aws.issued
    assert len(entry_files(other.cache, HOST)) == 1
    for door in alone.values():
        other.executable = door
        assert other.get(HOST) == cold
    assert aws.count("ecr") == 1


def test_it_renews_in_the_background_lists_and_erases(other: Helper, aws: Loopback) -> None:
    """Half way through its life a token is still the answer, and the next one is on its way."""
    first = other.get(HOST)
    rewrite(other.cache, age=LIFE * 0.7)
    assert other.get(HOST) == first
    until(lambda: aws.count("ecr") == 2)
    until(lambda: secret_of(other.get(HOST).answer) != secret_of(first.answer))
    assert aws.count("ecr") == 2
    assert other.run("list").answer == {f"https://{HOST}": "AWS"}
    assert other.run("erase", stdin=HOST.encode()) == Result(0, b"", b"")
    assert other.run("list").answer == {}


def test_doctor_finds_nothing_wrong(
    other: Helper, aws: Loopback, directories: dict[str, Path]
) -> None:
    """It asks AWS by boto3, and says what the program for this machine's processor says."""
    write_config(other, {"credHelpers": {HOST: "ecr"}})
    said = []
    for executable in (other.executable, directories[MACHINE] / NAME):
        other.executable = executable
        result = other.run("doctor", env={"PATH": f"{executable.parent}:{SYSTEM_PATH}"})
        assert (result.status, result.err) == (0, "")
        said.append(result.out.replace(str(executable), "EXECUTABLE"))
    assert said[0].endswith("\nnothing is wrong\n")
    assert f"\npass  identity: {USER_ARN}\n" in said[0]
    assert said[0] == said[1]
    assert aws.count("sts") == 2


def test_what_it_starts_has_the_environment_that_it_was_given(other: Helper, aws: Loopback) -> None:
    """A credential_process of the machine: exactly the caller's, with what steers the loader."""
    credential_process(other, aws)
    script, seen = other.home / "credential-process", other.home / "seen"
    script.write_text(script.read_text().replace("\n", f"\ncat /proc/$$/environ >{seen}\n", 1))
    other.env["AWS_ECR_DISABLE_CACHE"] = "1"
    for more in ({}, {"LD_LIBRARY_PATH": "/a", "LC_ALL": "C.UTF-8", "GLIBC_TUNABLES": "a=b"}):
        other.env |= more
        assert secret_of(other.get(HOST).answer)
        pairs = seen.read_text().rstrip("\0").split("\0")
        assert sorted(pairs) == sorted(f"{name}={value}" for name, value in other.env.items())


def test_it_speaks_tls(other: Helper, aws: Loopback) -> None:
    """To AWS's own host name, through a proxy, with the certificates that it is told."""
    assert secret_of(other.get(REAL, env=other.proxy).answer) in aws.issued
    unknown = other.get(REAL, env={**other.proxy, "AWS_CA_BUNDLE": None, "AWS_ECR_CACHE_DIR": "x"})
    assert unknown.status == 1
    assert b"certificate" in unknown.stdout
    assert aws.count("ecr") == 1


def test_a_login_session_is_renewed(other: Helper, aws: Loopback) -> None:
    """Signed by awscrt, a library in C that is in none of Debian's packages."""
    login(other, aws)
    assert secret_of(other.get(HOST).answer) in aws.issued
    assert aws.count("signin") == 1


# The front door's generated cases, by a harness for the other processor

front = test_front.front
world = test_front.world
_python_reads_only = test_front._python_reads_only
test_the_same_answer_or_none = test_front.test_the_same_answer_or_none


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the harness, built as the front door is: by zig, and with its own C library."""
    zig = next(INPUTS.glob("ziglang-*/ziglang/zig"), None)
    if zig is None:
        lacking("missing: the compiler (make packages)")
    directory = tmp_path_factory.mktemp("harness")
    built, cache = directory / "harness", INPUTS / "zig-cache"
    run(
        *("make", "-s", "-C", test_front.SOURCE, f"OUT={directory}", built),
        *(f"CC={zig} cc -target {OTHER}-linux-musl", "SANITIZERS=-O2 -static -pie -s"),
        ZIG_GLOBAL_CACHE_DIR=str(cache),
        ZIG_LOCAL_CACHE_DIR=str(cache),
    )
    return launcher(directory / "start", built)


# The interpreter, and what it was given

IMPORT_ALL = """
import importlib, json, sys
from pathlib import Path
failed = {}
for place in map(Path, sys.path):
    for file in sorted(place.rglob("*.*")):
        parts = [part.partition(".")[0] for part in file.relative_to(place).parts]
        if file.suffix in (".pyc", ".so") and not {"site-packages", "lib-dynload"} & {*parts}:
            name = ".".join(parts).removesuffix(".__init__")
            try:
                name.endswith("__main__") or importlib.import_module(name)
            except ImportError as error:
                failed[name] = str(error)
print(json.dumps([len(sys.modules), failed]))
"""
# What is there because something names it, and is imported by nothing here.
ELSEWHERE = (
    # on Windows, and in a browser
    *("asyncio.windows_events", "asyncio.windows_utils", "dateutil.tz.win", "encodings.mbcs"),
    *("multiprocessing.popen_spawn_win32", "urllib3.contrib.emscripten"),
    # with a library that is left out: ctypes, pyOpenSSL, h2
    *("multiprocessing.sharedctypes", "urllib3.contrib.pyopenssl", "urllib3.http2.connection"),
)


@pytest.mark.parametrize("machine", [MACHINE, OTHER])
def test_every_module_can_be_imported(
    directories: dict[str, Path], start: Path, machine: str
) -> None:
    """No library lacks a part of the standard library, or another library."""
    program = directories[machine] / "program"
    loader = (program / NAME, "--inhibit-cache", "--library-path", "$ORIGIN/lib")
    python = (*loader, program / "python3", "-I", "-X", "utf8")
    count, failed = json.loads(run(start, *python, "-c", IMPORT_ALL))
    assert {name: why for name, why in failed.items() if not name.startswith(ELSEWHERE)} == {}
    assert count > 400


COMPILE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import standalone
work = Path(sys.argv[3])
source = standalone.Inputs(sys.argv[2], work)
print(*standalone.compile_modules(source, work / "modules"), sep="\\n")
"""


def test_either_processor_makes_the_same_bytecode(
    directories: dict[str, Path], start: Path, tmp_path: Path
) -> None:
    """All modules of both directories, compiled by the other processor's interpreter."""
    arguments = (ROOT / "packaging", OTHER, tmp_path)
    said = run(start, PACKER / "python", "-I", "-c", COMPILE, *arguments)
    modules = sorted(below(tmp_path / "modules"))
    for directory in directories.values():
        program = directory / "program"
        assert modules == sorted(file for file in below(program) if file.endswith(".pyc"))
        compared = filecmp.cmpfiles(tmp_path / "modules", program, modules, shallow=False)
        assert compared == (modules, [], [])
    made = below(directories[OTHER] / "program" / MODULES)
    assert set(said.splitlines()) == {file for file in made if file.endswith(".so")}

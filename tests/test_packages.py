"""Every form the program is given out in: what is in it, and a life with it from a clean place.

`make packages-test` builds them into dist/ and names that directory in PACKAGES.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.aws_loopback import USER_KEY, USER_SECRET, Loopback
from tests.conftest import Helper, Result
from tests.entries import HOST, LIFE, rewrite, secret_of, until
from tests.needs import SYSTEM_PATH

ROOT = Path(__file__).parent.parent
PACKAGE = "ecr_credential_helper"
NAME = "docker-credential-ecr"
PACKAGES = Path(os.environ.get("PACKAGES") or "/nonexistent")
LOWEST = ("boto3==1.41.0", "botocore==1.41.0", "platformdirs==4.14.0")
TOOLS = Path(sys.executable).parent

pytestmark = pytest.mark.needs("Linux")

# What the tools that install need of the environment that the tests are run in.
KEPT = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def only(pattern: str) -> Path:
    """Return the one package of a name."""
    (path,) = PACKAGES.resolve().glob(pattern)
    return path


def run(*command: str | Path, **variables: str) -> str:
    """Run a tool in a clean environment; return what it prints."""
    env = {name: value for name, value in os.environ.items() if name.upper().startswith(KEPT)}
    env |= {"PATH": SYSTEM_PATH, "HOME": "/nonexistent", **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def live(helper: Helper, aws: Loopback, executable: Path) -> None:
    """Live with an installed program: cold, warm, half way, listed, erased, renamed."""
    helper.executable = executable
    first = helper.get(HOST)
    assert first == Result(0, first.stdout, b"")
    secret = secret_of(first.answer)
    assert helper.get(HOST) == first
    assert aws.count("ecr") == 1
    rewrite(helper.cache, age=LIFE * 0.6)
    assert helper.get(HOST) == first
    until(lambda: aws.count("ecr") == 2 and secret_of(helper.get(HOST).answer) != secret)
    assert helper.run("list").answer == {f"https://{HOST}": "AWS"}
    assert helper.run("erase", stdin=HOST.encode()) == Result(0, b"", b"")
    called = helper.run("version", argv0="docker-credential-ecr-login").out
    assert called.startswith("docker-credential-ecr-login (ecr-credential-helper) ")
    assert helper.get("example.com").stdout == b"credentials not found in native keychain\n"


def sources(*names: str) -> set[str]:
    """Return the files of the source below these names."""
    found = set()
    for name in names:
        path = ROOT / name
        for file in [path] if path.is_file() else path.rglob("*"):
            ours = file.relative_to(ROOT)
            if file.is_file() and not {"__pycache__", ".pytest_cache"} & set(ours.parts):
                found.add(str(ours))
    return found


# The wheel and the sdist


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    """The modules, the script, the licence and what a wheel has to have."""
    wheel = only("*.whl")
    stem = "-".join(wheel.name.split("-")[:2])
    assert wheel.name == f"{stem}-py3-none-any.whl"
    info = {f"{stem}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")}
    info |= {f"{stem}.dist-info/licenses/LICENSE", f"{stem}.data/scripts/{NAME}"}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == sources(PACKAGE) | info
        script = archive.read(f"{stem}.data/scripts/{NAME}")
    assert script == (ROOT / "bin" / NAME).read_bytes()


def test_the_sdist_holds_what_builds_and_tests_it() -> None:
    """The sources, the tests and the packaging, and nothing that was built."""
    sdist = only("*_helper-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    files = sources(PACKAGE, "bin", "tests", "packaging", "Makefile", "CHANGELOG.md")
    files |= {"LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert names == files


def pip_install(directory: Path, *what: str | Path, python: str = sys.executable) -> Path:
    """Install into a new environment; return the executable."""
    run(python, "-m", "venv", directory)
    run(directory / "bin" / "python", "-m", "pip", "install", "--quiet", *what)
    return directory / "bin" / NAME


def test_pip_installs_the_wheel(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """From the wheel, with the newest of everything."""
    live(helper, aws, pip_install(tmp_path / "venv", only("*.whl")))


def test_pip_installs_the_sdist(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """From the sdist, which is built on the way."""
    live(helper, aws, pip_install(tmp_path / "venv", only("*_helper-*.tar.gz")))


def test_the_oldest_dependencies_do(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """The least versions that pyproject.toml allows work."""
    text = (ROOT / "pyproject.toml").read_text()
    for pin in LOWEST:
        assert f'"{pin.replace("==", ">=").removesuffix(".0")}"' in text
    live(helper, aws, pip_install(tmp_path / "venv", only("*.whl"), *LOWEST))


def test_pipx_installs_it(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """By pipx, which puts the executable on PATH."""
    variables = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    variables |= {"HOME": str(tmp_path), "PIPX_DEFAULT_PYTHON": sys.executable}
    run(TOOLS / "pipx", "install", "--backend", "pip", only("*.whl"), **variables)
    live(helper, aws, tmp_path / "bin" / NAME)


def test_uv_installs_it(helper: Helper, aws: Loopback, tmp_path: Path) -> None:
    """By `uv tool`, likewise."""
    variables = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    variables |= {"HOME": str(tmp_path), "UV_PYTHON_DOWNLOADS": "never"}
    variables |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_SYSTEM_CERTS": "true"}
    run(TOOLS / "uv", "tool", "install", "--python", sys.executable, only("*.whl"), **variables)
    live(helper, aws, tmp_path / "bin" / NAME)


# The directory that needs no Python


@pytest.fixture
def standalone(tmp_path: Path) -> Path:
    """Return the directory, unpacked where nothing else is."""
    with tarfile.open(only(f"{NAME}-*.tar.gz")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (directory,) = (tmp_path / "unpacked").iterdir()
    return directory


def test_the_directory_needs_no_python(helper: Helper, aws: Loopback, standalone: Path) -> None:
    """It works wherever it is unpacked, with nothing on PATH, and a warm get starts no Python."""
    helper.env["PATH"] = "/nonexistent"
    live(helper, aws, standalone / NAME)
    token = helper.get(HOST)
    (standalone / "program").rename(standalone / "moved")
    assert helper.get(HOST) == token


def test_what_it_starts_has_the_environment_that_it_was_given(
    helper: Helper, standalone: Path
) -> None:
    """A credential_process loads its own libraries, not those of the frozen program."""
    helper.executable = standalone / NAME
    keys = f'{{"Version":1,"AccessKeyId":"{USER_KEY}","SecretAccessKey":"{USER_SECRET}"}}'
    script = helper.home / "process.sh"
    script.write_text(f"#!/bin/sh\n/usr/bin/env >{helper.home}/seen\necho '{keys}'\n")
    script.chmod(0o700)
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").write_text(f"[default]\ncredential_process = {script}\n")
    for number, libraries in enumerate((None, "/some/where")):
        env: dict[str, str | None] = {"LD_LIBRARY_PATH": libraries, "AWS_A": str(number)}
        env |= {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
        assert secret_of(helper.get(HOST, env=env).answer)
        seen = (helper.home / "seen").read_text().splitlines()
        assert ("LD_LIBRARY_PATH=/some/where" in seen) == bool(libraries)
        names = {line.partition("=")[0] for line in seen} - {"PWD", "SHLVL", "_", "OLDPWD"}
        given = {name for name, value in {**helper.env, **env}.items() if value is not None}
        assert names - {"LC_CTYPE"} == given


def test_it_keeps_licences_and_forgets_its_builder(standalone: Path) -> None:
    """Licences and notices of all that is inside, and no path where it was built."""
    kept = {path.name for path in (standalone / "licenses").iterdir()}
    assert {"awscrt", "boto3", "botocore", "pyinstaller", "python", "urllib3"} <= kept
    assert (standalone / "licenses" / "botocore" / "NOTICE").exists()
    data = {path.name for path in (standalone / "program/_internal/botocore/data").iterdir()}
    assert {"ecr", "ecr-public", "sts", "sso", "sso-oidc", "signin", "endpoints.json"} <= data
    assert len(data) == 10
    for path in standalone.rglob("*.so*"):
        assert "(RUNPATH)" not in run("readelf", "-d", path)


# The image

GLIBC = ("libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0")


@pytest.mark.needs("root", "buildah")
def test_other_images_copy_it(aws: Loopback, tmp_path: Path, standalone: Path) -> None:
    """In an image with nothing but glibc in it, as its recipe says, it answers cold and warm."""
    where = (f"--root={tmp_path}/store", f"--runroot={tmp_path}/run", "--storage-driver=vfs")
    isolation = "--isolation=chroot"
    recipe = f"--file={ROOT}/packaging/image/Containerfile"
    argument = f"--build-arg=DIRECTORY={standalone.name}"
    build = ("buildah", *where, "build", isolation)
    run(*build, recipe, argument, "--tag=helper", standalone.parent)
    consumer = tmp_path / "consumer"
    for library in ("/lib64/ld-linux-x86-64.so.2", *(f"/lib/x86_64-linux-gnu/{n}" for n in GLIBC)):
        target = consumer / "glibc" / library.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (consumer / "Containerfile").write_text(
        "FROM helper AS helper\nFROM scratch\nCOPY glibc /\n"
        f"COPY --from=helper /opt/{NAME} /opt/{NAME}\n"
    )
    run(*build, "--tag=consumer", consumer)
    container = run("buildah", *where, "from", "consumer").strip()
    env = {**aws.environment(with_keys=True), "HOME": "/home", "AWS_EC2_METADATA_DISABLED": "true"}
    command = ["buildah", *where, "run", isolation]
    command += [f"--env={name}={value}" for name, value in env.items()]
    command += [container, "--", f"/opt/{NAME}/{NAME}", "get"]
    answers = [
        subprocess.run(command, input=HOST.encode(), capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert b'"Username":"AWS"' in answers[0]
    assert aws.count("ecr") == 1


# Packages of Linux distributions


def below(directory: Path) -> set[str]:
    """Return every file below a directory, by its path in it."""
    files = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(directory)) for path in files}


@pytest.mark.needs("root", "rpm", "dpkg")
@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_package_comes_and_goes(helper: Helper, aws: Loopback, tmp_path: Path, kind: str) -> None:
    """Installed, used, installed anew, and removed without anything left behind."""
    root = tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    if kind == "deb":
        tool: tuple[str, ...] = (
            "dpkg",
            f"--root={root}",
            "--force-depends",
            "--force-not-root",
            "--log=/dev/null",
        )
        install, remove = [*tool, "--install"], [*tool, "--purge"]
        files = [only(f"{NAME}_*.deb"), only(f"{NAME}-login_*.deb")]
    else:
        tool = ("rpm", f"--root={root}", "--dbpath=/var/lib/rpm", "--nodeps")
        install, remove = [*tool, "--upgrade", "--force"], [*tool, "--erase"]
        files = [only(f"{NAME}-[0-9]*.rpm"), only(f"{NAME}-login-*.rpm")]
    for _ in range(2):
        for file in files:
            run(*install, file)
    for name in (NAME, f"{NAME}-login"):
        version = subprocess.run(
            [root / "usr/bin" / name, "version"], capture_output=True, check=True
        )
        assert version.stdout.startswith(f"{name} (ecr-credential-helper) ".encode())
        assert (root / f"usr/share/man/man1/{name}.1.gz").exists()
        assert (root / f"usr/share/doc/{name}/copyright").exists()
    live(helper, aws, root / "usr/bin" / NAME)
    for name in (f"{NAME}-login", NAME):
        run(*remove, name)
    left = {name for name in below(root) if not name.startswith(("var/lib/dpkg/", "var/lib/rpm/"))}
    assert not left


@pytest.mark.needs("lintian")
@pytest.mark.parametrize("pattern", [f"{NAME}_*.deb", f"{NAME}-login_*.deb"])
def test_lintian_has_nothing_to_say(pattern: str) -> None:
    """Beyond what its overrides explain."""
    command = ("lintian", "--allow-root", "--fail-on", "error,warning", only(pattern))
    assert run(*command, HOME="/tmp") == ""


def test_the_sums_are_of_all_files() -> None:
    """SHA256SUMS names each file that is given out, with its sum."""
    lines = (PACKAGES / "SHA256SUMS").read_text().splitlines()
    files = {path.name for path in PACKAGES.iterdir() if path.is_file()} - {"SHA256SUMS"}
    assert {line.split()[1] for line in lines} == files
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=PACKAGES, check=True)

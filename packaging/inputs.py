"""What the directory is made of: Debian's packages and wheels, locked by version and hash.

`python packaging/inputs.py` renews the lock, inputs.json, to the newest that Debian and PyPI serve,
and prints what changed. That needs apt with the sources of Debian 12, whose signatures apt checks,
and pip. A build needs neither of these sources' word: it takes only what has the hash in the lock.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LOCK = HERE / "inputs.json"
CACHE = Path(os.environ.get("INPUTS") or ROOT / "build" / "inputs")

# The processors that there is a directory for, by the kernel's name (uname -m), and Debian's.
DEBIAN_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
# The interpreter with its standard library, and what both load; gcc-12-base has the copyright of
# libgcc-s1, and TEXTS the texts of licences.
TEXTS = "base-files"
PACKAGES = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "libgcc-s1", "gcc-12-base", "libssl3", "zlib1g", "libexpat1", TEXTS),
)
RELEASE = "3.11"  # of Python
COMPILER = "ziglang"
# What rich needs for sources and Markdown, which nobody draws here.
UNUSED = ("markdown-it-py", "mdurl", "Pygments")
WHEEL_TAGS = ("manylinux2014", "manylinux_2_17", "manylinux2010", "manylinux_2_12")
# Debian keeps every version of every package, by the time it was in the archive, and its source.
ARCHIVE = "https://snapshot.debian.org/archive"
SOURCES = "https://snapshot.debian.org/package"

Input = Mapping[str, Any]


class InputError(Exception):
    """An input cannot be had, or is not what the lock says; the text says which and what to do."""


def locked() -> Mapping[str, Any]:
    """Return the lock: `renewed` (UTC), and `debian` and `python`, each a list of inputs.

    An input has name, version, file and sha256, and the processor it is for, None for all. One of
    Debian has also its archive and path in it, and the name and version of its source package.
    """
    lock: Mapping[str, Any] = json.loads(LOCK.read_text())
    return lock


def of_processor(inputs: Sequence[Input], machine: str) -> list[Input]:
    """Return those of `inputs` that a directory for a processor is made of."""
    return [one for one in inputs if one["machine"] in (machine, None)]


def fetch(machine: str) -> tuple[list[Path], list[Path]]:
    """Return the Debian packages and the wheels for a processor, fetched where they are not yet.

    Raises InputError.
    """
    lock = locked()
    debian = of_processor(lock["debian"], machine)
    wheels = [one for one in of_processor(lock["python"], machine) if one["name"] != COMPILER]
    for one in debian:
        if not is_there(one):
            fetch_package(one, lock["renewed"])
    fetch_wheels(wheels, machine)
    return [CACHE / one["file"] for one in debian], [CACHE / one["file"] for one in wheels]


def fetch_compiler(machine: str) -> Path:
    """Return the wheel of the C compiler that runs on a processor. Raises InputError."""
    (wheel,) = (
        one for one in locked()["python"] if (one["name"], one["machine"]) == (COMPILER, machine)
    )
    fetch_wheels([wheel], machine)
    return CACHE / str(wheel["file"])


def is_there(one: Input) -> bool:
    """Whether an input has been fetched. Raises InputError if the file is not what is locked."""
    file = CACHE / one["file"]
    if not file.exists():
        return False
    if not is_locked(file.read_bytes(), one):
        raise InputError(f"{file} is not what is locked in {LOCK.name}: remove it")
    return True


def is_locked(data: bytes, one: Input) -> bool:
    """Whether the data has the hash that is locked."""
    return hashlib.sha256(data).hexdigest() == str(one["sha256"])


def fetch_package(one: Input, renewed: str) -> None:
    """Fetch a package of Debian from the first place that has it. Raises InputError."""
    target = CACHE / one["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp = renewed.translate({ord(mark): None for mark in "-:"})
    for place in (*mirrors(), f"{ARCHIVE}/{one['archive']}/{stamp}"):
        try:
            with urllib.request.urlopen(f"{place}/{one['path']}", timeout=60) as answer:  # noqa: S310
                data = answer.read()
        except (OSError, ValueError, HTTPException):  # not there, or no URL of the web
            continue
        if is_locked(data, one):
            part = target.with_suffix(f".{os.getpid()}")
            part.write_bytes(data)
            part.replace(target)
            return
    raise InputError(
        f"{one['file']} as it is locked is in no archive of this machine's apt, and not to be had "
        f"from {ARCHIVE}: name mirrors of Debian in DEBIAN_MIRRORS, or renew the lock (make lock)"
    )


def mirrors() -> list[str]:
    """Return the URLs of Debian's archives: those of DEBIAN_MIRRORS, else those that apt uses."""
    named = os.environ.get("DEBIAN_MIRRORS", "").split()
    return named or sites()


def sites() -> list[str]:
    """Return the URLs of the archives that this machine's apt uses; none without apt."""
    command = ("apt-get", "indextargets", "--format", "$(SITE)")
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return []
    return sorted(set(said.split()))


def fetch_wheels(wheels: Sequence[Input], machine: str) -> None:
    """Have pip fetch these wheels, if one is missing. Raises InputError."""
    if all(map(is_there, wheels)):
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        for one in wheels:
            line = f"{one['name']}=={one['version']} --hash=sha256:{one['sha256']}\n"
            requirements.write(line)
        requirements.flush()
        command = pip("download", "--no-deps", "--require-hashes", "--dest", str(CACHE))
        done = subprocess.run(
            [*command, *platform(machine), "--requirement", requirements.name],
            stdout=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode or not all(map(is_there, wheels)):
        raise InputError("pip could not fetch the locked wheels: see above, or make lock")


def pip(verb: str, *options: str) -> list[str]:
    """Return the command of pip, quiet."""
    return [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", *options]


def platform(machine: str) -> list[str]:
    """Return pip's options for the wheels that run on a processor with RELEASE."""
    tags = [f"--platform={tag}_{machine}" for tag in WHEEL_TAGS]
    return ["--only-binary=:all:", f"--python-version={RELEASE}", *tags]


# Renewing the lock


def newest_packages() -> Iterator[Input]:
    """Yield PACKAGES for each processor, as this machine's apt finds them. Raises InputError."""
    with tempfile.TemporaryDirectory() as state:
        apt = ["-qq", "-o", f"Dir::State={state}", "-o", f"Dir::Cache={state}"]
        apt += ["-o", "Dir::State::status=/dev/null", "-o", "APT::Sandbox::User="]
        for name in DEBIAN_NAMES.values():
            apt += ["-o", f"APT::Architectures::={name}"]
        (Path(state) / "lists").mkdir()
        said("apt-get", *apt, "update")
        for machine, debian in DEBIAN_NAMES.items():
            for name in PACKAGES:
                yield {**newest_package(apt, f"{name}:{debian}"), "machine": machine}


def newest_package(apt: Sequence[str], name: str) -> Input:
    """Return a package as apt describes it, but for its processor. Raises InputError."""
    url, file, _, digest = said("apt-get", *apt, "--print-uris", "download", name).split()
    shown = said("apt-cache", *apt, "show", "--no-all-versions", name)
    fields = dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line)
    source, _, version = fields.get("Source", fields["Package"]).partition(" ")
    site = next(site for site in sites() if url.startswith(f"'{site}/"))
    return {
        "name": fields["Package"],
        "version": fields["Version"],
        "source": source,
        "source_version": version.strip("()") or fields["Version"],
        "file": unquote(file),
        "archive": site.rpartition("/")[2],
        "path": url.strip("'").removeprefix(f"{site}/"),
        "sha256": digest.removeprefix("SHA256:"),
    }


def newest_wheels() -> Iterator[Input]:
    """Yield the program's dependencies for each processor, and the compiler. Raises InputError."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [name.replace("botocore", "botocore[crt]") for name in project["dependencies"]]
    for machine in DEBIAN_NAMES:
        command = pip("install", "--dry-run", "--ignore-installed", "--report=-", "--target=none")
        command += [*platform(machine), *wanted, COMPILER]
        for one in json.loads(said(*command))["install"]:
            if one["metadata"]["name"] in UNUSED:
                continue
            file = unquote(one["download_info"]["url"].rpartition("/")[2])
            yield {
                "name": one["metadata"]["name"],
                "version": one["metadata"]["version"],
                "machine": None if file.endswith("-any.whl") else machine,
                "file": file,
                "sha256": one["download_info"]["archive_info"]["hashes"]["sha256"],
            }


def said(*command: str) -> str:
    """Return what a command prints. Raises InputError if it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise InputError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        raise InputError(f"{' '.join(command)}: failed, see above")
    return done.stdout


def renew() -> None:
    """Write the lock anew, and print what is not as it was. Raises InputError."""
    before: Mapping[str, Any] = {"debian": [], "python": []}
    if LOCK.exists():
        before = locked()
    wheels = {one["file"]: one for one in newest_wheels()}
    lock: dict[str, Any] = {
        "debian": sorted(newest_packages(), key=lambda one: (one["name"], one["machine"])),
        "python": sorted(wheels.values(), key=lambda one: (one["name"], one["file"])),
    }
    if all(lock[kind] == before[kind] for kind in lock):
        return  # nor is the time another: Debian's archive had all of it then
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    LOCK.write_text(json.dumps({"renewed": now, **lock}, indent=2) + "\n")
    old, new = ({one["file"] for kind in lock for one in of[kind]} for of in (before, lock))
    for file in sorted(old ^ new):
        sys.stdout.write(f"{'+' if file in new else '-'} {file}\n")


if __name__ == "__main__":
    try:
        renew()
    except InputError as problem:
        sys.exit(f"inputs.py: {problem}")

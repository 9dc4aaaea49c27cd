"""Other users of the machine: nothing of theirs is read, nothing written that is not ours."""

import ctypes
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .workspace import HOST, Figures, Rack, Workspace

ROOT = os.geteuid() == 0
OTHER = 65_534
CANARY = b"the other user's own"
HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
Torture = Callable[[Rack], int]


def cache_of_another(rack: Rack) -> int:
    """Give another the cache directory, then its entries: they are neither read nor written."""
    first = rack.answered(rack.get(HOST))
    entries = {path: path.read_bytes() for path in rack.cache.iterdir()}
    os.chown(rack.cache, OTHER, OTHER)
    assert rack.answered(rack.get(HOST)) != first
    assert {path: path.read_bytes() for path in rack.cache.iterdir()} == entries
    os.chown(rack.cache, 0, 0)
    for path in entries:
        os.chown(path, OTHER, OTHER)
    assert rack.answered(rack.get(HOST)) != first
    return 1 + len(entries)


def cache_for_all(rack: Rack) -> int:
    """Let others into the cache by each bit of its mode: it is not used."""
    first = rack.answered(rack.get(HOST))
    for bit in range(6):
        rack.cache.chmod(0o700 | 1 << bit)
        assert rack.answered(rack.get(HOST)) != first
        assert rack.run("list").stdout == b"{}\n"
    return 6


def links(rack: Rack) -> int:
    """Plant links in the place of directory, entry, lock and mark: none of them is followed."""
    target = rack.home / "target"
    target.write_bytes(CANARY)
    elsewhere = rack.home / "elsewhere"
    elsewhere.mkdir(0o700)
    rack.answered(rack.get(HOST))
    names = [path.name for path in rack.cache.iterdir()]
    shutil.rmtree(rack.cache)
    rack.cache.symlink_to(elsewhere)
    rack.answered(rack.get(HOST))
    assert rack.run("erase", stdin=HOST.encode()).status == 0
    rack.cache.unlink()
    assert not list(elsewhere.iterdir())
    planted = [name + ending for name in names for ending in ("", ".lock", ".refresh")]
    for name in planted if rack.whole else planted[::4]:
        for to in (
            target,
            elsewhere,
            rack.home / "nowhere",
            Path("/dev/zero"),
            Path("/etc/passwd"),
        ):
            shutil.rmtree(rack.cache, ignore_errors=True)
            rack.cache.mkdir(0o700)
            (rack.cache / name).symlink_to(to)
            rack.answered(rack.get(HOST))
            assert target.read_bytes() == CANARY
            assert not list(elsewhere.iterdir())
            assert not (rack.home / "nowhere").exists()
    return 1 + 5 * len(planted if rack.whole else planted[::4])


def swapped(rack: Rack) -> int:
    """Keep swapping the directory for a link: the link's target is not changed."""
    elsewhere = rack.home / "elsewhere"
    elsewhere.mkdir(0o700)
    rack.answered(rack.get(HOST))
    link = rack.home / "link"
    link.symlink_to(elsewhere)
    names = (HERE, os.fsencode(link), HERE, os.fsencode(rack.cache), EXCHANGE)
    libc = ctypes.CDLL(None)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set() or rack.cache.is_symlink():
            assert libc.renameat2(*names) == 0
            time.sleep(0.0005)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(40):
            if number % 4:
                rack.answered(rack.get(HOST))
            else:
                login = b'{"ServerURL":"%s","Username":"AWS","Secret":"%s"}'
                stdin = login % (HOST.encode(), rack.issue().encode())
                assert rack.run("store", stdin=stdin).status == 0
    finally:
        over.set()
        swapper.join()
    assert not list(elsewhere.iterdir())
    return 40


def everything_of(home: Path) -> dict[str, tuple[int, int]]:
    """Return owner and size of all below a directory."""
    return {
        str(path): (path.lstat().st_uid, path.lstat().st_size if path.is_file() else 0)
        for path in home.rglob("*")
    }


def sudo(rack: Rack) -> int:
    """Be root by sudo with the HOME of its user: nothing is left there."""
    for cached in (False, True):
        home = rack.home / f"user-{cached}"
        home.mkdir(0o755)
        if cached:
            cache = home / ".cache" / "ecr-credential-helper"
            env: dict[str, str | None] = {"AWS_ECR_CACHE_DIR": str(cache)}
            rack.answered(rack.run("get", stdin=HOST.encode(), env=env))
        for path in (home, *home.rglob("*")):
            os.chown(path, OTHER, OTHER)
        before, calls = everything_of(home), rack.aws.count("ecr")
        env = {"AWS_ECR_CACHE_DIR": None, "HOME": str(home), "SUDO_UID": str(OTHER)}
        result = rack.run("get", stdin=HOST.encode(), env=env)
        rack.answered(result)
        assert "another user" in result.err
        assert rack.aws.count("ecr") == calls + 1
        assert everything_of(home) == before
        own = rack.home / f"root-{cached}"
        own.mkdir()
        rack.answered(rack.run("get", stdin=HOST.encode(), env=env | {"HOME": str(own)}))
        assert everything_of(home) == before
        assert (own / ".cache" / "ecr-credential-helper").stat().st_mode & 0o777 == 0o700
    return 4


def log_of_another(rack: Rack) -> int:
    """Name a log file of another, one for all to read, and a link: none is written."""
    path = rack.home / "log"
    target = rack.home / "target"
    target.write_bytes(CANARY)
    for number in range(3):
        path.unlink(missing_ok=True)
        if number == 2:
            path.symlink_to(target)
        else:
            path.write_bytes(CANARY)
            path.chmod((0o600, 0o644)[number])
            os.chown(path, (OTHER, 0)[number], 0)
        rack.answered(rack.run("get", stdin=HOST.encode(), env={"AWS_ECR_LOG_FILE": str(path)}))
        assert path.read_bytes() == CANARY
    return 3


def run(workspace: Workspace) -> Figures:
    """Run each case, with a home and an AWS of its own."""
    parts: list[Torture] = [cache_for_all, links, swapped]
    if ROOT:
        parts += [cache_of_another, sudo, log_of_another]
    figures: Figures = {}
    for torture in workspace.some(parts, least=3):
        with workspace.rack() as rack:
            figures[torture.__name__.replace("_", " ")] = torture(rack)
    return figures

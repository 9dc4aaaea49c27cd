"""What the packages are made of: only what the lock says, from wherever it is to be had."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import inputs
import pytest

from tests.support.releases import serving

PACKAGE = b"a package"
TOP = Path(__file__).parents[2]
ONE = {
    "name": "libx",
    "file": "libx_1_amd64.deb",
    "archive": "debian",
    "path": "pool/libx_1%2b2_amd64.deb",
    "sha256": hashlib.sha256(PACKAGE).hexdigest(),
}
RENEWED = "2026-01-02T03:04:05Z"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """Give the URL of an archive and its directory; nothing else is reached."""
    directory = tmp_path / "archive"
    directory.mkdir()
    monkeypatch.setattr(inputs, "CACHE", tmp_path / "cache")
    with serving(directory) as url:
        monkeypatch.setattr(inputs, "ARCHIVE", f"{url}/snapshot")
        yield url, directory


def put(directory: Path, content: bytes) -> None:
    """Put the package into an archive."""
    file = directory / "pool" / "libx_1+2_amd64.deb"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)


def test_the_first_archive_that_has_the_locked_bytes_serves(
    archive: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has no such file, or another under its name, or is none, is passed over."""
    url, directory = archive
    put(directory / "other", b"another package")
    put(directory / "right", PACKAGE)
    places = ("cdrom:[a disc]", f"{url}/empty", f"{url}/other", f"{url}/right")
    monkeypatch.setenv("DEBIAN_MIRRORS", " ".join(places))
    inputs.fetch_package(ONE, RENEWED)
    assert inputs.is_there(ONE)
    assert [path.name for path in inputs.CACHE.iterdir()] == [ONE["file"]]


def test_the_archive_of_all_times_serves_last(
    archive: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was when the lock was renewed."""
    url, directory = archive
    monkeypatch.setenv("DEBIAN_MIRRORS", f"{url}/empty")
    put(directory / "snapshot" / "debian" / "20260102T030405Z", PACKAGE)
    inputs.fetch_package(ONE, RENEWED)
    assert inputs.is_there(ONE)


def test_what_is_not_locked_is_not_used(
    archive: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which input it is, and what to do."""
    url, directory = archive
    put(directory, b"another package")
    monkeypatch.setenv("DEBIAN_MIRRORS", url)
    with pytest.raises(inputs.InputError, match=r"^libx_1_amd64\.deb .* DEBIAN_MIRRORS.*make lock"):
        inputs.fetch_package(ONE, RENEWED)
    assert list(inputs.CACHE.iterdir()) == []
    (inputs.CACHE / ONE["file"]).write_bytes(b"changed since")
    with pytest.raises(inputs.InputError, match=r"libx_1_amd64\.deb is not what is locked"):
        inputs.is_there(ONE)


def test_without_a_word_the_archives_are_those_of_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; and none where there is no apt."""
    monkeypatch.setenv("DEBIAN_MIRRORS", "http://a  http://b")
    assert inputs.mirrors() == ["http://a", "http://b"]
    monkeypatch.delenv("DEBIAN_MIRRORS")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert inputs.mirrors() == []
    apt = tmp_path / "apt-get"
    apt.write_text(
        '#!/bin/sh\ntest "$1" = indextargets && printf "%s\\n" http://c http://c http://d\n'
    )
    apt.chmod(0o755)
    assert inputs.mirrors() == ["http://c", "http://d"]


def test_renewing_what_is_the_newest_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time of the lock is that of what is in it; a newer input gets a new one, and is told."""
    wheel = {"name": "x", "machine": None, "file": "x-1.whl"}
    package = {**ONE, "machine": "x86_64"}
    lock = {"renewed": RENEWED, "debian": [package], "python": [wheel]}
    monkeypatch.setattr(inputs, "LOCK", tmp_path / "inputs.json")
    inputs.LOCK.write_text(json.dumps(lock))
    monkeypatch.setattr(inputs, "newest_packages", lambda: iter([package]))
    monkeypatch.setattr(inputs, "newest_wheels", lambda: iter([wheel]))
    inputs.renew()
    assert json.loads(inputs.LOCK.read_text()) == lock
    assert capsys.readouterr().out == ""
    newer = {**wheel, "file": "x-2.whl"}
    monkeypatch.setattr(inputs, "newest_wheels", lambda: iter([newer]))
    inputs.renew()
    assert json.loads(inputs.LOCK.read_text())["renewed"] > RENEWED
    assert inputs.locked()["python"] == [newer]
    assert capsys.readouterr().out == "- x-1.whl\n+ x-2.whl\n"


def test_every_form_brings_what_the_package_needs() -> None:
    """The lock, and the expression for Nix, have each dependency that pyproject.toml names."""
    wanted = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    names = sorted(re.split("[<>=~!]", one)[0].lower() for one in wanted)
    locked = json.loads((TOP / "packaging" / "inputs.json").read_text())["python"]
    assert set(names) <= {one["name"].lower() for one in locked}
    expression = (TOP / "packaging" / "nix" / "package.nix").read_text()
    (listed,) = re.findall(
        r"\n  dependencies = with python3Packages; \[(.*?)\];", expression, re.DOTALL
    )
    assert sorted(listed.split()) == names

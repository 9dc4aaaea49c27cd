"""The tools that build are locked, and the lock meets what pyproject.toml asks for."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tools

LOCKS = (tools.INSTALLER, tools.TOOLS)


def test_the_locks_meet_pyproject() -> None:
    """All that builds is in them; pip, which nothing else brings, is too."""
    assert tools.unmet(tools.wanted(), tools.versions(tools.TOOLS.read_text())) == []
    assert tools.unmet(tools.INSTALLS, tools.versions(tools.INSTALLER.read_text())) == []
    names = {re.split("[<>=]", one)[0] for one in tools.wanted()}
    assert {"hatchling", "argparse-manpage", "shtab", "build", "uv"} <= names


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_a_lock_has_hashes_and_nothing_of_a_machine(lock: Path) -> None:
    """Each tool has a version and hashes; no index is named, and no path."""
    text = lock.read_text()
    assert text.startswith(tools.HEADER)
    assert not re.search(r"[/@]|index|find-links", text)
    for one in text.removeprefix(tools.HEADER).replace("\\\n", "").splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", one)


def test_what_a_lock_does_not_meet_is_named() -> None:
    """An older version, one that is not there, and one of two for different machines."""
    locked = tools.versions("a==1.5 \\\nb-c==2 ; x\nb-c==3 ; y\n")
    assert locked == {"a": "1.5", "b-c": "2, 3"}
    assert tools.unmet(["a>=1", "B_C>=2"], locked) == []
    assert tools.unmet(["a>=1.6", "b.c[x]>=3", "d"], locked) == ["a>=1.6", "b.c[x]>=3", "d"]


def test_renewing_prints_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, the old version and the new; a second time there is nothing to say."""
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1\nb==1\nd==1\n")
    monkeypatch.setattr(tools, "compiled", lambda _: "a==2\nc==1\nd==1\n")
    tools.renew(lock, [])
    assert capsys.readouterr().out == "a: 1 -> 2\nb: 1 -> none\nc: none -> 1\n"
    assert lock.read_text() == "a==2\nc==1\nd==1\n"
    tools.renew(lock, [])
    assert capsys.readouterr().out == ""


def test_what_cannot_be_resolved_leaves_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and writes nothing."""
    lock = tmp_path / "lock.txt"

    def failed(*command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "half a lock")

    monkeypatch.setattr(subprocess, "run", failed)
    with pytest.raises(tools.ToolError, match="could not resolve"):
        tools.renew(lock, ["a"])
    assert not lock.exists()

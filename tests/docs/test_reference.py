"""docs/reference.md names what there is: options, keys, and members of the JSON."""

import re
from pathlib import Path

import pytest

from ecr_credential_helper import cli, settings
from tests.commands.test_completions import COMMANDS, NAME, options
from tests.e2e.rig import OTHER
from tests.support.pages import TOP, text_of

REFERENCE = TOP / "docs" / "reference.md"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of each row of the tables below a heading."""
    section = REFERENCE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(cell: str) -> list[str]:
    """Return what is in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_each_word_of_the_protocol_has_its_row() -> None:
    """As the help of the program names them."""
    named = re.findall(r"^  (\w+)  ", cli._HELP.partition("Commands for people")[0], re.MULTILINE)
    assert [words(first) for first, *_ in rows("Protocol")[1:]] == [[word] for word in named]


def test_each_command_has_its_row_with_all_its_options() -> None:
    """And none that it does not take."""
    found = {words(first)[0]: words(second) for first, second, *_ in rows("Commands")[1:]}
    taken = {command: options(command)[1:] for command in COMMANDS}  # without --help
    assert found == taken
    assert NAME in REFERENCE.read_text()


def test_each_key_of_the_settings_file_has_its_row_and_is_shown() -> None:
    """The file that is shown is one."""
    found = [words(first)[0] for first, *_ in rows("Settings file")[1:]]
    assert sorted(found) == sorted(settings._KEYS)
    shown = text_of("Settings file", "toml", REFERENCE)
    assert all(re.search(rf"^{key} = ", shown, re.MULTILINE) for key in found)


def test_the_settings_file_that_is_shown_means_what_its_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its values arrives."""
    path = tmp_path / "config.toml"
    path.write_text(text_of("Settings file", "toml", REFERENCE))
    monkeypatch.setenv("AWS_ECR_CONFIG_FILE", str(path))
    other, own = settings.target_of(OTHER), settings.target_of("images.example.com")
    assert other
    assert other.role
    assert (other.profile, other.cache) == ("dev", False)
    assert list(other.role.parameters.values()) == [
        "arn:aws:iam::444455556666:role/pull",
        "build-7",
        "pull",
        3600,
    ]
    assert own
    assert own.registry.account == "111122223333"


def test_each_member_of_the_json_is_explained() -> None:
    """Those that the table of the shapes promises, but for the names of the lists."""
    shapes, _, members = REFERENCE.read_text().partition("\n| member | value |\n")
    promised = set(re.findall(r'"(\w+)"', shapes.partition("\n## For scripts\n")[2]))
    explained = re.findall(r"^\| (`.*?`) \|", members.partition("\n## ")[0], re.MULTILINE)
    assert {name for cell in explained for name in words(cell)} == promised - {"entries", "checks"}

"""The man page and the completions as they are installed, against the parser they come from."""

import argparse
import subprocess
import sysconfig
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ecr_credential_helper import cli
from ecr_credential_helper.commands import parser
from tests.support import needs
from tests.support.helper import Helper
from tests.support.pages import TOP

NAME = "docker-credential-ecr"
SHARE = Path(sysconfig.get_path("data")) / "share"
MAN_PAGE = SHARE / "man" / "man1" / f"{NAME}.1"
BASH = SHARE / "bash-completion" / "completions" / NAME
ZSH = SHARE / "zsh" / "site-functions" / f"_{NAME}"
FISH = SHARE / "fish" / "vendor_completions.d" / f"{NAME}.fish"


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command by its name."""
    (action,) = (action for action in parser(NAME)._actions if action.choices)
    assert isinstance(action.choices, dict)
    return action.choices


def options(command: str) -> list[str]:
    """Return the long options of a command."""
    actions = commands()[command]._actions
    return [name for action in actions for name in action.option_strings if name[:2] == "--"]


COMMANDS = list(commands())


def run(*command: str, stdin: str = "") -> str:
    """Run a command that must succeed and say nothing on stderr; return its stdout."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_table_of_the_entry_point_is_the_table_of_the_parser(helper: Helper) -> None:
    """The entry point knows the commands without importing them, and its help names each one."""
    assert sorted(cli._COMMANDS) == sorted(COMMANDS)
    listed = helper.run("--help").out.partition("Commands for people")[2].splitlines()
    assert [line.split()[0] for line in listed[2:]] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_of_80_columns(helper: Helper, command: str) -> None:
    """With all its options."""
    result = helper.run(command, "--help", env={"COLUMNS": "80"})
    assert (result.status, result.stderr) == (0, b"")
    assert all(option in result.out for option in options(command))
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("path", [MAN_PAGE, BASH, ZSH, FISH], ids=lambda path: path.name)
def test_what_is_installed_knows_every_command_and_option(path: Path) -> None:
    """It is made by the build, so a page that lacks one is an old build."""
    text = path.read_text().replace("\\-", "-")
    for command in COMMANDS:
        assert command in text
        assert all(option.lstrip("-") in text for option in options(command))


def manual(width: int = 80) -> str:
    """Return the man page as it is shown, without a warning of the program that sets it."""
    command = (needs.installed("groff"), "-ww", "-man", "-Tutf8", "-P-cbou", f"-rLL={width}n")
    return run(*command, str(MAN_PAGE))


def test_the_man_page_is_a_man_page() -> None:
    """With a NAME that whatis finds."""
    page = manual()
    assert "docker-credential-ecr - keeps Docker logged in to Amazon ECR" in page
    for heading in ("SYNOPSIS", "EXIT STATUS", "FILES", "ENVIRONMENT"):
        assert f"\n{heading}\n" in page


def test_the_man_page_says_all_that_the_reference_says() -> None:
    """Each heading, paragraph, line of code and cell of a table below the first heading."""
    page = (TOP / "docs" / "reference.md").read_text().partition("\n## ")[2]
    tokens = MarkdownIt("commonmark").enable("table").parse(f"## {page}")
    said = [line for token in tokens if token.type == "fence" for line in token.content.split("\n")]
    said += [
        "".join(child.content or " " * (child.type == "softbreak") for child in token.children)
        for before, token in pairwise(tokens)
        if token.children and before.type != "th_open"
    ]
    assert len(said) > 100
    shown = " ".join(manual(width=2000).split())
    missing = [text for text in said if " ".join(text.split()).lower() not in shown.lower()]
    assert missing == []


def test_bash_completes_commands_and_options() -> None:
    """As bash itself does it, at the place of the cursor."""
    script = f"""
        source {BASH}
        complete_words() {{
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            "$(complete -p {NAME} | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
            printf '%s\\n' "${{COMPREPLY[@]}}"
        }}
        complete_words {NAME} ""
        complete_words {NAME} configure --
    """
    offered = run(needs.installed("bash"), "--norc", "-c", script).split()
    assert set(COMMANDS) <= set(offered)
    assert set(options("configure")) <= set(offered)


def test_fish_completes_commands_and_options() -> None:
    """As fish itself does it."""
    script = f"source {FISH}; complete -C '{NAME} '; complete -C '{NAME} configure --'"
    offered = run(needs.installed("fish"), "--no-config", "-c", script)
    words = [line.split("\t")[0] for line in offered.splitlines()]
    assert set(COMMANDS) <= set(words)
    assert set(options("configure")) <= set(words)


def test_zsh_can_read_its_completions() -> None:
    """It is a function file of zsh's completion system."""
    run(needs.installed("zsh"), "-n", str(ZSH))
    assert ZSH.read_text().startswith(f"#compdef {NAME}\n")

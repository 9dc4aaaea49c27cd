"""Version, help, usage and the name of the program: what needs no registry."""

import subprocess

import pytest

from ecr_credential_helper import __version__
from tests.loopback import Fault, Loopback
from tests.support.answers import (
    LINK,
    NAME,
    PRIVATE,
    PUBLIC,
    USAGE,
    assert_silent_failure,
)
from tests.support.helper import Helper
from tests.support.terminal import on_a_terminal


@pytest.mark.parametrize("verb", ["version", "--version", "-v"])
@pytest.mark.parametrize("name", [NAME, LINK])
def test_version_names_the_program_and_its_version(helper: Helper, verb: str, name: str) -> None:
    """The version line holds the name it was called by, and is printed without reading stdin."""
    result = helper.run(verb, stdin=None, argv0=name)
    banner = f"{name} (ecr-credential-helper) {__version__}\n".encode()
    assert (result.stdout, result.stderr, result.status) == (banner, b"", 0)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", [NAME, LINK])
def test_help_shows_the_usage(helper: Helper, option: str, name: str) -> None:
    """Help goes to stdout with exit status 0, and needs no stdin."""
    result = helper.run(option, stdin=None, argv0=name)
    assert (result.stderr, result.status) == (b"", 0)
    assert result.out.startswith(f"Usage: {name} <store|get|erase|list|version>\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        *[(verb, "extra") for verb in ("get", "store", "erase", "list", "version")],
        ("get", ""),
        ("get", "list"),
        ("erase", "a", "b"),
    ],
    ids=" ".join,
)
def test_a_wrong_number_of_arguments_gets_the_usage(
    helper: Helper, arguments: tuple[str, ...]
) -> None:
    """The usage is one line on stdout, with exit status 1, as a client of the protocol reads it."""
    assert_silent_failure(helper.run(*arguments), f"{USAGE}\n".encode())


def test_a_person_who_only_types_the_name_is_not_kept_waiting(helper: Helper) -> None:
    """Without a verb the usage comes at once, though stdin is a terminal that says nothing."""
    assert_silent_failure(helper.run(stdin=None), f"{USAGE}\n".encode())


def test_on_a_terminal_the_name_alone_shows_the_help(helper: Helper) -> None:
    """A person sees the commands; what reads a pipe gets the line of the protocol."""
    shown = on_a_terminal(helper)
    assert (shown.status, shown.out) == (0, helper.run("--help").out)


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("confgure",), "configure"),
        (("config", PRIVATE), "configure"),
        (("docter", "--json"), "doctor"),
        (("get-login-pasword", "--region", "eu-west-1"), "get-login-password"),
    ],
)
def test_a_mistyped_command_names_the_nearest(
    helper: Helper, arguments: tuple[str, ...], nearest: str
) -> None:
    """On stderr: on stdout is the answer that a client knows."""
    result = helper.run(*arguments)
    answer = f"{NAME}: unknown action: {arguments[0]}" if len(arguments) == 1 else USAGE
    assert (result.status, result.out) == (1, f"{answer}\n")
    assert result.err == f"hint: the nearest command is `{NAME} {nearest}`\n"


@pytest.mark.parametrize("verb", ["pull", "GET", "Get", "get ", " get", "-V", "--get", "-", "gèt"])
def test_an_unknown_verb_is_named(helper: Helper, verb: str) -> None:
    """The verb is matched exactly, and the answer is on stdout with exit status 1."""
    result = helper.run(verb, stdin=PRIVATE.encode())
    assert_silent_failure(result, f"{NAME}: unknown action: {verb}\n".encode())


def test_an_unknown_verb_never_makes_two_lines(helper: Helper) -> None:
    """Errors of the protocol are one line, whatever the argument holds."""
    result = helper.run("get\nlist")
    assert result.status == 1
    assert result.out.startswith(f"{NAME}: unknown action: get")
    assert result.out.count("\n") == 1


@pytest.mark.parametrize("name", [LINK, "ecr helper", "ecr-1.0"])
def test_messages_hold_the_name_it_was_called_by(helper: Helper, aws: Loopback, name: str) -> None:
    """A link of another name is a drop-in, down to its usage and its errors."""
    assert helper.run(argv0=name).out == USAGE.replace(NAME, name) + "\n"
    assert helper.run("pull", argv0=name).out == f"{name}: unknown action: pull\n"
    aws.faults["ecr"] = Fault("denied")
    assert helper.run("get", stdin=PRIVATE.encode(), argv0=name).out.startswith(f"{name}: ")
    aws.faults["ecr-public"] = Fault("denied")
    assert helper.run("get", stdin=PUBLIC.encode(), argv0=name).err.startswith(f"{name}: ")


@pytest.mark.needs("POSIX")
def test_the_name_is_the_last_part_of_the_path(helper: Helper) -> None:
    """Called by a relative path, the program still names only itself."""
    link = helper.link(LINK)
    command = [f"./{link.name}", "version"]
    output = subprocess.check_output(command, cwd=link.parent, env=helper.env)
    assert output.decode() == f"{LINK} (ecr-credential-helper) {__version__}\n"

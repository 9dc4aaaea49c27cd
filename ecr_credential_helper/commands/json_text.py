r"""JSON edited as text: everything that is not edited keeps every character.

Parsing a document and writing it again would change its values (1e400, 1.0, \u00e9, \/) and its
layout. Here it is parsed only to find where each member begins and ends.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

_SPACE = " \t\n\r"


class Member(NamedTuple):
    """One member of an object: its key, its value, and where both are in the text."""

    key: str
    value: Any
    start: int
    key_end: int
    value_start: int
    end: int


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object. Raises ValueError if a key is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {json.dumps(twice)} is there twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


_number: Callable[[str], Any] = float  # only the text of a number is ever used
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_number, parse_float=_number
)


def parsed(text: str) -> Any:
    """Return the one JSON value in `text`.

    Raises ValueError if it is not JSON, has something after it, or has a key twice.
    """
    start = _after_space(text, 0)
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _after_space(text, end) != len(text):
        raise ValueError(
            f"there is something after its end: line {text.count(chr(10), 0, end) + 1}"
        )
    return value


def members(text: str, at: int = 0) -> list[Member]:
    """Return the members of the object that begins at or after `at` in `text`, parsed before."""
    found = []
    at = _after_space(text, _after_space(text, at) + 1)
    while text[at] != "}":
        key, key_end = _DECODER.raw_decode(text, at)
        value_start = _after_space(text, _after_space(text, key_end) + 1)
        value, end = _DECODER.raw_decode(text, value_start)
        found.append(Member(key, value, at, key_end, value_start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def with_member(
    text: str, at: int, key: str, value: str, around: tuple[str, str] = ("\n\t", "\n")
) -> str:
    """Return `text` with the member `key` set to `value`, itself JSON, in the object at `at`.

    A new member comes last, with the white space of the first one; in an empty object `around` is
    put around it.
    """
    at = _after_space(text, at) + 1
    present = members(text, at - 1)
    for member in present:
        if member.key == key:
            return text[: member.value_start] + value + text[member.end :]
    if not present:
        new = f"{around[0]}{json.dumps(key)}: {value}{around[1]}"
        return text[:at] + new + text[_after_space(text, at) :]
    first, last = present[0], present[-1]
    colon = text[first.key_end : first.value_start]
    lead = text[at : first.start] or (" " if colon.endswith(" ") else "")
    return f"{text[: last.end]},{lead}{json.dumps(key)}{colon}{value}{text[last.end :]}"


def without_member(text: str, at: int, key: str) -> str:
    """Return `text` without the member `key` of the object at `at`, undoing `with_member`."""
    present = members(text, at)
    for number, member in enumerate(present):
        if member.key != key:
            continue
        if number:
            return text[: present[number - 1].end] + text[member.end :]
        if len(present) > 1:
            return text[: member.start] + text[present[1].start :]
        at, end = _after_space(text, at), _after_space(text, member.end)
        return text[: at + 1] + text[end:]
    return text


def indent(text: str) -> str:
    """Return the white space between the brace of the object `text` and its first member."""
    first = members(text)[0]
    return text[_after_space(text, 0) + 1 : first.start]


def _after_space(text: str, at: int) -> int:
    """Return the position of the next character that is not white space, else the text's length."""
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at

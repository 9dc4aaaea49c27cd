"""SECURITY.md: each promise names tests that hold it, and the tests are there."""

import ast
import re
from pathlib import Path

TOP = Path(__file__).parents[2]
HELD_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def promises() -> list[str]:
    """Return the promises of SECURITY.md, one text each."""
    text = (TOP / "SECURITY.md").read_text()
    promised = text.partition("\n## Promised\n")[2].partition("\n## ")[0]
    return [line for line in promised.splitlines() if line.startswith("- ")]


def names_in(path: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((TOP / path).read_text())
    functions = (node.name for node in tree.body if isinstance(node, ast.FunctionDef))
    return {name for name in functions if name.startswith("test_")}


def test_each_promise_names_a_test() -> None:
    """A promise that nothing holds is none."""
    assert len(promises()) >= 20
    for promise in promises():
        assert HELD_BY.search(promise), promise


def test_the_tests_that_are_named_exist() -> None:
    """A test that was renamed is named anew."""
    for promise in promises():
        for path, name in HELD_BY.findall(promise):
            assert name in names_in(path), f"{path}::{name}"


def test_what_is_not_promised_is_said() -> None:
    """A reader learns the limits from the same page."""
    assert "\n## Not promised\n" in (TOP / "SECURITY.md").read_text()

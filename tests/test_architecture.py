"""Imports run downwards only, and the pages for contributors name modules that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecr_credential_helper

PACKAGE = "ecr_credential_helper"
TOP = Path(__file__).parents[1]
SOURCE = Path(ecr_credential_helper.__file__).parent

# From the top down: a module imports from its own layer and from those below it.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"commands"},
    {"verbs"},
    {"context"},
    {"tokens"},
    {"aws"},
    {"settings", "protocol", "bazel_protocol"},
    {"system"},
    {"registry", "errors"},
    {""},  # the package itself: its version
)
LEVEL = {name: number for number, layer in enumerate(LAYERS) for name in layer}
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")


def modules() -> list[str]:
    """Return the dotted name of every module, without that of the package."""
    found = []
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found.append(".".join(part for part in parts if part != "__init__"))
    return found


def file_of(module: str) -> Path:
    """Return the file of a module."""
    path = SOURCE.joinpath(*module.split(".")) if module else SOURCE
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(source: str, module: str, *, package: bool) -> Iterator[str]:
    """Yield the modules of this package that `source` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = [PACKAGE, *filter(None, module.split("."))]
                up = len(here) - node.level + (1 if package else 0)
                base = ".".join([*here[:up], *filter(None, [base])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE:
                yield name.removeprefix(PACKAGE).removeprefix(".")


def layer_of(name: str) -> int:
    """Return the layer of a module or of a name in one."""
    return LEVEL.get(name.split(".", maxsplit=1)[0], LEVEL[""])


def upward(module: str, source: str, *, package: bool) -> list[str]:
    """Return what `module` imports from a layer above its own."""
    here = layer_of(module)
    return [name for name in imports(source, module, package=package) if layer_of(name) < here]


@pytest.mark.parametrize("module", modules(), ids=lambda name: name or PACKAGE)
def test_imports_run_downwards(module: str) -> None:
    """Also those that are only for the type checker, and those inside functions."""
    file = file_of(module)
    assert module.split(".", maxsplit=1)[0] in LEVEL, "a new module: give it its place in LAYERS"
    assert upward(module, file.read_text(), package=file.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("tokens.fetch", "from ecr_credential_helper.context import Context"),
        ("tokens.fetch", "from ..context import Context"),
        ("tokens.background", "import ecr_credential_helper.verbs"),
        ("system.log", "def f():\n    from ecr_credential_helper.tokens.identity import current"),
        ("aws.ecr", "from ecr_credential_helper import verbs"),
        ("settings", "from .tokens import identity"),
        ("registry", "from .system.paths import expanded"),
        ("verbs", "from . import commands"),
    ],
)
def test_an_upward_import_is_found(module: str, line: str) -> None:
    """In each way that it can be written."""
    assert upward(module, line, package=False)


def test_botocore_is_imported_in_five_modules() -> None:
    """Botocore costs a hundred times a warm get; a new import of it is a decision."""
    found = set()
    for module in modules():
        for node in ast.walk(ast.parse(file_of(module).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if {name.split(".")[0] for name in names} & {"botocore", "boto3"}:
                found.add(module)
    assert found == {
        "aws.ecr",
        "aws.error_messages",
        "aws.retries",
        "commands.aws_checks",
        "commands.profiles",
    }


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    """Every path in backquotes exists, as does every module and make target."""
    text = (TOP / page).read_text()
    names = re.findall(r"`([\w./-]+)`", text)
    paths = [name for name in names if "/" in name and not name.startswith(("/", "./", "~"))]
    assert len(paths) >= 5
    for path in paths:
        assert (TOP / path).exists() or (SOURCE / path).exists(), path
    targets = re.findall(r"(?m)(?:`|^    )make ([a-z-]+)", text)
    makefile = (TOP / "Makefile").read_text()
    for target in targets:
        assert re.search(rf"(?m)^{target}( \w+)*:", makefile), target


def test_the_page_on_architecture_names_every_module() -> None:
    """A module that came or was renamed gets its line."""
    text = (TOP / "docs" / "architecture.md").read_text()
    named = {Path(name).stem for name in re.findall(r"`([\w./-]+)`", text)}
    ours = [name for name in modules() if name and not name.startswith(("commands.", "__"))]
    assert [name for name in ours if name.rpartition(".")[2] not in named] == []

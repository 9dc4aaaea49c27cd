"""Build the man page and the completions from the parser itself, so that they always match it.

The second half of the man page is docs/reference.md.

hatchling runs it for every wheel; to run it by hand: `python packaging/build_hook.py DIRECTORY`.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, or by the tests
    BuildHookInterface = object

NAME = "docker-credential-ecr"
ROOT = Path(__file__).resolve().parent.parent
COMPLETIONS = {
    "bash": f"share/bash-completion/completions/{NAME}",
    "zsh": f"share/zsh/site-functions/_{NAME}",
    "fish": f"share/fish/vendor_completions.d/{NAME}.fish",
}
MAN_PAGE = f"share/man/man1/{NAME}.1"
REFERENCE = ROOT / "docs" / "reference.md"


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]  # not there to be checked
    """What hatchling calls before and after it makes a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the files, and have the wheel install them below its prefix; and its SBOM."""
        del version
        self.made = tempfile.TemporaryDirectory()
        for path in generate(Path(self.made.name)):
            build_data["shared_data"][str(path)] = str(path.relative_to(self.made.name))
        build_data["sbom_files"].append(str(self.bill_of_materials()))

    def bill_of_materials(self) -> Path:
        """Make the SBOM of the wheel; return its path."""
        sys.path.insert(0, str(ROOT / "packaging"))
        import sbom

        bill = sbom.of_wheel(self.metadata.version, self.metadata.core.dependencies)
        file = Path(self.made.name) / f"{sbom.PROJECT}.cdx.json"
        file.write_text(bill)
        return file

    def finalize(self, *_: Any) -> None:
        """Remove the files."""
        self.made.cleanup()


def generate(directory: Path) -> list[Path]:
    """Write man page and completions below `directory`, and return their paths."""
    import shtab
    from argparse_manpage.manpage import Manpage

    os.environ["COLUMNS"] = "1000"  # usage on one line: the program that shows the page wraps it
    sys.path[:0] = [str(ROOT), str(ROOT / "packaging")]
    import manual

    from ecr_credential_helper import __version__
    from ecr_credential_helper.commands import parser

    texts = {}
    for shell, path in COMPLETIONS.items():
        whole = parser(NAME)
        for action in actions(whole):
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY
        texts[path] = shtab.complete(whole, shell)
    about = {
        "description": "keeps Docker logged in to Amazon ECR",
        "manual_section": "1",
        "manual_title": "User Commands",
        "project_name": "ecr-credential-helper",
        "version": __version__,
    }
    page = Manpage(parser(NAME), about, format="single-commands-section")
    page.date = ""  # the version is enough, and without a date two builds are equal
    for heading, text in manual.sections(REFERENCE.read_text("utf-8")).items():
        page.add_section(heading, "=", text)
    texts[MAN_PAGE] = str(page)
    paths = []
    for place, text in texts.items():
        file = directory / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        paths.append(file)
    return paths


def actions(whole: Any) -> list[Any]:
    """Return the arguments and options of all commands."""
    (commands,) = (action for action in whole._actions if action.choices)
    return [action for one in commands.choices.values() for action in one._actions]


if __name__ == "__main__":
    for made in generate(Path(sys.argv[1])):
        sys.stdout.write(f"{made}\n")

"""A stand-in for GitHub CLI: one release, or a draft of one, in the directory that GH_STATE names.

`release.json` there has what `gh release view --json` says, `assets/` the files, and `api.json` the
answers of `gh api` by their path. `settings.json` says of the repository whether its releases are
immutable, and whether an upload arrives broken. `Hub` sets it up for a test.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn


class Hub:
    """The directory, as a test sees it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.assets = state / "assets"
        state.mkdir()
        self.settings(immutable=True, broken=False)

    def settings(self, **settings: bool) -> None:
        """Set how the repository behaves."""
        (self.state / "settings.json").write_text(json.dumps(settings))

    def answers(self, api: dict[str, Any]) -> None:
        """Set what `gh api` says to each path."""
        (self.state / "api.json").write_text(json.dumps(api))

    @property
    def release(self) -> dict[str, Any] | None:
        """What there is of a release."""
        file = self.state / "release.json"
        found: dict[str, Any] | None = json.loads(file.read_text()) if file.exists() else None
        return found


def main() -> None:
    """Do what gh would do."""
    state = Path(os.environ["GH_STATE"])
    if not os.environ.get("GH_TOKEN"):
        fail("gh: no GH_TOKEN")
    parser = argparse.ArgumentParser(allow_abbrev=False)
    groups = parser.add_subparsers(dest="group", required=True)
    api = groups.add_parser("api")
    api.add_argument("path")
    api.add_argument("--jq", required=True)
    verbs = groups.add_parser("release").add_subparsers(dest="verb", required=True)
    for verb in ("view", "create", "delete", "download", "edit"):
        verbs.add_parser(verb).add_argument("tag")
    verbs.choices["view"].add_argument("--json", required=True)
    verbs.choices["view"].add_argument("--jq", required=True)
    verbs.choices["create"].add_argument("--draft", action="store_true")
    verbs.choices["create"].add_argument("--verify-tag", action="store_true")
    for option in ("--title", "--notes"):
        verbs.choices["create"].add_argument(option)
    verbs.choices["create"].add_argument("files", nargs="+", type=Path)
    verbs.choices["delete"].add_argument("--yes", action="store_true", required=True)
    verbs.choices["download"].add_argument("--dir", required=True, type=Path)
    verbs.choices["edit"].add_argument("--draft", choices=["false"], required=True)
    asked = parser.parse_args()
    if asked.group == "api":
        answer(state, asked.path, asked.jq)
    else:
        if not os.environ.get("GH_REPO"):
            fail("gh: no GH_REPO")
        release(state, asked)


def fail(message: str) -> NoReturn:
    """End with a message."""
    sys.exit(message)


def jq(document: Any, query: str) -> None:
    """Print what a query finds."""
    subprocess.run(["jq", "-r", query], input=json.dumps(document), text=True, check=True)


def answer(state: Path, path: str, query: str) -> None:
    """Answer a question of `gh api`."""
    answers = json.loads((state / "api.json").read_text())
    if path not in answers:
        fail(f"gh: Not Found (HTTP 404): {path}")
    jq(answers[path], query)


def release(state: Path, asked: argparse.Namespace) -> None:
    """Do something with the release."""
    file, assets = state / "release.json", state / "assets"
    settings = json.loads((state / "settings.json").read_text())
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if asked.verb == "create":
        if known:
            fail(f"gh: {asked.tag} exists")
        assets.mkdir()
        for one in asked.files:
            shutil.copyfile(one, assets / one.name)
        if settings["broken"]:
            with (assets / asked.files[0].name).open("ab") as broken:
                broken.write(b"x")
        known = {"tagName": asked.tag, "isDraft": asked.draft, "isImmutable": False}
        file.write_text(json.dumps(known))
        return
    if known.get("tagName") != asked.tag:
        fail("release not found")
    if asked.verb == "view":
        jq({asked.json: known[asked.json]}, asked.jq)
    elif asked.verb == "delete":
        file.unlink()
        shutil.rmtree(assets)
    elif asked.verb == "download":
        shutil.copytree(assets, asked.dir)
    else:
        known |= {"isDraft": False, "isImmutable": settings["immutable"]}
        file.write_text(json.dumps(known))


if __name__ == "__main__":
    main()

"""Make the description on PyPI from the README: hatchling runs it when it reads the metadata."""

import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "packaging"))
import links  # noqa: E402 - hatchling runs this file alone, and its directory has to be found


class CustomMetadataHook(MetadataHookInterface):  # type: ignore[misc]  # not there to be checked
    """What hatchling calls for the fields that pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme: the page with links that lead from anywhere to this version."""
        page = "README.md"
        text = (ROOT / page).read_text("utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": links.absolute(text, page, metadata["version"]),
        }

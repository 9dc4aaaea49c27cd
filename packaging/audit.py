"""Ask for known weaknesses of what is locked: what builds, and the wheels in the directories.

`python packaging/audit.py [OPTION...]` runs pip-audit with these options; it asks PyPI, or OSV with
`--vulnerability-service osv`. What has not been looked up is a failure: nobody knows of it.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import inputs
import tools

COMMAND = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")


def wheels() -> str:
    """Return the wheels in inputs.json as the lines of a requirements file."""
    hashes: dict[str, list[str]] = {}
    for one in inputs.locked()["python"]:
        hashes.setdefault(f"{one['name']}=={one['version']}", []).append(one["sha256"])
    lines = (
        " ".join((pin, *(f"--hash=sha256:{one}" for one in found))) for pin, found in hashes.items()
    )
    return "".join(f"{line}\n" for line in lines)


def answers(options: Sequence[str]) -> list[dict[str, Any]]:
    """Return what pip-audit says of each that is locked. Raises inputs.InputError."""
    with tempfile.TemporaryDirectory() as directory:
        brought, answer = Path(directory) / "inputs.txt", Path(directory) / "answer.json"
        brought.write_text(wheels())
        locks = (f"--requirement={file}" for file in (tools.TOOLS, tools.INSTALLER, brought))
        command = [sys.executable, "-m", "pip_audit", *COMMAND, f"--output={answer}", *locks]
        done = subprocess.run(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if answer.exists():
            found: list[dict[str, Any]] = json.loads(answer.read_text())["dependencies"]
            return found
    said = done.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
    raise inputs.InputError(
        f"pip-audit got no answer: {said[-1]}; is the service that it asks reachable from here?"
    )


def complaints(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each known weakness, and one for all that could not be looked up."""
    for one in found:
        for weakness in one.get("vulns", ()):
            fixed = ", ".join(weakness["fix_versions"]) or "nothing yet"
            yield f"{one['name']} {one['version']}: {weakness['id']}, fixed in {fixed}"
    unknown = [one for one in found if "skip_reason" in one]
    if unknown:
        first = unknown[0]["skip_reason"]
        yield f"{len(unknown)} of {len(found)} could not be looked up, the first because: {first}"


def main() -> None:
    """Print what is known, and fail unless that is nothing."""
    found = answers(sys.argv[1:])
    lines = list(complaints(found))
    for line in lines or [f"nothing is known of the {len(found)} that are locked"]:
        sys.stdout.write(f"{line}\n")
    sys.exit(bool(lines))


if __name__ == "__main__":
    try:
        main()
    except inputs.InputError as problem:
        sys.exit(f"audit.py: {problem}")

"""status: what is in the cache, for which identity, and for how long. It never shows a token.

Entries that hold the same token for the same AWS settings are one row: that of a host, and that of
its region.

With --json the output is one object, with one member for each entry, which stay as they are:

    {"cache": <directory, or null where none is used>,
     "entries": [{"subject": <the host; or the region's scope, such as "ecr_eu-west-1">,
                  "kind": "registry" | "region" | "no credentials",
                  "who": <profile, role, account of the settings, in words>,
                  "source": <the credential source, as botocore names it>,
                  "state": "fresh" | "aging" | "late" | "expired",
                  "issued": <epoch seconds>, "expires": <epoch seconds>,
                  "seconds_left": <number>, "current": <whether `get` would use it now>}]}
"""

import argparse
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError, printable
from ecr_credential_helper.tokens.cache import AGING, DEAD, FRESH, LATE, Cache, Entry, Key, NoCache
from ecr_credential_helper.tokens.fetch import NOTHING_FOUND
from ecr_credential_helper.tokens.identity import without_target

from .screen import BOLD, GREEN, RED, YELLOW, Screen, as_json, duration

_STATES = {FRESH: "fresh", AGING: "aging", LATE: "late", DEAD: "expired"}
_HEADER = ("  registry", "state", "left", "identity")
_IN_WORDS = {
    "fresh": ("good", GREEN),
    "aging": ("good, being renewed", GREEN),
    "late": ("about to expire", YELLOW),
    "expired": ("expired", RED),
}
_CHOICES = {
    "AWS_ACCESS_KEY_ID": "access key",
    "AWS_DEFAULT_PROFILE": "profile",
    "AWS_PROFILE": "profile",
    "AWS_ROLE_ARN": "role",
}


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "status",
        help="show which tokens are in the cache, and for how long",
        description="Show what is in the cache, for whom, and how long it lives: never a token.",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Return what is in the cache. Raises HelperError if the cache cannot be read."""
    path = None if isinstance(context.cache, NoCache) else context.cache.path
    entries = _entries(context.cache) if path else []
    rows = [_row(*found, context) for found in entries]
    if arguments.json:
        return as_json({"cache": path, "entries": rows}), 0
    if not path:
        return "no cache is used: AWS_ECR_DISABLE_CACHE is set, or there is no home directory\n", 0
    tokens: dict[tuple[str, bytes], list[dict[str, Any]]] = {}
    for (_, identity, entry), row in zip(entries, rows, strict=True):
        settings, _ = without_target(identity)
        tokens.setdefault((entry.token, settings), []).append(row)
    text = "  empty\n"
    if rows:
        text = screen.table(_HEADER, [_cells(of_token, screen) for of_token in tokens.values()])
    if any(row["current"] for row in rows):
        text += "\n* is what `get` answers with under the present AWS settings\n"
    return f"{screen.paint(path, BOLD)}\n{text}", 0


def _entries(cache: Cache) -> list[tuple[Key, bytes, Entry]]:
    try:
        return cache.entries()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HelperError(
            f"{cache.path} is not used: {error.strerror or error}", "fix that, or remove it"
        ) from error


def _row(key: Key, identity: bytes, entry: Entry, context: Context) -> dict[str, Any]:
    """Return the row for one cache entry."""
    now = context.clock()
    state = _STATES[entry.stage(now, key)]
    kind = "region" if "_" in key.subject else "registry"
    if key.subject == NOTHING_FOUND:
        kind, state = (
            "no credentials",
            "fresh" if entry.issued <= now < entry.expires else "expired",
        )
    # A token of a region may also have been stored for an entry of the settings file.
    settings, target = without_target(identity)
    return {
        "subject": key.subject,
        "kind": kind,
        "who": _who(settings.decode("utf-8", "replace"), target),
        "source": entry.source,
        "state": state,
        "issued": entry.issued,
        "expires": entry.expires,
        "seconds_left": max(0, int(entry.expires - now)),
        "current": settings == context.identity and state != "expired",
    }


def _who(settings: str, target: dict[str, str]) -> str:
    """Return in words which principal the AWS settings choose, as far as they show it.

    `settings` are the lines of an identity; `target` is what an entry of the settings file adds.
    """
    words = []
    for line in settings.split("\n"):
        name, _, value = line.removeprefix("variable ").partition("=")
        if name == "AWS_ACCESS_KEY_ID":
            value = "..." + value[-4:]
        words += [f"{_CHOICES[name]} {value}"] if name in _CHOICES else []
    if "profile" in target:
        words.append(f"profile {target['profile']} of the settings file")
    if "RoleArn" in target:
        words.append(f"role {target['RoleArn']}")
    return printable(", ".join(words))


def _cells(rows: list[dict[str, Any]], screen: Screen) -> list[str]:
    """Return the cells for one token; `rows` are those of its entries."""
    of_hosts = [row for row in rows if row["kind"] == "registry"]
    row = (of_hosts or rows)[0]
    names = [row["subject"] for row in of_hosts]
    state, colour = _IN_WORDS[row["state"]]
    source = row["source"]
    if row["kind"] == "no credentials":
        names, state, colour, source = ["any"], "no AWS credentials were found", RED, ""
    elif row["kind"] == "region":
        service, _, region = row["subject"].partition("_")
        names = [f"any in {region} ({service})"]
    mark = "*" if row["current"] else " "
    # That of the region says also what the settings file adds.
    who = max((row["who"] for row in rows), key=len)
    return [
        "\n".join(f"{mark} {name}" for name in names),
        screen.paint(state, colour),
        duration(row["seconds_left"]) if row["seconds_left"] else "",
        f"{who} ({source})" if who and source else who or source,
    ]

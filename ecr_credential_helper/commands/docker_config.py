"""Docker's config.json, found, read and saved by Docker's own rules (cli/config in docker/cli).

What this program does not know in the file stays exactly as it was.
"""

import json
import os
import re
from typing import Any

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.system.environment import NO_HOME

from .hosts import address_of
from .json_text import indent, members, parsed, with_member, without_member
from .saving import Change, read

HELPERS, STORE, AUTHS = "credHelpers", "credsStore", "auths"

_HARMLESS = ("email",)
_STRINGS = re.compile(r'("(?:[^"\\]|\\.)*"\s*:)|"(?:[^"\\]|\\.)*"')


class DockerConfig:
    """One config.json: its text, and what Docker reads from it.

    `path` is where Docker looks for it, `old` is the content on disk (None if there is no file),
    `text` is the content to be saved.

    Raises HelperError if there is no home to look in, if it cannot be read, or if Docker could not
    use it.
    """

    def __init__(self, directory: str) -> None:
        if directory.startswith(NO_HOME):
            raise HelperError("no home directory for ~/.docker", "set HOME or DOCKER_CONFIG")
        self.path = os.path.join(directory, "config.json")
        self.old = read(self.path)
        # Bytes that are not UTF-8 are no error here: they are written back as they were.
        self.text = (self.old or b"").decode("utf-8", "surrogateescape")
        self.empty = not self.text.strip(" \t\r\n")
        if self.empty:
            self.text = "{}\n"
        self._first = self.text
        try:
            self._document = parsed(self.text)
        except ValueError as error:
            raise self._broken(f"not JSON: {error}") from error
        self._check()

    @property
    def helpers(self) -> dict[str, str]:
        """Which helper Docker asks for which host; "" is no helper but config.json itself."""
        return {host: name or "" for host, name in self._table(HELPERS).items()}

    @property
    def store(self) -> str:
        """The helper that Docker asks for every other host, empty if there is none."""
        _, value = self._top(STORE)
        return value or ""

    @property
    def keys(self) -> list[str]:
        """The top-level keys of the document."""
        return list(self._document)

    def passwords(self, addresses: set[str]) -> list[str]:
        """Return the keys of `auths` that hold a secret for one of `addresses` (`address_of`).

        An entry without a secret stays: some clients continue only if there is an entry.
        """
        return [
            key
            for key, entry in self._table(AUTHS).items()
            if address_of(key) in addresses and _holds_secret(entry)
        ]

    def set_helper(self, host: str, name: str) -> None:
        """Make Docker ask the helper `name` for `host`."""
        if not self._table(HELPERS):
            key, _ = self._top(HELPERS)
            self._edit(with_member(self.text, 0, key, "{}"))
        end = indent(self.text)
        lead = end + end.rpartition("\n")[2] if "\n" in end else ""
        place = self._place(HELPERS)
        self._edit(with_member(self.text, place, host, json.dumps(name), (lead, lead and end)))

    def remove_helper(self, host: str) -> None:
        """Make Docker ask no helper for `host`; with the last host, remove the whole table.

        So a table that was empty or null before is not restored: for Docker that is the same as no
        table, and it leaves it out too when it saves the file.
        """
        self._edit(without_member(self.text, self._place(HELPERS), host))
        if not self._table(HELPERS):
            key, _ = self._top(HELPERS)
            self._edit(without_member(self.text, 0, key))

    def remove_password(self, key: str) -> None:
        """Remove the entry `key` from `auths`."""
        self._edit(without_member(self.text, self._place(AUTHS), key))

    @property
    def change(self) -> Change:
        """What is to be saved; nothing changes until the text is edited."""
        if self.text == self._first:
            return Change(self.path, self.old, self.old)
        return Change(self.path, self.old, self.text.encode("utf-8", "surrogateescape"))

    def _edit(self, text: str) -> None:
        self.text = text
        self._document = parsed(text)

    def _top(self, name: str) -> tuple[str, Any]:
        """Return the key that Docker reads as `name` (Go ignores the case), and its value."""
        for key, value in self._document.items():
            if key.casefold() == name.casefold():
                return key, value
        return name, None

    def _table(self, name: str) -> dict[str, Any]:
        return self._top(name)[1] or {}

    def _place(self, name: str) -> int:
        """Return the position in the text where the value of `name` begins."""
        key, _ = self._top(name)
        return next((m.value_start for m in members(self.text) if m.key == key), 0)

    def _check(self) -> None:
        """Raise HelperError if Docker would stop, or if clients would read it in different ways."""
        if not isinstance(self._document, dict):
            raise self._broken("not a JSON object")
        for name in (HELPERS, STORE, AUTHS):
            keys = [key for key in self._document if key.casefold() == name.casefold()]
            if len(keys) > 1:
                raise self._broken(f"{' and '.join(keys)} are the same key to Docker")
        for name, kind in ((HELPERS, str), (AUTHS, dict)):
            table = self._top(name)[1]
            if not isinstance(table, dict | None):
                raise self._broken(f"{name} is not an object")
            for key, value in (table or {}).items():
                if not isinstance(value, kind | None):
                    what = "a text" if kind is str else "an object"
                    raise self._broken(f"the value of {key} in {name} is not {what}")
        if not isinstance(self._top(STORE)[1], str | None):
            raise self._broken(f"{STORE} is not a text")

    def _broken(self, what: str) -> HelperError:
        return HelperError(f"{self.path}: {what}", "correct the file by hand; nothing was changed")


def directory(chosen: str | None) -> str:
    """Return where Docker looks for its config.json: `chosen`, DOCKER_CONFIG or ~/.docker.

    Without a home directory the last is below NO_HOME.
    """
    return (
        chosen
        or os.environ.get("DOCKER_CONFIG")
        or os.path.expanduser(os.path.join("~", ".docker"))
    )


def masked(text: str) -> str:
    """Return config.json with *** for every text that may be a secret.

    These are all texts inside an object or array, except the names of helpers: passwords in
    `auths`, headers and proxies, and what later versions of Docker may store there.
    """
    if not text.strip(" \t\r\n"):
        return text
    for member in reversed(members(text)):
        value = text[member.value_start : member.end]
        if value[0] in "{[" and member.key.casefold() != HELPERS.casefold():
            hidden = _STRINGS.sub(lambda match: match[1] or '"***"', value)
            text = text[: member.value_start] + hidden + text[member.end :]
    return text


def _holds_secret(entry: dict[str, Any] | None) -> bool:
    return any(value for key, value in (entry or {}).items() if key.lower() not in _HARMLESS)

"""What `configure --profiles` writes into the settings file, between two lines of its own.

What is outside of these lines is the user's, and stays as it is.
"""

import json
import tomllib
from fnmatch import fnmatchcase

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.settings import target_of
from ecr_credential_helper.system import paths

from .saving import Change, read

_FIRST = "# What follows is written by `configure --profiles`, which brings it up to date."
_LAST = "# What `configure --profiles` writes ends here."


class ProfileEntries:
    """The settings file: which profile pays for which host, as the last `--profiles` wrote it.

    `path` is the file, `old` its content on disk (None if there is none), `text` the one that is to
    be saved. Raises HelperError if there is no home for it, if it cannot be read, or has a mistake.
    """

    def __init__(self) -> None:
        try:
            self.path = paths.settings_file()
        except RuntimeError as error:
            raise HelperError(str(error), "set HOME or AWS_ECR_CONFIG_FILE") from error
        target_of("public.ecr.aws")  # raises for every mistake in the file
        self.old = read(self.path)
        self.text = (self.old or b"").decode()
        before, first, rest = self.text.partition(_FIRST)
        inside, last, after = rest.partition(_LAST)
        if bool(first) != bool(last) or _FIRST in rest or _LAST in before + after:
            raise HelperError(
                f"{self.path}: the entries from `configure --profiles` have lost an end",
                f"put both lines around them again: {_FIRST!r} and {_LAST!r}",
            )
        self._before, self._after = before, after
        self.profiles: dict[str, str] = {
            entry["match"]: entry["profile"] for entry in _entries(inside)
        }
        self._users = [entry["match"].lower() for entry in _entries(before) + _entries(after)]

    def is_users(self, host: str) -> bool:
        """Whether an entry of the user's own is for this host."""
        return any(fnmatchcase(host, match) for match in self._users)

    def write(self, profiles: dict[str, str]) -> None:
        """Have these profiles pay for these hosts, and what was written before for no others.

        Raises HelperError if the user's own entries leave no place for more.
        """
        if profiles == self.profiles:
            return
        before, after = self._before.rstrip("\n"), self._after.lstrip("\n")
        entries = "".join(
            f"\n[[registry]]\nmatch = {_quoted(host)}\nprofile = {_quoted(profile)}\n"
            for host, profile in profiles.items()
        )
        parts = [before, f"{_FIRST}\n{entries}\n{_LAST}" if profiles else "", after.rstrip("\n")]
        self.text = "\n\n".join(filter(None, parts)) + "\n" if any(parts) else ""
        try:
            tomllib.loads(self.text)
        except ValueError as error:  # `registry = [...]`, which takes no [[registry]] after it
            raise HelperError(
                f"{self.path}: there is no place for more entries: {error}",
                "write your own as [[registry]] too",
            ) from error

    @property
    def change(self) -> Change:
        """What is to be saved. A file with nothing left in it goes."""
        return Change(self.path, self.old, self.text.encode() or (None if self.old else self.old))


def _entries(text: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = tomllib.loads(text).get("registry", [])
    return entries


def _quoted(text: str) -> str:
    """Return a text as TOML has it in quotes: as JSON, which leaves one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""The settings file: which identity to use for which registry, and your own names for registries.

    [[registry]]
    match = "111122223333.dkr.ecr.*.amazonaws.com"
    profile = "prod"
    role_arn = "arn:aws:iam::444455556666:role/pull"

The first entry whose `match` fits the host decides. On a cache hit the file is not read: its path
and its stat() data are part of the key that a token is kept under.
"""

import re
from fnmatch import fnmatchcase

from .errors import HelperError
from .registry import Registry, host_of, registry_of
from .system import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TABLE = "registry"
_KEYS: dict[str, type] = {
    "match": str,
    "registry": str,
    "profile": str,
    "role_arn": str,
    "external_id": str,
    "role_session_name": str,
    "duration_seconds": int,
    "cache": bool,
}
_ROLE_KEYS = ("external_id", "role_session_name", "duration_seconds")
_ROLE_SECONDS = range(900, 43201)
# For each key: the field of Role, and the pattern that the reference of sts:AssumeRole gives.
_ROLE_TEXTS = {
    "role_session_name": ("session_name", r"[\w+=,.@-]{2,64}"),
    "external_id": ("external_id", r"[\w+=,.@:/-]{2,1224}"),
}
_KINDS = {str: "a text in quotes", int: "a whole number", bool: "true or false"}


class Role:
    """A role to assume before asking: the parameters of sts:AssumeRole.

    `duration_seconds` is how long the role's session lasts, None for AWS's default of an hour.
    """

    __slots__ = ("arn", "duration_seconds", "external_id", "session_name")

    def __init__(
        self,
        arn: str,
        session_name: str = "ecr-credential-helper",
        external_id: str = "",
        duration_seconds: int | None = None,
    ) -> None:
        self.arn = arn
        self.session_name = session_name
        self.external_id = external_id
        self.duration_seconds = duration_seconds

    @property
    def parameters(self) -> "dict[str, Any]":
        """The parameters of the call to sts:AssumeRole."""
        optional = {"ExternalId": self.external_id, "DurationSeconds": self.duration_seconds}
        return {
            "RoleArn": self.arn,
            "RoleSessionName": self.session_name,
            **{name: value for name, value in optional.items() if value},
        }


class Target:
    """The registry to get a token for, and the identity to ask as.

    `profile` is an AWS profile, empty for what AWS_PROFILE and the usual credential chain lead to.
    `role` is assumed with the credentials of that profile; or, if `web_identity` (a token) is set,
    with that token alone. `cache` says whether the authorization token may be kept.
    """

    __slots__ = ("cache", "profile", "registry", "role", "web_identity")

    def __init__(
        self,
        registry: Registry,
        profile: str = "",
        role: Role | None = None,
        *,
        cache: bool = True,
        web_identity: str = "",
    ) -> None:
        self.registry = registry
        self.profile = profile
        self.role = role
        self.cache = cache
        self.web_identity = web_identity


def target_of(host: str) -> Target | None:
    """Return the target for `host` (as `host_of` gives it); None if it is not ECR.

    Raises HelperError on every mistake in the settings file, and says where it is.
    """
    for match, target in _entries(host):
        if fnmatchcase(host, match):
            return target
    registry = registry_of(host)
    return Target(registry) if registry else None


def hosts_named() -> list[str]:
    """Return the hosts that entries are for, without the patterns; raises as `target_of` does."""
    patterns = [match for match, _ in _entries("public.ecr.aws")]
    return [pattern for pattern in patterns if not any(mark in pattern for mark in "*?[")]


def is_role_arn(text: str) -> bool:
    """Whether `text` looks like the ARN of a role; only AWS can tell whether it is one."""
    return text.startswith("arn:") and ":role/" in text and text.isprintable()


def _entries(host: str) -> list[tuple[str, Target | None]]:
    """Return the pattern of each entry, with the target that the entry gives for `host`."""
    try:
        path = paths.settings_file()
    except RuntimeError:
        return []
    document = _read(path)
    for key in document:
        if key != _TABLE:
            raise _mistake(path, f"unknown key {key!r}", f"the only table is [[{_TABLE}]]")
    tables = document.get(_TABLE, [])
    if not isinstance(tables, list):
        raise _mistake(path, f"[{_TABLE}] is not an array", f"write it [[{_TABLE}]]")
    return [
        _entry(table, f"{path}: [[{_TABLE}]] number {number}", host)
        for number, table in enumerate(tables, 1)
    ]


def _read(path: str) -> "dict[str, Any]":
    """Return the parsed file `path`, empty if there is none. Raises HelperError."""
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _mistake(path, error.strerror or str(error), "make the file readable") from error
    except (ValueError, RecursionError) as error:
        raise _mistake(path, f"not TOML: {error}", "correct the settings file") from error


def _entry(table: object, place: str, host: str) -> tuple[str, Target | None]:
    """Return the pattern of one entry, and its target for `host`. Raises HelperError."""
    entry = _checked(table, place)
    match = entry["match"].lower()
    if not match or ":" in match or "/" in match:
        raise _mistake(place, 'key "match" is no pattern of a host', "no scheme, port or path")
    if "registry" in entry:
        inner = host_of(entry["registry"])
        registry = registry_of(inner) if inner else None
        if registry is None:
            raise _mistake(
                place, 'key "registry" names no ECR host', "name the ECR host behind yours"
            )
        registry = registry.called(host)
    else:
        registry = registry_of(host)
    role = _role(entry, place)
    if registry is None:
        return match, None
    return match, Target(registry, entry.get("profile", ""), role, cache=entry.get("cache", True))


def _checked(table: object, place: str) -> "dict[str, Any]":
    """Return `table` if its keys and types are those of an entry. Raises HelperError."""
    if not isinstance(table, dict):
        raise _mistake(place, "not a table", f"write it [[{_TABLE}]]")
    for key, value in table.items():
        if key not in _KEYS:
            raise _mistake(place, f"unknown key {key!r}", f"the keys are {', '.join(_KEYS)}")
        if type(value) is not _KEYS[key]:
            raise _mistake(place, f'key "{key}" is not {_KINDS[_KEYS[key]]}', "correct its value")
    if "match" not in table:
        raise _mistake(place, 'key "match" is missing', "say which hosts the entry is for")
    return table


def _role(entry: "dict[str, Any]", place: str) -> Role | None:
    """Return the role that an entry names. Raises HelperError."""
    if "role_arn" not in entry:
        for key in _ROLE_KEYS:
            if key in entry:
                raise _mistake(place, f'key "{key}" without "role_arn"', "name the role, too")
        return None
    arn, seconds = entry["role_arn"], entry.get("duration_seconds")
    if not is_role_arn(arn):
        raise _mistake(place, 'key "role_arn" is no ARN of a role', "see `aws iam list-roles`")
    if seconds is not None and seconds not in _ROLE_SECONDS:
        raise _mistake(place, 'key "duration_seconds" is out of range', "from 900 to 43200")
    texts = {}
    for key, (name, form) in _ROLE_TEXTS.items():
        if key in entry:
            if not re.fullmatch(form, entry[key], re.ASCII):
                what = f'key "{key}" has a value that AWS does not take'
                raise _mistake(place, what, "correct its value")
            texts[name] = entry[key]
    return Role(arn, duration_seconds=seconds, **texts)


def _mistake(place: str, what: str, hint: str) -> HelperError:
    return HelperError(f"{place}: {what}", f"in the settings file: {hint}")

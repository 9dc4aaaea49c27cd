"""The registries that the profiles of the AWS config file lead to, found without a network.

The file is read as botocore reads it. What names an account is taken in botocore's own order: a
role before a login by SSO (AWS SDKs and Tools reference, "Standardized credential providers").
"""

import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.settings import is_role_arn
from ecr_credential_helper.system import paths

from .hosts import host_in, partition_of
from .profile_entries import ProfileEntries

Profiles = Mapping[str, Mapping[str, Any]]

# What names the account where no role does; the last is how granted writes it.
_ACCOUNTS = ("sso_account_id", "aws_account_id", "granted_sso_account_id")
# What gives credentials and says nothing of whose they are, in words.
_SILENT = {
    "credential_process": "its credential_process alone knows",
    "login_session": "its login session alone knows",
    "aws_access_key_id": "its keys do not tell",
}


class Gap(NamedTuple):
    """Why a profile leads to no registry, and what helps: arguments of `configure`, or words."""

    found: str
    fix: str


class _Unusable(Exception):  # noqa: N818 - it is no error of the run
    """A profile that leads to no registry; its arguments are those of a Gap."""


def read() -> Profiles:
    """Return the settings of each profile of the AWS config file. Raises HelperError."""
    from botocore.configloader import load_config
    from botocore.exceptions import ConfigNotFound, ConfigParseError

    path = paths.aws_files()[0]
    try:
        profiles: Profiles = load_config(path)["profiles"]
    except ConfigNotFound:
        profiles = {}
    except (ConfigParseError, OSError, ValueError) as error:
        raise HelperError(f"{path} cannot be read: {error}", "correct it by hand") from error
    if not profiles:
        raise HelperError(
            f"there are no profiles in {path}", "write some: aws configure sso; or name a HOST"
        )
    return profiles


def chosen(names: list[str], profiles: Profiles) -> list[str]:
    """Return the profiles that `names`, which may have wildcards, choose; all without a name.

    Raises HelperError for a name that chooses none.
    """
    for name in names:
        if not any(fnmatchcase(profile, name) for profile in profiles):
            raise HelperError(
                f"the AWS config file has no profile {name}", f"it has {', '.join(profiles)}"
            )
    return [name for name in profiles if any(fnmatchcase(name, one) for one in names or ["*"])]


def registries(
    names: list[str], profiles: Profiles, *, account: str, regions: list[str]
) -> tuple[dict[str, list[str]], dict[str, Gap]]:
    """Return which profiles lead to each registry, by its host, and why others lead to none.

    `account` is that of profiles which name none. `regions` come to the profiles' own, each where
    it is in the same partition.
    """
    found: dict[str, list[str]] = {}
    gaps = {}
    for name in names:
        try:
            for host in _hosts(name, profiles, account, regions):
                found.setdefault(host, []).append(name)
        except _Unusable as why:
            gaps[name] = Gap(*why.args)
        except HelperError as error:
            gaps[name] = Gap(f"profile {name}: {error.message}", error.hint)
    return found, gaps


class Plan(NamedTuple):
    """What to write: who pays for which host, and which hosts config.json gets and loses.

    `gaps` is what is left to the user.
    """

    payers: dict[str, str]
    hosts: list[str]
    gone: list[str]
    gaps: list[Gap]


def plan(
    names: list[str], found: dict[str, list[str]], gaps: dict[str, Gap], entries: ProfileEntries
) -> Plan:
    """Return what to write for the profiles `names`; `entries` is what was written before.

    What was chosen or filled in by hand before stays: one of two profiles for a host, the region of
    a profile that names none. An entry of the user's own goes before all.
    """
    before = entries.profiles
    payers = {host: payer for host, payer in before.items() if payer not in names or payer in gaps}
    left = []
    for host, candidates in found.items():
        payer = candidates[0] if len(candidates) == 1 else before.get(host)
        if entries.is_users(host):
            payers.pop(host, None)
        elif payer in candidates:
            payers[host] = payer
        elif host not in payers:
            which = f"{', '.join(candidates[:-1])} and {candidates[-1]}"
            found_two = f"{host}: profiles {which} lead to it, choose one"
            left.append(Gap(found_two, f"--profiles {shlex.quote(candidates[0])}"))
    left += [gap for name, gap in gaps.items() if name not in payers.values()]
    users = [host for host in found if entries.is_users(host)]
    gone = [host for host in before if host not in payers and host not in users]
    return Plan(payers, [*payers, *users], gone, left)


def without(names: list[str], entries: ProfileEntries) -> Plan:
    """Return what to write when the profiles `names`, or all, are to pay for nothing."""
    payers = {
        host: payer
        for host, payer in entries.profiles.items()
        if names and not any(fnmatchcase(payer, name) for name in names)
    }
    gone = [host for host in entries.profiles if host not in payers]
    return Plan(payers, [], gone, [])


def _hosts(name: str, profiles: Profiles, account: str, regions: list[str]) -> list[str]:
    """Return the registries of one profile. Raises _Unusable, HelperError."""
    arn, own = _role(name, profiles), _region(name, profiles)
    account = (arn[4] if arn else _account(profiles[name])) or account
    if not account:
        why = [words for key, words in _SILENT.items() if key in profiles[name]]
        raise _Unusable(
            f"profile {name} names no account" + "".join(f": {words}" for words in why),
            f"--profiles {shlex.quote(name)} --account ID" + ("" if own else " --region REGION"),
        )
    partition = arn[1] if arn else partition_of(own) if own else ""
    near = [one for one in regions if partition in ("", partition_of(one))]
    if not own and not near:
        raise _Unusable(
            f"profile {name} has no region", f"--profiles {shlex.quote(name)} --region REGION"
        )
    return [host_in(account, one) for one in dict.fromkeys([own, *near]) if one]


def _account(settings: Mapping[str, Any]) -> str:
    """Return the account that a profile without a role names, empty if it names none."""
    return next((str(settings[key]) for key in _ACCOUNTS if settings.get(key)), "")


def _role(name: str, profiles: Profiles) -> list[str]:
    """Return the parts of the ARN of a profile's role, none without a role. Raises _Unusable."""
    arn = str(profiles[name].get("role_arn", ""))
    if arn and not is_role_arn(arn):
        raise _Unusable(f"profile {name}: {arn!r} is no ARN of a role", "correct its role_arn")
    return arn.split(":") if arn else []


def _region(name: str, profiles: Profiles) -> str:
    """Return the region of a profile, else of the nearest one that its role is assumed from."""
    seen: set[str] = set()
    while name in profiles and name not in seen:
        if region := profiles[name].get("region"):
            return str(region)
        seen.add(name)
        name = str(profiles[name].get("source_profile"))
    return ""

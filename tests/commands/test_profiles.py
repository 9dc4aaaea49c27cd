"""configure --profiles: what comes of AWS config files as people have them."""

import itertools
import json
import os
import tomllib
from pathlib import Path

import pytest

from ecr_credential_helper.commands import saving
from ecr_credential_helper.errors import HelperError
from tests.loopback import Loopback
from tests.support.helper import EXECUTABLE, Helper, Result
from tests.support.needs import SYSTEM_PATH

CONFIGS = Path(__file__).parent / "aws_configs"
NO_ACCOUNT = "names no account"
BY_PROCESS = f"{NO_ACCOUNT}: its credential_process alone knows"
LANDING_ZONE = [
    *("log-archive", "audit", "network", "shared-services", "security", "sandbox-1", "sandbox-2"),
    *("app-a-dev", "app-a-test", "app-a-prod", "app-b-dev", "app-b-test", "app-b-prod"),
    *("data-dev", "data-prod"),
]


def host(account_and_region: str) -> str:
    """Return the host of "ACCOUNT REGION"."""
    account, _, region = account_and_region.partition(" ")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{suffix}"


# For each file in aws_configs: which profile pays for which registry, and what is left to the user,
# with what to type.
COMES_OF: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "sso_session": (
        {"111122223333 eu-west-1": "dev", "444455556666 us-east-1": "prod"},
        {f"profile default {NO_ACCOUNT}": "--profiles default --account ID"},
    ),
    "sso_old_form": (
        {"111122223333 us-east-2": "AdministratorAccess-111122223333"},
        {
            "profile PowerUserAccess-444455556666 has no region": (
                "--profiles PowerUserAccess-444455556666 --region REGION"
            )
        },
    ),
    "control_tower": (
        {},
        {
            f"{host(f'{100000000000 + number * 1111} eu-central-1')}: profiles "
            f"{name}.AWSAdministratorAccess and {name}.AWSReadOnlyAccess lead to it, choose one": (
                f"--profiles {name}.AWSAdministratorAccess"
            )
            for number, name in enumerate(LANDING_ZONE)
        },
    ),
    "role_chain": (
        {
            "111122223333 eu-west-1": "hub",
            "444455556666 eu-west-1": "team",
            "777788889999 ap-southeast-2": "far",
            "222233334444 eu-west-1": "on-ec2",
        },
        {
            f"profile base {NO_ACCOUNT}": "--profiles base --account ID",
            "profile on-eks has no region": "--profiles on-eks --region REGION",
        },
    ),
    "credential_process_only": (
        {},
        {
            f"profile default {BY_PROCESS}": "--profiles default --account ID",
            f"profile other {BY_PROCESS}": "--profiles other --account ID --region REGION",
        },
    ),
    "granted": (
        {"111122223333 eu-west-1": "work/dev"},
        {"profile work/prod has no region": "--profiles work/prod --region REGION"},
    ),
    "aws_vault": (
        {"222222222222 us-west-2": "readonly"},
        {
            f"profile default {NO_ACCOUNT}": "--profiles default --account ID",
            f"profile jonsmith {NO_ACCOUNT}": "--profiles jonsmith --account ID --region REGION",
            f"profile vault {BY_PROCESS}": "--profiles vault --account ID",
            f"profile base {NO_ACCOUNT}": "--profiles base --account ID",
        },
    ),
    "govcloud_and_china": (
        {
            "111122223333 us-gov-west-1": "gov",
            "444455556666 us-gov-west-1": "gov-role",
            "777788889999 cn-northwest-1": "cn",
            "222233334444 eu-west-1": "world",
        },
        {},
    ),
    "keys_only": (
        {},
        {
            f"profile default {NO_ACCOUNT}": "--profiles default --account ID",
            f"profile work {NO_ACCOUNT}": "--profiles work --account ID",
        },
    ),
    "with_mistakes": (
        {"111122223333 eu-west-1": "quoted name"},
        {
            f"{host('222233334444 eu-west-1')}: profiles twin-a and twin-b lead to it, "
            "choose one": "--profiles twin-a",
            "profile no-arn: 'developer' is no ARN of a role": "correct its role_arn",
            "profile short: account 1111 and region eu-west-1 make no registry": (
                "an account has twelve digits, a region is like eu-west-1"
            ),
            "profile loop has no region": "--profiles loop --region REGION",
            "profile pool has no region": "--profiles pool --region REGION",
        },
    ),
}


class Files:
    """The helper's user with an AWS config file: what `configure --profiles` makes of it."""

    def __init__(self, helper: Helper) -> None:
        helper.env["PATH"] = f"{EXECUTABLE.parent}{os.pathsep}{SYSTEM_PATH}"
        helper.env["COLUMNS"] = "1000"  # so that nothing is wrapped
        self.helper = helper
        self.aws = helper.home / ".aws" / "config"
        self.docker = helper.home / ".docker" / "config.json"
        self.settings = helper.home / ".config" / "ecr-credential-helper" / "config.toml"
        self.aws.parent.mkdir()

    def take(self, name: str) -> None:
        """Have one of the AWS config files."""
        self.aws.write_bytes((CONFIGS / name).read_bytes())

    def add(self, profile: str, *lines: str) -> None:
        """Add a profile to the AWS config file."""
        with self.aws.open("a") as file:
            file.write("\n".join([f"[profile {profile}]", *lines, ""]))

    def configure(self, *arguments: str) -> Result:
        """Run `configure --profiles`, which has to succeed."""
        result = self.helper.run("configure", "--profiles", *arguments)
        assert result.status == 0, result.err
        return result

    @property
    def content(self) -> list[str | None]:
        """Both files as they are, None for one that is not there."""
        both = (self.docker, self.settings)
        return [path.read_text() if path.exists() else None for path in both]

    @property
    def helpers(self) -> list[str]:
        """The hosts that config.json gives to the helper."""
        document = json.loads(self.docker.read_text()) if self.docker.exists() else {}
        assert set(document.get("credHelpers", {}).values()) <= {"ecr"}
        return sorted(document.get("credHelpers", {}))

    @property
    def payers(self) -> dict[str, str]:
        """The profile of each entry of the settings file, as the program itself reads it."""
        document = tomllib.loads(self.settings.read_text()) if self.settings.exists() else {}
        return {entry["match"]: entry["profile"] for entry in document.get("registry", [])}


@pytest.fixture
def files(helper: Helper) -> Files:
    """Give a test a user with an AWS config file."""
    return Files(helper)


def left(result: Result) -> dict[str, str]:
    """Return what was left to the user, with what to do, as stderr says it."""
    lines = result.err.splitlines()
    start, command = "docker-credential-ecr: left to you: ", "docker-credential-ecr configure "
    return {
        said.removeprefix(start): fix.removeprefix("fix: ").removeprefix(command)
        for said, fix in itertools.pairwise(lines)
        if said.startswith(start)
    }


@pytest.mark.parametrize("name", COMES_OF)
def test_what_comes_of_a_config_file(name: str, files: Files, aws: Loopback) -> None:
    """Who pays for what, and what is left; a second run changes nothing."""
    files.take(name)
    paid, gaps = COMES_OF[name]

    first = files.configure()

    assert left(first) == gaps
    assert files.payers == {host(place): profile for place, profile in paid.items()}
    assert files.helpers == sorted(files.payers)
    before = files.content
    assert left(files.configure()) == gaps
    assert files.content == before
    assert aws.calls == []


def test_every_config_file_is_in_the_table() -> None:
    """And there are ten of them."""
    assert sorted(path.name for path in CONFIGS.iterdir()) == sorted(COMES_OF)
    assert len(COMES_OF) == 10


# What the next run makes of it.

ONE, TWO = host("111122223333 eu-west-1"), host("444455556666 us-east-1")
SSO = ("sso_session = work", "sso_role_name = Pull")


def test_what_was_chosen_stays(files: Files) -> None:
    """A name with a wildcard chooses one of two profiles for each account, once for all."""
    files.take("control_tower")
    assert left(files.configure("*.AWSReadOnlyAccess")) == {}
    assert set(files.payers.values()) == {f"{name}.AWSReadOnlyAccess" for name in LANDING_ZONE}
    before = files.content
    assert left(files.configure()) == {}
    assert files.content == before
    files.configure("audit.AWSAdministratorAccess")
    changed = files.payers[host("100000001111 eu-central-1")]
    assert changed == "audit.AWSAdministratorAccess"
    assert len(files.payers) == len(files.helpers) == 15


def test_what_was_filled_in_stays(files: Files) -> None:
    """A region or an account that the AWS settings do not have is given once."""
    files.take("credential_process_only")
    files.configure("default", "--account", "111122223333")
    files.configure("other", "--account", "444455556666", "--region", "us-east-1")
    both = {ONE: "default", TWO: "other"}
    assert files.payers == both
    assert left(files.configure()) == {}
    assert files.payers == both
    assert files.helpers == sorted(both)


def test_what_changed_is_brought_up_to_date(files: Files) -> None:
    """A profile that moved, one that went and one that came: nothing is left, nothing doubled."""
    files.take("sso_session")
    files.configure()
    assert files.payers == {ONE: "dev", TWO: "prod"}
    text = files.aws.read_text().replace("region = us-east-1", "region = us-east-2")
    files.aws.write_text(text.replace("[profile dev]", "[profile development]"))
    files.add("new", *SSO, "sso_account_id = 777788889999", "region = eu-west-1")

    result = files.configure()

    moved, new = host("444455556666 us-east-2"), host("777788889999 eu-west-1")
    assert files.payers == {ONE: "development", moved: "prod", new: "new"}
    assert files.helpers == sorted(files.payers)
    assert f"  - {TWO}: profile prod\n" in result.out
    assert f"  - {TWO}: ecr\n" in result.out


def test_a_name_leaves_the_other_profiles_alone(files: Files) -> None:
    """Also what was written for profiles that are gone."""
    files.take("sso_session")
    files.configure()
    files.aws.write_text(files.aws.read_text().replace("[profile dev]", "[profile development]"))
    files.configure("prod", "--region", "eu-west-1")
    more = host("444455556666 eu-west-1")
    assert files.payers == {ONE: "dev", TWO: "prod", more: "prod"}


def test_regions_are_added_where_they_are_in_the_partition(files: Files) -> None:
    """A role in China has no registry in Ireland."""
    files.take("govcloud_and_china")
    files.configure("--region", "us-east-1", "--region", "cn-north-1")
    assert files.payers == {
        host("111122223333 us-gov-west-1"): "gov",
        host("444455556666 us-gov-west-1"): "gov-role",
        host("777788889999 cn-northwest-1"): "cn",
        host("777788889999 cn-north-1"): "cn",
        host("222233334444 eu-west-1"): "world",
        host("222233334444 us-east-1"): "world",
    }


OWN = """\
# Mine.
[[registry]]
match = "111122223333.dkr.ecr.*.amazonaws.com"  # all regions
profile = "mine"
"""


def test_an_entry_of_the_users_own_stays_and_decides(files: Files) -> None:
    """To the letter, before and after what is written between."""
    files.take("sso_session")
    files.settings.parent.mkdir(parents=True)
    files.settings.write_text(OWN)
    files.configure()
    assert files.settings.read_text().startswith(OWN)
    assert files.payers == {"111122223333.dkr.ecr.*.amazonaws.com": "mine", TWO: "prod"}
    assert files.helpers == [ONE, TWO]

    after = '\n[[registry]]\nmatch = "*.example.com"\nregistry = "public.ecr.aws"\nprofile = "x"\n'
    with files.settings.open("a") as file:
        file.write(after)
    files.configure("--region", "eu-west-1")
    text = files.settings.read_text()
    assert text.startswith(OWN)
    assert text.endswith(after)
    assert len(files.payers) == 4

    files.configure("--remove")
    assert files.settings.read_text() == OWN + after
    assert files.helpers == [ONE]  # by the user's own entry, which is not ours to take out


def test_remove_takes_out_what_was_written(files: Files) -> None:
    """All of it, or what a profile pays for; nothing else."""
    files.take("sso_session")
    files.helper.run("configure", "public.ecr.aws")
    files.configure()
    files.configure("dev", "--remove")
    assert (files.payers, files.helpers) == ({TWO: "prod"}, [TWO, "public.ecr.aws"])
    files.configure("--remove")
    assert (files.payers, files.helpers) == ({}, ["public.ecr.aws"])
    assert not files.settings.exists()


def test_a_dry_run_shows_both_diffs(files: Files) -> None:
    """And writes neither file."""
    files.take("sso_session")
    result = files.configure("--dry-run")
    assert f"--- {files.settings}\n+++ {files.settings}\n" in result.out
    assert f'+match = "{ONE}"\n+profile = "dev"\n' in result.out
    assert f"--- {files.docker}\n+++ {files.docker}\n" in result.out
    assert f'+\t\t"{ONE}": "ecr",\n' in result.out
    assert files.content == [None, None]
    files.configure()
    assert files.configure("--dry-run").out == "nothing would change\n"


# Both files or neither.


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("docker", "not JSON"),
        ("settings", "not TOML"),
    ],
)
def test_a_broken_file_leaves_both(files: Files, broken: str, said: str) -> None:
    """It is named, and the other is not written either."""
    files.take("sso_session")
    path = getattr(files, broken)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    before = files.content
    result = files.helper.run("configure", "--profiles")
    assert (result.status, result.stdout) == (1, b"")
    assert f"{path}: {said}" in result.err
    assert files.content == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('registry = [{ match = "a.example.com", registry = "public.ecr.aws" }]\n', "no place"),
        ("# What `configure --profiles` writes ends here.\n", "have lost an end"),
    ],
)
def test_a_settings_file_without_a_place_is_left(files: Files, text: str, said: str) -> None:
    """The user is told what to write otherwise."""
    files.take("sso_session")
    files.settings.parent.mkdir(parents=True)
    files.settings.write_text(text)
    result = files.helper.run("configure", "--profiles")
    assert (result.status, result.stdout) == (1, b"")
    assert said in result.err
    assert files.content == [None, text]


@pytest.mark.parametrize("old", [b"old", None])
def test_all_files_are_saved_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    """When the second one cannot be, the first is what it was."""
    first, second = tmp_path / "first", tmp_path / "second"
    changes = [saving.Change(str(first), old, b"new"), saving.Change(str(second), None, b"new")]
    if old:
        first.write_bytes(old)
    replace = os.replace

    def failing(source: str, target: str) -> None:
        if target == str(second):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(HelperError, match=f"cannot save {second}: No space left"):
        saving.edit(lambda: (changes, None))
    assert [path.name for path in tmp_path.iterdir()] == (["first"] if old else [])
    assert not old or first.read_bytes() == old


# Where there is nothing to go by.


def test_there_is_no_aws_config_file(files: Files) -> None:
    """The cause is one line, and what to do another."""
    result = files.helper.run("configure", "--profiles")
    assert (result.status, result.stdout) == (1, b"")
    assert result.err == (
        f"docker-credential-ecr: there are no profiles in {files.aws}\n"
        "hint: write some: aws configure sso; or name a HOST\n"
    )


def test_a_name_that_is_no_profile(files: Files) -> None:
    """The profiles that there are, are named."""
    files.take("sso_session")
    result = files.helper.run("configure", "--profiles", "dev", "stage*")
    assert (result.status, result.stdout) == (1, b"")
    assert result.err == (
        "docker-credential-ecr: the AWS config file has no profile stage*\n"
        "hint: it has default, dev, prod\n"
    )
    assert files.content == [None, None]


def test_an_aws_config_file_that_is_none(files: Files) -> None:
    """It is named."""
    files.aws.write_text("region = eu-west-1\n")
    result = files.helper.run("configure", "--profiles")
    assert (result.status, result.stdout) == (1, b"")
    assert result.err.startswith(f"docker-credential-ecr: {files.aws} cannot be read: ")

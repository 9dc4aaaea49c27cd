"""get-login-password: the token of a region, for the pipelines that log in by themselves."""

import pytest

from tests.aws.test_sources import HOST, NAME, config_profile, settings, without_keys, write_aws
from tests.loopback import ACCOUNT, USER_ARN, Fault, Loopback
from tests.support.entries import LIFE, rewrite
from tests.support.helper import Helper, Result
from tests.test_settings import ALICE, BOB, askers, profiles

COMMAND = "get-login-password"


def login(helper: Helper, *arguments: str, **env: str) -> Result:
    """Run the command; its stdin is a pipe that stays open."""
    return helper.run(COMMAND, *arguments, env=env, stdin=None)


def token_of(result: Result) -> str:
    """Return the token that the command printed, and nothing beside it."""
    assert (result.status, result.err) == (0, "")
    assert result.out.endswith("\n")
    assert result.out.count("\n") == 1
    return result.out[:-1]


def regions(aws: Loopback) -> list[str | None]:
    """Return the region of each call."""
    return [call.region for call in aws.calls]


def test_it_prints_the_token_of_a_region(helper: Helper, aws: Loopback) -> None:
    """The token and a line ending are on stdout, and the registries of the region take it."""
    token = token_of(login(helper, "--region", "us-west-2"))
    assert aws.accepts(f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com", "AWS", token)
    assert not aws.accepts(HOST, "AWS", token)


def test_it_prints_the_token_of_the_public_registry(helper: Helper, aws: Loopback) -> None:
    """With --public it is ECR Public's token, whatever region is configured."""
    token = token_of(login(helper, "--public", AWS_REGION="eu-west-1"))
    assert aws.accepts("public.ecr.aws", "AWS", token)
    assert [(call.service, call.region) for call in aws.calls] == [("ecr-public", "us-east-1")]


def test_the_printed_token_can_be_stored(helper: Helper, aws: Loopback) -> None:
    """The old pipeline into docker login works: what is printed is taken, and then served."""
    token = token_of(login(helper, "--region", "eu-west-1", AWS_ECR_DISABLE_CACHE="1"))
    assert helper.store(HOST, "AWS", token).status == 0
    assert helper.get(HOST).answer["Secret"] == token
    assert aws.count("ecr") == 1


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_past_half_its_life_the_token_is_renewed_or_still_good(
    share: float, helper: Helper, aws: Loopback
) -> None:
    """A login gets a token that lasts; while AWS cannot give one, the one at hand."""
    first = token_of(login(helper, "--region", "eu-west-1"))
    rewrite(helper.cache, age=share * LIFE)
    aws.faults["ecr"] = Fault("500")
    result = login(helper, "--region", "eu-west-1")
    assert (result.status, result.out) == (0, f"{first}\n")
    assert result.err.endswith("; the token in the cache is still valid\n")
    aws.faults.clear()
    assert token_of(login(helper, "--region", "eu-west-1")) != first


def test_what_aws_denies_is_not_printed(helper: Helper, aws: Loopback) -> None:
    """No token past half its life after AWS has denied, and none past its expiry."""
    token_of(login(helper, "--region", "eu-west-1"))
    rewrite(helper.cache, age=0.7 * LIFE)
    aws.faults["ecr"] = Fault("denied")
    denied = login(helper, "--region", "eu-west-1")
    assert (denied.status, denied.out) == (1, "")
    rewrite(helper.cache, age=1.1 * LIFE)
    aws.faults["ecr"], helper.env["AWS_ECR_TIMEOUT"] = Fault("500"), "2"
    dead = login(helper, "--region", "eu-west-1")
    assert (dead.status, dead.out) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "variables", "region"),
    [
        ((), {}, "eu-north-1"),
        ((), {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ((), {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "eu-west-3"}, "eu-west-3"),
        (("--region", "eu-west-1"), {"AWS_REGION": "eu-west-3"}, "eu-west-1"),
        (("--profile", "alice"), {}, "ap-south-1"),
        (("--profile", "alice"), {"AWS_PROFILE": "bob"}, "ap-south-1"),
        ((), {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "eu-north-1"),
        (("--region", ""), {"AWS_REGION": "eu-west-3"}, "eu-west-3"),
    ],
    ids=str,
)
def test_where_the_region_is_from(
    arguments: tuple[str, ...],
    variables: dict[str, str],
    region: str,
    helper: Helper,
    aws: Loopback,
) -> None:
    """The option goes before the variables, those before the profile, as in the AWS CLI."""
    profiles(helper, aws)
    config = helper.home / ".aws" / "config"
    text = config.read_text().replace("[profile alice]", "[profile alice]\nregion = ap-south-1")
    config.write_text(f"{text}\n[default]\nregion = eu-north-1\n")
    token_of(login(helper, *arguments, **variables))
    assert regions(aws) == [region]


def failed(result: Result) -> str:
    """Return what a failed run says on stderr."""
    assert (result.status, result.out) == (1, "")
    return result.err


def test_no_region_is_a_clear_error(helper: Helper, aws: Loopback) -> None:
    """Where no region is named anywhere, the error says how to name one, and nothing is asked."""
    assert failed(login(helper)) == (
        f"{NAME}: no region: the AWS settings name none\nhint: give --region, or set AWS_REGION\n"
    )
    assert not aws.calls


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ("option", "../../../tmp/x"),
        ("option", "eu-west-1.example.com"),
        ("option", "EU-WEST-1"),
        ("option", "eu west 1"),
        ("option", "a\nb"),
        ("option", "-"),
        ("option", "é"),
        ("variable", "../x"),
        ("profile", "../x"),
    ],
)
def test_what_is_no_region_is_refused(
    place: str, region: str, helper: Helper, aws: Loopback
) -> None:
    """What is no region is neither asked nor made a file name of, wherever it is from."""
    write_aws(helper, "config", "[default]", "region = ../x" if place == "profile" else "")
    before = helper.files()
    if place == "option":
        result = login(helper, f"--region={region}")
    else:
        result = login(helper, **({"AWS_REGION": region} if place == "variable" else {}))
    assert failed(result) == (
        f"{NAME}: {region!r} is no AWS region\nhint: name one such as eu-west-1\n"
    )
    assert helper.files() == before
    assert not aws.calls


def test_errors_are_on_stderr(helper: Helper) -> None:
    """A pipeline into docker login gets nothing on stdin where there is no token."""
    assert failed(login(helper, "--region", "eu-west-1", "--profile", "nobody")) == (
        f"{NAME}: the AWS profile nobody does not exist\n"
        "hint: name a profile that is in the AWS config file: `aws configure list-profiles` lists "
        "them\n"
    )
    without_keys(helper)
    told = failed(login(helper, "--region", "eu-west-1"))
    assert told.startswith(f"{NAME}: no AWS credentials found\nhint: ")
    assert told.count("\n") == 2


def test_an_unknown_profile_without_a_region_is_told(helper: Helper) -> None:
    """Looking for the region in a profile that is not there ends in the same clear error."""
    told = failed(login(helper, "--profile", "nobody"))
    assert told.startswith(f"{NAME}: the AWS profile nobody does not exist\nhint: ")


@pytest.mark.parametrize(
    "arguments", [("--regio",), ("--region",), ("--nonsense",), ("extra",), ("--public", "x")]
)
def test_a_wrong_use_is_told(arguments: tuple[str, ...], helper: Helper, aws: Loopback) -> None:
    """A wrong use ends with status 2 and the usage on stderr."""
    result = login(helper, *arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"usage: {NAME} ")
    assert ": error: " in result.err
    assert not aws.calls


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_on_stdout(option: str, helper: Helper, aws: Loopback) -> None:
    """Help is an answer: it is on stdout, and the status is 0."""
    result = login(helper, option)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"usage: {NAME} {COMMAND} [-h]")
    for word in ("--region", "--profile", "--public"):
        assert word in result.out
    assert not aws.calls


def test_it_goes_by_the_name_it_is_called_by(helper: Helper) -> None:
    """Usage and errors name the program as it was called."""
    result = helper.run(COMMAND, "--help", argv0="docker-credential-ecr-login")
    assert result.out.startswith(f"usage: docker-credential-ecr-login {COMMAND}")
    result = helper.run(COMMAND, argv0="docker-credential-ecr-login")
    assert result.err.startswith("docker-credential-ecr-login: no region")


# The cache


@pytest.mark.parametrize("arguments", [("--region", "eu-west-1"), ("--public",)])
def test_it_is_cached(arguments: tuple[str, ...], helper: Helper, aws: Loopback) -> None:
    """Two runs print one token, and make one call."""
    tokens = {token_of(login(helper, *arguments)) for _ in range(2)}
    assert len(tokens) == len(aws.calls) == 1


def test_it_shares_the_cache_with_get(helper: Helper, aws: Loopback) -> None:
    """What one of the two has asked for serves the other, in the same region and in both orders."""
    first = token_of(login(helper, "--region", "eu-west-1"))
    assert helper.get(HOST).answer["Secret"] == first
    second = helper.get(HOST.replace("eu-west-1", "us-west-2")).answer["Secret"]
    assert token_of(login(helper, "--region", "us-west-2")) == second
    public = token_of(login(helper, "--public"))
    assert helper.get("public.ecr.aws").answer["Secret"] == public
    assert regions(aws) == ["eu-west-1", "us-west-2", "us-east-1"]


def test_it_shares_the_cache_with_an_entry_of_the_settings_file(
    helper: Helper, aws: Loopback
) -> None:
    """A profile of the settings file and the same one as an option are one identity."""
    profiles(helper, aws)
    settings(helper, "[[registry]]", 'match = "*"', 'profile = "alice"')
    token = helper.get(HOST).answer["Secret"]
    assert token_of(login(helper, "--region", "eu-west-1", "--profile", "alice")) == token
    assert askers(aws) == [ALICE]


def test_profiles_never_share(helper: Helper, aws: Loopback) -> None:
    """Each profile has a token of its own, and so has the identity without one."""
    profiles(helper, aws)
    for _ in range(2):
        for arguments, owner in (
            (("--profile", "alice"), ALICE),
            (("--profile", "bob"), BOB),
            ((), USER_ARN),
        ):
            token = token_of(login(helper, "--region", "eu-west-1", *arguments))
            assert aws.issued[token].principal == owner
    assert askers(aws) == [ALICE, BOB, USER_ARN]


def test_it_keeps_nothing_under_a_host(helper: Helper, aws: Loopback) -> None:
    """The command is asked for no host, so none is listed."""
    config_profile(helper, aws)
    token_of(login(helper, "--region", "eu-west-1"))
    assert helper.run("list").out == "{}\n"

"""Retries, endpoints and NO_PROXY: the settings of botocore keep their meaning."""

import pytest

from tests.aws.failures import (
    NOBODY,
    PROXIED,
)
from tests.aws.test_sources import (
    HOST,
    write_aws,
)
from tests.loopback import (
    Fault,
    Loopback,
)
from tests.support.helper import Helper


@pytest.mark.parametrize(
    ("variables", "calls"),
    [
        ({"AWS_MAX_ATTEMPTS": "2"}, 2),
        ({"AWS_MAX_ATTEMPTS": "1"}, 1),
        ({"AWS_RETRY_MODE": "standard"}, 3),
        ({"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "4"}, 4),
    ],
    ids=str,
)
def test_attempts_keep_their_meaning(
    variables: dict[str, str], calls: int, helper: Helper, aws: Loopback
) -> None:
    """A number of attempts, or a retry mode, is the user's word in place of our patience."""
    aws.faults["ecr"] = Fault("500")
    result = helper.get(HOST, env=variables)
    assert result.status == 1
    assert aws.count("ecr") == calls
    assert (f"(tried {calls} times in" in result.out) == (calls > 1)


@pytest.mark.parametrize("mode", ["standard", "legacy", "adaptive"])
@pytest.mark.parametrize("place", ["variable", "profile"])
def test_retry_modes_keep_their_meaning(
    mode: str, place: str, helper: Helper, aws: Loopback
) -> None:
    """The mode that a setting names is the one that botocore retries in, as it tells AWS."""
    if place == "profile":
        write_aws(helper, "config", "[default]", f"retry_mode = {mode}")
    else:
        helper.env["AWS_RETRY_MODE"] = mode
    assert helper.get(HOST).status == 0
    assert f"cfg/retry-mode#{mode}" in aws.calls[0].user_agent


def test_retries_of_the_profile_keep_their_meaning(helper: Helper, aws: Loopback) -> None:
    """What the AWS config file says of retries counts, as it does for botocore."""
    write_aws(helper, "config", "[default]", "max_attempts = 2", "retry_mode = standard")
    aws.faults["ecr"] = Fault("500")
    assert helper.get(HOST).status == 1
    assert aws.count("ecr") == 2


def test_a_passing_trouble_is_passed(helper: Helper, aws: Loopback) -> None:
    """A call that fails once is repeated, and the user is told nothing."""
    aws.faults["ecr"] = Fault("500", times=1)
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, "api.ecr.us-west-2.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "api.ecr-fips.us-west-2.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "ecr.us-west-2.api.aws"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "ecr-fips.us-west-2.api.aws",
        ),
    ],
    ids=str,
)
def test_the_variables_of_endpoints_keep_their_meaning(
    variables: dict[str, str], endpoint: str, helper: Helper, aws: Loopback
) -> None:
    """A plain host name leaves FIPS and dual stack to the user's own settings."""
    result = helper.get(PROXIED, env=helper.proxy | variables)
    assert (result.status, result.err) == (0, "")
    assert aws.connects == [endpoint]


def test_no_proxy_keeps_its_meaning(helper: Helper, aws: Loopback) -> None:
    """NO_PROXY bypasses a proxy that would refuse."""
    helper.env |= {"HTTP_PROXY": NOBODY, "AWS_MAX_ATTEMPTS": "1"}
    assert helper.get(HOST).status == 1
    assert helper.get(HOST, env={"NO_PROXY": "127.0.0.1"}).status == 0
    assert aws.count("ecr") == 1

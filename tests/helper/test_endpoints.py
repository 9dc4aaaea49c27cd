"""Which AWS endpoint `get` calls for a host, in which region."""

import pytest

from ecr_credential_helper import __version__
from tests.loopback import ACCOUNT, Loopback
from tests.support.answers import (
    PRIVATE,
    PUBLIC,
    assert_answered,
)
from tests.support.helper import Helper


@pytest.mark.parametrize(
    ("server_url", "service", "region"),
    [
        (PRIVATE, "ecr", "eu-west-1"),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr", "cn-north-1"),
        (f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu", "ecr", "eusc-de-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov", "ecr", "us-iso-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "ecr", "us-isob-east-1"),
        (f"{ACCOUNT}.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "ecr", "eu-isoe-west-1"),
        (f"{ACCOUNT}.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "ecr", "us-isof-south-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr", "us-gov-west-1"),
        (f"{ACCOUNT}.dkr-ecr.us-east-2.on.aws", "ecr", "us-east-2"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws", "ecr", "us-west-2"),
        (
            f"{ACCOUNT}.dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn",
            "ecr",
            "cn-northwest-1",
        ),
        (f"{ACCOUNT}.dkr-ecr.us-east-1.amazonaws.com", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-east-1.amazonaws.com", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr.ecr.us-east-1.on.aws", "ecr", "us-east-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.on.aws", "ecr", "us-east-1"),
        ("444455556666.dkr.ecr.ap-south-1.amazonaws.com", "ecr", "ap-south-1"),
        (PRIVATE.upper(), "ecr", "eu-west-1"),
        (f"{PRIVATE}.", "ecr", "eu-west-1"),
        (f"{PRIVATE}:443", "ecr", "eu-west-1"),
        (f"http://{PRIVATE}", "ecr", "eu-west-1"),
        (f"hTTpS://{PRIVATE}:8443/team/app", "ecr", "eu-west-1"),
        (PUBLIC, "ecr-public", "us-east-1"),
        ("ecr-public.aws.com", "ecr-public", "us-east-1"),
        (f"https://{PUBLIC.upper()}.:443/docker/library/alpine", "ecr-public", "us-east-1"),
    ],
)
def test_each_kind_of_host_is_asked_of_its_service_in_its_region(
    helper: Helper, aws: Loopback, server_url: str, service: str, region: str
) -> None:
    """One signed call goes out, for the host's own region, by us, and without registryIds."""
    elsewhere = {"AWS_REGION": "sa-east-1", "AWS_DEFAULT_REGION": "sa-east-1"}
    assert_answered(helper.get(server_url, env=elsewhere), server_url, aws)
    (call,) = aws.calls
    assert (call.service, call.operation, call.region) == (service, "GetAuthorizationToken", region)
    assert call.principal is not None
    assert call.body == {}
    assert f"ecr-credential-helper/{__version__}" in call.user_agent.split()


@pytest.mark.parametrize(
    ("server_url", "endpoint"),
    [
        ("dkr.ecr.us-west-2.amazonaws.com", "api.ecr.us-west-2.amazonaws.com"),
        ("dkr.ecr-fips.us-west-2.amazonaws.com", "api.ecr-fips.us-west-2.amazonaws.com"),
        ("dkr-ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
        ("dkr-ecr-fips.us-west-2.on.aws", "ecr-fips.us-west-2.api.aws"),
        ("dkr-ecr-fips.us-west-2.amazonaws.com", "api.ecr-fips.us-west-2.amazonaws.com"),
        ("dkr.ecr.us-west-2.on.aws", "ecr.us-west-2.api.aws"),
        ("dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
        (
            "dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
            "ecr.cn-north-1.api.amazonwebservices.com.cn",
        ),
        ("dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("dkr.ecr.us-iso-east-1.c2s.ic.gov", "api.ecr.us-iso-east-1.c2s.ic.gov"),
        ("dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
        ("dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "api.ecr.us-isof-south-1.csp.hci.ic.gov"),
    ],
)
def test_a_private_host_is_asked_of_the_endpoint_that_its_name_asks_for(
    helper: Helper, aws: Loopback, server_url: str, endpoint: str
) -> None:
    """FIPS and dual stack in the host's name are FIPS and dual stack in the API's, over TLS."""
    server_url = f"{ACCOUNT}.{server_url}"
    assert_answered(helper.get(server_url, env=helper.proxy), server_url, aws)
    assert aws.connects == [endpoint]
    assert [call.host for call in aws.calls] == [endpoint]


@pytest.mark.parametrize("host", [PUBLIC, "ecr-public.aws.com"])
def test_a_public_host_is_asked_of_ecr_public_in_us_east_1(
    helper: Helper, aws: Loopback, host: str
) -> None:
    """Both public names share the one endpoint of ECR Public, over TLS."""
    assert_answered(helper.get(host, env=helper.proxy), host, aws)
    assert [call.host for call in aws.calls] == ["api.ecr-public.us-east-1.amazonaws.com"]


def test_the_users_own_endpoint_settings_keep_their_meaning(helper: Helper, aws: Loopback) -> None:
    """AWS_USE_FIPS_ENDPOINT sends a plain host to the FIPS endpoint, as in every AWS client."""
    server_url = f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com"
    env = helper.proxy | {"AWS_USE_FIPS_ENDPOINT": "true"}
    assert_answered(helper.get(server_url, env=env), server_url, aws)
    assert [call.host for call in aws.calls] == ["api.ecr-fips.us-west-2.amazonaws.com"]


@pytest.mark.parametrize(
    ("host", "variable"),
    [(PRIVATE, "AWS_ENDPOINT_URL_ECR"), (PUBLIC, "AWS_ENDPOINT_URL_ECR_PUBLIC")],
)
def test_an_endpoint_for_one_service_goes_before_the_general_one(
    helper: Helper, aws: Loopback, refusing: str, host: str, variable: str
) -> None:
    """AWS_ENDPOINT_URL_<SERVICE> is asked, and not AWS_ENDPOINT_URL."""
    env = {"AWS_ENDPOINT_URL": refusing, variable: aws.url}
    assert_answered(helper.get(host, env=env), host, aws)


def test_an_empty_variable_counts_as_unset(helper: Helper, aws: Loopback) -> None:
    """Compose files and CI set unknown variables to empty strings, which count as unset."""
    names = (
        *("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_REGION", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_ECR", "AWS_MAX_ATTEMPTS"),
        *("AWS_RETRY_MODE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
        *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        *("AWS_ECR_TIMEOUT", "AWS_ECR_LOG_FILE", "AWS_ECR_CONFIG_FILE", "HTTPS_PROXY"),
    )
    assert_answered(helper.get(PRIVATE, env=dict.fromkeys(names, "")), PRIVATE, aws)

"""Quotas: how many calls a service answers before it throttles, and how it recovers."""

import time

import pytest

from tests.loopback import Fault, Loopback, Quota

from .clients import ask, ask_at_once, client, error_of, login

THROTTLED = ("ThrottlingException", "Rate exceeded", 400)


def test_a_bucket_fills_at_its_rate() -> None:
    """It begins full, holds no more than its burst, and a call without a token costs nothing."""
    quota = Quota(rate=4, burst=2)
    assert [quota.take(1000) for _ in range(3)] == [True, True, False]
    assert [quota.take(now) for now in (1000.125, 1000.25, 1000.25)] == [False, True, False]
    assert [quota.take(2000) for _ in range(3)] == [True, True, False]
    once = Quota(rate=0, burst=1)
    assert [once.take(now) for now in (0, 1000)] == [True, False]


@pytest.mark.parametrize(("rate", "burst"), [(-1, 4), (4, 0), (4, 0.5)])
def test_a_bucket_without_a_token_is_a_mistake(rate: float, burst: float) -> None:
    """It fails where it is written."""
    with pytest.raises(ValueError, match="not a quota: "):
        Quota(rate=rate, burst=burst)


def test_a_call_above_the_quota_is_throttled(user: Loopback) -> None:
    """The error is the fault's, the call is counted, and other services have their own quotas."""
    ecr, sts = client("ecr"), client("sts")
    user.faults["*"] = Fault("throttled", times=2)
    expected = [error_of(call) for call in (ecr.get_authorization_token, sts.get_caller_identity)]
    user.quotas = {"ecr": Quota(rate=0, burst=2), "sts": Quota(rate=0, burst=1)}
    for _ in range(2):
        assert login(ecr.get_authorization_token())[0] == "AWS"
    sts.get_caller_identity()
    answers = [error_of(call) for call in (ecr.get_authorization_token, sts.get_caller_identity)]
    assert answers == expected
    assert answers[0] == THROTTLED
    assert (user.count("ecr"), user.count("sts")) == (4, 3)
    assert len(user.issued) == 2


def test_the_most_particular_quota_counts(user: Loopback) -> None:
    """The quota of an operation leaves that of all services as it was."""
    user.quotas = {"ecr.GetAuthorizationToken": Quota(0, 1), "*": Quota(0, 1)}
    ecr, sts = client("ecr"), client("sts")
    ecr.get_authorization_token()
    assert error_of(ecr.get_authorization_token) == THROTTLED
    sts.get_caller_identity()
    assert error_of(sts.get_caller_identity)[0] == "Throttling"


@pytest.mark.parametrize("kind", ["500", "html", "no-token"])
def test_a_fault_takes_no_token(user: Loopback, kind: str) -> None:
    """A fault comes first, and what it hits does not count against the quota."""
    user.faults["ecr"] = Fault(kind, times=2, status=200)
    user.quotas["ecr"] = Quota(rate=0, burst=1)
    ecr = client("ecr")
    for _ in range(2):
        if kind == "500":
            assert error_of(ecr.get_authorization_token)[2] == 500
        else:
            ecr.get_authorization_token()
    assert login(ecr.get_authorization_token())[0] == "AWS"
    assert error_of(ecr.get_authorization_token) == THROTTLED


def test_a_refused_request_takes_a_token(user: Loopback) -> None:
    """A request is counted before it is looked at: without a signature it takes one as well."""
    user.quotas["ecr"] = Quota(rate=0, burst=1)
    headers = {"X_Amz_Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}
    assert b"MissingAuthentication" in ask(user, "POST", "/", "{}", **headers)[1]
    assert error_of(client("ecr").get_authorization_token) == THROTTLED


def test_a_service_recovers_at_its_rate(user: Loopback) -> None:
    """The server's own clock fills the bucket: waiting helps."""
    user.quotas["ecr"] = Quota(rate=0, burst=1)
    ecr = client("ecr")
    ecr.get_authorization_token()
    assert error_of(ecr.get_authorization_token) == THROTTLED
    user.quotas["ecr"].rate = 20
    time.sleep(0.1)
    assert login(ecr.get_authorization_token())[0] == "AWS"


def test_calls_at_once_take_a_token_each(aws: Loopback) -> None:
    """No token is given twice."""
    aws.quotas["imds"] = Quota(rate=0, burst=20)
    bodies = [body for _, body in ask_at_once(aws, 60, "PUT", "/latest/api/token")]
    assert bodies.count(b"Rate exceeded") == 40
    assert aws.count("imds") == 60

"""The HTTPS proxy: tunnels that end at the stand-in, whatever host is asked for."""

import http.client
import os
import ssl

import pytest
from botocore.exceptions import BotoCoreError

from tests.loopback import Loopback

from .clients import REGION, client, error_of

ENDPOINTS = (
    "api.ecr.us-west-2.amazonaws.com",
    "api.ecr-fips.us-west-2.amazonaws.com",
    "ecr.us-west-2.api.aws",
)


@pytest.fixture
def proxy(trusted: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """Serve as a trusted HTTPS proxy, with no endpoint set."""
    monkeypatch.setenv("HTTPS_PROXY", trusted.url)
    return trusted


@pytest.mark.parametrize(
    ("settings", "host"),
    list(
        zip(
            ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}),
            ENDPOINTS,
            strict=True,
        )
    ),
)
def test_a_proxied_call_shows_its_host(
    proxy: Loopback, settings: dict[str, bool], host: str
) -> None:
    """The name asked for is recorded, and one tunnel carries several calls."""
    ecr = client("ecr", "us-west-2", **settings)
    ecr.get_authorization_token()
    ecr.get_authorization_token()
    assert [call.host for call in proxy.calls] == [host, host]
    assert proxy.connects == [host]


def test_a_proxied_host_takes_its_own_region_only(proxy: Loopback) -> None:
    """A credential scope for another region than the host's is refused."""
    ecr = client("ecr", "us-west-2")
    ecr.meta.events.register(
        "choose-signer.ecr.*", lambda context, **_: context.update(signing={"region": "eu-west-1"})
    )
    assert error_of(ecr.get_authorization_token)[0] == "InvalidSignatureException"
    assert proxy.count("ecr") == 1


def test_a_tunnel_has_one_name(proxy: Loopback) -> None:
    """What the Host header says inside the tunnel does not rename the host."""
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=5, context=trust)
    connection.set_tunnel(ENDPOINTS[0], 443)
    connection.request("GET", "/anything", headers={"Host": "other.example.com"})
    assert connection.getresponse().status == 404
    connection.close()
    assert proxy.calls[0].host == ENDPOINTS[0]


def test_without_a_certificate_nothing_is_tunnelled(
    user: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt is recorded all the same."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("HTTPS_PROXY", user.url)
    with pytest.raises(BotoCoreError):
        client("ecr").get_authorization_token()
    assert user.connects == [f"api.ecr.{REGION}.amazonaws.com"]
    assert user.calls == []

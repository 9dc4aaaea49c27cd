"""Each source of credentials that is measured leads to a token, over plain HTTP and over TLS."""

import pytest

from .sources import SOURCES, workspace
from .workspace import EXECUTABLE


@pytest.mark.needs("Linux")
@pytest.mark.parametrize("source", SOURCES)
def test_a_source_leads_to_a_token(source: str) -> None:
    """A failure would have no cost, and the benchmark would say no more than that."""
    with workspace(source, tls=True) as here:
        here.run(here.get("under TLS", program=here.trusting(EXECUTABLE), cold=True))
        here.env["AWS_ENDPOINT_URL"] = here.aws.url
        here.run(here.get("plain", cold=True))
        assert here.aws.count("ecr") == 2

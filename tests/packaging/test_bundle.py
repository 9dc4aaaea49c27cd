"""What is taken out of the libraries in the packages, and that nobody misses it."""

import json
import shutil
from pathlib import Path
from typing import Any

import botocore
import bundle
from botocore.regions import EndpointResolver

LIST = Path("botocore/data/endpoints.json")


def trimmed(directory: Path) -> Any:
    """Return botocore's list of endpoints as it is packaged."""
    (directory / LIST).parent.mkdir(parents=True)
    shutil.copyfile(Path(botocore.__file__).parent.parent / LIST, directory / LIST)
    bundle.trim_endpoints(directory)
    return json.loads((directory / LIST).read_text())


def test_the_endpoints_of_what_is_called_are_the_same(tmp_path: Path) -> None:
    """In every region, with FIPS and dual stack and without; and the list is a small one."""
    document, services = trimmed(tmp_path), (*bundle.SERVICES, *bundle.PREFIXES)
    whole = json.loads((Path(botocore.__file__).parent.parent / LIST).read_text())
    assert (tmp_path / LIST).stat().st_size < 100_000
    one, other = EndpointResolver(document), EndpointResolver(whole)
    for partition in whole["partitions"]:
        for region in partition["regions"]:
            for service in services:
                for variants in ({}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}):
                    assert outcome(one, service, region, variants) == outcome(
                        other, service, region, variants
                    )


def outcome(resolver: Any, service: str, region: str, variants: dict[str, bool]) -> Any:
    """Return the endpoint, or why there is none."""
    try:
        return resolver.construct_endpoint(service, region, **variants)
    except Exception as error:  # noqa: BLE001 - botocore's own words are compared
        return repr(error)

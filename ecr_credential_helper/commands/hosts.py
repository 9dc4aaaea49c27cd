"""The registries that are named on the command line, in config.json and in AWS's settings."""

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import host_of, registry_of
from ecr_credential_helper.settings import Target, target_of

# By the beginning of a region's name: its partition, and the suffix of the hosts in it.
_PARTITIONS = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
}


def target_named(server_url: str) -> Target:
    """Return the target for a registry that the user named.

    Raises HelperError if it is not ECR, or on a mistake in the settings file.
    """
    host = host_of(server_url)
    target = target_of(host) if host else None
    if target is None:
        raise HelperError(
            f"{server_url!r} is no host of Amazon ECR",
            "a host is like 111122223333.dkr.ecr.eu-west-1.amazonaws.com or public.ecr.aws; "
            "a name of your own has to be in the settings file",
        )
    return target


def address_of(server_url: str) -> str | None:
    """Return the host of `server_url`, with its port where it is not the usual one of HTTPS.

    Docker tells registries apart by it, whatever else is in the URL. None means that there is no
    host.
    """
    host = host_of(server_url)
    if host is None:
        return None
    _, _, rest = server_url.rpartition("://")
    port = rest.partition("/")[0].partition(":")[2]
    return f"{host}:{port}" if port not in ("", "443") else host


def host_in(account: str, region: str) -> str:
    """Return the host of an account's registry in a region. Raises HelperError."""
    _, suffix = _partition(region)
    host = f"{account}.dkr.ecr.{region}.{suffix}"
    if host != host_of(host) or registry_of(host) is None:
        raise HelperError(
            f"account {account} and region {region} make no registry",
            "an account has twelve digits, a region is like eu-west-1",
        )
    return host


def partition_of(region: str) -> str:
    """Return the partition of a region, as an ARN names it."""
    return _partition(region)[0]


def _partition(region: str) -> tuple[str, str]:
    found = (known for start, known in _PARTITIONS.items() if region.startswith(start))
    return next(found, ("aws", "amazonaws.com"))

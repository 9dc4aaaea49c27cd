"""The registries that are named on the command line and in config.json."""

from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import host_of
from ecr_credential_helper.settings import Target, target_of


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

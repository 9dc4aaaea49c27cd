"""Names of registries: which tokens a registry accepts, and the URL of an account's registry."""

import re

PRIVATE_HOST = re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\..+")
PUBLIC_HOSTS = frozenset({"public.ecr.aws", "ecr-public.aws.com"})


def registry_scope(host: str) -> tuple[str, str | None] | None:
    """Return the service and region whose tokens a registry takes (None: any region)."""
    name = host.partition(":")[0].rstrip(".").lower()
    if name in PUBLIC_HOSTS:
        return "ecr-public", None
    match = PRIVATE_HOST.fullmatch(name)
    return ("ecr", match[1]) if match else None


def registry_url(account: str, region: str) -> str:
    """Return the address of an account's registry."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{account}.dkr.ecr.{region}.{suffix}"

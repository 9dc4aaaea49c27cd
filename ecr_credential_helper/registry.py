"""Which hosts are ECR, and what each host name says about its registry.

The whole host is matched, in ASCII, against the names that AWS documents (Amazon ECR user guide,
"Private registry endpoints" and "Amazon ECR endpoints and quotas"). Anything else gets no token.
"""

_DIGITS = "0123456789"
_LABEL = "abcdefghijklmnopqrstuvwxyz0123456789-"

_SUFFIXES = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
)
_DUAL_STACK_SUFFIXES = ("on.aws", "on.amazonwebservices.com.cn")
_PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")
PUBLIC_REGION = "us-east-1"


class Registry:
    """One registry of Amazon ECR, as its host name describes it.

    `host` is in lower case, without port and trailing dot. `account` is twelve digits, or empty for
    ECR Public. `service` is the AWS service to ask, "ecr" or "ecr-public", in `region`, at its FIPS
    endpoint if `fips` and its dual-stack endpoint if `dual_stack`.
    """

    __slots__ = ("account", "dual_stack", "fips", "host", "region", "service")

    def __init__(  # noqa: PLR0913 - one argument for each thing a host name says
        self,
        host: str,
        *,
        account: str = "",
        service: str = "ecr",
        region: str,
        fips: bool = False,
        dual_stack: bool = False,
    ) -> None:
        self.host = host
        self.account = account
        self.service = service
        self.region = region
        self.fips = fips
        self.dual_stack = dual_stack

    @property
    def public(self) -> bool:
        """Whether this is ECR Public, whose images anybody may pull without credentials."""
        return self.service == "ecr-public"

    def called(self, host: str) -> "Registry":
        """Return this registry under another name: `host`, the user's own name for it."""
        return Registry(
            host,
            account=self.account,
            service=self.service,
            region=self.region,
            fips=self.fips,
            dual_stack=self.dual_stack,
        )

    @property
    def scope(self) -> str:
        """The name of what one token is valid for: all registries of a region, at one endpoint.

        It has an underscore, so that it never equals a host name.
        """
        fips = "-fips" if self.fips else ""
        dual_stack = "-dual-stack" if self.dual_stack else ""
        return f"{self.service}{fips}{dual_stack}_{self.region}"


def host_of(server_url: str) -> str | None:
    """Return the host that `server_url` names: lower case, without port and trailing dot.

    A server URL is `[scheme://]host[:port][/path]` with scheme http or https. Anything else gives
    None, and so do userinfo, a backslash, a control or unprintable character, and a host that is
    not made of DNS labels: two parsers could read such a text as two different hosts.
    """
    if not server_url.isprintable() or "@" in server_url or "\\" in server_url:
        return None
    scheme, mark, rest = server_url.partition("://")
    if not mark or "/" in scheme:  # there is no scheme, or "://" is part of the path
        rest = server_url
    elif scheme.lower() not in ("http", "https"):
        return None
    host, colon, port = rest.partition("/")[0].partition(":")
    if colon and not _is_port(port):
        return None
    if not host.isascii():
        return None
    host = host.lower().removesuffix(".")
    if len(host) > 253 or not all(map(_is_label, host.split("."))):  # noqa: PLR2004 - RFC 1035
        return None
    return host


def registry_of(host: str) -> Registry | None:
    """Return the ECR registry behind `host` (as `host_of` gives it), None if it is not ECR."""
    if host in _PUBLIC_HOSTS:
        return Registry(host, service="ecr-public", region=PUBLIC_REGION)
    account, _, rest = host.partition(".")
    if len(account) != 12 or account.strip(_DIGITS):  # noqa: PLR2004 - an AWS account id
        return None
    if not rest.startswith(("dkr.ecr", "dkr-ecr")):
        return None
    rest = rest[len("dkr.ecr") :]
    fips = rest.startswith("-fips.")
    region, _, suffix = rest[len("-fips.") if fips else len(".") :].partition(".")
    if not (fips or rest.startswith(".")) or not region.strip(_DIGITS):
        return None
    dual_stack = suffix in _DUAL_STACK_SUFFIXES
    if not dual_stack and suffix not in _SUFFIXES:
        return None
    return Registry(host, account=account, region=region, fips=fips, dual_stack=dual_stack)


def _is_port(text: str) -> bool:
    return 0 < len(text) <= 5 and not text.strip(_DIGITS) and int(text) < 1 << 16  # noqa: PLR2004


def _is_label(text: str) -> bool:
    """Whether `text` is one label of a host name (RFC 1123)."""
    return 0 < len(text) <= 63 and not text.strip(_LABEL) and text[0] != "-" != text[-1]  # noqa: PLR2004

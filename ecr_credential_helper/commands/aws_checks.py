"""Checks for what commonly keeps this helper from getting a token from AWS, each with its fix.

They use boto3, which `get` does not. boto3 and botocore are imported only where they are used, so
that help and completions do not need them. Each check that asks AWS may take as long as a `get`.
"""

import base64
import ipaddress
import os
import socket
import ssl
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import Denied, HelperError, NoAWSCredentials, in_container
from ecr_credential_helper.protocol import USERNAME
from ecr_credential_helper.registry import Registry, host_of
from ecr_credential_helper.settings import Role, Target, target_of
from ecr_credential_helper.system.deadline import Deadline
from ecr_credential_helper.system.log import redacted
from ecr_credential_helper.verbs import SHORT_PATIENCE

from .docker_checks import FAIL, PASS, WARN, Case, Finding
from .hosts import host_in
from .screen import duration

# Where distributions keep them, as Go's crypto/x509 looks for them, and so Docker.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux, Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and newer
    "/etc/ssl/cert.pem",  # Alpine
)
_TIMEOUT = 5.0
_SKEW = 60.0
_TOO_MUCH_SKEW = 240.0  # AWS refuses a signature that is five minutes off
_SEE_STS = "see it fail by itself: aws sts get-caller-identity"
# The networks of a VPC, where the addresses of its endpoints are (RFC 1918, 6598 and 4193).
_VPC = [
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_METADATA = "http://169.254.169.254"


def private_link(case: Case) -> Finding | None:
    """Check whether AWS is reached by endpoints of a VPC, which do not serve names in on.aws."""
    if case.target is None or not case.target.registry.dual_stack or not case.server_url:
        return None
    registry = case.target.registry
    plain = host_in(registry.account, registry.region)
    try:
        found = socket.getaddrinfo(plain, 443, type=socket.SOCK_STREAM)
    except OSError:  # a name that does not resolve is what a later check finds
        return None
    addresses = [ipaddress.ip_address(str(at[4][0]).partition("%")[0]) for at in found]
    private = [address for address in addresses if any(address in network for network in _VPC)]
    if not private:
        return Finding("PrivateLink", PASS, f"{plain} is not behind a VPC endpoint")
    return Finding(
        "PrivateLink",
        WARN,
        f"{plain} is {private[0]}, a VPC endpoint; there is none that serves on.aws names, so that "
        "these need the internet",
        f"pull from {plain}, which is the same registry",
    )


def credentials(case: Case) -> Finding:
    """Look for AWS credentials, as `get` does."""
    import boto3  # type: ignore[import-untyped]

    from ecr_credential_helper.aws import ecr
    from ecr_credential_helper.aws.error_messages import explain

    try:
        case.target = _chosen_target(case) or Target(Registry("", region=""))
        request = TokenRequest(case.target, Deadline(patience=SHORT_PATIENCE))
    except HelperError as error:
        return Finding("credentials", FAIL, error.message, error.hint)

    def look() -> Any:
        with ecr.quiet():
            session = ecr.session_for(request)
            ecr.found_by(session, request)
        return boto3.Session(botocore_session=session)

    try:
        case.session = request.deadline.wait_for(look, lambda: request.overdue)
    except Exception as error:  # noqa: BLE001 - each is put into words
        explained = explain(error, request)
        if isinstance(explained, NoAWSCredentials):
            return _nothing_found(case)
        return Finding("credentials", FAIL, explained.message, explained.hint or _SEE_STS)
    case.request = request
    return Finding("credentials", PASS, request.who)


def _chosen_target(case: Case) -> Target | None:
    """Return the target for the host in question, else for the first host that is configured."""
    if case.target is None:
        for name in case.hosts:
            address = host_of(name)
            target = target_of(address) if address else None
            if target:
                return target
    return case.target


def _nothing_found(case: Case) -> Finding:
    public = case.target is not None and case.target.registry.public
    return Finding(
        "credentials",
        WARN if public else FAIL,
        "no AWS credentials found" + ("; public images are pulled anonymously" if public else ""),
        "log in (`aws sso login`, `aws configure`), set AWS_PROFILE, or attach a role",
    )


def metadata(case: Case) -> Finding | None:
    """Check, in a container without credentials, whether the instance's metadata can be reached."""
    contained = os.environ.get("container") or in_container()  # noqa: SIM112 - its name
    if case.request or not contained or os.environ.get("AWS_EC2_METADATA_DISABLED") == "true":
        return None
    address = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA
    request = urllib.request.Request(  # noqa: S310 - the metadata service speaks http only
        f"{address.rstrip('/')}/latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "21600"},
    )
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        direct.open(request, timeout=1).close()
    except (OSError, ValueError):
        return Finding(
            "metadata",
            WARN,
            "this is a container, and the instance's metadata service does not answer it: with a "
            "hop limit of 1 it answers the instance only",
            "on EC2: aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 "
            "--instance-id ID; on EKS, give the pod a role of its own",
        )
    return Finding("metadata", PASS, "this container reaches the instance's metadata service")


def identity(case: Case) -> Finding | None:
    """Check who AWS says we are, and whether the role of the settings file can be assumed."""
    request = case.request
    if request is None:
        return None
    from botocore.config import Config

    from ecr_credential_helper.aws.error_messages import explain

    impatient = Config(
        connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"total_max_attempts": 2}
    )
    request.deadline = Deadline(patience=SHORT_PATIENCE)

    def ask() -> str:
        sts = case.session.client("sts", config=impatient)
        role = request.target.role
        if role:
            request.step = "sts:AssumeRole"
            sts = _assumed(sts, role, impatient)
        request.step = "sts:GetCallerIdentity"
        return str(sts.get_caller_identity()["Arn"])

    try:
        arn = request.deadline.wait_for(ask, lambda: request.overdue)
    except Exception as error:  # noqa: BLE001 - each is put into words
        explained = explain(error, request)
        # Where only ECR can be reached, as with a VPC endpoint for it, a pull still works.
        status = FAIL if isinstance(explained, Denied) else WARN
        return Finding("identity", status, explained.message, explained.hint or _SEE_STS)
    return Finding("identity", PASS, arn)


def _assumed(sts: Any, role: Role, impatient: Any) -> Any:
    """Return a client of STS that is `role`. Raises botocore's errors."""
    import boto3

    keys = sts.assume_role(**role.parameters)["Credentials"]
    return boto3.client(
        "sts",
        region_name=sts.meta.region_name,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=impatient,
    )


def endpoint(case: Case) -> Finding | None:
    """Check whether the endpoint of ECR answers at all, even with an error."""
    if case.request is None or not case.request.region:
        return None
    try:
        url = _endpoint_url(case.request.target.registry, case.session)
    except Exception as error:  # noqa: BLE001 - a region that has no endpoint, a bad URL
        found = redacted(f"there is none: {error}")
        return Finding("endpoint", FAIL, found, "check the region of the host")
    try:
        status, date = _fetch(url, bundle=_bundle(case.session))
    except (OSError, ValueError) as error:
        found = redacted(f"{url}: {_reason(error)}")
        return Finding("endpoint", FAIL, found, _way_out(error))
    case.date = date
    return Finding("endpoint", PASS, redacted(f"{url} answers ({status})"))


def clock(case: Case) -> Finding | None:
    """Check our clock against that of AWS, or of whatever answered instead of AWS."""
    if not case.date:
        return None
    skew = case.clock() - parsedate_to_datetime(case.date).timestamp()
    if abs(skew) < _SKEW:
        return Finding("clock", PASS, "agrees with AWS's to the minute")
    found = f"it is {duration(abs(skew))} {'fast' if skew > 0 else 'slow'}"
    status = FAIL if abs(skew) > _TOO_MUCH_SKEW else WARN
    return Finding(
        "clock", status, f"{found}; AWS refuses more than 5 min", "set the clock, best by NTP"
    )


def token(case: Case) -> Finding | None:
    """Check whether ECR gives us a token: a real call that does not use the cache."""
    if case.request is None or not case.request.region:
        return None
    from ecr_credential_helper.aws.ecr import authorization_token

    request = TokenRequest(case.request.target, Deadline(patience=SHORT_PATIENCE))
    try:
        given = request.deadline.wait_for(
            lambda: authorization_token(request), lambda: request.overdue
        )
    except HelperError as error:
        return Finding("token", FAIL, error.message, error.hint or "see AWS_ECR_LOG_FILE")
    case.token = given.secret
    return Finding("token", PASS, f"{request.action} in {request.region} gave one")


def registry(case: Case) -> Finding | None:
    """Check whether the registry itself accepts the token."""
    target = case.target
    if not case.token or target is None or not case.server_url:
        return None
    url = f"https://{target.registry.host}/v2/"
    basic = base64.b64encode(f"{USERNAME}:{case.token}".encode()).decode()
    try:
        answered, _ = _fetch(url, {"Authorization": f"Basic {basic}"})
    except (OSError, ValueError) as error:
        found = redacted(f"{url}: {_reason(error)}")
        # Docker's engine has certificate authorities of its own, in /etc/docker/certs.d.
        status = WARN if isinstance(getattr(error, "reason", error), ssl.SSLError) else FAIL
        return Finding("registry", status, found, _way_out(error))
    # ECR Public wants a separate token for each repository, which Docker gets from it.
    if answered == HTTPStatus.OK or (
        target.registry.public and answered == HTTPStatus.UNAUTHORIZED
    ):
        return Finding("registry", PASS, f"{url} answers ({answered})")
    return Finding(
        "registry",
        FAIL,
        f"{url} answers {answered} to the token",
        "see what answers there in place of ECR: a proxy, a VPC endpoint with a policy",
    )


def _endpoint_url(of: Registry, session: Any) -> str:
    """Return the URL at which `get` asks for the registry's token. Raises botocore's errors."""
    from botocore.config import Config

    config = Config(use_fips_endpoint=of.fips or None, use_dualstack_endpoint=of.dual_stack or None)
    client = session.client(of.service, region_name=of.region, config=config)
    return str(client.meta.endpoint_url)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: a token is only for the host that it was sent to."""

    def redirect_request(self, *_: object) -> None:
        """Return None, so that the redirect itself is the answer."""


def _bundle(session: Any) -> str:
    """Return the file with the CAs that botocore trusts; it does not use the system's CAs."""
    from botocore.httpsession import where

    chosen = session._session.get_config_variable("ca_bundle")  # noqa: SLF001 - boto3 has no other way
    return str(chosen or os.environ.get("REQUESTS_CA_BUNDLE") or where())


def _system_bundle() -> str | None:
    """Return the file with the system's CAs, or botocore's; None if OpenSSL knows where to look.

    An interpreter that was brought along looks where its own distribution has them.
    """
    from botocore.httpsession import where

    known = ssl.get_default_verify_paths()
    if known.cafile or known.capath:
        return None
    return next(filter(os.path.exists, _SYSTEM_BUNDLES), None) or str(where())


def _fetch(
    url: str, headers: dict[str, str] | None = None, bundle: str | None = None
) -> tuple[int, str]:
    """Return the status and the Date header that `url` is answered with.

    `bundle` is a file with the CAs to trust; without it that of AWS_CA_BUNDLE, else the system's.

    Raises OSError.
    """
    bundle = bundle or os.environ.get("AWS_CA_BUNDLE") or _system_bundle()
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=bundle))
    opener = urllib.request.build_opener(tls, _NoRedirect)
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - AWS's, or the user's own
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return answer.status, answer.headers.get("Date", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Date", "")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", "") or str(reason)


def _way_out(error: Exception) -> str:
    """Return the fix for an address that does not answer."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLError):
        return "where a proxy re-signs TLS, name its CA in AWS_CA_BUNDLE"
    return "check the region in the host, DNS, HTTPS_PROXY and NO_PROXY, firewall, VPC endpoint"

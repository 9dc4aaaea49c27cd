"""The direct lane: GetAuthorizationToken with the standard library, where all is plain.

botocore's import and its client take many times as long as one signed request. So where files and
environment leave no choice, the request is sent from here: with keys in the environment; or, if
there are none, with the role of a web identity token, of the container, or of the instance.

botocore stays the judge. With the least doubt the whole question is botocore's: a profile, an AWS
file, a proxy, an AWS variable that is not understood here, a region that botocore does not know, a
failure, an answer that is not plainly a token. It finds in the request what was answered here, and
takes that in place of an answer of its own: nothing is asked twice because of this lane.
"""

import json
import os
import re
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from urllib.parse import urlencode

from ecr_credential_helper import __version__
from ecr_credential_helper.errors import NoAWSCredentials
from ecr_credential_helper.system import paths
from ecr_credential_helper.system.environment import is_harmless

from .authorization import AuthorizationToken, token_in
from .sigv4 import signed
from .token_request import CONNECT_TIMEOUT, READ_TIMEOUT, Answer, TokenRequest

# What is read here, or counts only where there is an AWS config file.
_UNDERSTOOD = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"),
    *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL"),
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
)
# Harmless, for they do not change the principal; but they change how botocore asks.
_STEERING = ("AWS_CRED", "AWS_CSM_", "AWS_DEFAULTS_", "AWS_MAX_", "AWS_METADATA_", "AWS_RETRY_")
_PLAIN = re.compile(r"[ -~]+")
_URL = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d+)?((?:/[\w~=?&-][\w.~=?&-]*)*/?)")
_ROOTS = r'# Label: "(?:Amazon Root CA|Starfield Services) .*\n(?:#.*\n)*(-----BEGIN [^#]+)'
_CONTAINERS = ("169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "127.0.0.1")
_TARGETS = {"ecr": "AmazonEC2ContainerRegistry_V20150921", "ecr-public": "SpencerFrontendService"}
_LIMIT = 256 * 1024  # bytes


class _Doubt(Exception):  # noqa: N818 - it is no error: botocore is asked
    """Something is not plain; the text says what, for the log."""


def authorization_token(request: TokenRequest) -> AuthorizationToken | None:
    """Return a token, None if there is any doubt. Raises NoAWSCredentials where botocore would."""
    try:
        return _Lane(request).token()
    except NoAWSCredentials:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, botocore finds and explains it
        why = error if isinstance(error, _Doubt) else type(error).__name__
        request.note(f"not asked directly: {why}")
    request.source = ""
    return None


class _Lane:
    """A request, and the variables that decide how it is made. Every method may raise _Doubt."""

    def __init__(self, request: TokenRequest) -> None:
        self.request, self.registry = request, request.target.registry
        self.variables = {name: value for name, value in os.environ.items() if value}
        if sys.platform != "linux" or request.target.profile or request.target.role:
            raise _Doubt("a profile, a role, or a system whose settings may name a proxy")
        for name in self.variables:
            understood = name in _UNDERSTOOD or name.startswith("AWS_ENDPOINT_URL_")
            without_effect = is_harmless(name) and not name.startswith(_STEERING)
            proxy = name.lower().endswith("_proxy") and name.lower() != "no_proxy"
            if proxy or (name.startswith("AWS_") and not (understood or without_effect)):
                raise _Doubt(f"{name} is set")
        for path in (*paths.aws_files(), *paths.old_aws_files(), paths.aws_models()):
            if os.path.exists(path):
                raise _Doubt(f"{path} exists")

    def token(self) -> AuthorizationToken:
        """Return a token of ECR, or ECR Public."""
        service, region = self.registry.service, self.registry.region
        endpoint = self.endpoint(service, region)
        headers = {
            "Host": endpoint.partition("//")[2],
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{_TARGETS[service]}.GetAuthorizationToken",
        }
        headers = signed(headers, b"{}", self.keys(), f"{region}/{service}", time.time())
        answer = self.ask("POST", f"{endpoint}/", headers, b"{}")
        return token_in(json.loads(answer.body), answer.headers, self.request)

    def endpoint(self, service: str, region: str) -> str:
        """Return the URL of a service, without a slash at its end."""
        partitions = json.loads(_content("data/partitions.json", "botocore"))["partitions"]
        known = [partition["outputs"] for partition in partitions if region in partition["regions"]]
        odd = self.registry.dual_stack and region.startswith(("eu-iso", "eusc-", "us-iso"))
        if len(known) != 1 or odd or region.endswith("-global"):
            raise _Doubt(f"botocore does not know {region}")
        own = self.variables.get(f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}")
        if chosen := own or self.variables.get("AWS_ENDPOINT_URL"):
            _split(chosen, bare=True)
            return chosen.removesuffix("/")
        if service == "sts":
            if self.variables.get("AWS_STS_REGIONAL_ENDPOINTS", "regional") != "regional":
                raise _Doubt("AWS_STS_REGIONAL_ENDPOINTS is set")
            return f"https://sts.{region}.{known[0]['dnsSuffix']}"
        name = f"{service}-fips" if self.registry.fips else service
        if self.registry.dual_stack:
            return f"https://{name}.{region}.{known[0]['dualStackDnsSuffix']}"
        return f"https://api.{name}.{region}.{known[0]['dnsSuffix']}"

    def keys(self) -> tuple[str, str, str]:
        """Return the credentials of the first source that botocore would find."""
        get = self.variables.get
        if access_key := get("AWS_ACCESS_KEY_ID"):
            self.request.source = "env"
            return access_key, self.variables["AWS_SECRET_ACCESS_KEY"], get("AWS_SESSION_TOKEN", "")
        if path := get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            source, found = "assume-role-with-web-identity", self.of_web_identity(path)
        elif path := get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
            source, found = "container-role", self.of_container(f"http://{_CONTAINERS[0]}{path}")
        elif url := get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            source, found = "container-role", self.of_container(url)
        else:
            source, found = "iam-role", self.of_instance()
        keys = found["AccessKeyId"], found["SecretAccessKey"], found["Token"]
        renewed = datetime.now(UTC) + timedelta(minutes=15)  # botocore renews what ends sooner
        if not all(keys) or datetime.fromisoformat(found["Expiration"]) < renewed:
            raise _Doubt("the credentials end soon")
        self.request.source = source
        return keys

    def of_web_identity(self, path: str) -> dict[str, str]:
        """Return what STS gives for the token in the file `path`."""
        from xml.etree import ElementTree as ET

        with open(path) as file:
            token = file.read(_LIMIT)
        region = self.variables.get("AWS_DEFAULT_REGION") or self.registry.region
        name = self.variables.get("AWS_ROLE_SESSION_NAME") or f"botocore-session-{int(time.time())}"
        parameters = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.variables["AWS_ROLE_ARN"],
            "RoleSessionName": name,
            "WebIdentityToken": token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        url, body = f"{self.endpoint('sts', region)}/", urlencode(parameters).encode()
        text = self.ask("POST", url, headers, body).body
        elements = ET.fromstring(text).iter()  # noqa: S314 - expat bounds what it becomes
        return {e.tag.rpartition("}")[2].removeprefix("Session"): e.text or "" for e in elements}

    def of_container(self, url: str) -> dict[str, str]:
        """Return what the endpoint of the container gives (ECS, EKS Pod Identity)."""
        scheme, host, _, _ = _split(url)
        if scheme != "http" or host not in _CONTAINERS:
            raise _Doubt("the endpoint of the container is another")
        token = self.variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if path := self.variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            with open(path) as file:
                token = file.read(_LIMIT)
        authorization = {} if token is None else {"Authorization": token}
        headers = {"Accept": "application/json", **authorization}
        found: dict[str, str] = json.loads(self.ask("GET", url, headers, seconds=2).body)
        return found

    def of_instance(self) -> dict[str, str]:
        """Return what IMDSv2 gives. Raises NoAWSCredentials if there is none."""
        if self.variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise NoAWSCredentials
        base = self.variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254"
        _split(base, bare=True)
        base = f"{base.removesuffix('/')}/latest"
        url, headers = f"{base}/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "21600"}
        try:
            token = self.ask("PUT", url, headers, seconds=1).body.decode()
        except _Doubt as doubt:
            if isinstance(doubt.__cause__, OSError):  # nothing is there
                raise NoAWSCredentials from None
            raise
        headers = {"x-aws-ec2-metadata-token": token}
        url = f"{base}/meta-data/iam/security-credentials/"
        url += self.ask("GET", url, headers, seconds=1).body.decode()
        found: dict[str, str] = json.loads(self.ask("GET", url, headers, seconds=1).body)
        return found

    def ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes = b"", seconds: float = 0
    ) -> Answer:
        """Return an answer that is 200 and whole; `seconds` is to connect and to read."""
        scheme, host, port, path = _split(url)
        headers |= {"Host": host + port, "Accept-Encoding": "identity"}
        headers |= {"User-Agent": f"ecr-credential-helper/{__version__}"}
        headers |= {"Content-Length": str(len(body))} if method != "GET" else {}
        lines = [f"{method} {path} HTTP/1.1", *map(": ".join, headers.items()), "", ""]
        if not _PLAIN.fullmatch("".join(lines)):
            raise _Doubt(f"what is to be sent to {host} is not plain")
        try:
            name = host.strip("[]").encode()  # as bytes: as text it would need the codec for IDNA
            place = name, int(port[1:] or (443 if scheme == "https" else 80))
            connection = socket.create_connection(place, seconds or CONNECT_TIMEOUT)  # type: ignore[arg-type]
        except OSError as error:
            raise _Doubt(f"{host} is not reached: {error}") from error
        if scheme == "https":
            connection = _secured(connection, name)
        try:
            with connection:
                connection.settimeout(seconds or READ_TIMEOUT)
                connection.sendall("\r\n".join(lines).encode() + body)
                from http.client import OK, HTTPResponse  # takes a while, in which AWS answers

                with HTTPResponse(connection, method=method) as response:
                    response.begin()
                    content = response.read(_LIMIT + 1)
        except (ConnectionError, TimeoutError) as error:
            self.request.answers[method, url] = error
            raise
        names = {name.lower(): value for name, value in response.getheaders()}
        if "content-encoding" in names or len(content) > _LIMIT:
            raise _Doubt(f"the answer of {host} is encoded or too large")
        self.request.answers[method, url] = answer = Answer(response.status, names, content)
        if response.length or answer.status != OK:
            raise _Doubt(f"the answer of {host} has status {answer.status}, or is cut")
        return answer


def _split(url: str, *, bare: bool = False) -> tuple[str, str, str, str]:
    """Return scheme, host, port and path of a URL; there is nothing else in it. `bare`: no path."""
    match = _URL.fullmatch(url)
    if not match or match[3] in (":80", ":443") or (bare and match[4] not in ("", "/")):
        raise _Doubt("a URL is not plain")
    return match[1], match[2], match[3] or "", match[4] or "/"


def _content(name: str, *packages: str) -> str:
    """Return the text of a file in the first of these packages that is installed."""
    spec = next(filter(None, map(find_spec, packages)))
    with open(os.path.join(os.path.dirname(spec.origin or ""), name), encoding="utf-8") as file:
        return file.read()


def _secured(connection: socket.socket, host: bytes) -> socket.socket:
    """Return a connection under TLS, to a `host` that Amazon's own authorities vouch for."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks names
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    roots = re.findall(_ROOTS, _content("cacert.pem", "certifi", "botocore"))
    context.load_verify_locations(cadata="\n".join(roots))
    return context.wrap_socket(connection, server_hostname=host)

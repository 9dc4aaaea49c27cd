"""The verbs get, store, erase and list, and the background refresh: text in, text out."""

import os

from . import protocol
from .context import Context
from .errors import CredentialsNotFound, Denied, HelperError, NoHeaders, as_helper_error
from .registry import host_of, registry_of
from .tokens.cache import AGING, DEAD, FRESH, Entry, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Target

SHORT_PATIENCE = 3.0  # seconds in which AWS is asked again while there is a token to serve

_KUBELET = "CredentialProviderRequest"
_KUBELET_HINT = "give this provider the argument kubelet: `args: [kubelet]` in its configuration"
_BAZEL_HINT = (
    "name this helper for hosts of ECR alone: --credential_helper=HOST=docker-credential-ecr"
)
_STAGES = ("fresh in the cache", "aging in the cache", "late in the cache", "not in the cache")


def get(request: bytes, context: Context) -> str:
    """Return the answer of `get` for the server URL in `request`.

    A JSON object with a URI in it is a request of the other protocol (`bazel_protocol`).

    Raises CredentialsNotFound if the host is not ECR, if there are no AWS credentials, or if a
    public registry's token cannot be had; HelperError with the cause if a private one's cannot.
    """
    if request.lstrip().startswith(b"{"):
        from .bazel_protocol import uri_of

        uri = uri_of(request)
        if uri is not None:
            return _headers(uri, context)
    server_url = protocol.decode_server_url(request)
    host = host_of(server_url)
    if host is None:
        if _KUBELET in server_url:
            raise HelperError(f"this is a {_KUBELET}, not a server URL", _KUBELET_HINT)
        raise CredentialsNotFound
    return protocol.encode_credentials(server_url, token_of(host, context).token)


def token_of(host: str, context: Context, seconds: float | None = None) -> Entry:
    """Return a token for `host`, from the cache if it may be served from there, else from AWS.

    AWS has `seconds` for its answer, by default as many as in all other cases; AWS_ECR_TIMEOUT goes
    before both. Raises what `get` raises.
    """
    key = Key(host, context.identity)
    entry = context.cache.load(key, served=context.clock())
    stage = entry.stage(context.clock(), key) if entry else DEAD
    context.note(f"get {host}: {_STAGES[stage]}")
    if entry is None or not (stage == FRESH or (stage == AGING and _refresh(key, context))):
        entry = _renewed(key, entry if stage != DEAD else None, context, seconds)
    return entry


def _headers(uri: str, context: Context) -> str:
    """Return the answer of the other protocol: the header with user and token for `uri`.

    For ECR Public, whose images anybody may pull, it is the answer without a header where no token
    can be had. Raises NoHeaders with the cause of everything else.
    """
    from . import bazel_protocol as bazel

    try:
        host = bazel.https_host_of(uri)
        public = _is_public(host)
        if not bazel.takes_headers(uri, public=public):
            return bazel.NO_HEADERS
        try:
            entry = token_of(host, context, bazel.SECONDS)
        except CredentialsNotFound as cause:
            if not public:
                raise
            context.tell(f"{cause.message}; going on without credentials")
            return bazel.NO_HEADERS
    except Exception as cause:
        error = as_helper_error(cause)
        raise NoHeaders(error.message, error.hint) from cause
    return bazel.encode_headers(entry.token, entry.expires)


def store(request: bytes, context: Context) -> str:
    """Keep the token of a login to ECR; refuse any other login, so that none is silently lost.

    Raises HelperError if the login is not user AWS at an ECR host.
    """
    server_url, username, secret = protocol.decode_login(request)
    target = _target(host_of(server_url))
    if target is None:
        raise HelperError(
            "this helper keeps logins to Amazon ECR only, and this host is not ECR",
            "name the helper in credHelpers for your ECR hosts, and not as credsStore",
        )
    if username != protocol.USERNAME:
        raise HelperError(
            f"the user of an ECR registry is {protocol.USERNAME}, and this login has another",
            f"no login is needed with this helper; docker login takes -u {protocol.USERNAME}",
        )
    if os.environ.get("AWS_ECR_IGNORE_CREDS_STORAGE", "").lower() == "true" or not target.cache:
        return ""
    from .tokens.docker_login import expiry_of

    now = context.clock()
    expires = expiry_of(secret, now)
    if expires is None:
        context.tell("this token is not kept, it says no expiry; no login is needed")
        return ""
    entry = Entry(int(now), expires, "docker login", secret)
    key = Key(target.registry.host, context.identity)
    if entry.stage(now, key) == DEAD:
        context.tell("this token is not kept, it has expired; no login is needed")
        return ""
    try:
        context.cache.save(key, entry)
    except OSError as error:
        context.tell(f"this token is not kept: {error.strerror or error}; no login is needed")
    return ""


def erase(request: bytes, context: Context) -> str:
    """Drop the tokens kept for the server URL in `request`, of all identities, if there are any.

    Raises ProtocolError if no server URL was sent, HelperError if a token cannot be dropped.
    """
    host = host_of(protocol.decode_server_url(request))
    if host is None:
        return ""
    registry = registry_of(host)
    try:
        target = _target(host)
        registry = target.registry if target else None
    except HelperError as error:
        context.tell(error.message)
    subjects = [host, registry.scope] if registry else [host]
    try:
        for subject in subjects:
            context.disk.remove(subject)
    except OSError as error:
        where = context.disk.path
        raise HelperError(f"cannot erase in {where}: {error.strerror or error}") from error
    return ""


def list_hosts(context: Context) -> str:
    """Return the answer of `list`: the hosts that `get` would answer from the cache now."""
    hosts = []
    for host in context.cache.hosts():
        if host_of(host) != host:  # a file that this program did not write
            continue
        key = Key(host, context.identity)
        entry = context.cache.load(key)
        if entry and entry.stage(context.clock(), key) in (FRESH, AGING):
            hosts.append(host)
    return protocol.encode_list(hosts)


def refresh(host: str, context: Context, *, in_background: bool) -> str:
    """Fetch a token for `host` if it is no longer fresh, for `warm` or in the background.

    In the background there is more time for it; a mark says that it goes on. After a failure the
    mark stays, which delays the next background refresh.

    Raises HelperError, which only `warm` shows.
    """
    target = _target(host_of(host))
    if target is not None:
        from .system.deadline import Deadline
        from .tokens import background

        key = Key(target.registry.host, context.identity)
        deadline = Deadline()
        if in_background:
            deadline = Deadline(
                at_least=background.SECONDS,
                beat=lambda: background.renew_mark(key, context.cache),
            )
        context.fetch(target, deadline)
        background.unmark(key, context.cache)
    return ""


def _target(host: str | None) -> "Target | None":
    """Return the target for `host`, None if it is not ECR.

    Raises HelperError on a mistake in the settings file.
    """
    from .settings import target_of

    return target_of(host) if host else None


def _is_public(host: str) -> bool:
    """Whether a registry is ECR Public.

    Raises HelperError if `host` is no registry, or on a mistake in the settings file.
    """
    registry = registry_of(host)
    if registry is None:
        target = _target(host)
        if target is None:
            raise HelperError(f"{host} is no registry of Amazon ECR", _BAZEL_HINT)
        registry = target.registry
    return registry.public


def _target_of_get(host: str) -> "Target | None":
    """Return what `_target` does.

    Raises CredentialsNotFound on a mistake in the settings file if the host is public or not ECR,
    so that an anonymous pull still works; HelperError otherwise.
    """
    try:
        return _target(host)
    except HelperError as error:
        registry = registry_of(host)
        if registry is None or registry.public:
            raise CredentialsNotFound(error.message, error.hint) from error
        raise


def _refresh(key: Key, context: Context) -> bool:
    """Have an aging token refreshed in the background; False if that is not possible."""
    from .tokens.background import start

    return start(key, context.cache, context.clock)


def _renewed(key: Key, entry: Entry | None, context: Context, seconds: float | None) -> Entry:
    """Return a new token for the host of `key`; if AWS gives none, that in `entry` while it lives.

    Where there is one, AWS is not asked again for long. An answer that refuses (Denied) is raised
    even then.

    Raises what `get` raises.
    """
    from .system.deadline import Deadline

    target = None
    try:
        target = _target_of_get(key.subject)
        if target:
            patience = SHORT_PATIENCE if entry else None
            return context.fetch(target, Deadline(seconds, patience=patience))
        error: HelperError = CredentialsNotFound()
    except Exception as cause:  # noqa: BLE001 - whatever it is, a cached token is still good
        error = as_helper_error(cause)
    context.note(f"get {key.subject}: {error.message}")
    alive = entry is not None and entry.stage(context.clock(), key) != DEAD
    if entry and alive and not isinstance(error, Denied):
        context.tell(f"{error.message}; the token in the cache is still valid")
        return entry
    if target and target.registry.public:
        raise CredentialsNotFound(error.message, error.hint) from error
    raise error

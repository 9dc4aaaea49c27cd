"""kubelet: an image credential provider plugin for the kubelet of Kubernetes.

The kubelet sends a CredentialProviderRequest on stdin and takes a CredentialProviderResponse from
stdout (kubernetes/kubernetes, pkg/credentialprovider/plugin/plugin.go). When the exit status is
not 0, it logs stderr and pulls without credentials.

What is obtained for a service account is never stored on disk. Only STS can verify the service
account's token, so nothing read from it may select a cache entry; and the kubelet itself keeps the
answer, for each service account separately.
"""

import argparse
import json
import os
from typing import Any

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.protocol import USERNAME
from ecr_credential_helper.registry import host_of
from ecr_credential_helper.settings import Role, Target, is_role_arn, target_of
from ecr_credential_helper.verbs import token_of

from .screen import Screen

API_VERSIONS = tuple(
    f"credentialprovider.kubelet.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1")
)
ROLE_ANNOTATION = "eks.amazonaws.com/ecr-role-arn"
ROLE_VARIABLE = "AWS_ECR_ROLE_ARN"
SESSION_NAME = "ecr-credential-provider"

_REQUEST = "CredentialProviderRequest"
_CHECK_CONFIG = "this command is for the kubelet: see its CredentialProviderConfig"


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "kubelet",
        help="answer a kubelet, as its image credential provider",
        description="Answer a CredentialProviderRequest of the kubelet, which comes on stdin: name "
        "this program as a provider, with `args: [kubelet]`, in the kubelet's "
        "CredentialProviderConfig.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context, _: Screen) -> tuple[str, int]:
    """Return the response to the request on stdin, and 0. Raises HelperError."""
    request = _decoded(arguments.stdin())
    server = _server(request["image"])
    host = host_of(server)
    target = _target(host, request) if host else None
    if host is None or target is None:
        return _response(request, "0s", {}), 0
    entry = context.fetch(target) if target.web_identity else token_of(host, context)
    half = max(0, int(entry.expires - context.clock()) // 2)
    login = {"username": USERNAME, "password": entry.token}
    return _response(request, _duration(half), {server: login}), 0


def _decoded(data: bytes) -> dict[str, Any]:
    """Return the request in `data`. Raises HelperError if it is not one that we understand."""
    try:
        request = json.loads(data)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or request.get("kind") != _REQUEST:
        raise HelperError(f"stdin holds no {_REQUEST}", _CHECK_CONFIG)
    if request.get("apiVersion") not in API_VERSIONS:
        raise HelperError(
            f"the apiVersion {request.get('apiVersion')!r} is not known here",
            f"set apiVersion of the provider to {API_VERSIONS[0]}",
        )
    kinds = {"image": str, "serviceAccountToken": str, "serviceAccountAnnotations": dict}
    for key, kind in kinds.items():
        if not isinstance(request.get(key) or kind(), kind):
            raise HelperError(f"{key} of the {_REQUEST} is of the wrong type", _CHECK_CONFIG)
    if not request.get("image"):
        raise HelperError(f"the {_REQUEST} names no image", _CHECK_CONFIG)
    return request


def _server(image: str) -> str:
    """Return the registry that `image` names, with its port, as the kubelet's own cache does."""
    for scheme in ("https://", "http://"):
        image = image.removeprefix(scheme)
    return image.partition("/")[0]


def _target(host: str, request: dict[str, Any]) -> Target | None:
    """Return whom to ask for the credentials of `host`, None if it is not ECR.

    A token of a service account is always exchanged for a role, never ignored: a pod that has an
    identity of its own must not use the credentials of the node. Raises HelperError.
    """
    target = target_of(host)
    token = request.get("serviceAccountToken")
    if target is None or not token:
        return target
    annotations = request.get("serviceAccountAnnotations") or {}
    arn = annotations.get(ROLE_ANNOTATION) or os.environ.get(ROLE_VARIABLE)
    if not arn:
        raise HelperError(
            "there is no role to assume with the token of the service account",
            f"set the annotation {ROLE_ANNOTATION} of the service account, or {ROLE_VARIABLE}",
        )
    if not isinstance(arn, str) or not is_role_arn(arn):
        raise HelperError(
            f"{arn!r} is no ARN of a role",
            f"correct the annotation {ROLE_ANNOTATION} of the service account, or {ROLE_VARIABLE}",
        )
    role = Role(arn, SESSION_NAME)
    return Target(target.registry, target.profile, role, cache=False, web_identity=token)


def _response(request: dict[str, Any], duration: str, auth: dict[str, Any]) -> str:
    response = {
        "kind": "CredentialProviderResponse",
        "apiVersion": request["apiVersion"],
        "cacheKeyType": "Registry",
        "cacheDuration": duration,
        "auth": auth,
    }
    return json.dumps(response) + "\n"


def _duration(seconds: int) -> str:
    """Return `seconds` as Go's time.ParseDuration reads them."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s"

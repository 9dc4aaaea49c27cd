"""A stand-in for AWS on 127.0.0.1: real HTTP, real signatures, made-up accounts.

The parts of AWS that a registry login touches answer on one port: ECR, ECR Public, STS, the
instance and container credential endpoints, IAM Identity Center (SSO portal and OIDC) and the
sign-in service. Clients reach it by their own settings (``Loopback.environment``), over plain HTTP
or TLS, or through it as an HTTPS proxy, in which case they believe they speak to the real host
names.

``python -m tests.loopback`` serves until it is told to stop and prints its address first.

Modules, each of which imports only those before it:

- ``model``, ``formats``, ``errors``, ``registry``: data, formats and errors that all share
- ``state``: the users, roles, tokens, faults, quotas and calls
- ``signature``: the check of Signature Version 4
- ``ecr``, ``sts``, ``metadata``, ``container``, ``sso``, ``signin``: the services
- ``routes``: which service and operation a request is for
- ``connection``, ``faults``: HTTP, and the faults of the transport
- ``dispatch``: a request's way to its answer
- ``control``: the paths below ``/_loopback/``, for another process
- ``server``: the class ``Loopback``
"""

from .ecr import basic_credentials
from .formats import iso_time, role_arn_of, session_arn
from .model import (
    ACCOUNT,
    FAULT_KINDS,
    INSTANCE_ID,
    MFA_CODE,
    USER_ARN,
    USER_KEY,
    USER_SECRET,
    Call,
    Fault,
    Key,
    Quota,
)
from .server import Loopback, tls_context

__all__ = [
    "ACCOUNT",
    "FAULT_KINDS",
    "INSTANCE_ID",
    "MFA_CODE",
    "USER_ARN",
    "USER_KEY",
    "USER_SECRET",
    "Call",
    "Fault",
    "Key",
    "Loopback",
    "Quota",
    "basic_credentials",
    "iso_time",
    "role_arn_of",
    "session_arn",
    "tls_context",
]

"""Answers a request: checks its signature, records it, and calls the operation or a fault."""

import time
from dataclasses import replace

from .errors import FAULT_REASONS, Refusal, denial, error_reply
from .faults import TRANSPORT_FAULTS
from .model import Asked, Call, Fault, Reply, Request
from .routes import OPERATIONS, answer_unknown, route
from .signature import check_signature
from .state import State

SIGNED_SERVICES = frozenset({"ecr", "ecr-public", "sts"})
UNSIGNED_OPERATIONS = frozenset({"AssumeRoleWithWebIdentity"})


def serve(aws: State, request: Request) -> Reply | Fault:
    """Record a request and return its answer, or the transport fault to cause.

    Only a request that no fault hits counts against its quota.
    """
    asked, refusal = authenticate(aws, route(request))
    aws.calls.append(call_of(asked))
    fault = aws.take_fault(asked.service, asked.operation)
    if fault is None:
        fault = aws.take_quota(asked.service, asked.operation)
    aws.stopped.wait(aws.latency_of(asked.service, asked.operation))
    aws.answers.wait()
    if fault is not None and fault.kind in TRANSPORT_FAULTS:
        return fault
    try:
        if refusal is not None:
            raise refusal
        return answer(aws, asked, fault)
    except Refusal as error:
        return error_reply(asked.service, error)


def authenticate(aws: State, asked: Asked) -> tuple[Asked, Refusal | None]:
    """Return the request with its signer, or with why it has none."""
    if asked.service not in SIGNED_SERVICES or asked.operation in UNSIGNED_OPERATIONS:
        return asked, None
    try:
        key, region = check_signature(asked.request, asked.service, aws.keys, aws.now())
    except Refusal as refusal:
        return asked, refusal
    return replace(asked, caller=key, region=region), None


def answer(aws: State, asked: Asked, fault: Fault | None) -> Reply:
    """Return what an operation answers, or the error that a fault puts in its place."""
    if fault is not None and fault.kind in FAULT_REASONS:
        return fault_reply(asked, fault)
    operation = OPERATIONS.get((asked.service, asked.operation), answer_unknown)
    return operation(aws, replace(asked, fault=fault.kind if fault else None))


def fault_reply(asked: Asked, fault: Fault) -> Reply:
    """Return the error that a fault causes, with its Retry-After if it has one."""
    refusal = Refusal(FAULT_REASONS[fault.kind])
    if fault.kind == "denied":
        resource = str(asked.body.get("RoleArn", "*"))
        refusal = denial(asked.principal, f"{asked.service}:{asked.operation}", resource)
    reply = error_reply(asked.service, refusal)
    if fault.retry_after is None:
        return reply
    return replace(reply, headers={**reply.headers, "Retry-After": fault.retry_after})


def call_of(asked: Asked) -> Call:
    """Return the record of a request."""
    return Call(
        service=asked.service,
        operation=asked.operation,
        region=asked.region,
        principal=asked.principal,
        host=asked.request.host,
        user_agent=asked.request.headers.get("user-agent", ""),
        body=asked.body,
        time=time.time(),
    )

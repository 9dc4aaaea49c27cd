"""The retries of botocore, until the deadline: for its clients, and for the metadata endpoints.

botocore's standard mode ends after three attempts, waits up to 20 s whatever time is left, does not
know the header Retry-After and tries again where TLS is not trusted. So it judges here which answer
and which failure may pass, and `backoff` says how long to wait. Where the AWS settings name a retry
mode or a number of attempts, botocore does it all, as the user said.
"""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from botocore import exceptions as aws
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import CredentialResolver
from botocore.retries.standard import (
    RetryEventAdapter,
    StandardRetryConditions,
    ThrottlingErrorDetector,
)
from botocore.session import Session

from .backoff import asked_pause, pause
from .error_messages import cause_of, explain
from .token_request import TokenRequest

_MOST_ATTEMPTS = 1000  # for botocore, which wants a number; the deadline comes first
_SERVER_ERRORS = range(500, 600)


class Retries:
    """The tries of all calls that `request` needs, by the clients that `session` makes from now on.

    `config` is the part of botocore's Config that goes with it.
    """

    def __init__(self, request: TokenRequest, session: Session) -> None:
        self._request = request
        self._session = session
        self._operation = ""
        self._adapter = RetryEventAdapter()
        self._may_pass = StandardRetryConditions(max_attempts=_MOST_ATTEMPTS)
        self._throttled = ThrottlingErrorDetector(self._adapter)
        mode, attempts = self._chosen("retry_mode"), self._chosen("max_attempts")
        self._ours = not (mode or attempts)
        self.config: Any = {"mode": mode or "standard"}
        events: Any = session.get_component("event_emitter")
        events.register("request-created", self._created)
        events.register("before-send", self._answered)
        if self._ours:
            self.config["total_max_attempts"] = 1
            events.register("needs-retry", self._pause)

    def repeat_metadata(self, resolver: CredentialResolver) -> None:
        """Have the endpoints of instance and container asked again, too, what may pass."""
        if not self._ours:
            return
        instance: Any = resolver.get_provider("iam-role")
        container: Any = resolver.get_provider("container-role")
        if not self._chosen("metadata_service_num_attempts"):
            fetcher = instance._role_fetcher  # noqa: SLF001 - botocore offers no other way
            fetcher._session = _Metadata(fetcher._session, self, known=False)  # noqa: SLF001
        fetcher = container._fetcher  # noqa: SLF001
        fetcher._session = _Metadata(fetcher._session, self, known=True)  # noqa: SLF001
        fetcher._sleep = lambda _: None  # noqa: SLF001
        fetcher.RETRY_ATTEMPTS = 1

    def _chosen(self, name: str) -> Any:
        """Return what environment or profile say of a setting, None if nothing."""
        variable = os.environ.get(f"AWS_{name.upper()}")
        return variable or self._session.get_scoped_config().get(name)

    def sent(self, operation: str) -> None:
        """Note that `operation` is sent, once more if it was the last one too."""
        if operation != self._operation:
            self._operation = operation
            self._request.tries = 0
            self._request.trouble = None
        self._request.tries += 1

    def pause_after(
        self, error: Exception, failures: int, *, throttled: bool, asked: float
    ) -> float | None:
        """Note that the call in progress failed with `error`, and return what `pause` does."""
        self._request.trouble = explain(error, self._request)
        deadline = self._request.deadline
        left = deadline.patience - deadline.passed
        return pause(failures, left, deadline.patience, throttled=throttled, asked=asked)

    def _created(self, operation_name: str, **_: Any) -> None:
        self.sent(operation_name)

    def answer_to(self, method: str, url: str) -> AWSResponse | None:
        """Return what the direct lane was answered to such a call, once; None if it made none.

        Raises what botocore does where the call failed.
        """
        answer = self._request.answers.pop((method, url), None)
        if answer is None:
            return None
        if isinstance(answer, TimeoutError):
            raise aws.ReadTimeoutError(endpoint_url=url, error=answer)
        if isinstance(answer, ConnectionError):
            raise aws.ConnectionClosedError(endpoint_url=url, error=answer)
        headers: Any = answer.headers
        return AWSResponse(url, answer.status, headers, _Body(answer.body))

    def _answered(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        return self.answer_to(request.method, request.url)

    def _pause(self, **event: Any) -> float | None:
        """Answer botocore's event needs-retry: how many seconds to wait, None to give up.

        Raises ConnectionClosedError in the end for an answer that was cut: botocore takes it for
        a whole one.
        """
        context = self._adapter.create_retry_context(**event)
        answer = context.http_response
        error = event["caught_exception"]
        if answer is not None and _is_cut(answer):
            error = aws.ConnectionClosedError(endpoint_url=answer.url)
        elif not self._may_pass.is_retryable(context) or (error and is_final(error)):
            return None
        seconds = self.pause_after(
            error or aws.ClientError(context.parsed_response, event["operation"].name),
            event["attempts"],
            throttled=bool(answer is not None and self._throttled.is_throttling_error(**event)),
            asked=asked_pause(_lower(answer.headers)) if answer is not None else 0.0,
        )
        if seconds is None and isinstance(error, aws.ConnectionClosedError):
            raise error
        return seconds


class _Body:
    """A body that was read already, as botocore reads one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        """Return the whole body as its only part."""
        return iter((self._content,))


class _Metadata:
    """An HTTP session of botocore's for a metadata endpoint, which asks again what may pass.

    Where nothing is known to be there (`known`: the settings name the endpoint), a first failure to
    get any answer is final: most machines are no EC2 instances.
    """

    def __init__(self, session: Any, retries: Retries, *, known: bool) -> None:
        self._session = session
        self._retries = retries
        self._known = known

    def send(self, request: Any) -> Any:
        """Return the answer to `request`. Raises botocore's errors."""
        failures = 0
        while True:
            failures += 1
            self._retries.sent(f"{request.method} {request.url}")
            throttled, asked = False, 0.0
            try:
                answer = self._retries.answer_to(request.method, request.url)
                answer = answer or self._session.send(request)
            except (aws.ConnectionError, aws.HTTPClientError) as error:
                known = self._known or isinstance(error, aws.ConnectionClosedError)
                if not known or is_final(error):
                    raise
                said = str(error)
            else:
                self._known = True
                throttled = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
                if not throttled and answer.status_code not in _SERVER_ERRORS:
                    return answer
                asked = asked_pause(_lower(answer.headers))
                said = f"{request.url} answered with status {answer.status_code}"
            failure = aws.MetadataRetrievalError(error_msg=said)
            seconds = self._retries.pause_after(failure, failures, throttled=throttled, asked=asked)
            if seconds is None:
                raise failure
            time.sleep(seconds)


def is_final(error: Exception) -> bool:
    """Whether a failure to get an answer would be the same the next time.

    So are a certificate that is not trusted, a name that does not exist, a proxy that refuses, and
    what is no failure of the network at all.
    """
    name = cause_of(error, socket.gaierror)
    if name is not None:
        return name.errno != socket.EAI_AGAIN
    cut = cause_of(error, ConnectionError) or cause_of(error, TimeoutError)
    if isinstance(error, aws.SSLError):
        return cut is None and cause_of(error, ssl.SSLEOFError) is None
    if isinstance(error, aws.ProxyConnectionError):
        return cut is None
    return type(error) is aws.HTTPClientError and cause_of(error, OSError) is None


def _is_cut(answer: Any) -> bool:
    """Whether the connection was closed in the middle of `answer`, which botocore does not see."""
    length = answer.headers.get("content-length", "")
    encoded = answer.headers.get("content-encoding")
    return length.isdecimal() and not encoded and len(answer.content) < int(length)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

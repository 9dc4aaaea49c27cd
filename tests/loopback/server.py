"""The stand-in itself: its state, served on a port of 127.0.0.1."""

import ssl
import threading
from os import PathLike
from types import TracebackType
from typing import Self

from .connection import Connection, Server
from .control import CONTROL, control
from .dispatch import serve
from .faults import TRANSPORT_FAULTS
from .model import USER_KEY, USER_SECRET, Reply
from .state import State


class Loopback(State):
    """AWS on a port of 127.0.0.1, for the length of a ``with`` block.

    ``certificate`` is the pair (certificate chain, private key) of files in PEM that TLS is served
    with, in the tunnels of CONNECT requests and on the port itself.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token_life: float = 43200.0,
        certificate: tuple[str | PathLike[str], str | PathLike[str]] | None = None,
    ) -> None:
        """Bind the port and declare the default user; nothing is served yet."""
        super().__init__(token_life=token_life, tls=tls_context(certificate))
        self._server = Server(port, self, Handler)

    def __enter__(self) -> Self:
        """Start serving."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()

    def stop(self) -> None:
        """Stop serving and cut every open connection, the hanging ones too."""
        self.stopped.set()
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address of every service, and of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https_url(self) -> str:
        """The address of every service under TLS; without a certificate nobody answers there."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def container_url(self) -> str:
        """The address for AWS_CONTAINER_CREDENTIALS_FULL_URI."""
        return f"{self.url}/container/credentials"

    def environment(self, *, with_keys: bool = False) -> dict[str, str]:
        """Return the variables that point an AWS client at this stand-in and nowhere else."""
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
        }
        keys = {"AWS_ACCESS_KEY_ID": USER_KEY, "AWS_SECRET_ACCESS_KEY": USER_SECRET}
        return variables | keys if with_keys else variables


class Handler(Connection):
    """A connection whose requests are answered by the services or by the control paths."""

    def handle_any(self) -> None:
        """Answer a request."""
        request, aws = self.read_request(), self.server.aws
        if request.path.startswith(CONTROL):
            self.send(control(aws, request))
            return
        outcome = serve(aws, request)
        if isinstance(outcome, Reply):
            self.send(outcome)
        else:
            TRANSPORT_FAULTS[outcome.kind](self, outcome)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815


def tls_context(
    certificate: tuple[str | PathLike[str], str | PathLike[str]] | None,
) -> ssl.SSLContext | None:
    """Return the server side of TLS with a certificate, if there is one."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context

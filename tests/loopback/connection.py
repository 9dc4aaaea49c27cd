"""HTTP/1.1 on a socket: the listening server, a connection, and TLS on it or in a tunnel."""

import contextlib
import os
import socket
import ssl
import sys
import uuid
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit

from .model import Reply, Request
from .state import State

HANDSHAKE = b"\x16"  # what TLS begins with, and no request does


class Server(ThreadingMixIn, TCPServer):
    """The listening socket; each connection has a thread of its own."""

    allow_reuse_address = os.name == "posix"  # Windows would give the port to a second server
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, aws: State, handler: type[BaseRequestHandler]) -> None:
        """Listen on a port of 127.0.0.1 (0: any free one)."""
        self.aws = aws
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def cut_connections(self) -> None:
        """End every open connection."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent where a client or a fault ended the connection; show any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection: requests one after the other, plain, under TLS, or in a tunnel with TLS.

    A subclass defines how a request is answered.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    tunnel: str | None = None

    def setup(self) -> None:
        """Remember the connection, so that stop() can end it."""
        super().setup()
        self.server.connections.add(self.connection)

    def handle(self) -> None:
        """Answer every request; a connection that begins with a handshake is one of TLS."""
        tls = self.server.aws.tls
        if tls is not None and self.connection.recv(1, socket.MSG_PEEK) == HANDSHAKE:
            self.secure(tls)
        super().handle()

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Keep silent: what is worth knowing is in ``calls``."""

    def do_CONNECT(self) -> None:
        """Open a tunnel that ends here: the certificate stands for every host."""
        host = self.path.rpartition(":")[0]
        self.server.aws.connects.append(host)
        tls = self.server.aws.tls
        if tls is None:
            self.send(Reply(502))
            return
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.tunnel = host
        self.secure(tls)
        self.close_connection = False

    def secure(self, tls: ssl.SSLContext) -> None:
        """Go on under TLS."""
        self.rfile.close()
        self.server.connections.discard(self.connection)
        self.connection = tls.wrap_socket(self.connection, server_side=True)
        self.server.connections.add(self.connection)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")

    def read_request(self) -> Request:
        """Return the request whose head was just read, with its body."""
        size = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            method=self.command,
            path=url.path,
            query=url.query,
            host=self.tunnel or url.netloc or headers.get("host", ""),
            secure=isinstance(self.connection, ssl.SSLSocket),
            headers=headers,
            body=self.rfile.read(size),
        )

    def send(self, reply: Reply, *, length: int | None = None) -> None:
        """Send a response in one piece; ``length`` is what it claims its body to be."""
        headers = {
            "Date": formatdate(self.server.aws.now(), usegmt=True),
            "x-amzn-RequestId": str(uuid.uuid4()),
            "Content-Type": reply.content_type,
            "Content-Length": str(len(reply.body) if length is None else length),
            **reply.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n{lines}\r\n"
        self.connection.sendall(head.encode() + reply.body)

"""Transport faults: connections that fail, and answers that come from something else than AWS."""

import socket
import struct
from collections.abc import Callable

from .connection import Connection
from .model import Fault, Reply


def reset_connection(connection: Connection, _fault: Fault) -> None:
    """Reset the connection instead of answering."""
    raw, linger = connection.connection, struct.pack("ii", 1, 0)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.rfile.close()
    connection.wfile.close()
    raw.close()
    raise ConnectionAbortedError


def never_answer(connection: Connection, _fault: Fault) -> None:
    """Never answer."""
    connection.server.aws.stopped.wait()
    connection.close_connection = True


def send_half(connection: Connection, _fault: Fault) -> None:
    """Close the connection in the middle of the body."""
    connection.send(Reply(200, b'{"authorizationData": [{"authorizationTok'), length=4096)
    connection.close_connection = True


def send_html(connection: Connection, fault: Fault) -> None:
    """Answer the page of some proxy on the way."""
    page = b"<!DOCTYPE html><html><body><h1>Web gateway</h1><p>Please log in.</p></body></html>"
    connection.send(Reply(fault.status, page, "text/html"))


def send_redirect(connection: Connection, fault: Fault) -> None:
    """Send the client to another host; going there shows as a call of service "elsewhere"."""
    location = fault.location or f"http://localhost:{connection.server.port}/elsewhere"
    connection.send(Reply(307, headers={"Location": location}))


TRANSPORT_FAULTS: dict[str, Callable[[Connection, Fault], None]] = {
    "reset": reset_connection,
    "hang": never_answer,
    "half": send_half,
    "html": send_html,
    "redirect": send_redirect,
}

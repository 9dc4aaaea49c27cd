"""`python -m tests.loopback` prints its address and serves until it is told to stop."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from .server import Loopback


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.loopback", description="A stand-in for AWS on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="the port (default: any free one)")
    parser.add_argument("--token-life", type=float, default=43200.0, metavar="SECONDS")
    options = parser.parse_args(arguments)
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    with Loopback(port=options.port, token_life=options.token_life) as aws:
        sys.stdout.write(f"{aws.url}\n")
        sys.stdout.flush()
        told_to_stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

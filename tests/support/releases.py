"""A release, as GitHub gives it out: the archive of this machine's processor, and SHA256SUMS.

In the archive is the program under test; it is the built archive itself where there is one.
"""

import contextlib
import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import ecr_credential_helper
from tests.support.forms import MACHINE, NAME, PACKAGES
from tests.support.helper import EXECUTABLE

VERSION = ecr_credential_helper.__version__
REPOSITORY = "OWNER/ecr-credential-helper"
DIRECTORY = f"{NAME}-{VERSION}-linux-{MACHINE}"
ARCHIVE = f"{DIRECTORY}.tar.gz"
PLACE = f"{REPOSITORY}/releases/download/v{VERSION}"


def make_release(server: Path) -> str:
    """Put a release where a server of files has it; return the SHA-256 of the archive."""
    place = server / PLACE
    place.mkdir(parents=True)
    archive = place / ARCHIVE
    if (PACKAGES / ARCHIVE).exists():
        for file in (ARCHIVE, "SHA256SUMS"):
            shutil.copyfile(PACKAGES / file, place / file)
    else:
        script = f'#!/bin/sh\nexec {EXECUTABLE} "$@"\n'.encode()
        with tarfile.open(archive, "w:gz") as made:
            member = tarfile.TarInfo(f"{DIRECTORY}/{NAME}")
            member.size, member.mode = len(script), 0o755
            made.addfile(member, io.BytesIO(script))
        sums = {f"{NAME}-other.tar.gz": "0" * 64, ARCHIVE: sha256_of(archive)}
        lines = (f"{digest}  {name}\n" for name, digest in sums.items())
        (place / "SHA256SUMS").write_text("".join(lines))
    return sha256_of(archive)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Serve the files of a directory; give the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=directory))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()

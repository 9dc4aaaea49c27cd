"""A release, as GitHub gives it out: the archive of this machine's processor, and SHA256SUMS.

In the archive is the program under test; it is the built archive itself where there is one.
"""

import hashlib
import io
import shutil
import tarfile
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
        shutil.copyfile(PACKAGES / ARCHIVE, archive)
    else:
        script = f'#!/bin/sh\nexec {EXECUTABLE} "$@"\n'.encode()
        with tarfile.open(archive, "w:gz") as made:
            member = tarfile.TarInfo(f"{DIRECTORY}/{NAME}")
            member.size, member.mode = len(script), 0o755
            made.addfile(member, io.BytesIO(script))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (place / "SHA256SUMS").write_text(f"{'0' * 64}  {NAME}-other.tar.gz\n{digest}  {ARCHIVE}\n")
    return digest

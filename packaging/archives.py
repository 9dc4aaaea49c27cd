"""Archives that are the same, byte for byte, wherever and whenever they are made."""

import gzip
import lzma
import os
import tarfile
from pathlib import Path
from typing import IO, cast

EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 1_700_000_000)


def pack(directory: Path, kind: str) -> Path:
    """Make a .tar.gz or .tar.xz (`kind`: "gz", "xz") of a directory, beside it; return its path."""
    archive = directory.with_name(f"{directory.name}.tar.{kind}")
    with archive.open("wb") as raw, compressed(raw, kind) as packed:
        add_all(packed, directory, directory.name)
    return archive


def compressed(raw: IO[bytes], kind: str) -> IO[bytes]:
    """Return a file whose content gets into `raw` compressed."""
    if kind == "gz":
        packed = gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=EPOCH)
        return cast("IO[bytes]", packed)
    return lzma.open(raw, "wb", preset=9 | lzma.PRESET_EXTREME)


def add_all(packed: IO[bytes], directory: Path, name: str) -> None:
    """Write a directory as a tar archive, as `name`, owned by root and sorted by path."""
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in (directory, *sorted(directory.rglob("*"))):
            inside = Path(name) / path.relative_to(directory)
            tar.add(path, str(inside), recursive=False, filter=plain)


def unpack(archive: tarfile.TarFile, directory: Path) -> None:
    """Unpack an archive whose hash is locked.

    Python before 3.11.4 has no filters, and a newer one wants to be told one.
    """
    archive.extraction_filter = getattr(tarfile, "tar_filter", None)
    archive.extractall(directory)  # noqa: S202 - nobody but us chose what is in it


def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Take out of an entry what differs from build to build."""
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    info.mtime = EPOCH
    return info

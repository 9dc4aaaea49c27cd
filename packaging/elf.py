"""Programs and libraries in ELF, of whatever processor: what they need, and what is changed.

What Debian built for a whole system is made to look at nothing of the machine that it runs on. Each
change keeps the length of what it replaces, and fails the build if that is not there as expected.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


class LibraryError(Exception):
    """A library is missing, or is not as it was when these rules were made."""


def needed(file: Path) -> list[str]:
    """Return the names of the libraries that a file is linked with."""
    with file.open("rb") as opened:
        for segment in ELFFile(opened).iter_segments():
            if isinstance(segment, DynamicSegment):
                return [str(vars(tag)["needed"]) for tag in segment.iter_tags("DT_NEEDED")]
    return []


def closure(files: Sequence[Path], library: Callable[[str], Path]) -> Iterator[Path]:
    """Yield the libraries that `files` need, directly or not, as `library` finds them by name.

    The loader is not among them: it is there before. Raises what `library` raises.
    """
    seen = set(LOADERS.values())
    waiting = list(files)
    while waiting:
        for name in needed(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(library(name))
                yield waiting[-1]


def without_debugging(data: bytes) -> bytes:
    """Return a library without what a debugger needs: all that follows what is loaded."""
    segments = ELFFile(BytesIO(data)).iter_segments()
    end = max(segment["p_offset"] + segment["p_filesz"] for segment in segments)
    kept = bytearray(data[:end])
    struct.pack_into("<Q", kept, 0x28, 0)  # e_shoff: where the table of sections is
    struct.pack_into("<HH", kept, 0x3C, 0, 0)  # e_shnum, e_shstrndx
    return bytes(kept)


def within(data: bytes, name: str, machine: str) -> bytes:
    """Return a library of this name so that it looks at nothing of the machine.

    Raises LibraryError.
    """
    if name == LOADERS[machine]:
        data = replaced(data, b"/etc/ld.so.preload\0", bytes(19), 1)  # opens "", which never is
        places = b"/lib/%b/\0/usr/lib/%b/\0/lib/\0/usr/lib/\0"
        places = places.replace(b"%b", f"{machine}-linux-gnu".encode())
        root = bytes(ord("/") if byte else 0 for byte in places)  # "////": nobody keeps one there
        return replaced(data, places, root, 2)
    if name == "libcrypto.so.3":
        for variable in (b"\0OPENSSL_CONF\0", b"\0OPENSSL_MODULES\0", b"\0OPENSSL_ENGINES\0"):
            data = replaced(data, variable, variable.replace(b"\0O", b"\0="), 1)  # no name has a =
        return replaced(data, b"\0/usr/lib/ssl\0", b"\0/nonexistent\0", 1)
    return data


def replaced(data: bytes, old: bytes, new: bytes, times: int) -> bytes:
    """Return the data with `old` replaced, so many times. Raises LibraryError."""
    if len(old) != len(new) or data.count(old) != times:
        raise LibraryError(f"{old!r} is there {data.count(old)} times, not {times}")
    return data.replace(old, new)

"""Root file systems of other machines, where the directory is run by a change of root."""

import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import inputs

from tests.loopback import USER_KEY, USER_SECRET, Loopback
from tests.support.forms import NAME, run
from tests.support.helper import Result, finish
from tests.support.needs import SYSTEM_PATH, lacking

BUSYBOX = str(shutil.which("busybox", path=SYSTEM_PATH))  # it is static: no variable steers it
ANSWER = json.dumps({"Version": 1, "AccessKeyId": USER_KEY, "SecretAccessKey": USER_SECRET})

# A program of a machine that gives credentials, and keeps the environment that it was given.
CREDENTIALS = r"""
#include <stdio.h>
extern char **environ;
int main(void)
{
    FILE *seen = fopen(SEEN ".part", "w");
    for (char **pair = environ; *pair; pair++)
        fprintf(seen, "%s%c", *pair, 0);
    return fclose(seen) || rename(SEEN ".part", SEEN) || puts(ANSWER) < 0;
}
"""
# A library that notes which program it was loaded into.
LIBRARY = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/auxv.h>
__attribute__((constructor)) static void begin(void)
{
    int file = open(LOADED, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dprintf(file, "%s\n", (const char *)getauxval(AT_EXECFN));
}
"""


class Root:
    """A root file system with the directory at `place`, and what a test puts beside it.

    `env` is all that the program is given: the keys of the loopback's default user, and a cache
    in this root. There is no HOME.
    """

    def __init__(self, path: Path, directory: Path, aws: Loopback, place: str = "helper") -> None:
        self.path = path
        self.cache = path / "cache"
        self.door = f"/{place}/{NAME}"
        shutil.copytree(directory, path / place, copy_function=os.link)
        self.env: dict[str, str] = {
            "AWS_ECR_CACHE_DIR": "/cache",
            "AWS_EC2_METADATA_DISABLED": "true",
            **aws.environment(with_keys=True),
        }

    def run(
        self, *arguments: str, stdin: str = "", door: str | None = None, within: Sequence[str] = ()
    ) -> Result:
        """Run the program to its end, by the path or name `door`; `within` starts the command."""
        command = [*within, BUSYBOX, "chroot", str(self.path), door or self.door, *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=self.env, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        ) as process:
            return finish(process, stdin.encode())

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)
        (self.path / name).chmod(mode)

    def ask_a_program(self) -> None:
        """Let a program of the machine, /credentials, give the credentials."""
        del self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"]
        self.write("config", "[profile test]\ncredential_process = /credentials\n")
        self.env |= {"AWS_CONFIG_FILE": "/config", "AWS_PROFILE": "test"}


def mounted(path: Path, option: str) -> list[str]:
    """Return what starts a command for which a directory is mounted once more, with an option."""
    script = 'mount --bind "$0" "$0" && mount -o "remount,bind,$1" "$0" && shift && exec "$@"'
    return ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, str(path), option]


def compiled(source: str, target: Path, compiler: str, *options: str, **texts: str) -> None:
    """Compile a program in C into `target`, with macros that are these texts."""
    target.parent.mkdir(parents=True, exist_ok=True)
    file = target.with_suffix(".c")
    file.write_text(source)
    defined = [f"-D{name}={json.dumps(text)}" for name, text in texts.items()]
    run(compiler, *options, *defined, "-o", target, file)
    file.unlink()


def debian(path: Path, release: str) -> None:
    """Unpack a release of Debian with a shell and a Python; nothing is installed."""
    mirrors = [url for url in inputs.mirrors() if url.endswith("/debian")]
    if not mirrors:
        lacking("missing: an archive of Debian, of apt or in DEBIAN_MIRRORS")
    packages = "--include=base-files,libc6,dash,coreutils,python3-minimal"
    options = ("--quiet", "--mode=root", "--variant=extract", "--format=directory", packages)
    run("mmdebstrap", *options, release, path, mirrors[0])


def pairs(variables: Mapping[str, str]) -> list[bytes]:
    """Return an environment as a program is given it, sorted."""
    return sorted(os.fsencode(f"{name}={value}") for name, value in variables.items())


def seen(file: Path) -> list[bytes]:
    """Return the environment that a program has kept, sorted."""
    return sorted(file.read_bytes().removesuffix(b"\0").split(b"\0"))


@contextmanager
def name_server(address: str, name: str) -> Iterator[None]:
    """Answer by DNS that a name, and no other, is 127.0.0.1."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def serve() -> None:
            while len(query := server.recvfrom(512)) and query[0]:
                asked = query[0][12 : query[0].index(0, 12) + 5]
                known, is_a = asked[:-5] == labels, asked[-4:-2] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if known and is_a else b""
                status = 0x8180 if known else 0x8183
                head = struct.pack(">HHHHH", status, 1, bool(record), 0, 0)
                server.sendto(query[0][:2] + head + asked + record, query[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            server.sendto(b"", (address, 53))
            thread.join()

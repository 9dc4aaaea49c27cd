"""The identity a token is requested as, described from configuration alone.

No credential is resolved for this: that would mean IMDS, STS or SSO on every call. The description
holds everything at hand that can change which principal AWS sees; a token is only ever used under
exactly the same description. docs/identity.md says of each AWS variable whether it can.

What configuration cannot show is another role behind the same settings: another role attached to
the instance, a credential_process that gives other credentials, another container token.
"""

import os
import sys

from ecr_credential_helper.system import paths
from ecr_credential_helper.system.environment import is_harmless, is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ecr_credential_helper.settings import Target


def current() -> bytes:
    """Return the description of the identity that the current settings lead to.

    It is lines of text: the machine, the files that can name a principal, the AWS variables. No
    secret is in it.
    """
    lines = [f"machine {_machine_name()} {_machine_id()}"]
    lines += [f"file {path} {_state(path)}" for path in _files()]
    variables = [
        f"variable {name}={value}" for name, value in os.environ.items() if value and _is_part(name)
    ]
    # Bytes, whatever the locale: the packaged program computes the same bytes in C.
    written = [*map(os.fsencode, lines), *sorted(map(os.fsencode, variables))]
    return b"".join(_escaped(line) + b"\n" for line in written)


def with_target(identity: bytes, target: "Target") -> bytes:
    """Return `identity` with what an entry of the settings file adds to it: profile and role."""
    chosen = {"profile": target.profile, **(target.role.parameters if target.role else {})}
    lines = [f"target {name}={value}".encode() for name, value in chosen.items() if value]
    return identity + b"".join(_escaped(line) + b"\n" for line in lines)


def without_target(identity: bytes) -> tuple[bytes, dict[str, str]]:
    """Undo `with_target`: return the `identity` that it was given, and what it added."""
    settings, mark, added = identity.partition(b"\ntarget ")
    if not mark:
        return identity, {}
    pairs = (pair.decode("utf-8", "replace") for pair in added[:-1].split(b"\ntarget "))
    return settings + b"\n", dict(pair.split("=", 1) for pair in pairs)


def _is_part(name: str) -> bool:
    """Whether the variable `name` is in the description: can change the principal, no secret."""
    return name.startswith("AWS_") and not is_harmless(name) and not is_secret(name)


def _files() -> list[str]:
    """Return the paths of the files that botocore and this program read settings from."""
    files = paths.aws_files()
    try:
        files.append(paths.settings_file())
    except RuntimeError:
        pass
    return [*files, *paths.old_aws_files()]


def _state(path: str) -> str:
    """Return text that changes when the file does; "-" if it is not there."""
    try:
        at = os.stat(path)
    except (OSError, ValueError):
        return "-"
    return f"{at.st_dev} {at.st_ino} {at.st_size} {at.st_mtime_ns} {at.st_ctime_ns}"


def _machine_name() -> str:
    if sys.platform == "win32":
        return os.environ.get("COMPUTERNAME") or "-"
    return os.uname().nodename


def _machine_id() -> str:
    """Return the machine's id (man 5 machine-id; Windows has another); "-" if there is none."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(
                winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography"
            ) as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
        except OSError:
            return "-"
    try:
        file = os.open("/etc/machine-id", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return "-"
    try:
        return os.fsdecode(os.read(file, 64).strip()) or "-"
    except OSError:  # a directory: a container runtime makes one if the host lacks the file
        return "-"
    finally:
        os.close(file)


def _escaped(line: bytes) -> bytes:
    return line.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")

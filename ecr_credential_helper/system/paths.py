"""The paths of this program's files: those that platformdirs gives, found without importing it.

Importing platformdirs takes longer than a cache hit. On Linux and macOS its rule is two lines; they
are copied here, and a test checks that the results are equal. Elsewhere platformdirs is imported.
"""

import os
import sys

from .environment import NO_HOME

_APP = "ecr-credential-helper"
_DEFAULTS = {
    "linux": ("~/.cache", "~/.config"),
    "darwin": ("~/Library/Caches", "~/Library/Application Support"),
}


def cache_directory() -> str:
    """Return the directory of the cache, which need not exist.

    Raises RuntimeError if there is no home directory.
    """
    chosen = os.environ.get("AWS_ECR_CACHE_DIR")
    if chosen:
        return expanded(chosen)
    if _is_plain():
        return _user_directory("XDG_CACHE_HOME", _DEFAULTS[sys.platform][0])
    return _by_platformdirs("user_cache_dir")


def settings_file() -> str:
    """Return the path of the settings file, which need not exist.

    Raises RuntimeError if there is no home directory.
    """
    chosen = os.environ.get("AWS_ECR_CONFIG_FILE")
    if chosen:
        return expanded(chosen)
    if _is_plain():
        directory = _user_directory("XDG_CONFIG_HOME", _DEFAULTS[sys.platform][1])
    else:
        directory = _by_platformdirs("user_config_dir")
    return os.path.join(directory, "config.toml")


def aws_files() -> list[str]:
    """Return the paths of the AWS config and credentials files, which need not exist."""
    config, credentials = (os.path.join("~", ".aws", name) for name in ("config", "credentials"))
    return [
        aws_expanded(os.environ.get("AWS_CONFIG_FILE") or config),
        aws_expanded(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or credentials),
    ]


def old_aws_files() -> list[str]:
    """Return the paths of the files of older AWS tools that botocore still reads credentials from.

    They need not exist.
    """
    boto = os.environ.get("BOTO_CONFIG")
    old = os.environ.get("AWS_CREDENTIAL_FILE")
    return [
        *([aws_expanded(boto)] if boto else ["/etc/boto.cfg", aws_expanded("~/.boto")]),
        *([aws_expanded(old)] if old else []),
    ]


def aws_models() -> str:
    """Return the path of the directory in which a user may keep descriptions of AWS services."""
    return aws_expanded(os.path.join("~", ".aws", "models"))


def aws_expanded(path: str) -> str:
    """Return `path` with its variables and `~` expanded, as botocore expands paths."""
    return os.path.expanduser(os.path.expandvars(path))


def expanded(path: str) -> str:
    """Return `path` with its `~` expanded. Raises RuntimeError if there is no home directory."""
    whole = os.path.expanduser(path)
    if path.startswith("~") and whole.startswith(("~", NO_HOME)):
        raise RuntimeError(f"no home directory for {path}")
    return whole


def _is_plain() -> bool:
    """Whether the rule written here holds on this platform. Android calls itself Linux too."""
    android = "ANDROID_DATA" in os.environ or hasattr(sys, "getandroidapilevel")
    return sys.platform in _DEFAULTS and not android


def _by_platformdirs(name: str) -> str:
    """Return this program's directory as platformdirs gives it. Raises RuntimeError if it does not.

    A relative path would lead into the working directory.
    """
    import platformdirs

    try:
        directory: str = getattr(platformdirs, name)(_APP, appauthor=False)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"no home directory: {error}") from error
    if not os.path.isabs(directory):
        raise RuntimeError("no home directory: set AWS_ECR_CACHE_DIR")
    return directory


def _user_directory(variable: str, default: str) -> str:
    """Return this program's directory in that of an XDG variable; it is ignored if not absolute."""
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = _home() + default.removeprefix("~")
    return os.path.join(base, _APP)


def _home() -> str:
    """Return the home directory, ignoring one that is not absolute. Raises RuntimeError."""
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home) and sys.platform != "win32":
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not os.path.isabs(home) or home == NO_HOME:
        raise RuntimeError("no home directory: set HOME or AWS_ECR_CACHE_DIR")
    return home.rstrip("/")

"""Environment variables: which hold secrets, and a home directory that libraries can rely on."""

import os

NO_HOME = os.devnull  # the value of HOME if there is no home: no file can be below it

_SECRET = ("SECRET", "TOKEN", "PASS")


def settle_home() -> None:
    """Unset HOME unless it is absolute; set it to NO_HOME if no home directory can be found.

    This must run before any library is imported: some expand "~" on import, and would read a
    directory of that name in the working directory, where anybody may have put it.
    """
    if not os.path.isabs(os.environ.get("HOME", "")):
        os.environ.pop("HOME", None)
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ["HOME"] = NO_HOME


def drop_empty_variables() -> None:
    """Unset every empty AWS variable, for botocore and for the processes that it starts."""
    for name, value in list(os.environ.items()):
        if name.startswith("AWS_") and not value:
            del os.environ[name]


def is_secret(name: str) -> bool:
    """Whether the variable `name` holds a secret; one that ends in _FILE holds a path."""
    return not name.endswith("_FILE") and any(word in name for word in _SECRET)


def secret_values() -> list[str]:
    """Return the values of AWS variables that must never be shown."""
    return [
        value.strip()
        for name, value in os.environ.items()
        if value.strip() and name.startswith("AWS_") and is_secret(name)
    ]

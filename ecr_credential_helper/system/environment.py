"""Environment variables: which hold secrets, and a home directory that libraries can rely on."""

import os

NO_HOME = os.devnull  # what HOME is where there is no home: nothing can be below it

_SECRET = ("SECRET", "TOKEN", "PASS")


def settle_home() -> None:
    """Have HOME count as unset unless it is absolute; make it NO_HOME where no home can be told.

    It has to come before any library is imported: some expand "~" already then, and would read a
    directory of that name in the working directory, where anybody may have put it.
    """
    if not os.path.isabs(os.environ.get("HOME", "")):
        os.environ.pop("HOME", None)
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ["HOME"] = NO_HOME


def drop_empty_variables() -> None:
    """Make an empty AWS variable count as unset, for botocore and for what it starts."""
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

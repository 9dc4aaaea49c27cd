"""Environment variables: secret ones, harmless ones; a home and a search path to rely on."""

import os
import sys

# The home directory if there is none: no file can be below it. Windows has no such device.
NO_HOME = os.devnull if os.name == "posix" else r"\\.\no-home"
_HOME = "HOME" if os.name == "posix" else "USERPROFILE"  # what says where it is

# AWS variables that cannot change the principal that AWS sees; docs/identity.md has the reason for
# each. Every other one may. packaging/front/front.c has the same names.
HARMLESS = frozenset(
    (
        # In which region STS is asked, for the same role.
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_SIGV4A_SIGNING_REGION_SET",
        "AWS_SSO_DEFAULT_REGION",
        "AWS_STS_REGIONAL_ENDPOINTS",
        # How a request is sent, and how often.
        "AWS_DEFAULTS_MODE",
        "AWS_DISABLE_REQUEST_COMPRESSION",
        "AWS_MAX_ATTEMPTS",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
        "AWS_METADATA_SERVICE_TIMEOUT",
        "AWS_NEW_RETRIES_2026",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_RETRY_MODE",
        # When the credentials end.
        "AWS_ASSUME_ROLE_TTL",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_SESSION_EXPIRATION",
        "AWS_SESSION_TTL",
        "AWS_SSO_SESSION_EXPIRATION",
        # Who is told of a request, and what a program says that it is.
        "AWS_CSM_CLIENT_ID",
        "AWS_CSM_ENABLED",
        "AWS_CSM_HOST",
        "AWS_CSM_PORT",
        "AWS_EXECUTION_ENV",
        "AWS_SDK_UA_APP_ID",
        "AWS_TOOLING_USER_AGENT",
        # What the AWS CLI prints.
        "AWS_DEFAULT_OUTPUT",
        "AWS_PAGER",
        # Where a program runs.
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_SAM_LOCAL",
        # Other services, other SDKs.
        "AWS_CBOR_DISABLE",
        "AWS_JAVA_V1_DISABLE_DEPRECATION_ANNOUNCEMENT",
        "AWS_JAVA_V1_PRINT_LOCATION",
        "AWS_NODEJS_CONNECTION_REUSE_ENABLED",
        "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
        "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
        "AWS_S3_USE_ARN_REGION",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
        "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED",
        "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE",
        "AWS_SDK_LOAD_CONFIG",
    )
)
HARMLESS_PREFIXES = ("AWS_BATCH_", "AWS_CLI_", "AWS_ECR_", "AWS_XRAY_")

_SECRET = ("SECRET", "TOKEN", "PASS")


def settle_home() -> None:
    """Unset HOME unless it is absolute; set it to NO_HOME if no home directory can be found.

    On Windows that is done with USERPROFILE, which goes before HOMEDRIVE and HOMEPATH there.

    This must run before any library is imported: some expand "~" on import, and would read a
    directory of that name in the working directory, where anybody may have put it.
    """
    if not os.path.isabs(os.environ.get(_HOME, "")):
        os.environ.pop(_HOME, None)
    if not os.path.isabs(os.path.expanduser("~")):
        os.environ[_HOME] = NO_HOME


def settle_search_path() -> None:
    """Take what the caller chose out of the path in which modules are searched.

    That is what PYTHONPATH added, and the current directory of `python -m`. What Python itself adds
    stays, in its place. So does the directory that this program was found in: it is the caller's
    after `pip install --target`. If its libraries are not there, they may be in another of the
    caller's, and those come last.

    This must run before any library is imported. The variable stays, for a credential_process.
    """
    ours = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    chosen = [path for path in _paths_of_the_caller() if path in sys.path]
    if not chosen:
        return
    import site  # it was loaded when Python started

    added = [*site.getsitepackages(), site.USER_SITE if site.ENABLE_USER_SITE else None]
    last = [path for path in chosen if path in added]
    if ours in chosen and ours not in last:
        chosen.remove(ours)
        last = last if os.path.exists(f"{ours}/botocore") else chosen
    sys.path[:] = [path for path in sys.path if path not in chosen] + last


def _paths_of_the_caller() -> list[str]:
    """Return the entries of the search path that the caller chose, but for the standard library."""
    names = []
    if sys.modules["__main__"].__spec__ is not None and not sys.flags.safe_path:
        names.append(os.curdir)
    if os.environ.get("PYTHONPATH") and not sys.flags.ignore_environment:
        names += os.environ["PYTHONPATH"].split(os.pathsep)
    standard = os.path.dirname(os.__file__)
    try:
        paths = dict.fromkeys(map(os.path.abspath, names))
    except OSError:  # the current directory was removed, and Python has added it nowhere
        paths = dict.fromkeys(map(os.path.abspath, filter(os.path.isabs, names)))
    return [path for path in paths if path not in (standard, f"{standard}/lib-dynload")]


def drop_empty_variables() -> None:
    """Unset every empty AWS variable, for botocore and for the processes that it starts."""
    for name, value in list(os.environ.items()):
        if name.startswith("AWS_") and not value:
            del os.environ[name]


def is_harmless(name: str) -> bool:
    """Whether the AWS variable `name` cannot change the principal that AWS sees."""
    return name in HARMLESS or name.startswith(HARMLESS_PREFIXES)


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

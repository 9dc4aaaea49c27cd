"""docs/identity.md: its tables say what the program does, in Python and in C, and botocore.

A variable that a newer botocore reads, and that nobody has looked at, counts: that needs no test.
What is tested is that botocore reads no variable that does not count for anything new.
"""

import functools
import re
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore import configprovider
from botocore.credentials import create_credential_resolver

from ecr_credential_helper.system.environment import HARMLESS, HARMLESS_PREFIXES, is_secret
from ecr_credential_helper.tokens.identity import _is_part

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "identity.md").read_text()
ROW = re.compile(
    r"^\| `([A-Z0-9_]+\*?)` \| ([^|]+) \| (yes|no|secret) \| ([^|]+) \|$", re.MULTILINE
)
ROWS = {match[1]: match for match in ROW.finditer(PAGE)}
FRONT = (TOP / "packaging" / "front" / "front.c").read_text()
BOTOCORE = Path(botocore.__file__).parent

# Where botocore reads a name that does not count: the setting that it is for, or the module.
LOOKED_AT = {
    # The region of the clients for STS and for a session of `aws login`; and, both names, to choose
    # timeouts (SmartDefaultsConfigStoreFactory.resolve_auto_mode).
    "AWS_DEFAULT_REGION": {"setting region", "configprovider.py"},
    "AWS_REGION": {"configprovider.py"},
    # The name of the endpoint of STS.
    "AWS_STS_REGIONAL_ENDPOINTS": {"setting sts_regional_endpoints"},
    # What a signature of the form v4a is made for.
    "AWS_SIGV4A_SIGNING_REGION_SET": {"setting sigv4a_signing_region_set"},
    # Retries, timeouts, and the endpoint of STS (SmartDefaultsConfigStoreFactory).
    "AWS_DEFAULTS_MODE": {"setting defaults_mode"},
    "AWS_RETRY_MODE": {"setting retry_mode"},
    "AWS_MAX_ATTEMPTS": {"setting max_attempts"},
    "AWS_METADATA_SERVICE_TIMEOUT": {"setting metadata_service_timeout"},
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": {"setting metadata_service_num_attempts"},
    "AWS_NEW_RETRIES_2026": {"configprovider.py"},
    # The body of a request and of an answer.
    "AWS_DISABLE_REQUEST_COMPRESSION": {"setting disable_request_compression"},
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": {"setting request_min_compression_size_bytes"},
    "AWS_REQUEST_CHECKSUM_CALCULATION": {"setting request_checksum_calculation"},
    "AWS_RESPONSE_CHECKSUM_VALIDATION": {"setting response_checksum_validation"},
    # When the keys beside it end (EnvProvider): they are not used after that, nor others instead.
    "AWS_CREDENTIAL_EXPIRATION": {"credentials.py"},
    # The user agent; AWS_EXECUTION_ENV also to choose timeouts, with the regions above.
    "AWS_EXECUTION_ENV": {"configprovider.py", "session.py", "useragent.py"},
    "AWS_SDK_UA_APP_ID": {"setting user_agent_appid", "useragent.py"},
    # A header for tracing.
    "AWS_LAMBDA_FUNCTION_NAME": {"handlers.py"},
    # A report of each call to a port of this machine.
    "AWS_CSM_ENABLED": {"setting csm_enabled"},
    "AWS_CSM_HOST": {"setting csm_host"},
    "AWS_CSM_PORT": {"setting csm_port"},
    "AWS_CSM_CLIENT_ID": {"setting csm_client_id"},
    # Only for the client of S3.
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": {"setting s3_disable_express_session_auth"},
    "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS": {"setting s3_disable_multiregion_access_points"},
    "AWS_S3_USE_ARN_REGION": {"setting use_arn_region"},
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": {"setting us_east_1_regional_endpoint"},
}


def listed(name: str) -> list[str]:
    """Return the strings of an array in the C program's `tells`."""
    body = FRONT.partition("static bool tells(")[2].partition("\n}\n")[0]
    array = body.partition(f"*const {name}[] = {{")[2].partition("};")[0]
    return re.findall(r'"(\w+)"', re.sub(r"/\*.*?\*/", "", array))


def rows(counts: str) -> set[str]:
    """Return the names in the rows of the page that say so."""
    return {name for name, row in ROWS.items() if row[3] == counts}


def example(name: str) -> str:
    """Return a name that a row is for: a star stands for anything."""
    return name.replace("*", "ANYTHING")


def settings() -> dict[str, set[str]]:
    """Return the variables in botocore's tables of settings, and which settings they are for."""
    found: dict[str, set[str]] = {}
    for table in vars(configprovider).values():
        if not isinstance(table, dict):
            continue
        for setting, row in table.items():
            if not isinstance(row, tuple) or len(row) != 4:
                continue
            for name in row[1] if isinstance(row[1], list) else [row[1]]:
                if name and name.startswith("AWS_"):
                    found.setdefault(name, set()).add(f"setting {setting}")
    return found


@functools.cache
def places() -> dict[str, set[str]]:
    """Return all variables that botocore reads, and where: in which settings, or modules."""
    found = settings()
    tables = set(found)
    quoted = re.compile(r"""['"](AWS_[A-Z0-9_]*[A-Z0-9])['"]""")
    for file in BOTOCORE.rglob("*.py"):
        for line in file.read_text().splitlines():
            for name in quoted.findall(line):
                in_table = file.name == "configprovider.py" and "environ" not in line
                if not (in_table and name in tables):
                    found.setdefault(name, set()).add(file.name)
    return found


def test_each_variable_has_one_row() -> None:
    """And each row has all columns, and says why."""
    names = re.findall(r"(?m)^\| `(\w+\*?)`", PAGE)
    assert sorted(names) == sorted(ROWS)
    assert len(ROWS) > 100


def test_the_page_the_python_and_the_c_program_agree() -> None:
    """Name for name; the two programs in the same order."""
    exact = {name for name in rows("no") if not name.endswith("*")}
    assert exact == HARMLESS
    assert {name.removesuffix("*") for name in rows("no") - exact} == set(HARMLESS_PREFIXES)
    source = (TOP / "ecr_credential_helper" / "system" / "environment.py").read_text()
    block = source.partition("HARMLESS = frozenset(")[2].partition("\n)\n")[0]
    assert listed("harmless") == re.findall(r'"(\w+)"', block)
    assert listed("prefixes") == list(HARMLESS_PREFIXES)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_variable_counts_as_its_row_says(name: str) -> None:
    """Each name, and an example of each name with a star."""
    counts = ROWS[name][3]
    assert _is_part(example(name)) is (counts == "yes")
    assert is_secret(name) is (counts == "secret")


def test_botocore_reads_what_does_not_count_for_what_was_looked_at() -> None:
    """Where this fails, look at what the installed botocore does with the variable, and decide."""
    read = {name: found for name, found in places().items() if not _is_part(name)}
    new = {
        name: sorted(found - LOOKED_AT.get(name, set()))
        for name, found in read.items()
        if not is_secret(name) and not found <= LOOKED_AT.get(name, set())
    }
    assert new == {}, "botocore reads variables that do not count for something not looked at"
    assert {"AWS_DEFAULT_REGION", "AWS_STS_REGIONAL_ENDPOINTS"} <= set(read)


def test_what_was_looked_at_is_what_does_not_count() -> None:
    """A name that counts needs no reason there."""
    assert set(LOOKED_AT) <= HARMLESS


def test_the_page_has_all_that_its_botocore_reads() -> None:
    """All of the version that it was made from; what a newer one adds counts without a row."""
    missing = [name for name in places() if not has_row(name)]
    assert missing == [] or f"botocore {botocore.__version__}" not in PAGE, missing


def has_row(name: str) -> bool:
    """Whether the page has a row for a name, or for its beginning and a star."""
    stars = (row.removesuffix("*") for row in ROWS if row.endswith("*"))
    return name in ROWS or name.startswith(tuple(stars))


def test_the_instance_is_the_last_that_botocore_asks() -> None:
    """So that if it answers too late, no other identity takes its place."""
    resolver = create_credential_resolver(botocore.session.Session())
    assert resolver.providers[-1].METHOD == "iam-role"


def test_the_page_is_linked() -> None:
    """From where the cache is spoken of."""
    for page in ("README.md", "docs/architecture.md"):
        assert re.search(r"\]\((docs/)?identity\.md\)", (TOP / page).read_text()), page

"""What nobody expected is told by what it is and where, and never in its own words."""

import re
from pathlib import Path

import pytest

from tests.loopback import USER_SECRET, Loopback
from tests.support.answers import NAME, NO_KEYS, PRIVATE, assert_refused, write
from tests.support.entries import HOST
from tests.support.helper import Helper
from tests.support.installed import environment, script_for

pytestmark = pytest.mark.inside

BY_BOTOCORE = {"AWS_MAX_ATTEMPTS": "3"}
BROKEN = "# The module of another project.\nraise {}({!r})\n"


@pytest.fixture
def site(helper: Helper, tmp_path: Path) -> Path:
    """Give the program a Python of its own; return where modules come before all others."""
    python, site = environment(tmp_path / "venv")
    script = python.with_name(NAME)
    script.write_text(script_for(python, helper.executable.read_text()))
    script.chmod(0o755)
    helper.executable = script
    return site


@pytest.mark.parametrize("error", ["RuntimeError", "OSError", "KeyError", "SyntaxError"])
def test_an_error_is_told_with_its_place(
    helper: Helper, aws: Loopback, site: Path, error: str
) -> None:
    """Its type, the file from its package on, and the line; not what it says, not the directory."""
    write(site / "urllib3/__init__.py", BROKEN.format(error, USER_SECRET))
    cause = assert_refused(helper.get(PRIVATE, env=BY_BOTOCORE), aws)
    assert cause == f"internal error: {error} in urllib3/__init__.py, line 2"


def test_a_module_in_a_package_is_told_from_the_package_on(
    helper: Helper, aws: Loopback, site: Path
) -> None:
    """However deep it lies."""
    write(site / "urllib3/__init__.py", "from .util import deep\n")
    write(site / "urllib3/util/__init__.py", "")
    write(site / "urllib3/util/deep.py", BROKEN.format("ValueError", USER_SECRET))
    cause = assert_refused(helper.get(PRIVATE, env=BY_BOTOCORE), aws)
    assert cause == "internal error: ValueError in urllib3/util/deep.py, line 2"


def test_a_module_that_is_missing_is_named(helper: Helper, aws: Loopback, site: Path) -> None:
    """With the file that needs it."""
    write(site / "botocore/__init__.py", "import nowhere.at_all\n")
    result = helper.get(PRIVATE, env=BY_BOTOCORE)
    assert assert_refused(result, aws) == (
        "a part of this program is missing: the module nowhere, needed in botocore/__init__.py, "
        "line 1"
    )
    assert result.err.startswith("hint: install it again (")


def test_a_module_that_is_another_is_named_with_its_file(
    helper: Helper, aws: Loopback, site: Path
) -> None:
    """One of the same name, in which something is not to be found."""
    file = write(site / "jmespath.py", "")
    write(site / "botocore/__init__.py", "from jmespath import search\n")
    assert assert_refused(helper.get(PRIVATE, env=BY_BOTOCORE), aws) == (
        f"a part of this program does not load: the module jmespath from {file} in "
        "botocore/__init__.py, line 1"
    )


def test_a_module_that_refuses_to_load_is_named(helper: Helper, aws: Loopback, site: Path) -> None:
    """As urllib3 does with an old OpenSSL, which has a text and no name."""
    write(site / "urllib3/__init__.py", BROKEN.format("ImportError", USER_SECRET))
    assert assert_refused(helper.get(PRIVATE, env=BY_BOTOCORE), aws) == (
        "a part of this program does not load: ImportError in urllib3/__init__.py, line 2"
    )


NO_THREADS = """\
import _thread

def refuse(*_, **__):
    raise RuntimeError("can't start new thread")

_thread.start_new_thread = _thread.start_joinable_thread = refuse
"""


@pytest.mark.parametrize("arguments", [["get"], ["warm", HOST]], ids=["get", "warm"])
def test_that_no_thread_can_be_started_is_told(
    helper: Helper, site: Path, arguments: list[str]
) -> None:
    """What it may be, and what can be done: an old seccomp profile is the last to be thought of."""
    write(site / "no_threads.py", NO_THREADS)
    write(site / "no_threads.pth", "import no_threads\n")  # Debian has a sitecustomize of its own
    write(helper.home / ".aws/config", "[default]\ncredential_process = none\n")
    result = helper.run(*arguments, stdin=PRIVATE.encode(), env=NO_KEYS)
    assert result.status == 1
    said = re.sub(r"\s+", " ", result.out + result.err)
    assert f"{NAME}: no thread can be started: " in said
    assert "a seccomp profile older than this program's C library" in said
    assert "hint: raise the limits of this process (`ulimit -a`" in said
    assert "libseccomp" in said

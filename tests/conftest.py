"""What every test starts from: the loopback AWS, and the executable in a directory of its own."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.loopback import Loopback
from tests.support.helper import EXECUTABLE, HOME, Authority, Helper, make_authority
from tests.support.needs import check

pytest_plugins = ("tests.support.clients_page",)

# What is built by `make packages` is tested by `make packages-test`.
BUILT = (
    *("packaging/test_packages.py", "packaging/test_anywhere.py"),
    *("packaging/test_other_processor.py", "e2e/test_packages.py"),
)
collect_ignore = [] if "PACKAGES" in os.environ else [*BUILT]

# What makes sense on macOS and Windows, and runs there with `-m portable`: this program from
# outside. What of it is POSIX alone has the mark needs("POSIX").
PORTABLE = (
    *("test_registry.py", "test_protocol.py", "test_bazel_protocol.py", "test_settings.py"),
    *("aws/test_failures.py", "commands/test_cache_commands.py", "commands/test_configure.py"),
    *(f"helper/test_{name}.py" for name in ("erase_and_list", "get", "store", "streams", "usage")),
    "system/test_log.py",
    *(f"tokens/test_{name}.py" for name in ("cache", "docker_login", "singleflight")),
)


def pytest_configure(config: pytest.Config) -> None:
    """End the run at once where there is no executable to test; keep hypothesis repeatable.

    A run in the background of a shell ignores SIGINT, and so would every process it starts.
    """
    del config
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.access(EXECUTABLE, os.X_OK):
        raise pytest.UsageError(f"{EXECUTABLE} is not installed: run `pip install -e '.[test]'`")
    hypothesis.settings.register_profile("suite", database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("suite")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m portable`, do not even import the other tests: elsewhere they could not be."""
    if config.option.markexpr != "portable":
        return None
    path = collection_path.relative_to(config.rootpath / "tests").as_posix()
    return not any(file == path or file.startswith(f"{path}/") for file in (*PORTABLE, "./"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is portable.

    Where another form of the program is tested, leave out what does not run it from outside.
    """
    for item in items:
        if item.path.relative_to(config.rootpath / "tests").as_posix() in PORTABLE:
            item.add_marker("portable")
    if "HELPER_UNDER_TEST" in os.environ:
        kept = [item for item in items if runs_the_executable(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def runs_the_executable(item: pytest.Item) -> bool:
    """Whether a test runs the executable, and changes nothing inside of it."""
    return "helper" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("inside")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test, before its fixtures, where the machine lacks what its mark `needs` names."""
    for mark in item.iter_markers("needs"):
        check(*mark.args)


@pytest.fixture(scope="session", autouse=True)
def _clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' own process off the user's home directory and AWS settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("AWS_", "BOTO_", "XDG_")) or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        patch.setenv(HOME, str(tmp_path_factory.mktemp("home")))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority for the session."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def aws(authority: Authority) -> Iterator[Loopback]:
    """Serve a loopback AWS of the test's own, on a port of its own, for the length of the test."""
    with contextlib.ExitStack() as stack:
        aws = stack.enter_context(Loopback(certificate=(authority.chain, authority.key)))
        yield aws
        # Its end takes a moment, for which the next test need not wait.
        threading.Thread(target=stack.pop_all().close).start()


@pytest.fixture
def helper(tmp_path: Path, aws: Loopback, authority: Authority) -> Helper:
    """Return the executable, ready to run in a home directory of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    return Helper(home, aws, authority)


@pytest.fixture
def refusing() -> Iterator[str]:
    """Return an address at which connections are refused for the length of the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"

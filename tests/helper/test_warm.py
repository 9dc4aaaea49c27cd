"""A warm get: what the process loads."""

import importlib.util
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.entries import HOST, LIFE, rewrite, secret_of
from tests.support.helper import Helper

pytestmark = pytest.mark.inside

PACKAGE = "ecr_credential_helper"
MODULES = {
    *("cli", "context", "errors", "protocol", "registry", "verbs"),
    *("system", "system.environment", "system.files", "system.paths"),
    *("tokens", "tokens.cache", "tokens.identity"),
}
HEAVY = (
    *("__future__", "argparse", "boto3", "botocore", "collections", "contextlib", "dataclasses"),
    *("datetime", "functools", "hashlib", "json", "logging", "pathlib", "platformdirs", "re"),
    *("socket", "ssl", "subprocess", "tempfile", "threading", "typing", "urllib", "yaml"),
)

# The interpreter reports each module at the moment it is loaded, however the process ends.
REPORT = {"PYTHONPROFILEIMPORTTIME": "1"}

# What pip wrote before 25.2.
OLDER_SCRIPT = """\
#!{python}
# -*- coding: utf-8 -*-
import re
import sys
from ecr_credential_helper.cli import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""


def modules_in(report: bytes) -> set[str]:
    """Return the modules that an interpreter reports to have loaded."""
    lines = [line for line in report.decode().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


def loaded_by(code: str, env: Mapping[str, str]) -> set[str]:
    """Return the modules that the same interpreter loads to run some code."""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env={**env, **REPORT}, capture_output=True, check=True)
    return modules_in(run.stderr)


@pytest.fixture
def current(helper: Helper) -> Helper:
    """Return the executable, if its script is one that imports nothing of its own."""
    if b"\nimport re\n" in helper.executable.read_bytes():
        needs.lacking("missing: a script by pip 25.2 or newer (upgrade pip, then install again)")
    return helper


def is_built_in(name: str) -> bool:
    """Whether a module is part of the interpreter itself and costs no file."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin in ("built-in", "frozen")


def assert_ours_alone(modules: set[str]) -> None:
    """Hold that these are the modules that a warm get needs, and built-in ones."""
    ours = {name for name in modules if name.partition(".")[0] == PACKAGE}
    assert ours == {PACKAGE, *(f"{PACKAGE}.{module}" for module in MODULES)}
    assert [name for name in sorted(modules - ours) if not is_built_in(name)] == []


def test_a_warm_get_loads_our_modules_and_nothing_else_from_disk(current: Helper) -> None:
    """Beyond a bare interpreter there are only the modules it needs, and built-in ones."""
    current.get(HOST)
    current.get(HOST)
    warm = current.get(HOST, env=REPORT)
    assert secret_of(warm.answer)
    more = modules_in(warm.stderr) - loaded_by("pass", current.env)
    assert_ours_alone(more)
    assert not {name.partition(".")[0] for name in more}.intersection(HEAVY)


def test_the_script_of_an_older_pip_adds_one_module(helper: Helper, tmp_path: Path) -> None:
    """It imports `re`, and what `re` is made of; nothing more is loaded than with a newer one."""
    helper.executable = tmp_path / "docker-credential-ecr"
    helper.executable.write_text(OLDER_SCRIPT.format(python=sys.executable))
    helper.executable.chmod(stat.S_IRWXU)
    helper.get(HOST)
    warm = helper.get(HOST, env=REPORT)
    assert secret_of(warm.answer)
    assert_ours_alone(modules_in(warm.stderr) - loaded_by("import re", helper.env))


def test_the_report_shows_what_a_cold_get_loads(helper: Helper) -> None:
    """The same check of a get that asks AWS finds more: botocore, where it is needed."""
    direct = modules_in(helper.get(HOST, env=REPORT).stderr)
    assert {f"{PACKAGE}.aws.direct", "json", "re", "socket"} <= direct
    assert not {name for name in direct if name.partition(".")[0] in ("botocore", "dataclasses")}
    (helper.home / ".aws").mkdir()
    (helper.home / ".aws" / "config").touch()
    cold = modules_in(helper.get(HOST, env=REPORT).stderr)
    assert {"botocore.session", f"{PACKAGE}.aws.ecr"} <= cold - direct


@pytest.mark.parametrize(
    ("name", "section"), [("config", "profile other"), ("credentials", "other")]
)
def test_awscrt_is_loaded_for_aws_login_alone(helper: Helper, name: str, section: str) -> None:
    """awscrt, a fifth of a cold get, is not loaded unless a profile may need it."""
    needs.module("awscrt", "test")
    file = helper.home / ".aws" / name
    file.parent.mkdir()
    file.touch()
    cold = helper.get(HOST, env=REPORT)
    assert secret_of(cold.answer)
    assert "awscrt" not in modules_in(cold.stderr)
    file.write_text(f"[{section}]\nlogin_session = arn:aws:iam::111122223333:user/x\n")
    other = helper.get(HOST, env=REPORT)
    assert secret_of(other.answer)
    assert "awscrt" in modules_in(other.stderr)


def test_a_get_past_the_half_life_loads_no_aws_code(helper: Helper) -> None:
    """To start the refresh behind it, a get loads what starts a process, and no botocore."""
    helper.get(HOST)
    rewrite(helper.cache, age=LIFE * 3 / 4)
    aging = helper.get(HOST, env=REPORT)
    assert secret_of(aging.answer)
    loaded = modules_in(aging.stderr)
    assert f"{PACKAGE}.tokens.background" in loaded
    assert f"{PACKAGE}.tokens.fetch" not in loaded
    assert not {name for name in loaded if name.startswith(("boto", "urllib3", "platformdirs"))}


def test_listing_loads_no_aws_code(current: Helper) -> None:
    """A list is as light as a warm get."""
    current.get(HOST)
    listed = current.run("list", env=REPORT)
    assert listed.stdout == b'{"https://%s":"AWS"}\n' % HOST.encode()
    more = modules_in(listed.stderr) - loaded_by("pass", current.env)
    ours = {name for name in more if name.partition(".")[0] == PACKAGE}
    assert ours == {PACKAGE, *(f"{PACKAGE}.{module}" for module in MODULES)}
    assert not {name.partition(".")[0] for name in more}.intersection(HEAVY)

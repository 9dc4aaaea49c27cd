"""Where files are: the rules of platformdirs, held equal to platformdirs itself."""

import os
import pwd
import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from ecr_credential_helper.system import environment, paths
from tests.support.entries import HOST, entry_files
from tests.support.helper import Helper

APP = "ecr-credential-helper"
PLATFORMS: dict[str, type[Unix | MacOS]] = {"linux": Unix, "darwin": MacOS}

HOMES = (
    None,
    "/home/u",
    "/home/u/",
    "/home//u//",
    "/",
    "",
    "relative/home",
    "~",
)
XDG = (
    None,
    "",
    "/xdg",
    "/xdg/",
    "/xdg//",
    "/with space/ü",
    "relative",
    "./relative",
    "~/xdg",
    " ",
)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("xdg", XDG)
def test_both_find_the_same_directories(
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    home: str | None,
    xdg: str | None,
) -> None:
    """Our two lines and platformdirs agree on every variable: set, unset, empty and relative."""
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", xdg), ("XDG_CONFIG_HOME", xdg)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    theirs = PLATFORMS[platform](APP, appauthor=False)
    assert paths.cache_directory() == theirs.user_cache_dir
    assert paths.settings_file() == os.path.join(theirs.user_config_dir, "config.toml")


def test_each_directory_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache follows XDG_CACHE_HOME, the settings follow XDG_CONFIG_HOME."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/one")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/two")
    assert paths.cache_directory() == f"/one/{APP}"
    assert paths.settings_file() == f"/two/{APP}/config.toml"


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_any_home_there_is_no_directory(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    """Where neither HOME nor the password file tells one, it is a RuntimeError that says so."""

    def nobody(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    for find in (paths.cache_directory, paths.settings_file):
        with pytest.raises(RuntimeError, match="set HOME or AWS_ECR_CACHE_DIR"):
            find()
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert paths.cache_directory() == f"/xdg/{APP}"


@pytest.mark.parametrize(
    ("home", "settled"),
    [
        (None, None),
        ("", None),
        ("relative", None),
        ("~", None),
        ("/home/u", "/home/u"),
        ("/", "/"),
        (os.devnull, os.devnull),
    ],
)
def test_a_home_that_is_not_absolute_is_unset(
    monkeypatch: pytest.MonkeyPatch, home: str | None, settled: str | None
) -> None:
    """An empty HOME counts as unset, as every empty variable does: the password file is asked."""
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    environment.settle_home()
    assert os.environ.get("HOME") == settled
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    environment.settle_home()
    assert os.environ["HOME"] == os.devnull


@pytest.mark.needs("Linux")
@pytest.mark.parametrize("home", ["", "relative"])
def test_an_empty_home_is_no_root_directory(helper: Helper, home: str) -> None:
    """Every path of a run is the same as with HOME unset, and none is below / or here."""
    hidden: dict[str, str | None] = {
        "HOME": home,
        "AWS_ECR_CACHE_DIR": "~/no-such-cache",
        "AWS_ECR_CONFIG_FILE": "~/no-such.toml",
    }
    told = [
        helper.run(*arguments, env=env).out
        for env in (hidden, hidden | {"HOME": None})
        for arguments in (("status", "--json"), ("doctor", "--json"))
    ]
    assert told[:2] == told[2:]
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert f"{own}/no-such-cache" in told[0]
    assert f"{own}/.docker" in told[1]


@pytest.mark.parametrize(
    ("platform", "environment"),
    [("win32", {}), ("android", {}), ("freebsd14", {}), ("linux", {"ANDROID_DATA": "/data"})],
)
def test_elsewhere_platformdirs_is_asked(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str]
) -> None:
    """On a platform whose rule is not written here its word is taken as it is."""
    asked = []

    def answer(app: str, *, appauthor: bool) -> str:
        asked.append((app, appauthor))
        return "/elsewhere"

    monkeypatch.setattr(sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platformdirs, "user_cache_dir", answer)
    monkeypatch.setattr(platformdirs, "user_config_dir", answer)
    assert paths.cache_directory() == "/elsewhere"
    assert paths.settings_file() == os.path.join("/elsewhere", "config.toml")
    assert asked == [(APP, False), (APP, False)]


@pytest.mark.parametrize(
    ("chosen", "directory"),
    [
        ("/somewhere", "/somewhere"),
        ("~/mine", "/home/u/mine"),
        ("~", "/home/u"),
        ("relative", "relative"),
        ("", f"/home/u/.cache/{APP}"),
    ],
)
def test_the_user_chooses(monkeypatch: pytest.MonkeyPatch, chosen: str, directory: str) -> None:
    """The variables that name our files come first, with a tilde expanded; empty is unset."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("AWS_ECR_CACHE_DIR", chosen)
    monkeypatch.setenv("AWS_ECR_CONFIG_FILE", chosen)
    assert paths.cache_directory() == directory
    settings = directory if chosen else f"/home/u/.config/{APP}/config.toml"
    assert paths.settings_file() == settings


@pytest.mark.needs("Linux")
@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"AWS_ECR_CACHE_DIR": None}, f".cache/{APP}"),
        ({"AWS_ECR_CACHE_DIR": ""}, f".cache/{APP}"),
        ({"AWS_ECR_CACHE_DIR": "~/mine"}, "mine"),
        ({"AWS_ECR_CACHE_DIR": None, "XDG_CACHE_HOME": ""}, f".cache/{APP}"),
        ({"AWS_ECR_CACHE_DIR": None, "XDG_CACHE_HOME": "relative"}, f".cache/{APP}"),
    ],
)
def test_the_token_is_kept_there(
    helper: Helper, tmp_path: Path, env: dict[str, str | None], place: str
) -> None:
    """The executable keeps tokens where these rules say, and makes what is missing on the way."""
    assert helper.get(HOST, env=env).stderr == b""
    kept = {os.path.dirname(file) for file in helper.files() if HOST in file}
    assert kept == {place}
    xdg = {"AWS_ECR_CACHE_DIR": None, "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert helper.get(HOST, env=xdg).stderr == b""
    assert len(entry_files(tmp_path / "xdg" / APP)) == 2

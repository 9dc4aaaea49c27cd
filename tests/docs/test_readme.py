"""What the README shows and says is so; its recipes are run in tests/e2e/test_readme.py."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import ecr_credential_helper
from ecr_credential_helper.commands.docker_config import DockerConfig
from ecr_credential_helper.commands.hosts import host_in
from ecr_credential_helper.settings import target_of
from tests.e2e.rig import OTHER, PRIVATE
from tests.loopback import Loopback
from tests.support.helper import EXECUTABLE, Authority, Helper
from tests.support.readme import README, TOP, blocks, text_of, transcript
from tests.support.stage import HOME, stage

PACKAGE = Path(ecr_credential_helper.__file__).parent
REFERENCE = TOP / "docs" / "reference.md"
STALE = {"auths": {PRIVATE: {"auth": "c2VjcmV0"}}}
OURS = {"credHelpers": {PRIVATE: "ecr"}}
CONFIGS = {
    "doctor": OURS,
    "status, warm, clear": OURS,
    "Moving over from `docker login`": STALE,
}
TRANSCRIPTS = [block for block in blocks() if block.language == "console"]


def test_install_configure_and_pull_come_before_line_30() -> None:
    """Who has no time reads no further."""
    head = "\n".join(README.read_text().splitlines()[:29])
    places = [head.index(word) for word in ("pipx install", "ecr configure", "docker pull 1")]
    assert places == sorted(places)


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.heading)
def test_what_a_command_prints_is_what_is_shown(
    aws: Loopback, authority: Authority, block: tuple[str, str, str]
) -> None:
    """To the letter, wrapped as it is for 80 columns."""
    with stage(aws, authority) as helper:
        aws.token_life = 43190.0
        if config := CONFIGS.get(block[0]):
            (helper.home / ".docker").mkdir()
            (helper.home / ".docker" / "config.json").write_text(json.dumps(config))
        if block[0] == "configure --profiles":
            (helper.home / ".aws").mkdir()
            (helper.home / ".aws" / "config").write_text(text_of(block[0], "ini"))
        for command, shown in transcript(block[2]):
            program, *arguments = shlex.split(command)
            assert program == EXECUTABLE.name
            result = helper.run(*arguments)
            assert result.err == ""
            assert result.out.replace(str(helper.home), HOME) == shown


def test_the_config_json_that_is_shown_is_what_configure_makes(tmp_path: Path) -> None:
    """To the letter."""
    config = DockerConfig(str(tmp_path))
    for region in ("eu-west-1", "us-east-1"):
        config.set_helper(host_in("111122223333", region), "ecr")
    assert config.text == text_of("configure", "json")


def test_the_settings_file_that_is_shown_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what the words around it say."""
    path = tmp_path / "config.toml"
    path.write_text(text_of("Several accounts and profiles", "toml"))
    monkeypatch.setenv("AWS_ECR_CONFIG_FILE", str(path))
    prod, dev, own = target_of(PRIVATE), target_of(OTHER), target_of("images.example.com")
    assert prod
    assert (prod.profile, prod.role, prod.cache) == ("prod", None, True)
    assert dev
    assert dev.role
    assert (dev.profile, dev.role.external_id, dev.cache) == ("dev", "pull", False)
    assert own
    assert (own.registry.account, own.registry.region) == ("111122223333", "eu-west-1")


def test_every_toml_and_json_block_is_one() -> None:
    """A block that does not parse helps nobody."""
    for block in blocks():
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_the_files_that_are_named_are_of_this_version() -> None:
    """Where a package is named, and where it is fetched from."""
    named = re.findall(r"docker-credential-ecr[-_](\d[\d.]*\d)|/v(\d[\d.]*)", README.read_text())
    assert len(named) > 5
    assert {one or other for one, other in named} == {ecr_credential_helper.__version__}


def test_every_variable_of_ours_is_in_the_table() -> None:
    """And none that does not exist."""
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    ours = set(re.findall(r"AWS_ECR_[A-Z_]*[A-Z]", sources))
    table = REFERENCE.read_text().partition("\n## Environment\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(AWS_ECR_[A-Z_]+)`", table, re.MULTILINE)) == ours


@pytest.mark.parametrize("command", ["status", "doctor", "warm"])
def test_the_json_of_each_command_has_the_members_that_are_promised(
    helper: Helper, command: str
) -> None:
    """All of them, in their order."""
    helper.get(PRIVATE)
    section = REFERENCE.read_text().partition("\n## For scripts\n")[2]
    row = next(line for line in section.splitlines() if line.startswith(f"| `{command}` | `"))
    promised = re.findall(r'"(\w+)"', row)
    answer = json.loads(helper.run(command, "--json", *[PRIVATE] * (command == "warm")).out)
    assert list(keys_of(answer)) == promised


def keys_of(value: object) -> dict[str, None]:
    """Return the keys of all objects in a JSON value, each once, in their order."""
    if isinstance(value, dict):
        found = dict.fromkeys(value)
        for inner in value.values():
            found |= keys_of(inner)
        return found
    found = {}
    for inner in value if isinstance(value, list) else []:
        found |= keys_of(inner)
    return found

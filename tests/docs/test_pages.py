"""What the pages show and say is so; their recipes are run in tests/e2e."""

import ast
import hashlib
import json
import platform
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ecr_credential_helper
from ecr_credential_helper.commands.docker_config import DockerConfig
from ecr_credential_helper.commands.hosts import host_in
from ecr_credential_helper.settings import target_of
from tests.e2e.rig import OTHER, PRIVATE
from tests.loopback import Loopback
from tests.support import pages
from tests.support.helper import EXECUTABLE, Authority, Helper
from tests.support.needs import SYSTEM_PATH
from tests.support.pages import (
    CACHE,
    COMMANDS,
    INSTALL,
    MOVING_OVER,
    PAGES,
    README,
    REFERENCE,
    SEVERAL_ACCOUNTS,
    TOP,
    Block,
    blocks,
    text_of,
    transcript,
)
from tests.support.stage import HOME, stage

PACKAGE = Path(ecr_credential_helper.__file__).parent
VERSION = ecr_credential_helper.__version__
REPOSITORY = "OWNER/ecr-credential-helper"
STALE = {"auths": {PRIVATE: {"auth": "c2VjcmV0"}}}
OURS = {"credHelpers": {PRIVATE: "ecr"}}
CONFIGS: dict[str, dict[str, Any]] = {
    "doctor": OURS,
    "status, warm, clear": OURS,
    "From `docker login`": STALE,
}
TRANSCRIPTS = [
    (page, block)
    for page in (COMMANDS, SEVERAL_ACCOUNTS, MOVING_OVER)
    for block in blocks(page)
    if block.language == "console"
]


def test_who_is_in_a_hurry_reads_thirty_lines() -> None:
    """Install, configure and pull come before line 30 of the README, which is short itself."""
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    head = "\n".join(lines[:29])
    places = [head.index(word) for word in ("pipx install", "ecr configure", "docker pull 1")]
    assert places == sorted(places)


def test_every_block_is_read_by_a_test() -> None:
    """A block that no test reads would be one that nobody has tried."""
    shown = {(page, *block[:2]) for page in PAGES for block in blocks(page)}
    read = {read for file in (TOP / "tests").rglob("test_*.py") for read in reads_of(file)}
    read |= {(page, *block[:2]) for page, block in TRANSCRIPTS}
    assert shown - read == set()
    assert len(shown) > 60


def reads_of(file: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the page, heading and language of each block that a test reads.

    Those are the arguments of its calls of `text_of` and `texts_of`, each a string, a constant of
    the same file, or a page.
    """
    tree = ast.parse(file.read_text())
    known: dict[str, Any] = dict(vars(pages))
    for line in tree.body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant):
            known |= {ast.unparse(target): line.value.value for target in line.targets}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"text_of", "texts_of"}:
            heading, language, page = (
                known[arg.id] if isinstance(arg, ast.Name) else ast.literal_eval(arg)
                for arg in node.args
            )
            yield page, heading, language


@pytest.mark.parametrize(
    ("page", "block"),
    TRANSCRIPTS,
    ids=[f"{page.stem}: {block.heading}" for page, block in TRANSCRIPTS],
)
def test_what_a_command_prints_is_what_is_shown(
    aws: Loopback, authority: Authority, page: Path, block: Block
) -> None:
    """To the letter, wrapped as it is for 80 columns."""
    with stage(aws, authority) as helper:
        aws.token_life = 43190.0
        if config := CONFIGS.get(block.heading):
            use(helper, config)
        if page == SEVERAL_ACCOUNTS:
            has_profiles(helper)
        for command, shown in transcript(block.text):
            program, *arguments = shlex.split(command)
            assert program == EXECUTABLE.name
            result = helper.run(*arguments)
            assert result.err == ""
            assert result.out.replace(str(helper.home), HOME) == shown


def use(helper: Helper, config: dict[str, Any]) -> None:
    """Give the helper's user a config.json."""
    (helper.home / ".docker").mkdir()
    (helper.home / ".docker" / "config.json").write_text(json.dumps(config))


def has_profiles(helper: Helper) -> None:
    """Give the helper's user the AWS config file of the page."""
    (helper.home / ".aws").mkdir()
    profiles = text_of("Profiles", "ini", SEVERAL_ACCOUNTS)
    (helper.home / ".aws" / "config").write_text(profiles)


def test_the_three_commands_that_help(aws: Loopback, authority: Authority) -> None:
    """They do what the words above them say."""
    with stage(aws, authority) as helper:
        use(helper, OURS)
        commands = text_of("The commands that help", "sh", README).splitlines()
        warm, status, clear = (helper.run(*shlex.split(command)[1:]) for command in commands)
        assert (warm.status, status.status, clear.status) == (0, 0, 0)
        assert f"* {PRIVATE}" in status.out
        assert clear.out.startswith("cleared 2 entries")


def test_several_accounts_by_one_command(aws: Loopback, authority: Authority) -> None:
    """Each registry has its profile."""
    with stage(aws, authority) as helper:
        has_profiles(helper)
        command = text_of("Several accounts", "sh", README)
        said = helper.run(*shlex.split(command)[1:]).out
        assert f"+ {PRIVATE}: profile dev\n" in said
        assert f"+ {OTHER}: profile prod\n" in said


def test_tokens_in_memory_only(helper: Helper) -> None:
    """The cache is where the variable says, and nowhere else."""
    line = text_of("In memory only", "sh", CACHE)
    runtime = helper.home / "run"
    runtime.mkdir(mode=0o700)
    name, _, place = line.removeprefix("export ").strip().partition("=")
    place = shlex.split(place.replace("$XDG_RUNTIME_DIR", str(runtime)))[0]
    assert helper.get(PRIVATE, env={name: place}).status == 0
    assert list((runtime / "ecr").iterdir())
    assert not (helper.home / ".cache").exists()


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.needs("sha256sum")
def test_a_download_is_checked(tmp_path: Path, *, spoilt: bool) -> None:
    """By its sum, of those of all files; and GitHub is asked who built it, and the image."""
    script = text_of("Check a download", "sh", INSTALL)
    name = f"docker-credential-ecr-{VERSION}-linux-{platform.machine()}.tar.xz"
    (tmp_path / name).write_text("a file of a release")
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  another\n{digest}  {name}\n")
    if spoilt:
        (tmp_path / name).write_text("another file")
    (tmp_path / "gh").write_text('#!/bin/sh\necho "$@" >>asked\n')
    (tmp_path / "gh").chmod(0o755)
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{SYSTEM_PATH}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if spoilt:
        assert "FAILED" in done.stdout
        assert not (tmp_path / "asked").exists()
        return
    assert done.returncode == 0, done.stderr
    file, image = (tmp_path / "asked").read_text().splitlines()
    repository = f"--repo {REPOSITORY}"
    signer = f"--signer-workflow {REPOSITORY}/.github/workflows/release.yml"
    assert file == f"attestation verify {name} {repository} {signer}"
    oci = f"oci://ghcr.io/OWNER/docker-credential-ecr:{VERSION}"
    assert image == f"attestation verify {oci} {repository}"
    assert (TOP / ".github/workflows/release.yml").exists()


def test_the_config_json_that_is_shown_is_what_configure_makes(tmp_path: Path) -> None:
    """To the letter."""
    config = DockerConfig(str(tmp_path))
    for region in ("eu-west-1", "us-east-1"):
        config.set_helper(host_in("111122223333", region), "ecr")
    assert config.text == text_of("configure", "json", COMMANDS)


def test_the_settings_file_that_is_shown_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what the words around it say."""
    path = tmp_path / "config.toml"
    path.write_text(text_of("The settings file", "toml", SEVERAL_ACCOUNTS))
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
    for block in (block for page in PAGES for block in blocks(page)):
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_the_files_that_are_named_are_of_this_version() -> None:
    """Where a package is named, and where it is fetched from."""
    text = "".join(page.read_text() for page in PAGES)
    ours = r"(?:docker-credential-ecr|ecr-credential-helper)"
    named = re.findall(rf"{ours}\S*?[-_:@v](\d+\.\d+\.\d+)", text)
    assert len(named) > 20
    assert set(named) == {VERSION}


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

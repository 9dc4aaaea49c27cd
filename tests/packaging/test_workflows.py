"""What the workflows may do, in which order, and with whose code."""

import re

import pytest

from tests.support.forms import ROOT
from tests.support.github import NAMES, WORKFLOWS, Workflow

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
EVENTS = {
    "audit": {
        "schedule": [{"cron": "17 5 * * 1"}],
        "pull_request": {"paths": ["packaging/*.txt", "packaging/inputs.json"]},
    },
    "release": {"push": {"tags": ["v*"]}},
    "test": {"pull_request": None, "push": {"branches": ["main"]}},
}

# The start of a command that runs our code; and the actions that a job with rights may use.
OURS = re.compile(
    r"(?:^|[|&;(]|--)\s*(?:env (?:\S+ )*)?"
    r"(?:(?:make|python3?|pip|pytest|source|\.|eval|bash|sh)\s|[^\s=:$\"']*/)",
    re.MULTILINE,
)
THEIRS = {"actions/download-artifact", "actions/upload-artifact", "actions/attest"}
THEIRS |= {"pypa/gh-action-pypi-publish"}

# In this order something of a release leaves the workflow.
GIVEN_OUT = ("attest", "draft", "index", "image", "publish")

JOBS = [(name, job) for name in NAMES for job in Workflow(name).jobs]
RELEASE = Workflow("release")
COMPARISON = "The bytes that were built, and no others"


def actions(workflow: Workflow, job: str) -> list[str]:
    """Return the actions that a job uses, without their versions."""
    return [step["uses"].split("@")[0] for step in workflow.steps(job) if "uses" in step]


def rights(workflow: Workflow, job: str) -> set[str]:
    """Return what a job may do beyond reading."""
    granted = workflow.jobs[job]["permissions"]
    return {right for right, how in granted.items() if how != "read"}


@pytest.mark.parametrize("name", NAMES)
def test_when_it_runs(name: str) -> None:
    """Never with the rights of the repository on somebody else's code (pull_request_target)."""
    assert Workflow(name).events == EVENTS[name]


def test_every_action_is_pinned() -> None:
    """By the whole commit, with the version beside it, and the same one everywhere."""
    commits: dict[str, set[str]] = {}
    pages = [*WORKFLOWS.glob("*.yml"), *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for line in re.findall(r"uses: *(.+)", page.read_text()):
            if page.suffix == ".yml":
                assert PINNED.fullmatch(line), line
            if PINNED.fullmatch(line):
                commits.setdefault(line.split("@")[0], set()).add(line)
    assert commits
    assert [found for found in commits.values() if len(found) > 1] == []


def test_every_container_is_pinned() -> None:
    """By its digest, and the same one everywhere."""
    jobs = (Workflow(name).jobs[job] for name, job in JOBS)
    images = {job["container"]["image"] for job in jobs if "container" in job}
    (image,) = images
    assert re.fullmatch(r"rust:1-bookworm@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_allowed_but_what_a_job_names(name: str) -> None:
    """The workflow itself allows nothing."""
    assert Workflow(name).document["permissions"] == {}


def test_no_commit_on_main_loses_its_tests() -> None:
    """By a later one: the gate asks for them. A change's own earlier run makes place."""
    concurrency = Workflow("test").document["concurrency"]
    assert "|| github.sha }}" in concurrency["group"]
    assert RELEASE.document["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job(name: str, job: str) -> None:
    """Each ends in time, says its rights, keeps no credentials, and goes on after no failure."""
    workflow = Workflow(name)
    found = workflow.jobs[job]
    assert found["timeout-minutes"] <= 90
    assert isinstance(found["permissions"], dict)
    for step in workflow.steps(job):
        assert not {"if", "continue-on-error"} & step.keys()
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        for script in (step.get("run", ""), str(step.get("env", ""))):
            assert "secrets." not in script
        assert "${{" not in step.get("run", "")
    assert not {"if", "continue-on-error"} & found.keys()


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_code_of_the_repository_runs_without_rights(name: str, job: str) -> None:
    """A job that may write or sign has no checkout, and runs nothing but programs of the runner."""
    workflow = Workflow(name)
    scripts = [step["run"].replace("\\\n", "") for step in workflow.steps(job) if "run" in step]
    if rights(workflow, job):
        assert set(actions(workflow, job)) <= THEIRS
        assert not [script for script in scripts if OURS.search(script)]
    elif any(OURS.search(script) for script in scripts):
        assert workflow.jobs[job]["permissions"] == {"contents": "read"}
        assert "github.token" not in str(workflow.jobs[job])


def test_who_may_do_what() -> None:
    """No right but these."""
    found = {f"{name}/{job}": rights(Workflow(name), job) for name, job in JOBS}
    assert {job: granted for job, granted in found.items() if granted} == {
        "release/attest": {"attestations", "id-token"},
        "release/draft": {"contents"},
        "release/index": {"id-token"},
        "release/image": {"attestations", "id-token", "packages"},
        "release/publish": {"contents"},
    }


@pytest.mark.parametrize("job", GIVEN_OUT)
def test_nothing_is_given_out_before_all_has_passed(job: str) -> None:
    """The gate, a second builder with the same bytes, and the tests of a copy."""
    assert {"gate", "build", "rebuild", "test"} <= RELEASE.needed(job)


def test_nothing_is_built_before_the_gate() -> None:
    """Nor anything else done."""
    assert [job for job in RELEASE.jobs if "gate" not in RELEASE.needed(job)] == ["gate"]


def test_the_order_of_what_is_given_out() -> None:
    """The index and the registry get it once the draft is known to be whole; then all is public."""
    assert RELEASE.needed("draft") == {"gate", "build", "rebuild", "test", "attest"}
    for job in ("index", "image"):
        assert RELEASE.needed(job) == RELEASE.needed("draft") | {"draft"}
    assert RELEASE.needed("publish") == RELEASE.jobs.keys() - {"publish"}


def test_the_index_is_given_what_the_environment_allows() -> None:
    """The environment asks a person first; the trusted publisher names it."""
    assert RELEASE.jobs["index"]["environment"] == "release"
    assert [job for job in RELEASE.jobs if "environment" in RELEASE.jobs[job]] == ["index"]


@pytest.mark.parametrize(
    ("script", "ours"),
    [
        ("make packages", True),
        ("cd x && make packages", True),
        ("runuser -u builder -- env HOME=/x make packages", True),
        (".ci/run", True),
        ("x=$(dist/program)", True),
        ("echo a\n  python3 -c pass", True),
        ("gh release view | sort", False),
        ('echo "and make a new version"; exit 1', False),
        ("cp a/b c/d", False),
    ],
)
def test_what_counts_as_our_code(script: str, ours: bool) -> None:  # noqa: FBT001 - a table's cell
    """A program of the checkout, or what builds and tests it."""
    assert bool(OURS.search(script)) is ours


@pytest.mark.parametrize("job", RELEASE.jobs)
def test_what_is_downloaded_is_compared_first(job: str) -> None:
    """In every job that has the files, with what the builder said of them, by the next step."""
    steps = RELEASE.steps(job)
    for number, step in enumerate(steps):
        if step.get("with", {}).get("name") == "dist" and "download" in step["uses"]:
            assert step["with"] == {"name": "dist", "path": "dist"}
            assert steps[number + 1] == comparison()
            assert "build" in RELEASE.jobs[job]["needs"]
            break
    else:
        assert job in {"gate", "build", "rebuild", "publish"}


def comparison() -> dict[str, object]:
    """Return the step that compares."""
    return {
        "name": COMPARISON,
        "env": {"BUILT": "${{ needs.build.outputs.digests }}"},
        "run": 'cd dist && diff <(echo "$BUILT") <(sha256sum -- *)',
    }


def test_the_second_builder_does_what_the_first_one_did() -> None:
    """The same steps in the same image on another processor; then it compares."""
    first, second = RELEASE.jobs["build"], RELEASE.jobs["rebuild"]
    assert first["container"] == second["container"]
    assert first["runs-on"] != second["runs-on"]
    assert first["steps"][:3] == second["steps"][:3]
    assert second["steps"][3:] == [comparison()]
    assert [step.get("id") for step in first["steps"][3:]] == ["digests", None]


def test_both_processors_test_a_copy() -> None:
    """On machines of their own, each with what every test needs."""
    for workflow, job in ((RELEASE, "test"), (Workflow("test"), "linux")):
        machines = workflow.jobs[job]["strategy"]["matrix"]["machine"]
        assert machines == ["ubuntu-24.04", "ubuntu-24.04-arm"]
        assert workflow.jobs[job]["container"]["options"] == "--privileged"


def test_every_python_and_system_tests_a_change() -> None:
    """The Pythons that pyproject.toml names, and the systems beside Linux."""
    jobs = Workflow("test").jobs
    pythons = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert set(pythons) <= set(jobs["pythons"]["strategy"]["matrix"]["python"])
    assert jobs["portable"]["strategy"]["matrix"]["machine"] == ["macos-15", "windows-2025"]
    assert jobs["portable"]["env"] == {"PYTHONUTF8": "1"}


def test_every_file_is_attested_by_the_workflow_that_the_action_asks_for() -> None:
    """`gh attestation verify --signer-workflow` in the action names release.yml."""
    install = (ROOT / "packaging" / "github-action" / "install.sh").read_text()
    assert ".github/workflows/release.yml" in install
    attest = [step for step in RELEASE.steps("attest") if step.get("id") == "attest"]
    assert [step["with"] for step in attest] == [{"subject-path": "dist/*"}]


def test_the_packages_of_the_tests_are_named_once() -> None:
    """In .ci/debian, for .ci/run and for the release alike."""
    assert ".ci/debian" in RELEASE.step("test", "What the tests need")["run"]
    assert "sed 's/#.*//' .ci/debian" in (ROOT / ".ci" / "run").read_text()

"""Each step of the workflows that is a script, run by bash, as far as it needs no network.

GitHub is a directory (tests/support/gh.py); so are what other jobs built and kept. What a step puts
its hands to is real otherwise: skopeo and a registry, git, jq, sha256sum.
"""

import base64
import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_credential_helper import __version__
from tests.support import gh
from tests.support.forms import NAME, ROOT
from tests.support.github import NAMES, Done, Runner, Workflow
from tests.support.releases import sha256_of

TAG = f"v{__version__}"
ON_GITHUB = {"github.ref_name": TAG}
VERSION = {"needs.gate.outputs.version": __version__, "steps.version.outputs.version": __version__}
COMPARISON = "The bytes that were built, and no others"
BUNDLE = f"ecr-credential-helper-{__version__}.sigstore.jsonl"

# Steps that no test here runs, and why.
NOT_RUN = {
    ("audit", "audit", "Ask"): "asks a service",
    ("release", "build", "What a build needs, and who builds"): "installs from Debian",
    ("release", "rebuild", "What a build needs, and who builds"): "installs from Debian",
    ("release", "test", "What the tests need"): "installs from Debian",
    ("test", "linux", "Everything"): "is .ci/run itself",
    ("test", "wheel", "Build it"): "is make itself, as in make packages",
    (
        *("test", "portable"),
        "Install the wheel that pip chooses here, and what the tests need",
    ): "installs from the package index",
    ("test", "portable", "The tests that can run anywhere"): "is for other systems",
}

pytestmark = pytest.mark.needs("bash", "jq")


class Release(Runner):
    """A runner in a release: what was built, and GitHub with what there is of the release."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.hub = gh.Hub(directory / "github")
        self.variables["GH_STATE"] = str(self.hub.state)
        self.stand_in("gh", f'#!/bin/sh\nexec {sys.executable} {gh.__file__} "$@"\n')
        self.dist = self.workspace / "dist"
        self.known = ON_GITHUB | VERSION

    def has_built(self) -> None:
        """Put files where they are built or downloaded."""
        self.dist.mkdir()
        for name in ("a.deb", f"ecr_credential_helper-{__version__}-py3-none-any.whl", "z.tar"):
            (self.dist / name).write_text(name)
        lines = [f"{sha256_of(file)}  {file.name}\n" for file in sorted(self.dist.iterdir())]
        (self.dist / "SHA256SUMS").write_text("".join(lines))
        self.known["needs.build.outputs.digests"] = self.does(
            "build", "Say what was built"
        ).outputs["digests"]

    def has_attested(self) -> None:
        """Put the attestation where it is downloaded."""
        (self.workspace / "attestation").mkdir()
        (self.workspace / "attestation" / BUNDLE).write_text("{}")

    def tries(self, job: str, step: str) -> Done:
        """Run a step of the release."""
        return self.run("release", job, step, self.known)

    def does(self, job: str, step: str) -> Done:
        """Run a step, which succeeds."""
        done = self.tries(job, step)
        assert done.status == 0, done.log
        return done

    def refuses(self, job: str, step: str) -> str:
        """Run a step, which fails; return what it said."""
        done = self.tries(job, step)
        assert done.status != 0, done.log
        return done.log


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """Give a test a release in the making."""
    return Release(tmp_path)


# The gate


def test_the_gate_takes_the_tag_of_the_version(release: Release) -> None:
    """And passes the version on."""
    source = release.workspace / "ecr_credential_helper"
    source.mkdir()
    text = (ROOT / "ecr_credential_helper" / "__init__.py").read_text()
    (source / "__init__.py").write_text(text)
    done = release.does("gate", "The tag names the version")
    assert done.outputs == {"version": __version__}


@pytest.mark.parametrize("tag", ["v9.9.9", f"v{__version__}.1", f"v{__version__[:-1]}", "v", "v.*"])
def test_a_tag_that_is_not_the_version_stops_the_gate(release: Release, tag: str) -> None:
    """Nor does one count that only begins with it."""
    source = release.workspace / "ecr_credential_helper"
    source.mkdir()
    (source / "__init__.py").write_text(f'__version__ = "{__version__}"\n')
    release.known |= {"github.ref_name": tag}
    assert "is not the version" in release.refuses("gate", "The tag names the version")


@pytest.mark.parametrize("heading", [__version__, f"{__version__} - 2026-11-28"])
def test_the_changelog_has_the_version(release: Release, heading: str) -> None:
    """With a date or without one."""
    (release.workspace / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- All.\n")
    release.does("gate", "The changelog has the version")


@pytest.mark.parametrize(
    "heading", ["Unreleased", f"{__version__}1", __version__.replace(".", "x"), "#"]
)
def test_a_version_without_a_section_stops_the_gate(release: Release, heading: str) -> None:
    """Another version's does not do."""
    text = f"# Changelog\n\n## {heading}\n\n### {__version__}\n\n## 0.0.1 {__version__}\n"
    (release.workspace / "CHANGELOG.md").write_text(text)
    assert "has no section" in release.refuses("gate", "The changelog has the version")


@pytest.mark.parametrize(
    ("status", "ends"), [("identical", 0), ("behind", 0), ("ahead", 1), ("diverged", 1)]
)
def test_the_commit_has_to_be_on_main(release: Release, status: str, ends: int) -> None:
    """It is main, or main goes on from it."""
    repository, commit = (release.variables[f"GITHUB_{name}"] for name in ("REPOSITORY", "SHA"))
    release.hub.answers({f"repos/{repository}/compare/main...{commit}": {"status": status}})
    assert release.tries("gate", "The commit is on main").status == ends


@pytest.mark.parametrize(
    ("conclusions", "ends"),
    [
        (["success"], 0),
        (["success", "failure"], 0),
        (["failure", "success"], 1),
        ([None], 1),
        ([], 1),
    ],
)
def test_the_tests_of_the_commit_have_to_have_passed(
    release: Release, conclusions: list[str | None], ends: int
) -> None:
    """The last run counts; one that goes on has no conclusion yet."""
    repository, commit = (release.variables[f"GITHUB_{name}"] for name in ("REPOSITORY", "SHA"))
    path = f"repos/{repository}/actions/workflows/test.yml/runs"
    runs = [{"conclusion": conclusion} for conclusion in conclusions]
    asked = f"{path}?event=push&branch=main&head_sha={commit}"
    release.hub.answers({asked: {"workflow_runs": runs}})
    assert release.tries("gate", "The tests of the commit passed").status == ends


# Builders and tests


@pytest.mark.parametrize("job", ["build", "rebuild"])
def test_who_builds_is_an_ordinary_user(release: Release, job: str) -> None:
    """And the packages name the repository of the release."""
    release.stand_in("runuser", '#!/bin/sh\necho "$@" >"$HOME/said"\n')
    release.does(job, "Build as an ordinary user")
    command = "env HOME=/home/builder make packages REPOSITORY=OWNER/ecr-credential-helper"
    assert (release.home / "said").read_text() == f"-u builder -- {command}\n"


def test_what_was_built_is_said_to_all_jobs(release: Release) -> None:
    """The digest of every file, SHA256SUMS among them."""
    release.has_built()
    lines = release.known["needs.build.outputs.digests"].splitlines()
    names = sorted(file.name for file in release.dist.iterdir())
    assert lines == [f"{sha256_of(release.dist / name)}  {name}" for name in names]


COMPARING = [job for job, name, _ in Workflow("release").scripts() if name == COMPARISON]


@pytest.mark.parametrize("job", COMPARING)
def test_the_bytes_that_were_built_go_further(release: Release, job: str) -> None:
    """In each job that takes them."""
    release.has_built()
    release.does(job, "The bytes that were built, and no others")


@pytest.mark.parametrize("change", ["changed", "missing", "more", "all sums changed"])
@pytest.mark.parametrize("job", COMPARING)
def test_other_bytes_than_those_that_were_built_go_no_further(
    release: Release, job: str, change: str
) -> None:
    """Whatever SHA256SUMS beside them says."""
    release.has_built()
    if change == "more":
        (release.dist / "more.deb").write_text("")
    elif change == "missing":
        (release.dist / "z.tar").unlink()
    else:
        (release.dist / "a.deb").write_text("other bytes")
    if change == "all sums changed":
        sums = subprocess.run(
            ["sha256sum", "a.deb"], cwd=release.dist, capture_output=True, text=True, check=True
        )
        (release.dist / "SHA256SUMS").write_text(sums.stdout)
    name = {"more": "more.deb", "missing": "z.tar"}.get(change, "a.deb")
    assert name in release.refuses(job, COMPARISON)


def test_the_second_builder_has_to_get_the_same_bytes(release: Release) -> None:
    """What it built itself is compared with what the first one said, and the difference is told."""
    release.has_built()
    release.does("rebuild", COMPARISON)
    (release.dist / "z.tar").write_text("built elsewhere")
    said = release.refuses("rebuild", COMPARISON)
    assert "z.tar" in said
    assert "a.deb" not in said


def test_the_tests_take_the_copy_that_was_downloaded(release: Release) -> None:
    """Make builds no package for them."""
    make = f'#!/bin/sh\nexec /usr/bin/make --dry-run --directory {ROOT} VENV="$HOME" "$@"\n'
    release.stand_in("make", make)
    (release.home / "installed").touch()
    said = release.does("test", "Test").log
    assert f"PACKAGES={ROOT}/dist" in said
    assert "REPOSITORY=OWNER/ecr-credential-helper" in said
    assert "rm -rf dist" not in said


# What is given out


def attestation(directory: Path, files: dict[str, str]) -> Path:
    """Make a bundle as the action writes it; return its path."""
    subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()]
    statement = json.dumps({"subject": subjects}).encode()
    envelope = {"dsseEnvelope": {"payload": base64.b64encode(statement).decode()}}
    bundle = directory / "attestation.json"
    bundle.write_text(json.dumps(envelope))
    return bundle


@pytest.mark.parametrize("change", ["none", "missing", "more", "changed"])
def test_every_file_is_attested_and_the_bundle_tells_it(release: Release, change: str) -> None:
    """With its digest, and nothing else is; then the bundle is kept under the release's name."""
    release.has_built()
    files = {file.name: sha256_of(file) for file in release.dist.iterdir()}
    if change == "missing":
        del files["a.deb"]
    elif change != "none":
        files["more" if change == "more" else "a.deb"] = hashlib.sha256(b"other").hexdigest()
    bundle = attestation(release.home, dict(reversed(files.items())))
    release.known["steps.attest.outputs.bundle-path"] = str(bundle)
    kept = release.workspace / "attestation" / BUNDLE
    if change == "none":
        release.does("attest", "The attestation names every file")
        assert kept.read_bytes() == bundle.read_bytes()
    else:
        release.refuses("attest", "The attestation names every file")
        assert not kept.exists()


def test_the_draft_has_every_file_and_is_compared(release: Release) -> None:
    """The packages, their sums and the attestation, for nobody to see yet."""
    release.has_built()
    release.has_attested()
    release.does("draft", "A draft of an earlier attempt makes place")
    release.does("draft", "Draft")
    assert release.hub.release == {"tagName": TAG, "isDraft": True, "isImmutable": False}
    names = {file.name for file in release.hub.assets.iterdir()}
    assert names == {file.name for file in release.dist.iterdir()} | {BUNDLE}
    release.does("draft", "The draft has the same bytes")


@pytest.mark.parametrize("change", ["broken", "missing", "more"])
def test_a_draft_with_other_bytes_stops_the_release(release: Release, change: str) -> None:
    """A file that arrived broken, one that did not arrive, and one that nobody built."""
    release.has_built()
    release.has_attested()
    release.hub.settings(immutable=True, broken=change == "broken")
    release.does("draft", "Draft")
    if change == "missing":
        (release.hub.assets / BUNDLE).unlink()
    elif change == "more":
        (release.hub.assets / "more.deb").write_text("")
    release.refuses("draft", "The draft has the same bytes")


def test_a_draft_of_an_earlier_attempt_is_made_anew(release: Release) -> None:
    """So that a job that failed can be run again."""
    release.has_built()
    release.has_attested()
    release.hub.settings(immutable=True, broken=True)
    for broken in (True, False):
        release.hub.settings(immutable=True, broken=broken)
        release.does("draft", "A draft of an earlier attempt makes place")
        release.does("draft", "Draft")
    release.does("draft", "The draft has the same bytes")


def test_a_release_is_never_made_anew(release: Release) -> None:
    """What was published stays."""
    release.has_built()
    release.has_attested()
    release.does("draft", "Draft")
    release.does("publish", "Publish")
    said = release.refuses("draft", "A draft of an earlier attempt makes place")
    assert f"{TAG} is released already" in said
    assert release.hub.release is not None


def test_the_index_is_given_wheels_and_sdist_alone(release: Release) -> None:
    """Each wheel there is, and no SBOM, whose name begins nearly so."""
    release.has_built()
    given = {f"ecr_credential_helper-{__version__}-py3-none-{tag}.whl" for tag in ("any", "win32")}
    given |= {f"ecr_credential_helper-{__version__}.tar.gz"}
    for name in (*given, f"ecr-credential-helper-{__version__}.cdx.json"):
        (release.dist / name).touch()
    release.does("index", "Wheels and sdist alone")
    assert {file.name for file in (release.workspace / "index").iterdir()} == given


@contextlib.contextmanager
def registry(release: Release, **instead: str) -> Iterator[str]:
    """Serve a registry, which skopeo takes for ghcr.io; give its URL.

    In what skopeo is told, more words may be replaced.
    """
    directory = release.home / "registry"
    directory.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(directory)}},
        "http": {"addr": address},
    }
    config = directory / "config.yml"
    config.write_text(json.dumps(settings))
    plain = directory / "registries.conf"
    plain.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    script = "#!/bin/bash\n"
    for word, other in {"ghcr.io": address, **instead}.items():
        script += f'set -- "${{@/{word}/{other}}}"\n'
    program = f"{shutil.which('skopeo')} --registries-conf {plain}"
    release.stand_in("skopeo", f'{script}exec {program} "$@"\n')
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        until_it_answers(address)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def until_it_answers(address: str) -> None:
    """Wait for a server."""
    host, _, port = address.partition(":")
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port))):
            return
        time.sleep(0.1)
    raise TimeoutError(address)


def make_image(release: Release) -> None:
    """Make the image of two processors, as it is built, of next to nothing."""
    directories = []
    for machine in ("x86_64", "aarch64"):
        directory = release.home / f"{NAME}-{__version__}-linux-{machine}"
        directory.mkdir()
        (directory / NAME).write_text(machine)
        directories.append(directory)
    program = ROOT / "packaging" / "image.py"
    subprocess.run([sys.executable, program, release.dist, *directories], check=True)


@pytest.mark.needs("skopeo", "docker-registry")
def test_the_image_of_both_processors_is_pushed_as_it_was_built(release: Release) -> None:
    """Under its version, and what is attested is its digest in the registry."""
    release.has_built()
    make_image(release)
    with registry(release) as url:
        pushed = release.does("image", "Push").outputs
        assert pushed["image"] == f"ghcr.io/owner/{NAME}"
        place = f"{url}/v2/owner/{NAME}/manifests"
        for reference in (__version__, pushed["digest"]):
            asked = urllib.request.Request(
                f"{place}/{reference}",
                headers={"Accept": "application/vnd.oci.image.index.v1+json"},
            )
            with urllib.request.urlopen(asked) as answer:
                index = answer.read()
            assert pushed["digest"] == f"sha256:{hashlib.sha256(index).hexdigest()}"
        platforms = [one["platform"]["architecture"] for one in json.loads(index)["manifests"]]
        assert sorted(platforms) == ["amd64", "arm64"]


@pytest.mark.needs("skopeo", "docker-registry")
def test_an_image_that_arrives_as_another_one_is_not_attested(release: Release) -> None:
    """Here a skopeo pushes the image of one processor alone."""
    release.has_built()
    make_image(release)
    with registry(release, **{"--all": "--quiet"}):
        done = release.tries("image", "Push")
    assert "manifest unknown" in done.log
    assert done.status != 0
    assert done.outputs == {}


def test_the_token_of_the_job_is_told_to_docker_alone(release: Release) -> None:
    """On its stdin, and in no argument."""
    release.stand_in("docker", '#!/bin/sh\necho "$@" >"$HOME/said"\ncat >"$HOME/read"\n')
    release.does("image", "Log in")
    said = (release.home / "said").read_text()
    assert said == "login ghcr.io --username somebody --password-stdin\n"
    assert (release.home / "read").read_text() == "the token\n"


def test_publishing_makes_the_draft_a_release(release: Release) -> None:
    """That nobody can change."""
    release.has_built()
    release.has_attested()
    release.does("draft", "Draft")
    release.does("publish", "Publish")
    release.does("publish", "Nobody can change it from now on")
    assert release.hub.release == {"tagName": TAG, "isDraft": False, "isImmutable": True}


def test_a_release_that_can_be_changed_is_a_failure(release: Release) -> None:
    """Where the repository has not switched immutable releases on."""
    release.has_built()
    release.has_attested()
    release.hub.settings(immutable=False, broken=False)
    release.does("draft", "Draft")
    release.does("publish", "Publish")
    said = release.refuses("publish", "Nobody can change it from now on")
    assert "switch immutable releases on" in said


# The workflow of every change


def test_git_reads_a_checkout_of_the_runners(release: Release) -> None:
    """In a container the user is another one."""
    release.run("test", "linux", "The checkout belongs to the runner's user", release.known)
    assert str(release.workspace) in (release.home / ".gitconfig").read_text()


def test_a_python_tests_what_its_machine_has(release: Release) -> None:
    """Only in .ci/run a lack is a failure."""
    release.stand_in("make", '#!/bin/sh\necho "$@" "${CI-not CI}" >"$HOME/said"\n')
    release.run("test", "pythons", "The suite, but for what this machine lacks", release.known)
    assert (release.home / "said").read_text() == "test not CI\n"


# All of them


def test_every_step_is_run_here_or_says_why_not() -> None:
    """By its name, which a test has to have."""
    text = Path(__file__).read_text().partition("\nclass Release")[2]
    steps = {(name, job, step) for name in NAMES for job, step, _ in Workflow(name).scripts()}
    named = {key for key in steps if f'"{key[2]}"' in text}
    assert steps - named == set(NOT_RUN)

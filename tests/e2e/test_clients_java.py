"""Clients from Maven Central: Jib, docker-maven-plugin, testcontainers-java and oras-java."""

import json
import re
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.clients_page import HIDDEN, SHOWN
from tests.support.needs import built, installed

from .clients import FAILURES, ClientUser, Seed, assert_asked_once, assert_no_secret, from_image
from .rig import PRIVATE, Rig

JIB = "Jib"
MAVEN_PLUGIN = "docker-maven-plugin"
TESTCONTAINERS = "testcontainers-java"
ORAS = "oras-java"

POM = Path(__file__).parent / "java" / "pom.xml"
ARTIFACTS = {
    JIB: "jib-maven-plugin",
    MAVEN_PLUGIN: "docker-maven-plugin",
    TESTCONTAINERS: "testcontainers",
    ORAS: "oras-java-sdk",
}

TRUSTED = "trusted.p12"
PASSWORD = "changeit"

# Of all that testcontainers-java logs, what it says about the helper, on stdout.
LOG = "-Dorg.slf4j.simpleLogger"
ABOUT_THE_HELPER = (
    f"{LOG}.logFile=System.out",
    f"{LOG}.defaultLogLevel=off",
    f"{LOG}.log.org.testcontainers.utility.RegistryAuthLocator=info",
)


@pytest.fixture(scope="session", autouse=True)
def trusted(rig: Rig) -> None:
    """Make the CA of the rig known to Java, which does not read SSL_CERT_FILE; once for a rig."""
    given = f"-file {rig.certificates()} -keystore {rig.directory / TRUSTED} -storepass {PASSWORD}"
    rig.run(installed("keytool"), "-importcert", "-noprompt", *given.split())


def options(user: ClientUser) -> tuple[str, ...]:
    """Return the options of a JVM that starts soon, trusts the rig, and knows the user's home."""
    return (
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        f"-Duser.home={user.home}",
        f"-Djavax.net.ssl.trustStore={user.rig.directory / TRUSTED}",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
    )


def maven(
    user: ClientUser, client: str, *goals: str, check: bool = True, **properties: str | Path
) -> CompletedProcess[str]:
    """Run goals of a plugin in a project of the user, and hold that no secret is on the screen.

    Jib refuses Maven's option to be offline; all that Maven needs is in its repository.
    """
    repository = built("java", "programs").parent / "repository"
    project = user.home / "project"
    (project / "target" / "classes").mkdir(parents=True)
    shutil.copy(POM, project)
    user.variables["MAVEN_OPTS"] = " ".join(options(user))
    given = {"maven.repo.local": repository, "jib.disableUpdateChecks": "true", **properties}
    words = [f"-D{name}={value}" for name, value in given.items()]
    program = installed("mvn")
    done = user.run(program, "--batch-mode", "--file", project, *words, *goals, check=check)
    return recorded(user, client, done)


def java(
    user: ClientUser, client: str, *words: str | Path, check: bool = True
) -> CompletedProcess[str]:
    """Run one of the programs, and hold that no secret is on the screen."""
    programs = built("java", "programs")
    path = f"{programs}:{programs.parent}/lib/*"
    done = user.run(installed("java"), *options(user), "-cp", path, *words, check=check)
    return recorded(user, client, done)


def recorded(user: ClientUser, client: str, done: CompletedProcess[str]) -> CompletedProcess[str]:
    """Put down the client's version, as it is pinned."""
    pinned = re.search(
        rf"<artifactId>{ARTIFACTS[client]}</artifactId>\s*<version>(.+)</version>", POM.read_text()
    )
    assert pinned
    user.record("version", pinned[1])
    assert_no_secret(user, done)
    return done


def added(user: ClientUser, note: str) -> Path:
    """Make the directory of what an image gets beside its base: another note."""
    directory = user.home / "added"
    directory.mkdir()
    (directory / "note").write_text(note)
    return directory


def printed(user: ClientUser, image: str) -> str:
    """Return what an image prints, and remove it; it is pulled if it is not there."""
    ran = user.docker("run", "--rm", "--network=none", image)
    user.docker("rmi", image)
    return ran.stdout.strip()


def assert_nothing_kept(user: ClientUser, config: bytes) -> None:
    """Hold that config.json is as it was, and that no token is in a file but the cache."""
    assert user.config.read_bytes() == config
    assert [path for token in user.aws.issued for path in user.files_with(token)] == []


def failures(client: str, *hidden: str) -> pytest.MarkDecorator:
    """Give a test each failure, and mark it with whether this client shows the cause."""
    return pytest.mark.parametrize(
        "failure",
        [
            pytest.param(
                name,
                id=name.replace(" ", "-"),
                marks=pytest.mark.client(client, HIDDEN if name in hidden else SHOWN),
            )
            for name in FAILURES
        ],
    )


def without_advice(done: CompletedProcess[str]) -> CompletedProcess[str]:
    """Return what Maven printed without its advice on how to learn more."""
    done.stdout = re.split(r"(?:\[ERROR\] )?-> \[Help 1\]", done.stdout)[0]
    return done


@pytest.mark.client(JIB, "build FROM", "push")
def test_jib_builds_and_pushes(
    client_user: ClientUser, seed: Seed, found: str, repository: str
) -> None:
    """An image upon a private one is built without an engine, and goes up."""
    config = client_user.use(found)
    image = f"{PRIVATE}/{repository}:1"

    files = added(client_user, "jib")
    maven(client_user, JIB, "jib:build", base=seed.image, image=image, files=files)

    assert_asked_once(client_user, PRIVATE)
    assert printed(client_user, image) == "jib"
    assert_nothing_kept(client_user, config)


@pytest.mark.client(JIB, "build FROM", "push", found="docker-credential-ecr-login")
def test_jib_looks_for_ecr_login(client_user: ClientUser, seed: Seed, repository: str) -> None:
    """Where config.json names no helper it tries the one of AWS, and a link makes that ours."""
    link = client_user.home / "bin" / "docker-credential-ecr-login"
    link.symlink_to(client_user.helper)
    image = f"{PRIVATE}/{repository}:1"

    files = added(client_user, "link")
    maven(client_user, JIB, "jib:build", base=seed.image, image=image, files=files)

    assert client_user.aws.count("ecr") == 1
    client_user.use_helper(PRIVATE)
    assert printed(client_user, image) == "link"


@pytest.mark.client(JIB, "pull in public, anonymous", found="credHelpers")
def test_jib_builds_upon_a_public_image(newcomer: ClientUser, public_seed: Seed) -> None:
    """The text for "not found" sends it on without credentials."""
    newcomer.use_helper(public_seed.host)

    files = added(newcomer, "public")
    maven(newcomer, JIB, "jib:dockerBuild", base=public_seed.image, image="jib:1", files=files)

    assert newcomer.asked() == {public_seed.host}
    assert printed(newcomer, "jib:1") == "public"


@failures(JIB, "no credentials")
def test_jib_fails(client_user: ClientUser, seed: Seed, failure: str, repository: str) -> None:
    """It shows what the helper answers, and reads nothing else if there is an answer."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)

    files = added(client_user, "refused")
    image = f"{PRIVATE}/{repository}:1"
    done = maven(
        client_user, JIB, "jib:build", check=False, base=seed.image, image=image, files=files
    )

    assert done.returncode == 1
    assert f"(docker-credential-ecr) has nothing for server URL: {PRIVATE}\n" in done.stdout
    assert "401 Unauthorized" in done.stdout
    words = client_user.sees(failure, without_advice(done))
    assert ("CAUSE" in words) == (failure != "no credentials")


def use_keys_of_a_file(user: ClientUser) -> None:
    """Move the AWS keys into a file; with those of the environment the plugin asks AWS itself."""
    given = {name: user.variables.pop(name) for name in sorted(user.variables) if "_KEY" in name}
    lines = ["[default]", *(f"{name.lower()} = {value}" for name, value in given.items())]
    (user.home / ".aws").mkdir()
    (user.home / ".aws" / "credentials").write_text("\n".join(lines))


@pytest.mark.client(MAVEN_PLUGIN, "pull", "build FROM", "push")
def test_docker_maven_plugin_pulls_builds_and_pushes(
    client_user: ClientUser, seed: Seed, found: str, repository: str
) -> None:
    """It pulls the base image before it has the engine build upon it, then pushes."""
    use_keys_of_a_file(client_user)
    config = client_user.use(found)
    image = f"{PRIVATE}/{repository}:1"

    files = from_image(client_user, seed.image)
    done = maven(client_user, MAVEN_PLUGIN, "docker:build", "docker:push", image=image, files=files)

    client_user.docker("rmi", image, seed.image)
    assert f"Pulled {seed.image}" in done.stdout
    assert_asked_once(client_user, PRIVATE)
    assert client_user.calls()[0] == ("version", "")
    assert printed(client_user, image) == "seed"
    assert_nothing_kept(client_user, config)


@pytest.mark.client(MAVEN_PLUGIN, "pull in public, anonymous", found="credHelpers")
def test_docker_maven_plugin_pulls_in_public(newcomer: ClientUser, public_seed: Seed) -> None:
    """Exit status 1 sends it on without credentials; before, it asks once more with a URL."""
    newcomer.use_helper(public_seed.host)

    files = from_image(newcomer, public_seed.image)
    done = maven(newcomer, MAVEN_PLUGIN, "docker:build", image="public:1", files=files)

    assert f"Pulled {public_seed.image}" in done.stdout
    assert newcomer.asked() == {public_seed.host, f"https://{public_seed.host}"}
    assert printed(newcomer, "public:1") == "seed"
    newcomer.docker("rmi", public_seed.image)


@failures(MAVEN_PLUGIN)
def test_docker_maven_plugin_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """It hides what the helper answers and shows what it says to a person, as warnings."""
    client_user.use_helper(PRIVATE)
    if failure == "denied":
        use_keys_of_a_file(client_user)
    client_user.let_fail(failure)

    files = from_image(client_user, seed.image)
    done = maven(
        client_user, MAVEN_PLUGIN, "docker:build", check=False, image="refused:1", files=files
    )

    assert done.returncode == 1
    assert "CAUSE" in client_user.sees(failure, without_advice(done))


@pytest.mark.client(TESTCONTAINERS, "pull", "run")
def test_testcontainers_starts(client_user: ClientUser, seed: Seed, found: str) -> None:
    """A container of a private image starts."""
    config = client_user.use(found)

    started = java(client_user, TESTCONTAINERS, "Start", seed.image)

    client_user.docker("rmi", seed.image)
    assert started.stdout == "started\n"
    assert_asked_once(client_user, PRIVATE)
    assert_nothing_kept(client_user, config)


@pytest.mark.client(TESTCONTAINERS, "build FROM")
def test_testcontainers_builds(client_user: ClientUser, seed: Seed, found: str) -> None:
    """An image is built upon a private one."""
    client_user.use(found)

    context = from_image(client_user, seed.image)
    java(client_user, TESTCONTAINERS, "Build", "java:1", context / "Dockerfile")

    assert_asked_once(client_user, PRIVATE)
    assert printed(client_user, "java:1") == "seed"
    client_user.docker("rmi", seed.image)


@pytest.mark.client(TESTCONTAINERS, "pull in public, anonymous")
def test_testcontainers_starts_in_public(
    newcomer: ClientUser, public_seed: Seed, found: str
) -> None:
    """Where the helper has nothing, it goes on without credentials."""
    newcomer.use(found, public_seed.host)

    started = java(newcomer, TESTCONTAINERS, "Start", public_seed.image)

    newcomer.docker("rmi", public_seed.image)
    assert started.stdout == "started\n"
    assert newcomer.asked() == {public_seed.host}


def test_testcontainers_starts_in_spite_of_a_warning(client_user: ClientUser, seed: Seed) -> None:
    """A token that cannot be kept, of which the helper warns on stderr, is as good."""
    client_user.use_helper(PRIVATE)
    (client_user.home / ".cache").write_text("a file where the directory should be")
    warned = client_user.run(client_user.helper, "get", stdin=PRIVATE).stderr

    started = java(client_user, TESTCONTAINERS, "Start", seed.image)

    client_user.docker("rmi", seed.image)
    assert warned.startswith("docker-credential-ecr: ")
    assert started.stdout == "started\n"


@failures(TESTCONTAINERS, *FAILURES)
def test_testcontainers_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """It takes the first failure of a helper for "not found", and says no more than that."""
    client_user.use_helper(PRIVATE)
    client_user.let_fail(failure)
    client_user.variables["TESTCONTAINERS_PULL_TIMEOUT"] = "1"

    words = (*ABOUT_THE_HELPER, "Start", seed.image)
    refused = java(client_user, TESTCONTAINERS, *words, check=False)
    log = CompletedProcess(words, 1, refused.stdout, "")

    assert refused.returncode == 1
    assert "(docker-credential-ecr) does not have credentials" in client_user.sees(failure, log)


def with_auths(user: ClientUser) -> bytes:
    """Add to config.json what it has after each login; oras-java fails if it is not there."""
    user.config.write_text(json.dumps({"auths": {}, **json.loads(user.config.read_text())}))
    return user.config.read_bytes()


@pytest.mark.client(ORAS, "push", "inspect", "copy", "pull")
def test_oras_java_pushes_copies_and_pulls(
    client_user: ClientUser, found: str, repository: str
) -> None:
    """An artifact goes up, is read, copied, and comes back."""
    client_user.use(found)
    config = with_auths(client_user)

    done = java(client_user, ORAS, "Artifact", f"{PRIVATE}/{repository}:1", client_user.home)

    digest, content = done.stdout.split()
    assert digest.startswith("sha256:")
    assert content == "hello"
    assert_asked_once(client_user, PRIVATE)
    assert_nothing_kept(client_user, config)


@pytest.mark.client(ORAS, "pull in public, anonymous")
def test_oras_java_pulls_in_public(newcomer: ClientUser, public_seed: Seed, found: str) -> None:
    """What is no answer sends it on without credentials."""
    newcomer.use(found, public_seed.host)
    with_auths(newcomer)
    layout = newcomer.home / "layout"

    java(newcomer, ORAS, "Pull", public_seed.image, layout)

    blob = layout / "blobs" / public_seed.id.replace(":", "/")
    assert json.loads(blob.read_text())["config"]["Cmd"] == ["/program"]
    assert newcomer.asked() == {public_seed.host}


@failures(ORAS)
def test_oras_java_fails(client_user: ClientUser, seed: Seed, failure: str) -> None:
    """It shows all that the helper answers and says, as a warning and in its error."""
    client_user.use_helper(PRIVATE)
    with_auths(client_user)
    client_user.let_fail(failure)

    refused = java(client_user, ORAS, "Pull", seed.image, client_user.home / "layout", check=False)

    # What the helper says and what it answers are quoted in one line; here they are two.
    refused.stderr = refused.stderr.replace("' and stdout '", "'\nand stdout '")
    assert refused.returncode == 1
    assert "CAUSE" in client_user.sees(failure, refused)

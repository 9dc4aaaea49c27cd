"""Clients that are not available here: their exact calls, with answers checked as they do.

Each names the public file that it was read from. What matters is what they do differently: the
words for the host, one pipe for both streams, a text compared or searched for, all keys at once.
"""

import json
import subprocess
import time
from typing import Any

import pytest

from ecr_credential_helper.tokens import cache
from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support.entries import entry_files
from tests.support.helper import Helper, Result, finish

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "444455556666.dkr.ecr.us-east-1.amazonaws.com"
PUBLIC = "public.ecr.aws"
HUB = "https://index.docker.io/v1/"
NOT_FOUND = "credentials not found in native keychain"
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}

GO_CONTAINERREGISTRY = "google/go-containerregistry pkg/authn/keychain.go"
ORAS_GO = "oras-project/oras-go registry/remote/credentials/native_store.go"
NERDCTL = "containerd/nerdctl pkg/imgutil/dockerconfigresolver/credentialsstore.go"
REGCLIENT = "regclient/regclient config/credhelper.go"
BUILDKIT = "moby/buildkit session/auth/authprovider/authprovider.go"
COMPOSE = "docker/compose pkg/compose/pull.go"
DOCKERCFG = "cpuguy83/dockercfg auth.go"
JIB = (
    "GoogleContainerTools/jib jib-core/src/main/java/com/google/cloud/tools/jib/registry/"
    "credentials/DockerCredentialHelper.java"
)
TESTCONTAINERS_JAVA = (
    "testcontainers/testcontainers-java core/src/main/java/org/testcontainers/utility/"
    "RegistryAuthLocator.java"
)
TESTCONTAINERS_DOTNET = (
    "testcontainers/testcontainers-dotnet src/Testcontainers/Builders/DockerCredentialProcess.cs"
)
RULES_OCI = "bazel-contrib/rules_oci oci/private/authn.bzl"
MAVEN_PLUGIN = (
    "fabric8io/docker-maven-plugin src/main/java/io/fabric8/maven/docker/util/"
    "CredentialHelperClient.java"
)
NOMAD = "hashicorp/nomad drivers/docker/utils.go"
BAZEL = (
    "bazelbuild/bazel src/main/java/com/google/devtools/build/lib/authandtls/credentialhelper/"
    "CredentialHelper.java"
)

Login = tuple[str, str]


class Failed(Exception):  # noqa: N818 - what a client raises, not a defect
    """What a client reports where it gives up."""


def go_get(helper: Helper, words: str) -> Login | None:
    """Ask as the Go clients do: not found is a text compared for equality; else it must be JSON."""
    result = helper.get(words)
    if result.status != 0:
        text = result.out.strip()
        if text == NOT_FOUND:
            return None
        raise Failed(text)
    answer = json.loads(result.out)
    assert all(isinstance(value, str) for value in answer.values())
    return answer["Username"], answer["Secret"]


def assert_login(login: Login | None, aws: Loopback) -> None:
    """Assert that a client found the user of ECR with a token that AWS issued."""
    assert login is not None
    username, secret = login
    assert username == "AWS"
    assert secret in aws.issued


# Go


def crane(helper: Helper, registry: str, repository: str) -> Login | None:
    """Ask for the repository first, then for the registry; the first answer counts."""
    keys = (f"{registry}/{repository}", HUB if registry == "index.docker.io" else registry)
    logins = [go_get(helper, key) for key in keys]
    return next(filter(None, logins), None)


@pytest.mark.client(
    "crane, ko, trivy, cosign, kaniko",
    "`get` of `HOST/repository`, then of `HOST`",
    source=GO_CONTAINERREGISTRY,
)
def test_crane_asks_with_the_repository(helper: Helper, aws: Loopback) -> None:
    """The path is no hindrance; Hub and others are `not found`, in exactly these words."""
    assert_login(crane(helper, HOST, "team/app"), aws)
    assert crane(helper, "index.docker.io", "library/nginx") is None
    assert crane(helper, "ghcr.io", "team/app") is None
    assert aws.count("ecr") == 1


@pytest.mark.client(
    "crane, ko, trivy, cosign, kaniko", "anonymous in public", source=GO_CONTAINERREGISTRY
)
def test_crane_goes_on_anonymously_in_public(helper: Helper, aws: Loopback) -> None:
    """Any other text than "not found" would end the resolution of a public image."""
    helper.env["AWS_ECR_DISABLE_CACHE"] = "1"
    aws.faults = {"ecr-public": Fault("denied")}

    assert crane(helper, PUBLIC, "docker/library/alpine") is None


@pytest.mark.client(
    "crane, ko, trivy, cosign, kaniko", "`auth login`, `auth logout`", source=GO_CONTAINERREGISTRY
)
def test_crane_logs_in_and_out(helper: Helper) -> None:
    """`crane auth login` stores through docker/cli's library, logout erases."""
    token = json.loads(helper.get(HOST).out)["Secret"]
    helper.run("erase", stdin=HOST.encode())

    assert helper.store(HOST, "AWS", token) == Result(0, b"", b"")
    assert go_get(helper, f"{HOST}/team/app") == ("AWS", token)
    assert helper.run("erase", stdin=HOST.encode()) == Result(0, b"", b"")


@pytest.mark.client("oras, helm (oras-go 2)", "`get`, `store`, `erase`", source=ORAS_GO)
def test_oras_go_takes_stdout_for_the_error(helper: Helper, aws: Loopback) -> None:
    """The whole of stdout has to be one JSON value, or the text of the error."""
    assert_login(go_get(helper, HOST), aws)
    assert_login(go_get(helper, f"{HOST}:443"), aws)
    assert go_get(helper, "registry.example.com:5000") is None
    refused = helper.store("ghcr.io", "me", "secret")
    assert refused.status == 1
    assert "not ECR" in refused.out
    assert helper.run("erase", stdin=f"{HOST}:443".encode()) == Result(0, b"", b"")


NERDCTL_FORMS = [
    f"{scheme}{HOST}{port}" for port in (":443", "") for scheme in ("", *["https://", "http://"])
]


@pytest.mark.client("nerdctl", "`get` and `erase` of six forms of a host", source=NERDCTL)
def test_nerdctl_tries_six_forms(helper: Helper, aws: Loopback) -> None:
    """Each form is the same host: the first one answers, and every one is erased."""
    for form in NERDCTL_FORMS:
        assert_login(go_get(helper, form), aws)
    assert aws.count("ecr") == 1
    for form in NERDCTL_FORMS:
        assert helper.run("erase", stdin=form.encode()).status == 0
    assert helper.run("list", stdin=None).out == "{}\n"


@pytest.mark.client("regclient", "`get` of the key as written", source=REGCLIENT)
def test_regclient_decodes_the_first_value(helper: Helper, aws: Loopback) -> None:
    """Its decoder reads one JSON value with ServerURL, Username and Secret."""
    result = helper.get(HOST)

    answer, end = json.JSONDecoder().raw_decode(result.out)
    assert result.out[end:] == "\n"
    assert set(answer) == {"ServerURL", "Username", "Secret"}
    assert_login((answer["Username"], answer["Secret"]), aws)
    assert helper.get("ghcr.io").status == 1


@pytest.mark.client("buildx, buildctl", "`get` of `HOST` and of Hub", source=BUILDKIT)
def test_buildkit_fails_a_step_on_any_other_error(helper: Helper, aws: Loopback) -> None:
    """Not found lets a step go on; a denial fails it, with its cause."""
    assert_login(go_get(helper, HOST), aws)
    assert go_get(helper, HUB) is None
    aws.faults = {"ecr": Fault("denied")}
    with pytest.raises(Failed, match="was denied"):
        go_get(helper, OTHER)


@pytest.mark.client("docker compose v5", "one `get` a service, at once", source=COMPOSE)
def test_compose_asks_for_every_service_at_once(helper: Helper, aws: Loopback) -> None:
    """Twelve services of one registry pull at once: AWS is asked once."""
    assert all_at_once(helper, [HOST] * 12) == ["AWS"] * 12
    assert aws.count("ecr") == 1


@pytest.mark.client("testcontainers-go", "`get` of all keys, at once", source=DOCKERCFG)
def test_testcontainers_go_asks_for_every_key_at_once(helper: Helper) -> None:
    """It reads the whole configuration at start; one failure would fail every registry."""
    assert all_at_once(helper, [HOST, OTHER, PUBLIC, HUB]) == ["AWS"] * 3 + [NOT_FOUND]


def all_at_once(helper: Helper, hosts: list[str]) -> list[str]:
    """Run a `get` for each host, all at once; return the users, or what stdout said instead."""
    processes = [helper.popen("get") for _ in hosts]
    results = [
        finish(process, host.encode()) for process, host in zip(processes, hosts, strict=True)
    ]
    return [each.answer["Username"] if each.status == 0 else each.out.strip() for each in results]


@pytest.mark.client("Nomad", "`get` of `HOST` and of `https://HOST/repository`", source=NOMAD)
def test_nomad_takes_strings_only(helper: Helper, aws: Loopback) -> None:
    """It decodes into a map of strings, and shows stderr of a failure to the user."""
    for words in (HOST, f"https://{HOST}/team/app"):
        assert_login(go_get(helper, words), aws)
    aws.faults = {"ecr": Fault("denied")}
    assert "was denied" in helper.get(OTHER).err


# Java


def jib(helper: Helper, words: str, suffix: str = "ecr-login") -> Login | None:
    """Ask as Jib: no exit status, a text searched for, stderr never read."""
    result = helper.run("get", stdin=words.encode(), argv0=f"docker-credential-{suffix}")
    assert len(result.stderr) < 4096, "a pipe that nobody reads must not fill up"
    if NOT_FOUND in result.out or not result.out:
        return None
    try:
        answer = json.loads(result.out)
    except ValueError:
        return None
    assert answer["Username"]
    assert answer["Secret"]
    return answer["Username"], answer["Secret"]


@pytest.mark.client("Jib", "`get`, by the name docker-credential-ecr-login too", source=JIB)
@pytest.mark.parametrize("suffix", ["ecr", "ecr-login"])
@pytest.mark.parametrize("words", [HOST, f"https://{HOST}", f"https://{HOST}/v2/"])
def test_jib_ignores_the_exit_status(
    helper: Helper, aws: Loopback, words: str, suffix: str
) -> None:
    """It has a login where there is one, and goes on without where there is none."""
    assert_login(jib(helper, words, suffix), aws)
    assert jib(helper, "registry-1.docker.io", suffix) is None


@pytest.mark.client("Jib", "every kind of failure", source=JIB)
@pytest.mark.parametrize("kind", ["denied", "throttled", "500", "html", "no-token"])
def test_jib_takes_no_failure_for_a_login(helper: Helper, aws: Loopback, kind: str) -> None:
    """What goes wrong is neither JSON nor empty, whatever it is."""
    aws.faults = {"ecr": Fault(kind)}
    helper.env["AWS_MAX_ATTEMPTS"] = "1"

    assert jib(helper, HOST) is None


def run_by_zt_exec(helper: Helper, words: str) -> tuple[int, str]:
    """Run as zt-exec does by default: stderr goes into stdout; return exit status and text."""
    with helper.popen("get", stderr=subprocess.STDOUT) as process:
        result = finish(process, words.encode())
    return result.status, result.out.strip()


def first_value(text: str) -> Any:
    """Return the first JSON value of a text, as Jackson's readTree does."""
    return json.JSONDecoder().raw_decode(text)[0]


@pytest.mark.client(
    "testcontainers-java",
    "`get`, both streams in one pipe, within 30 s",
    source=TESTCONTAINERS_JAVA,
)
def test_testcontainers_java_reads_both_streams_as_one(helper: Helper, aws: Loopback) -> None:
    """The answer is the first thing in the pipe, and names the server; not found is learned."""
    status, text = run_by_zt_exec(helper, HOST)
    answer = first_value(text)
    assert (status, answer["ServerURL"]) == (0, HOST)
    assert_login((answer["Username"], answer["Secret"]), aws)

    learned = run_by_zt_exec(helper, "https://not.a.real.registry/url")
    assert learned == (1, NOT_FOUND)
    assert run_by_zt_exec(helper, "index.docker.io") == learned


@pytest.mark.client(
    "testcontainers-java", "`get` with a warning on stderr", source=TESTCONTAINERS_JAVA
)
@pytest.mark.parametrize("trouble", ["unwritable", "outage", "log"])
def test_a_warning_comes_after_the_answer(helper: Helper, aws: Loopback, trouble: str) -> None:
    """A token that is not kept, a late one when AWS is out of reach: the answer comes first."""
    if trouble == "unwritable":
        helper.cache.write_text("a file where the directory should be")
    elif trouble == "log":
        helper.env["AWS_ECR_LOG_FILE"] = str(helper.home / "nowhere" / "log")
    else:
        helper.get(HOST)
        set_age(helper, 40000, left=3000)
        aws.faults = {"ecr": Fault("500")}
        helper.env["AWS_MAX_ATTEMPTS"] = "1"

    status, text = run_by_zt_exec(helper, HOST)

    answer = first_value(text)
    assert status == 0
    assert_login((answer["Username"], answer["Secret"]), aws)
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("docker-credential-ecr: ")


def set_age(helper: Helper, age: int, left: int) -> None:
    """Make every token in the cache `age` seconds old, with `left` seconds to live."""
    now = int(time.time())
    for path in entry_files(helper.cache):
        data = path.read_bytes()
        prefix = data.partition(b"\n\n")[0] + b"\n\n"
        entry = cache.decode(data, prefix)
        assert entry
        aged = cache.Entry(now - age, now + left, entry.source, entry.token)
        path.write_bytes(cache.encode(aged, prefix))


@pytest.mark.client(
    "docker-maven-plugin",
    "`version`, then `get` of `HOST` and of `https://HOST`",
    source=MAVEN_PLUGIN,
)
def test_docker_maven_plugin_asks_for_the_version_first(helper: Helper, aws: Loopback) -> None:
    """The version is a line; exit status 1 means no login; stderr ends within two seconds."""
    version = helper.run("version")
    assert version.status == 0
    assert len(version.out.splitlines()) == 1
    for words in (HOST, f"https://{HOST}"):
        answer = helper.get(words).answer
        assert_login((answer["Username"], answer["Secret"]), aws)
    assert helper.get(f"https://{HOST}.evil.com").status == 1


@pytest.mark.client("docker-maven-plugin", "no process that keeps stderr open", source=MAVEN_PLUGIN)
def test_a_refresh_in_the_background_keeps_no_stream_open(helper: Helper, aws: Loopback) -> None:
    """With an aging token a process is left behind: both streams still end with the helper."""
    helper.get(HOST)
    set_age(helper, 30000, left=13000)
    aws.faults = {"ecr": Fault("hang")}

    began = time.monotonic()
    result = helper.get(HOST)

    assert (result.status, result.err) == (0, "")
    assert time.monotonic() - began < 2
    deadline = time.monotonic() + 10
    while aws.count("ecr") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert aws.count("ecr") == 2


# .NET, Bazel


@pytest.mark.client(
    "testcontainers-dotnet", "`get` of a line, LF or CRLF", source=TESTCONTAINERS_DOTNET
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_testcontainers_dotnet_sends_a_line(helper: Helper, aws: Loopback, ending: str) -> None:
    """It trims stdout and parses it; what is no JSON is no login."""
    answer = json.loads(helper.get(HOST + ending).out.strip())
    assert_login((answer["Username"], answer["Secret"]), aws)

    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(helper.get(f"ghcr.io{ending}").out.strip())


@pytest.mark.client(
    "rules_oci", "`get` of the key and a line ending, as bash and cmd.exe send it", source=RULES_OCI
)
@pytest.mark.parametrize("line", [f"{HOST}\n", f"https://{HOST}\n", f"{HOST} \r\n"])
def test_rules_oci_sends_the_raw_key(helper: Helper, aws: Loopback, line: str) -> None:
    """`<<< "$1"` adds a line feed, `echo %1 | ...` a space and CRLF; a failure is fatal."""
    answer = helper.get(line).answer

    assert_login((answer["Username"], answer["Secret"]), aws)
    assert answer["ServerURL"] == line.strip()


@pytest.mark.client("Bazel", 'its own protocol, `get` of `{"uri": ...}`, is refused', source=BAZEL)
def test_bazels_own_protocol_is_not_ours(helper: Helper, aws: Loopback) -> None:
    """`--credential_helper` speaks JSON with headers: it is refused, and no token goes out."""
    result = helper.get(json.dumps({"uri": f"https://{HOST}/v2/"}))

    assert (result.status, result.out) == (1, f"{NOT_FOUND}\n")
    assert aws.calls == []

"""Clients that are not available here: their exact calls, with answers checked as they do.

Each names the public file that it was read from. What matters is what they do differently: the
words for the host, and how they end them.
"""

import base64
import json
import re

import pytest

from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support.helper import Helper, Result

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "444455556666.dkr.ecr.us-east-1.amazonaws.com"
NOT_FOUND = "credentials not found in native keychain"

TESTCONTAINERS_DOTNET = (
    "testcontainers/testcontainers-dotnet src/Testcontainers/Builders/DockerCredentialProcess.cs"
)
RULES_OCI = "bazel-contrib/rules_oci oci/private/authn.bzl"
NOMAD = "hashicorp/nomad drivers/docker/utils.go"
BAZEL = (
    "bazelbuild/bazel src/main/java/com/google/devtools/build/lib/authandtls/credentialhelper/"
    "{CredentialHelper,GetCredentialsResponse}.java"
)
RULES_IMG = "bazel-contrib/rules_img img_tool/pkg/auth/credential/credentialhelper.go"


def assert_login(answer: dict[str, str], aws: Loopback) -> None:
    """Assert that an answer has the user of ECR with a token that AWS issued."""
    assert answer["Username"] == "AWS"
    assert answer["Secret"] in aws.issued


@pytest.mark.client("Nomad", "`get` of `HOST` and of `https://HOST/repository`", source=NOMAD)
def test_nomad_takes_strings_only(helper: Helper, aws: Loopback) -> None:
    """It decodes into a map of strings, and shows stderr of a failure to the user."""
    for words in (HOST, f"https://{HOST}/team/app"):
        answer = helper.get(words).answer
        assert all(isinstance(value, str) for value in answer.values())
        assert_login(answer, aws)
    aws.faults = {"ecr": Fault("denied")}
    assert "was denied" in helper.get(OTHER).err


@pytest.mark.client(
    "testcontainers-dotnet", "`get` of a line, LF or CRLF", source=TESTCONTAINERS_DOTNET
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_testcontainers_dotnet_sends_a_line(helper: Helper, aws: Loopback, ending: str) -> None:
    """It trims stdout and parses it; what is no JSON is no login."""
    answer = json.loads(helper.get(HOST + ending).out.strip())
    assert_login(answer, aws)

    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(helper.get(f"ghcr.io{ending}").out.strip())


@pytest.mark.client(
    "rules_oci", "`get` of the key and a line ending, as bash and cmd.exe send it", source=RULES_OCI
)
@pytest.mark.parametrize("line", [f"{HOST}\n", f"https://{HOST}\n", f"{HOST} \r\n"])
def test_rules_oci_sends_the_raw_key(helper: Helper, aws: Loopback, line: str) -> None:
    """`<<< "$1"` adds a line feed, `echo %1 | ...` a space and CRLF; a failure is fatal."""
    answer = helper.get(line).answer

    assert_login(answer, aws)
    assert answer["ServerURL"] == line.strip()


def login_in_header(result: Result) -> tuple[str, str]:
    """Return user and password in the header Authorization of an answer of Bazel's protocol."""
    (header,) = result.answer["headers"]["Authorization"]
    kind, _, login = header.partition(" ")
    assert kind == "Basic"
    user, _, password = base64.b64decode(login, validate=True).decode().partition(":")
    return user, password


@pytest.mark.client("Bazel", '`get` of `{"uri": ...}`, its own protocol', source=BAZEL)
def test_bazel_takes_headers(helper: Helper, aws: Loopback) -> None:
    """It wants an object whose headers are lists of strings, and a time without a fraction."""
    result = helper.get(
        json.dumps({"uri": f"https://{HOST}/v2/app/blobs/x"}, separators=(",", ":"))
    )
    assert (result.status, result.err) == (0, "")
    assert login_in_header(result) == ("AWS", next(iter(aws.issued)))
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
    assert re.fullmatch(pattern, result.answer["expires"], re.ASCII)

    result = helper.get(json.dumps({"uri": "https://bcr.bazel.build/modules"}))
    assert (result.status, result.out) == (1, "")
    assert "bcr.bazel.build" in result.err  # it shows stderr


@pytest.mark.client("rules_img", '`get` of `{"uri": HOST}`, in Bazel\'s protocol', source=RULES_IMG)
def test_rules_img_sends_a_bare_host(helper: Helper, aws: Loopback) -> None:
    """It takes user and password out of the header, and goes on without where there is none."""
    assert login_in_header(helper.get(json.dumps({"uri": HOST}))) == ("AWS", next(iter(aws.issued)))
    assert helper.get(json.dumps({"uri": "public.ecr.aws"})).answer == {}

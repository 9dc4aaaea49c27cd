"""Clients that are not available here: their exact calls, with answers checked as they do.

Each names the public file that it was read from. What matters is what they do differently: the
words for the host, and how they end them.
"""

import json

import pytest

from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support.helper import Helper

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
    "CredentialHelper.java"
)


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


@pytest.mark.client("Bazel", 'its own protocol, `get` of `{"uri": ...}`, is refused', source=BAZEL)
def test_bazels_own_protocol_is_not_ours(helper: Helper, aws: Loopback) -> None:
    """`--credential_helper` speaks JSON with headers: it is refused, and no token goes out."""
    result = helper.get(json.dumps({"uri": f"https://{HOST}/v2/"}))

    assert (result.status, result.out) == (1, f"{NOT_FOUND}\n")
    assert aws.calls == []

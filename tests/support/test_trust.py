"""An installation that trusts the tests' authority: TLS straight to the loopback, no variable."""

from pathlib import Path

import pytest

from tests.loopback import Loopback
from tests.support.answers import PRIVATE, assert_answered, assert_refused
from tests.support.helper import Authority, Helper
from tests.support.trust import trusting, with_authority

PEM = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"


@pytest.fixture
def secure(helper: Helper, aws: Loopback) -> Helper:
    """Return the executable, led to the loopback over TLS, with no word on whom to trust."""
    helper.env["AWS_ENDPOINT_URL"] = aws.https_url
    return helper


def test_the_authority_is_trusted_there_only(
    secure: Helper, aws: Loopback, authority: Authority, tmp_path: Path
) -> None:
    """Where the program is installed nothing changes."""
    ours = secure.executable
    assert "certificate" in assert_refused(secure.get(PRIVATE), aws).lower()
    assert not aws.issued
    secure.executable = trusting(ours, tmp_path / "trusting", authority.bundle)
    assert_answered(secure.get(PRIVATE), PRIVATE, aws)
    assert aws.connects == []
    secure.executable = ours
    secure.env["AWS_ECR_CACHE_DIR"] += "-2"
    assert_refused(secure.get(PRIVATE), aws)


def test_a_directory_is_copied(tmp_path: Path, authority: Authority) -> None:
    """A program that brings its certificates has them changed in a copy, and there only."""
    program = tmp_path / "program"
    inside = program / "internal" / "botocore"
    inside.mkdir(parents=True)
    (program / "start").write_bytes(b"\x7fELF")
    before = f'# Label: "Amazon Root CA 1"\n# MD5\n{PEM}'
    (inside / "cacert.pem").write_text(f"{before}\n# Label: other\n")
    copy = trusting(program / "start", tmp_path / "copy", authority.bundle)
    assert copy == tmp_path / "copy" / "start"
    pem = Path(authority.bundle).read_text()
    changed = (tmp_path / "copy" / "internal" / "botocore" / "cacert.pem").read_text()
    assert changed == f'# Label: "Amazon Root CA 1"\n{pem}\n# Label: other\n'
    assert (inside / "cacert.pem").read_text().startswith(before)


def test_what_cannot_be_changed_is_told(tmp_path: Path, authority: Authority) -> None:
    """Neither a program without certificates nor certificates without Amazon's are passed over."""
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "start").write_bytes(b"\x7fELF")
    with pytest.raises(ValueError, match="has no certificates in it"):
        trusting(tmp_path / "program" / "start", tmp_path / "copy", authority.bundle)
    with pytest.raises(ValueError, match="0 certificates are labelled Amazon Root CA 1"):
        with_authority("# Label: other\n", "")

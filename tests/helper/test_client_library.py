"""docker-credential-helpers' own client library for Go, by which most clients call a helper.

It is built into a small program (tests/e2e/go/credentials) that makes the calls in order.
"""

import json
import subprocess
from typing import Any

from tests.loopback import ACCOUNT, Fault, Loopback
from tests.support.helper import Helper
from tests.support.needs import built

HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
DENIED = "was denied: User: "


def call(helper: Helper, *calls: tuple[str, dict[str, str]]) -> list[Any]:
    """Make calls of (verb, login); return for each what it gave, or the kind of its error."""
    program = built("go", "credentials")
    done = subprocess.run(
        [program, helper.executable, *(verb for verb, _ in calls)],
        env=helper.env,
        input="\n".join(json.dumps(login) for _, login in calls),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [each["error"] or each["answer"] for each in answers]


def at(host: str, username: str = "", secret: str = "") -> dict[str, str]:
    """Return a login, or the part of one that a call needs."""
    return {"ServerURL": host, "Username": username, "Secret": secret}


def test_every_call_is_answered(helper: Helper, aws: Loopback) -> None:
    """Get fetches, store keeps, list names, erase forgets: the library has no complaint."""
    [got] = call(helper, ("get", at(HOST)))
    token = got["Secret"]

    erased, none, stored, listed, again = call(
        helper,
        ("erase", at(f"https://{HOST}")),
        ("list", {}),
        ("store", at(HOST, "AWS", token)),
        ("list", {}),
        ("get", at(f"{HOST}/team/app")),
    )

    assert got == at(HOST, "AWS", token)
    assert token in aws.issued
    assert (erased, stored) == (None, None)
    assert (none, listed) == ({}, {f"https://{HOST}": "AWS"})
    assert again == at(f"{HOST}/team/app", "AWS", token)
    assert aws.count("ecr") == 1


def test_not_found_is_an_error_of_its_own(helper: Helper) -> None:
    """Other hosts, and no AWS credentials: a client may go on without a login."""
    found_elsewhere = call(
        helper, ("get", at("ghcr.io")), ("get", at("https://index.docker.io/v1/"))
    )
    del helper.env["AWS_ACCESS_KEY_ID"], helper.env["AWS_SECRET_ACCESS_KEY"]

    assert found_elsewhere == ["not found", "not found"]
    assert call(helper, ("get", at(HOST))) == ["not found"]


def test_any_other_error_has_its_cause(helper: Helper, aws: Loopback) -> None:
    """A denial and a login that is refused are errors in which a person can read why."""
    aws.faults = {"ecr": Fault("denied")}

    denied, refused, other = call(
        helper,
        ("get", at(HOST)),
        ("store", at("ghcr.io", "AWS", "x")),
        ("store", at(HOST, "me", "x")),
    )

    assert denied.startswith("error getting credentials - err: exit status 1, out: `")
    assert DENIED in denied
    assert refused.startswith("error storing credentials - err: exit status 1, out: `")
    assert "this host is not ECR" in refused
    assert "the user of an ECR registry is AWS" in other


def test_what_is_missing_is_told_by_its_type(helper: Helper) -> None:
    """A login without a server URL or a user: the library has an error for each."""
    store = call(helper, ("store", at("", "AWS", "x")), ("store", at(HOST, "", "x")))
    others = call(helper, ("get", at("")), ("erase", at("")))

    assert ["no credentials server URL" in each for each in (store[0], *others)] == [True] * 3
    assert "no credentials username" in store[1]

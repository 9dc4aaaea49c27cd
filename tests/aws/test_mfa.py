"""MFA: the code is asked for on the terminal, and a session of the AWS CLI is used."""

import json
import os
import pty
import select
import signal
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.aws.failures import (
    MFA_SERIAL,
    SEARCH,
    mfa_session,
    pass_mfa,
    role_with_mfa,
)
from tests.aws.test_sources import (
    HOST,
    NAME,
)
from tests.loopback import (
    MFA_CODE,
    Loopback,
)
from tests.support.helper import Helper
from tests.support.needs import check
from tests.support.processes import PATIENCE


class Terminal:
    """A pseudo-terminal that is the controlling terminal of a helper's session.

    Stdin and stdout of the helper are pipes, as Docker gives them; only stderr is the terminal.
    """

    def __init__(self, helper: Helper) -> None:
        check("terminal")
        self.answer, answer = os.pipe()
        question, self.question = os.pipe()
        self.process, self.screen = pty.fork()
        if self.process == 0:  # pragma: no cover - the child
            try:
                os.dup2(question, 0)
                os.dup2(answer, 1)
                os.execve(helper.executable, [str(helper.executable), "get"], helper.env)
            finally:
                os._exit(127)
        os.close(answer)
        os.close(question)
        os.write(self.question, HOST.encode())
        os.close(self.question)

    def shows(self, text: str) -> str:
        """Read the screen until `text` is on it, and return all that was read."""
        seen, end = "", time.monotonic() + 20
        while text not in seen and time.monotonic() < end:
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    seen += os.read(self.screen, 4096).decode()
                except OSError:  # the last process on the terminal has ended
                    break
        assert text in seen
        return seen

    def echoes(self) -> bool:
        """Say whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.screen)[3] & termios.ECHO)

    def types(self, text: str) -> None:
        """Type `text` and the enter key."""
        os.write(self.screen, text.encode() + b"\n")

    def end(self) -> tuple[int, str]:
        """Wait for the helper's end; return its status and what it wrote on stdout."""
        with os.fdopen(self.answer) as answer:
            out = answer.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), out


@contextmanager
def terminal(helper: Helper) -> Iterator[Terminal]:
    """Run `get` on a terminal of its own; whatever happens, it ends."""
    running = Terminal(helper)
    killer = threading.Timer(40, os.kill, (running.process, signal.SIGKILL))
    killer.start()
    try:
        yield running
    finally:
        killer.cancel()
        os.close(running.screen)


def test_an_mfa_code_is_asked_for_on_the_terminal(helper: Helper, aws: Loopback) -> None:
    """The code is asked once on the terminal, unseen, and the session serves the next runs."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows(f"Enter MFA code for {MFA_SERIAL}: ")
        assert not running.echoes()
        running.types(MFA_CODE)
        status, out = running.end()
        assert running.echoes()
    (token,) = aws.issued
    assert status == 0
    assert json.loads(out) == {"ServerURL": HOST, "Username": "AWS", "Secret": token}
    assert mfa_session(helper).is_file()
    later = helper.get(HOST, env={"AWS_ECR_DISABLE_CACHE": "1"})
    assert later.status == 0
    assert aws.count("sts") == 1


def test_a_wrong_mfa_code_is_refused(helper: Helper, aws: Loopback) -> None:
    """AWS refuses a wrong code; stdout says so in one line, and no session is kept."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        running.types("654321")
        status, out = running.end()
    assert status == 1
    assert out == (
        f"{NAME}: sts:AssumeRole for profile test was denied: MultiFactorAuthentication failed "
        "with invalid MFA one time pass code\n"
    )
    assert not mfa_session(helper).exists()


def test_an_unanswered_prompt_gives_the_terminal_back(helper: Helper, aws: Loopback) -> None:
    """At the deadline an MFA prompt is given up, and the terminal shows again what is typed."""
    role_with_mfa(helper, aws)
    helper.env["AWS_ECR_TIMEOUT"] = PATIENCE
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        status, out = running.end()
        assert running.echoes()
    assert status == 1
    assert out == f"{NAME}: {SEARCH} profile test got no answer within {PATIENCE} s\n"


def test_an_interrupted_prompt_gives_the_terminal_back(helper: Helper, aws: Loopback) -> None:
    """Ctrl-C at an MFA prompt ends the run silently, and the terminal shows typing again."""
    role_with_mfa(helper, aws)
    with terminal(helper) as running:
        running.shows("Enter MFA code")
        running.types("\x03")
        status, out = running.end()
        assert running.echoes()
    assert (status, out) == (130, "")


def test_an_mfa_session_of_the_aws_cli_is_used(helper: Helper, aws: Loopback) -> None:
    """Who passed MFA in the AWS CLI is not asked again here: its session file is found and used."""
    role_with_mfa(helper, aws)
    arn = pass_mfa(helper, aws)
    result = helper.get(HOST)
    assert (result.status, result.err) == (0, "")
    assert [(call.service, call.principal) for call in aws.calls] == [("ecr", arn)]

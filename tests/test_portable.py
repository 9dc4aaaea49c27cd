"""The portable tests: elsewhere, where Python has less than on Linux, they can be collected."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import PORTABLE

TESTS = Path(__file__).parent

# What Python lacks on Windows, taken away once pytest itself is loaded.
ELSEWHERE = """\
import os, signal, socket, subprocess, sys
import platformdirs, pytest
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in (
    *("chown", "chroot", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid"),
    *("getpgid", "getuid", "killpg", "mkfifo", "mknod", "nice", "openpty", "posix_spawn", "pread"),
    *("setsid", "setuid", "sysconf", "uname", "wait3", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW"),
):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1", "pthread_sigmask"):
    delattr(signal, name)
del socket.AF_UNIX
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_portable_tests_are_collected_without_posix(tmp_path: Path) -> None:
    """No module of theirs needs more than Python has everywhere, and each file has tests."""
    options = ["-m", "portable", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *options, f"--basetemp={tmp_path / 'base'}"],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    files = set(re.findall(r"^tests/([\w/]+\.py)::", done.stdout, re.MULTILINE))
    assert files == set(PORTABLE)

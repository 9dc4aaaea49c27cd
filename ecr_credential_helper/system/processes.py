"""Processes: one of our own that nobody waits for, and those that must not outlive us."""

import os
import sys
import time

_GRACE = 0.5


def own_command(arguments: list[str]) -> list[str]:
    """Return the command that starts this program with `arguments`, wherever PATH leads.

    A script is started as one again: what it is of need not be on the path of a Python alone.
    """
    main = sys.modules["__main__"]
    if getattr(sys, "frozen", False):
        program = []
    elif main.__spec__ is None and main.__file__:
        program = [main.__file__]
    else:
        program = ["-P", "-m", "ecr_credential_helper"]
    return [sys.executable, *program, *arguments]


def detach(arguments: list[str]) -> None:
    """Start ourselves in a session of its own, without terminal and streams. Raises OSError."""
    command = own_command(arguments)
    if sys.platform == "linux":  # where it is sure to know setsid; subprocess costs 12 ms
        streams = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
        # What the caller left open to us, and waits for the end of, is not for the child.
        opened = map(int, os.listdir("/proc/self/fd"))
        closing = [(os.POSIX_SPAWN_CLOSE, n) for n in opened if n not in range(3)]
        actions = [*streams, *closing]
        os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
        return
    import subprocess

    null = subprocess.DEVNULL
    subprocess.Popen(  # noqa: S603 - our own program and a checked host name
        command, stdin=null, stdout=null, stderr=null, start_new_session=True
    )


def end_children() -> None:
    """End what we started and still runs: a credential_process that hangs, and what it started.

    What does not end when it is asked to is ended by force a moment later. Linux lists a process's
    children; elsewhere there is no such list, and they are left alone.
    """
    import select
    import signal

    asked = []
    for process in _descendants("self"):
        try:  # by descriptor: in a moment the number may be another process's
            handle = os.pidfd_open(int(process))
            asked.append(handle)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        except OSError:
            continue
    end = time.monotonic() + _GRACE
    for handle in asked:
        ending = select.poll()
        ending.register(handle, select.POLLIN)
        ending.poll(max(0.0, end - time.monotonic()) * 1000)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except OSError:
            continue


def _descendants(process: str) -> list[str]:
    """Return the ids of the children of a process, and of theirs, as long as all of them run."""
    import glob

    found = []
    for path in glob.glob(f"/proc/{process}/task/*/children"):
        try:
            with open(path) as file:
                children = file.read().split()
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def restore_echo() -> None:
    """Let the terminal show again what is typed, if a prompt for MFA was cut off."""
    try:
        import termios

        terminal = os.open("/dev/tty", os.O_RDWR)
    except (ImportError, OSError):
        return
    try:
        if os.tcgetpgrp(terminal) == os.getpgrp():
            attributes = termios.tcgetattr(terminal)
            attributes[3] |= termios.ECHO
            termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    except (OSError, termios.error):
        pass
    finally:
        os.close(terminal)

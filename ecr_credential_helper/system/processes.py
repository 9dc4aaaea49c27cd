"""Start this program as a detached process, and end child processes that hang."""

import os
import sys
import time

_GRACE = 0.5
_DESCRIPTORS = 4096  # are looked at, where the system does not say which are open


def own_command(arguments: list[str]) -> list[str]:
    """Return the command that starts this same program with `arguments`, without searching PATH.

    If it runs as a script, the script is named: it may be able to import what plain Python cannot.
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
    """Start this program in a new session, without terminal and streams. Raises OSError.

    On Windows that is a process group with a console of its own that has no window. Without any
    console, the Python that a virtual environment starts there would open one.
    """
    command = own_command(arguments)
    if sys.platform == "linux":  # posix_spawn has setsid there; importing subprocess takes 12 ms
        # The child must not inherit a pipe of the caller, who may wait until it is closed.
        closing = [(os.POSIX_SPAWN_CLOSE, n) for n in _inheritable() if n not in range(3)]
        actions = [*_streams(), *closing]
        # An entry without a name, which the kernel allows, would be refused here.
        variables = {name: value for name, value in os.environ.items() if name}
        os.posix_spawn(sys.executable, command, variables, file_actions=actions, setsid=True)
        return
    import subprocess

    null, flags = subprocess.DEVNULL, 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    subprocess.Popen(  # noqa: S603 - our own program and a checked host name
        command,
        stdin=null,
        stdout=null,
        stderr=null,
        start_new_session=True,
        creationflags=flags,
    )


if sys.platform == "linux":

    def _streams() -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
        """Return what gives a child process streams that lead nowhere, for posix_spawn."""
        if os.path.exists(os.devnull):
            return [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
        ends = os.pipe()  # a root directory without devices
        return [(os.POSIX_SPAWN_DUP2, ends[n > 0], n) for n in range(3)]

    def _inheritable() -> list[int]:
        """Return the file descriptors that a child process would inherit; where /proc is, more."""
        try:
            return [int(name) for name in os.listdir("/proc/self/fd")]
        except OSError:
            limit = min(os.sysconf("SC_OPEN_MAX"), _DESCRIPTORS)
            return [number for number in range(limit) if _is_inheritable(number)]


def _is_inheritable(number: int) -> bool:
    """Whether a file descriptor is open, and is so for a child process."""
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def age() -> float:
    """Return how many seconds ago this process was started; 0 where the system does not say.

    Linux counts that from the boot in ticks of mostly 10 ms (man 5 proc_pid_stat, "starttime"), and
    the age is never said to be more than it is.
    """
    if sys.platform != "linux":
        return 0.0
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19]) + 1
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(0.0, since_boot - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return 0.0


def end_children() -> None:
    """End the child processes that still run: a hanging credential_process, and what it started.

    Each gets SIGTERM, and half a second later SIGKILL. Only Linux lists the children of a process;
    elsewhere they are left running.
    """
    if sys.platform != "linux":
        return
    import select
    import signal

    asked = []
    for process in _descendants("self"):
        try:  # by descriptor: a process id may be reused by another process
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
    """Return the ids of the running children of a process, and of their children, and so on."""
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
    """Make the terminal show typed text again, if a prompt for an MFA code was interrupted."""
    if sys.platform == "win32":
        return
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

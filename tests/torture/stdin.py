"""Stdin and the other streams, as the worst callers of the executable use them."""

import contextlib
import fcntl
import json
import os
import resource
import subprocess
import threading
import time

from tests.support.helper import Result, finish

from .workspace import HOST, NOT_FOUND, Figures, Rack, Workspace

VERBS = ("get", "store", "erase", "list")
MEBIBYTE = b"x" * (1 << 20)


def odd_inputs(workspace: Workspace) -> list[bytes]:
    """Return random bytes and inputs that are wrong in one way each."""
    dice, host = workspace.dice, HOST.encode()
    login = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": "x"}).encode()
    known = [
        *(
            b"",
            b"\0",
            b"\n",
            b"\r\n",
            b"\xff\xfe",
            b"\xef\xbb\xbf" + host,
            b"\xc0\xaf",
            b"\x1b[31m",
        ),
        *(
            host + b"\0",
            host + b"\n\n",
            host + b"\nevil.com",
            b"evil.com\n" + host,
            b"\xed\xa0\x80",
        ),
        *(host.replace(b".", b"\xe3\x80\x82"), host.decode().encode("utf-16"), host + b"\x85"),
        *(b"[" * 500_000, b'{"a":' * 200_000, b'"' + b"\\u0000" * 9, b"9" * 9999, b"-1e999999"),
        *(b"null", b"[]", b"{}", b"true", b'"x"', b'{"ServerURL":null}', b'{"Username":{}}'),
        *(login[:-1], login + b"}", login + login, login.upper(), login.replace(b"AWS", b"\xff")),
        login.replace(b'"x"', b'"' + b"A" * 300_000 + b'"'),
        b'{"ServerURL":"%s","Username":"AWS","Secret":%s}' % (host, b"1" * 5000),
    ]
    return known + [dice.randbytes(dice.choice((1, 9, 99, 999, 70_000))) for _ in range(40)]


def assert_protocol(verb: str, result: Result) -> None:
    """Assert that an answer is one that the protocol has for this verb."""
    assert result.status in (0, 1), result
    assert result.stdout.count(b"\n") <= 1, result
    assert result.stderr.count(b"\n") <= 2, result
    if result.status == 1:
        assert result.stdout, result
    elif verb in ("store", "erase"):
        assert result.stdout == b""
    else:
        json.loads(result.stdout)


def odd(rack: Rack, workspace: Workspace) -> int:
    """Feed every odd input to every verb."""
    inputs = workspace.some(odd_inputs(workspace))
    for verb in VERBS:
        for data in inputs:
            assert_protocol(verb, rack.run(verb, stdin=data))
    return len(inputs) * len(VERBS)


def flood(rack: Rack, workspace: Workspace) -> int:
    """Write a hundred mebibytes to each verb that reads: all is drained, in little memory."""
    mebibytes = workspace.times(100)
    for verb in ("get", "store", "erase"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        with rack.popen(verb) as process:
            assert process.stdin
            for _ in range(mebibytes):
                process.stdin.write(MEBIBYTE)
            result = rack.seen(finish(process))
        assert_protocol(verb, result)
        grown = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before
        assert grown < 64 * 1024, f"{verb} took {grown} KiB"
    return 3 * mebibytes


def slow(rack: Rack, _: Workspace) -> int:
    """Write a byte at a time, with pauses: the answer is that for the whole."""
    with rack.popen("get") as process:
        assert process.stdin
        for byte in HOST.encode():
            process.stdin.write(bytes([byte]))
            time.sleep(0.005)
        rack.answered(rack.seen(finish(process)))
    return 1


def unblocking(rack: Rack, _: Workspace) -> int:
    """Give pipes that do not block, as event loops do: the helper waits by itself."""
    url = f"{HOST}/{'a' * 60_000}"
    into, out = os.pipe(), os.pipe()
    for end in (into[0], out[1]):
        os.set_blocking(end, False)
    fcntl.fcntl(out[1], fcntl.F_SETPIPE_SZ, 4096)
    with rack.popen("get", stdin=into[0], stdout=out[1]) as process:
        os.close(into[0])
        os.close(out[1])
        time.sleep(0.3)
        os.write(into[1], url.encode())
        os.close(into[1])
        time.sleep(0.3)
        with open(out[0], "rb") as answer:
            stdout = answer.read()
        assert process.stderr
        result = Result(process.wait(60), stdout, process.stderr.read())
    rack.answered(rack.seen(result), url)
    return 1


def early(rack: Rack, _: Workspace) -> int:
    """Close stdout early, after one byte, or let it be full: exit 1, and stderr is empty."""
    for command in ('"$1" get | head -c1', '"$1" get | true', '"$1" get >/dev/full'):
        shell = ["bash", "-o", "pipefail", "-c", command, "sh", str(rack.executable)]
        done = subprocess.run(
            shell, env=rack.env, input=HOST.encode(), capture_output=True, check=False, timeout=60
        )
        rack.seen(Result(0, b"", done.stderr))
        assert done.stderr == b""
        assert done.stdout in (b"", b"{")
        assert done.returncode == 1 or command.endswith(("c1", "true"))
    with rack.popen("get", stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stdin
        process.stdin.write(HOST.encode())
        process.stdin.close()
        assert process.wait(60) == 1
    return 4


def closed(rack: Rack, _: Workspace) -> int:
    """Start with every subset of the standard streams closed."""
    subsets = [[n for n in range(3) if bits >> n & 1] for bits in range(8)]
    for verb in VERBS:
        for streams in subsets:
            with contextlib.suppress(BrokenPipeError):
                result = rack.run(verb, stdin=HOST.encode(), closed=streams)
                assert result.status in (0, 1), (verb, streams)
                if verb == "get" and not {0, 1} & set(streams):
                    rack.answered(result)
    return len(subsets) * len(VERBS)


def broken(rack: Rack, workspace: Workspace) -> int:
    """Let the writer die half way: the part that arrived is the request."""
    for _ in range(workspace.times(20)):
        with rack.popen("get") as process:
            assert process.stdin
            killer = threading.Timer(0.05, process.stdin.close)
            process.stdin.write(HOST.encode()[: workspace.dice.randrange(1, len(HOST))])
            killer.start()
            killer.join()
            assert process.stdout
            assert process.stdout.read() == NOT_FOUND
    return workspace.times(20)


def run(workspace: Workspace) -> Figures:
    """Do all of it against one AWS."""
    figures: Figures = {}
    with workspace.rack() as rack:
        rack.answered(rack.get(HOST))
        for name, torture in (
            *(("odd inputs", odd), ("mebibytes poured in", flood), ("slow writers", slow)),
            *(("pipes that do not block", unblocking), ("stdout gone", early)),
            *(("streams closed", closed), ("writers that died", broken)),
        ):
            figures[name] = torture(rack, workspace)
    return figures

"""A Docker engine and an ECR look-alike registry that leave no trace on the machine.

Everything runs in mount, PID and network namespaces of its own. There, `/etc` is overlaid with a
hosts file that sends the ECR hosts to the only address there is, with the CA of the rig for each
of them, and with a resolver that knows no name; outside nothing changes. On that address nginx
speaks TLS, asks the loopback AWS whether it accepts a token, and hands what is accepted to one
docker-registry for each host, so that no host sees the images of another. From in there nothing
can be reached but these and the loopback AWS, to which a gateway leads.

    with Loopback() as aws, Rig(aws.url) as rig:
        rig.docker("pull", f"{PRIVATE}/app:1", config_dir=config_dir, env=aws.environment())

A keeper process of its own session owns the namespaces. It ends when its standard input is closed,
which happens even when this process is killed; with it end all processes and mounts, and then it
removes the directory. So there is nothing that a failed or interrupted run could leave behind.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.needs import SYSTEM_PATH, has_namespace

PRIVATE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "444455556666.dkr.ecr.us-east-1.amazonaws.com"
THIRD = "777788889999.dkr.ecr.eu-west-1.amazonaws.com"
DUAL_STACK = "111122223333.dkr-ecr.eu-west-1.on.aws"
PUBLIC = "public.ecr.aws"
HOSTS = (PRIVATE, OTHER, THIRD, DUAL_STACK, PUBLIC)

# Docker Hub, as far as a login goes: it takes every password.
HUB = "registry-1.docker.io"

# An address for documentation (RFC 5737), given to the loopback device of the rig. It is not below
# 127/8 because Docker does not insist on TLS there, and so hides what the registry answered.
ADDRESS = "192.0.2.1"

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# What the rig is made of, and the Debian package that has it.
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "nginx": "nginx-light",
    "gcc": "gcc libc6-dev",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
}

# $1 is the directory, whose last part names the control group too. Nothing here names a path that
# is not the rig's own: the mounts are gone once unshare has ended, so rm sees only plain files.
KEEPER = """
unshare --mount --pid --net --fork --kill-child --mount-proc --propagation private \
    sh -ec "$2" holder "$1" "$3" 2>>"$1/logs/keeper.log"
find /sys/fs/cgroup -depth -type d -path "*/${1##*/}*" -exec rmdir {} + 2>/dev/null
rm -rf -- "$1"
"""

# The engine and podman write to /run, /dev/shm and /var/lib and set kernel keys below /proc/sys:
# in here all of that is either private or read-only.
HOLDER = """
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
for place in /run /dev/shm /var/lib/containers /var/lib/cni; do
    if [ -d "$place" ]; then mount -t tmpfs tmpfs "$place"; fi
done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
ip link set lo up
ip address add "$2/32" dev lo
echo ready
exec cat
"""

# The whole content of an image: it prints the note that was built into it, which shows that what
# runs is what was pushed, and with any argument it stays. It needs no C library in the image.
PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    char line[256];
    if (count > 1) return pause();
    FILE *note = fopen("/note", "r");
    if (note == NULL || fgets(line, sizeof line, note) == NULL) return 1;
    return puts(line) == EOF;
}
"""

REGISTRY = """
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {directory}/images/{host}}}
http:
  net: unix
  addr: {directory}/{host}.sock
  secret: not one
  relativeurls: true
"""

# ECR Public speaks Bearer. Its token is the Basic credential itself, or "anonymous": so one map
# turns either scheme back into what the loopback AWS verifies. Its 401 becomes 403 on the way, else
# nginx would pass on its challenge beside ours.
NGINX = """
daemon off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/logs/nginx.log warn;
events {{}}
http {{
    access_log {directory}/logs/nginx-access.log;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    client_max_body_size 0;
    large_client_header_buffers 4 32k;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    server_names_hash_bucket_size 128;
    ssl_certificate {directory}/server.pem;
    ssl_certificate_key {directory}/server.key;
    map $http_authorization $credential {{
        "~*^(?:basic|bearer) (?<given>[A-Za-z0-9+/=]+)$" $given;
        default anonymous;
    }}
    map "$request_method $request_uri $http_authorization" $anonymous_pull {{
        "~^(?:GET|HEAD) /v2/[^ ]* Bearer anonymous$" yes;
        "~^GET /token/[^ ]* $" yes;
        default "";
    }}
{servers}
}}
"""

SERVER = """
    server {{
        listen {address}:443 ssl;
        server_name {host};
        error_page 403 = @unauthorized;
        location = /_verify {{
            internal;
            {anonymous}
            proxy_intercept_errors on;
            error_page 401 = @refused;
            proxy_pass {aws}/_loopback/verify;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Registry-Host $host;
            proxy_set_header Authorization "{authorization}";
        }}
        location @refused {{
            return 403;
        }}
        location /v2/ {{
            auth_request /_verify;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_pass http://unix:{directory}/{host}.sock;
        }}
        location @unauthorized {{
            default_type text/plain;
            add_header WWW-Authenticate '{challenge}' always;
            add_header Docker-Distribution-Api-Version registry/2.0 always;
            return 401 "Not Authorized\\n";
        }}
        {token}
    }}
"""

HUB_SERVER = """
    server {{
        listen {address}:443 ssl;
        server_name {host};
        location / {{
            default_type application/json;
            if ($http_authorization = "") {{
                add_header WWW-Authenticate 'Basic realm="Registry"' always;
                return 401;
            }}
            return 200 '{{}}';
        }}
    }}
"""

BASIC = {
    "anonymous": "",
    "authorization": "$http_authorization",
    "challenge": 'Basic realm="https://{host}/",service="ecr.amazonaws.com"',
    "token": "",
}

# The answer comes from a named location because a plain `return` would precede auth_request.
BEARER = {
    "anonymous": "if ($anonymous_pull) { return 200; }",
    "authorization": "Basic $credential",
    "challenge": 'Bearer realm="https://{host}/token/",service="{host}",scope="aws"',
    "token": """location = /token/ {
            auth_request /_verify;
            try_files /nothing @token;
        }
        location @token {
            default_type application/json;
            return 200 '{"token":"$credential","expires_in":60}';
        }""",
}


class RigError(Exception):
    """The rig does not start, or a command run in it failed."""


class Rig:
    """An engine, a registry for each ECR host, and a way to run commands that see them.

    `aws_url` is where the loopback AWS answers; `programs` is the directory of the helper, by
    default that of the environment that runs this.
    """

    def __init__(
        self, aws_url: str, *, hosts: Iterable[str] = HOSTS, programs: Path | None = None
    ) -> None:
        self.aws_url = aws_url
        self.hosts = tuple(hosts)
        self.programs = programs or Path(sysconfig.get_path("scripts"))
        self.lookups: list[str] = []
        """The names that something in the rig asked the network for, in order."""

    @staticmethod
    def missing() -> str:
        """Say what keeps the rig from running here and how to get it; empty when nothing does."""
        if sys.platform != "linux" or os.geteuid() != 0:
            return "the end-to-end rig needs Linux and root"
        absent = [name for name in PACKAGES if shutil.which(name, path=SYSTEM_PATH) is None]
        if absent:
            packages = " ".join(dict.fromkeys(PACKAGES[name] for name in absent))
            return f"missing: {', '.join(absent)} (apt-get install {packages})"
        if not (has_namespace("--mount") and has_namespace("--net")):
            return "missing: namespaces for mounts and networks of our own (unshare)"
        if find_spec("trustme") is None:
            return "missing: trustme (pip install the extra `test`)"
        return ""

    def __enter__(self) -> Self:
        """Start everything, or stop what was started and say what the logs say."""
        # Unix sockets have short names, so this is not below a TMPDIR that may be long.
        self.directory = Path(tempfile.mkdtemp(prefix="ecr-e2e-", dir="/tmp"))
        self.home = self.directory / "home"
        with contextlib.ExitStack() as stack:
            try:
                self._start(stack)
            except Exception as error:
                raise RigError(f"{error}\n{self.logs()}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every process and mount and remove every file of the rig."""
        self._stack.close()

    # What a test uses.

    def docker(
        self,
        *args: str | Path,
        config_dir: Path,
        env: Mapping[str, str] | None = None,
        cli: str = "docker",
        check: bool = True,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a docker CLI against the engine of the rig with the config.json of `config_dir`."""
        variables = {
            "DOCKER_HOST": f"unix://{self.directory}/docker.sock",
            "DOCKER_CONFIG": str(config_dir),
            **(env or {}),
        }
        return self.run(cli, *args, env=variables, check=check, stdin=stdin)

    def run(
        self,
        *command: str | Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        stdin: str = "",
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run any command in the rig, in an environment that holds HOME, PATH and `env` only.

        The helper comes first on PATH. With `check` a failing command raises RigError with what
        it printed.
        """
        done = subprocess.run(
            self._inside(*command),
            env=self._environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            line = " ".join(map(str, command))
            raise RigError(f"exit {done.returncode}: {line}\n{done.stdout}{done.stderr}")
        return done

    @contextlib.contextmanager
    def serving(self, name: str, *command: str | Path) -> Iterator[None]:
        """Run one more service in the rig, with its output in a log of its own."""
        with contextlib.ExitStack() as stack:
            self._serve(stack, name, *command)
            yield

    def context(self, note: str) -> Path:
        """Make a build context whose image prints `note` (one line) when it runs."""
        context = Path(tempfile.mkdtemp(prefix="context-", dir=self.directory))
        shutil.copy2(self.directory / "program", context)
        (context / "note").write_text(note)
        (context / "Dockerfile").write_text('FROM scratch\nCOPY . /\nCMD ["/program"]\n')
        return context

    def certificates(self) -> Path:
        """Return the CA file for clients that do not look into certs.d (SSL_CERT_FILE)."""
        return self.directory / "ca.pem"

    def logs(self) -> str:
        """Return the last lines of every log of the rig."""
        shown = []
        for log in sorted(self.directory.glob("logs/*.log")):
            last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            shown.append(f"--- {log.name}\n{last}")
        return "\n".join(shown)

    # How it is built, in the order of starting.

    def _start(self, stack: contextlib.ExitStack) -> None:
        for name in ("home", "logs", "etc", "work", "images", "empty"):
            (self.directory / name).mkdir()
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._write_etc()
        self._hold(stack)
        self._compile()
        self._open_door(stack)
        self._start_registries(stack)
        self._start_engine(stack)

    def _write_etc(self) -> None:
        """Write the files that lie over /etc, and the certificate of the registry."""
        import trustme  # missing() must be able to tell that it is not there

        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.certificates()))
        server = authority.issue_cert(*self.hosts, HUB)
        server.private_key_pem.write_to_path(str(self.directory / "server.key"))
        for blob in server.cert_chain_pems:
            blob.write_to_path(str(self.directory / "server.pem"), append=True)
        files = {
            "hosts": f"127.0.0.1 localhost\n{ADDRESS} {' '.join((*self.hosts, HUB))}\n",
            "resolv.conf": f"nameserver {ADDRESS}\noptions timeout:1 attempts:1\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "containers/policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}\n',
            "containers/registries.conf": "unqualified-search-registries = []\n",
            "containers/storage.conf": "[storage]\ndriver = 'overlay'\n"
            f"graphroot = '{self.directory}/podman'\nrunroot = '{self.directory}/podman-run'\n",
        }
        for host in self.hosts:
            for engine in ("docker", "containers"):
                files[f"{engine}/certs.d/{host}/ca.crt"] = self.certificates().read_text()
        for name, text in files.items():
            path = self.directory / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for engine in ("docker", "containers"):
            # Opaque: what the machine has configured for itself does not show through.
            os.setxattr(self.directory / "etc" / engine, "trusted.overlay.opaque", b"y")

    def _hold(self, stack: contextlib.ExitStack) -> None:
        """Start the keeper and wait until its namespaces are set up."""
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", self.directory, HOLDER, ADDRESS],
            env={"PATH": SYSTEM_PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, the keeper leaves when we have left
        )
        stack.callback(self._release)
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"ready\n":
            raise RigError("the namespaces could not be made")
        self._unshare = _child_of(self._keeper.pid)

    def _release(self) -> None:
        self._keeper.communicate()

    def _open_door(self, stack: contextlib.ExitStack) -> None:
        """Let the loopback AWS be reached from within, at the address it has outside."""
        url = urlsplit(self.aws_url)
        outside = (url.hostname or "", url.port or 80)
        listener = self._socket_within(lambda: socket.create_server(outside))
        stack.enter_context(_Gateway(listener, outside))
        resolver = self._socket_within(_bound_resolver)
        stack.enter_context(_Resolver(resolver, self.lookups))

    def _socket_within(self, make: Callable[[], socket.socket]) -> socket.socket:
        """Return a socket that was made in the network of the rig: that is where it stays."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(_enter_network, self._unshare, make).result()

    def _compile(self) -> None:
        source = self.directory / "program.c"
        source.write_text(PROGRAM)
        self.run("gcc", "-static", "-Os", "-s", "-o", self.directory / "program", source)

    def _start_registries(self, stack: contextlib.ExitStack) -> None:
        for host in self.hosts:
            config = self.directory / f"{host}.yml"
            config.write_text(REGISTRY.format(directory=self.directory, host=host))
            service = self._serve(stack, host, "docker-registry", "serve", config)
            self._wait_for(service, self.directory / f"{host}.sock", "/v2/")
        config = self.directory / "nginx.conf"
        config.write_text(self._nginx_configuration())
        service = self._serve(stack, "nginx", "nginx", "-e", "stderr", "-c", config)
        self._wait_for(service, (ADDRESS, 443), "/")

    def _nginx_configuration(self) -> str:
        servers = []
        for host in self.hosts:
            scheme = BEARER if host == PUBLIC else BASIC
            parts = scheme | {"challenge": scheme["challenge"].format(host=host)}
            servers.append(
                SERVER.format(
                    address=ADDRESS,
                    aws=self.aws_url,
                    directory=self.directory,
                    host=host,
                    **parts,
                )
            )
        servers.append(HUB_SERVER.format(address=ADDRESS, host=HUB))
        return NGINX.format(directory=self.directory, servers="".join(servers))

    def _start_engine(self, stack: contextlib.ExitStack) -> None:
        config = self.directory / "daemon.json"
        config.write_text("{}\n")
        service = self._serve(
            stack,
            "dockerd",
            "dockerd",
            f"--config-file={config}",
            f"--data-root={self.directory}/docker",
            f"--exec-root={self.directory}/docker-run",
            f"--pidfile={self.directory}/docker.pid",
            f"--host=unix://{self.directory}/docker.sock",
            f"--cgroup-parent=/{self.directory.name}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        )
        self._wait_for(service, self.directory / "docker.sock", "/_ping")

    def _serve(
        self, stack: contextlib.ExitStack, name: str, *command: str | Path
    ) -> subprocess.Popen[bytes]:
        """Start a service in the namespaces, with its output in a log of its own."""
        log = stack.enter_context((self.directory / "logs" / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            self._inside(*command),
            env=self._environment({"SSL_CERT_FILE": str(self.certificates())}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, to be ended with the one that entered
        )
        stack.callback(_end, process)
        return process

    def _wait_for(
        self, service: subprocess.Popen[bytes], where: Path | tuple[str, int], path: str
    ) -> None:
        """Wait until a service answers HTTP with anything at all, as long as it lives."""
        request = f"GET {path} HTTP/1.0\r\nHost: rig\r\n\r\n".encode()
        deadline = time.monotonic() + START_SECONDS
        while service.poll() is None and time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                self._socket_within(lambda: _connected(where)) as connection,
            ):
                connection.sendall(request)
                if connection.recv(5) == b"HTTP/":
                    return
            time.sleep(0.02)
        raise RigError(f"nothing answers at {where}")

    def _inside(self, *command: str | Path) -> list[str | Path]:
        """Return the command line that runs `command` in the namespaces of the rig."""
        namespaces = f"/proc/{self._unshare}/ns"
        enter = [
            "/usr/bin/nsenter",
            f"--mount={namespaces}/mnt",
            f"--net={namespaces}/net",
            f"--pid={namespaces}/pid_for_children",
        ]
        return [*enter, "/usr/bin/env", f"--chdir={self.directory}/empty", *command]

    def _environment(self, given: Mapping[str, str] | None = None) -> dict[str, str]:
        path = f"{self.programs}:{SYSTEM_PATH}"
        return {"HOME": str(self.home), "PATH": path, **(given or {})}


class _Gateway(socketserver.ThreadingTCPServer):
    """Takes connections in the network of the rig and makes them again outside of it."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, outside: tuple[str, int]) -> None:
        super().__init__(outside, _Passage, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.outside = outside
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="gateway")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Passage(socketserver.BaseRequestHandler):
    """One connection through the gateway."""

    server: _Gateway

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(self.server.outside) as outside,
        ):
            for end in (self.request, outside):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_pass_on, args=(outside, self.request), daemon=True)
            back.start()
            _pass_on(self.request, outside)
            back.join()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what arrives, and the way it ends: in good order or by a reset."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)


class _Resolver:
    """A name server that knows no name and writes down who was asked for.

    With it a look-up fails at once, and none goes unseen.
    """

    def __init__(self, bound: socket.socket, lookups: list[str]) -> None:
        self._socket = bound
        self._lookups = lookups
        self._thread = threading.Thread(target=self._answer, name="resolver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _answer(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(4096)
            if not query:
                return
            name, end = _name_in(query)
            self._lookups.append(name)
            # The header of an answer "no such name" that repeats the one question.
            header = query[:2] + b"\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00"
            self._socket.sendto(header + query[12 : end + 4], sender)


def _bound_resolver() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((ADDRESS, 53))
    return bound


def _name_in(query: bytes) -> tuple[str, int]:
    """Return the name that a DNS query asks for, and where it ends in the query."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels), at + 1


def _enter_network(pid: int, make: Callable[[], socket.socket]) -> socket.socket:
    """Move the calling thread into the network of a process and make a socket there."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is there since Python 3.12 only
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if libc.setns(namespace.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")
    return make()


def _connected(where: Path | tuple[str, int]) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, timeout=2)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(2)
    try:
        connection.connect(str(where))
    except OSError:
        connection.close()
        raise
    return connection


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a service to end, and wait for the nsenter around it; the keeper ends what does not."""
    with contextlib.suppress(OSError, IndexError):
        os.kill(_child_of(process.pid), signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)


def _child_of(pid: int) -> int:
    """Return the process that the keeper's shell or an nsenter waits for."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

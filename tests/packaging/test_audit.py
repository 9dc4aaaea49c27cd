"""Known weaknesses of what is locked are told, and what could not be looked up is no good news."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import audit
import inputs
import pytest
import tools

from tests.support.needs import module

AUDIT = Path(__file__).parents[2] / "packaging" / "audit.py"
WEAK = {
    "id": "PYSEC-2026-1",
    "affected": [{"package": {"name": "urllib3", "ecosystem": "PyPI"}, "versions": []}],
}


class Service(BaseHTTPRequestHandler):
    """An OSV that knows one weakness, of the program `weak`."""

    weak = ""
    asked: set[str]

    def do_POST(self) -> None:
        """Answer what is known of a version of a package."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.asked.add(f"{name}=={query['version']}")
        known = {"vulns": [WEAK]} if name == self.weak else {}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the URL of a service."""
    module("pip_audit", "release")
    monkeypatch.setattr(Service, "asked", set(), raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def run(url: str) -> subprocess.CompletedProcess[str]:
    """Ask a service."""
    command = (sys.executable, AUDIT, "--vulnerability-service=osv", f"--osv-url={url}")
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_that_is_locked_is_asked_for(service: str) -> None:
    """What builds on this machine, pip too, and every wheel; and one line says that all is well."""
    done = run(service)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nothing is known of the ")
    wanted = {f"{one['name']}=={one['version']}".lower() for one in inputs.locked()["python"]}
    for lock in (tools.TOOLS, tools.INSTALLER):
        text = lock.read_text()
        wanted |= {f"{name}=={one}" for name, one in tools.versions(text).items()}
    wanted = {one for one in wanted if not one.startswith("colorama==")}  # for Windows alone
    assert {one.lower() for one in Service.asked} == wanted


def test_a_known_weakness_is_a_failure(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told with its name and what has it."""
    monkeypatch.setattr(Service, "weak", "urllib3")
    done = run(service)
    assert done.returncode == 1
    (version,) = (one["version"] for one in inputs.locked()["python"] if one["name"] == "urllib3")
    assert done.stdout == f"urllib3 {version}: PYSEC-2026-1, fixed in nothing yet\n"


def test_no_answer_is_a_failure() -> None:
    """In one line."""
    module("pip_audit", "release")
    done = run("http://127.0.0.1:9/")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("audit.py: pip-audit got no answer: ")
    assert done.stderr.count("\n") == 1


def test_what_could_not_be_looked_up_is_a_failure() -> None:
    """pip-audit itself passes over what the service does not know."""
    found: list[dict[str, Any]] = [{"name": "a", "skip_reason": "not found"}]
    found.append({"name": "b", "version": "1", "vulns": []})
    assert list(audit.complaints(found)) == [
        "1 of 2 could not be looked up, the first because: not found"
    ]

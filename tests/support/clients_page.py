"""Write docs/clients.md from a test run: what each client does with this helper.

A test has the marker `client`, which says what it tests, and records the client's version, its
calls, and what is on the screen when the helper fails, in the properties `version`, `says` and
`sees`. If CLIENTS_PAGE is in the environment, the results of the run are written to the file that
it names; `make clients` does so. If nothing ran (--collect-only), the page has the same rows and
columns, with a question mark for each result.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

OPERATIONS = (
    "pull",
    "run",
    "pull in public, anonymous",
    "push",
    "copy",
    "inspect",
    "build FROM",
    "build FROM, BuildKit",
    "login",
    "login, password piped",
    "logout",
    "logout --all",
)

# What a client does with the words of a helper that fails: the second table.
SHOWN = "the cause is shown"
HIDDEN = "the cause is hidden"

UNKNOWN = "?"
RESULTS = ("yes", "**no**", "not run", UNKNOWN)
OF_A_RUN = ("version", "says", "on the screen")

HEAD = """\
# Clients

The clients that were tested with this helper, and the results. `make clients` writes this page from
a run of the end-to-end tests: a real Docker engine, a real registry that refuses requests without a
token from the simulated (loopback) AWS, and the clients themselves. CI runs the same tests.

"""

REAL = """\
## Clients that are run

*Found in* is where the client finds the helper's name; *says* is what the client was seen to send
to the helper, with HOST for the registry's name. Each operation begins with an empty cache unless a
note says otherwise.

"""

FAILURES = """\
## When the helper has no login

What the user of each client sees when the SSO session has expired, when AWS denies the token, and
when there are no AWS credentials at all. CAUSE stands for the helper's own line, such as "no AWS
credentials found", HINT for its second line, which says what to do.

"""

REPLAYED = """\
## Clients that are replayed

These could not be had from PyPI, npm, Debian, the Go module proxy, Maven Central or the index of
Rust crates. The tests replay the calls in their source code, with the same bytes, and judge the
helper's answers by the rules in that source code.

"""

ABSENT = """\
## Clients that could not be had

- nerdctl: the program needs a Go module of its tests (mod/tigron), which the module proxy did not
  serve. Its resolver, login and logout are run, by a small program.
- skopeo 1.16 to 1.22, podman 6: the module proxy did not serve skopeo, and podman does not build
  with the libraries of the others. The libraries of both are run, by a small program.
- kaniko: the project is archived; of its forks the module proxy served one, which does not build
  with the libraries of the others. It finds a helper by crane's library.
- Nomad: the Docker driver is a part of its server, which is too large to be built for this.
- Bazel, rules_img, rules_oci, testcontainers-dotnet: in none of the registries that the clients
  come from; npm and Debian have Bazel 2 and 4, which know no such helper.

"""

NOTES = """\
## Notes

- The classic builder first asks a `credsStore` for its `list`, and then only for the listed hosts.
  The list has only hosts with a token in the cache, so a build with an empty cache finds nothing:
  name the helper in `credHelpers`, or log in, pull or push first. BuildKit asks for the host and
  has no such limit.
- Debian's docker CLI drives the engine's own BuildKit; newer CLIs need buildx for it, which has a
  row of its own.
- podman, buildah and skopeo read the `credHelpers` of Docker's config.json, but their own `login`
  then writes the token into their auth.json, unencrypted. If the helper is named in `auth.json` or
  in registries.conf (`credential-helpers = ["ecr"]`), their logins reach the helper. They do not
  support `credsStore`.
- oras-py asks the helper with `auth_backend="basic"`; its default, `token`, does not understand the
  registry's answer and hangs, with or without this helper. It hangs, too, where the helper has no
  login, after a warning with the cause.
- The devcontainers CLI runs `docker pull`, several times, and does not show what it prints.
- rules_oci stops at every failure, even at "not found": where there are no AWS credentials, do not
  name the helper for `public.ecr.aws`.
- ko has AWS's own helper compiled in and asks it first: with AWS credentials at hand it never calls
  this one, and the token is stored in ~/.ecr/cache.json. The row is of somebody without any, after
  a `ko login`.
- Helm's `registry login` writes the token into a file of its own, unencrypted, which then goes
  before any helper. No login is needed; with HELM_REGISTRY_CONFIG=~/.docker/config.json it reaches
  the helper, as in the row.
- regctl's login writes the token into its own file, too. With a `credsStore` it asks only for what
  `list` names: name the helper in `credHelpers`, or by
  `regctl registry set --cred-helper docker-credential-ecr HOST`.
- testcontainers-go asks a `credsStore` only for the hosts below `auths` in config.json.
- docker-maven-plugin asks AWS itself, and no helper, if there are AWS keys in the environment.
- oras-java fails if config.json has no `auths`; an empty one is enough.
- testcontainers-java 2 and testcontainers-node take every failure of a helper for "not found", and
  so say no cause. Jib
  and testcontainers-go do not show what a helper says beside "not found", which is the answer
  where there are no AWS credentials. AWS_ECR_LOG_FILE names a file that has the cause, whatever the
  client shows, and `docker-credential-ecr doctor HOST` finds it.
"""


@dataclass
class Row:
    """A client and the place where it finds the helper: what it did, and what it said."""

    name: str
    found: str
    source: str = ""
    versions: set[str] = field(default_factory=set)
    says: list[str] = field(default_factory=list)
    sees: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, list[str]] = field(default_factory=dict)


Rows = dict[tuple[str, str], Row]
ROWS: pytest.StashKey[Rows] = pytest.StashKey()
OUTCOME: pytest.StashKey[str] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "client(name, *operations, found='', source=''): what a test shows of a client"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep the first outcome of a test's setup, run and teardown that is not 'passed'."""
    del call
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if item.stash.get(OUTCOME, "passed") == "passed":
        item.stash[OUTCOME] = report.outcome
    return report  # type: ignore[return-value]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the page, if CLIENTS_PAGE asks for it."""
    if path := os.environ.get("CLIENTS_PAGE"):
        Path(path).write_text(page(session.items))


def page(items: list[pytest.Item]) -> str:
    """Return the page for the results of `items`."""
    rows: Rows = {}
    for item in items:
        for marker in item.iter_markers("client"):
            _add(rows, item, marker)
    real = [row for row in rows.values() if not row.source]
    replayed = [row for row in rows.values() if row.source]
    return "".join(
        (
            HEAD,
            REAL,
            _real(real),
            "\n",
            FAILURES,
            _failures(real),
            "\n",
            REPLAYED,
            _replayed(replayed),
            "\n",
            ABSENT,
            NOTES,
        )
    )


def structure(text: str) -> list[list[str]]:
    """Return the lines of a page, split into cells, without the values that depend on a run."""
    lines: list[list[str]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
        else:
            cells = [
                "" if name in OF_A_RUN else UNKNOWN if cell in RESULTS else cell
                for name, cell in zip(head, cells, strict=True)
            ]
        lines.append(cells)
    return lines


def _add(rows: Rows, item: pytest.Item, marker: pytest.Mark) -> None:
    """Add what one test says about a client."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    name = marker.args[0].format(**params)
    name += {"/usr/bin/docker": " of Debian", "from source": " from source"}.get(
        params.get("cli", ""), ""
    )
    found = marker.kwargs.get("found", "") or params.get("found", "")
    row = rows.setdefault((name, found), Row(name, found, marker.kwargs.get("source", "")))
    for key, value in item.user_properties:
        if key == "version":
            row.versions.add(str(value))
        elif key == "says" and isinstance(value, list):
            row.says += [said for said in value if said not in row.says]
        elif key == "sees" and isinstance(value, list):
            row.sees[value[0]] = value[1]
    for operation in marker.args[1:]:
        row.outcomes.setdefault(operation, []).append(item.stash.get(OUTCOME, ""))


def _real(rows: list[Row]) -> str:
    used = [each for each in OPERATIONS if any(each in row.outcomes for row in rows)]
    unknown = {each for row in rows for each in row.outcomes} - {*OPERATIONS, SHOWN, HIDDEN}
    assert not unknown, f"operations without a column: {unknown}"
    lines = [("client", "version", "found in", *used, "says")]
    for row in sorted(rows, key=lambda row: (row.name.lower(), row.found)):
        if not any(each in row.outcomes for each in used):
            continue
        cells = [_verdict(row.outcomes[each]) if each in row.outcomes else "" for each in used]
        version = ", ".join(sorted(row.versions))
        lines.append((row.name, version, row.found, *cells, _quoted(row.says)))
    return _table(lines)


def _failures(rows: list[Row]) -> str:
    lines: list[tuple[str, ...]] = [("client", SHOWN, HIDDEN, "on the screen")]
    for row in sorted(rows, key=lambda row: row.name.lower()):
        if SHOWN in row.outcomes or HIDDEN in row.outcomes:
            cells = [
                _verdict(row.outcomes[each]) if each in row.outcomes else ""
                for each in (SHOWN, HIDDEN)
            ]
            lines.append((row.name, *cells, _screens(row.sees)))
    return _table(lines)


def _screens(sees: dict[str, str]) -> str:
    """Return what is on the screen after each failure, those together that look the same."""
    failures: dict[str, list[str]] = {}
    for failure, words in sees.items():
        failures.setdefault(words.replace("|", "/").replace("`", "'"), []).append(failure)
    return "<br>".join(f"{', '.join(names)}: `{words}`" for words, names in failures.items())


def _replayed(rows: list[Row]) -> str:
    lines = [("client", "what is replayed", "holds", "source")]
    for row in sorted(rows, key=lambda row: row.name.lower()):
        outcomes = [each for results in row.outcomes.values() for each in results]
        lines.append((row.name, "; ".join(row.outcomes), _verdict(outcomes), row.source))
    return _table(lines)


def _quoted(says: list[str]) -> str:
    return ", ".join(f"`{each}`" for each in says)


def _verdict(outcomes: list[str]) -> str:
    """Return the text of a cell: yes only if every test passed."""
    if "failed" in outcomes:
        return "**no**"
    if "skipped" in outcomes:
        return "not run"
    return "yes" if all(each == "passed" for each in outcomes) else UNKNOWN


def _table(lines: Sequence[tuple[str, ...]]) -> str:
    ruled = [lines[0], tuple("---" for _ in lines[0]), *lines[1:]]
    return "".join("| " + " | ".join(line) + " |\n" for line in ruled)

"""configure --kubelet: the configuration that it edits, where every other byte has to survive."""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_credential_helper import commands
from ecr_credential_helper.commands import saving
from ecr_credential_helper.commands.kubelet_config import ACCOUNTS, NODE, PROVIDERS, Configuration
from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError
from tests.support.helper import EXECUTABLE, Helper, Result

yaml = import_module("yaml")

CONFIGS = Path(__file__).parent / "kubelet_configs"
SHIPPED = Path(__file__).parents[2] / "packaging" / "kubelet"
VERSION = "kubelet.config.k8s.io/v1"
HEAD = f"apiVersion: {VERSION}\nkind: CredentialProviderConfig\n"
FILES = sorted(path.name for path in CONFIGS.iterdir())
# In these there is a list of nothing, or null, in which no provider can stand.
REPLACED = {"none.yaml", "none.json", "null.yaml", "without.yaml", "without.json"}


def configure(helper: Helper, place: Path, *options: str) -> Result:
    """Run the command for a directory."""
    return helper.run("configure", "--kubelet", str(place), *options)


def done(result: Result) -> list[str]:
    """Return what the command says that it has done, unwrapped."""
    assert (result.status, result.err) == (0, "")
    return result.out.replace("\n      ", " ").splitlines()


def snapshot(place: Path) -> dict[str, object]:
    """Return all that is below a directory: content of files, targets of links."""
    return {
        str(path.relative_to(place)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(place.rglob("*"))
    }


def document(text: str) -> dict[str, Any]:
    """Return the configuration in a text."""
    found = yaml.safe_load(text.replace("\t", " "))
    assert isinstance(found, dict)
    return found


def names(config: Path) -> list[str]:
    """Return the names of a file's providers."""
    return [each["name"] for each in document(config.read_text())["providers"]]


def is_insertion(old: str, new: str) -> bool:
    """Whether one text is the other with something put into it in one place."""
    same = 0
    while old[same : same + 1] == new[same : same + 1] != "":
        same += 1
    return len(new) > len(old) and new.endswith(old[same:])


@pytest.fixture
def place(helper: Helper) -> Path:
    """Name the directory of a kubelet's configuration, which is not there yet."""
    return helper.home / "etc" / "credential-provider"


def present(place: Path, name: str, text: str, programs: str = "bin") -> Path:
    """Make a configuration that a node has, and the programs that it names."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.write_bytes(text.encode())
    (place / programs).mkdir(exist_ok=True)
    for each in document(text).get("providers") or []:
        program = place / programs / each["name"]
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return path


# A directory without a configuration


def test_configuration_and_link_are_made_where_nothing_is(helper: Helper, place: Path) -> None:
    """The file is the one that is shipped, and the kubelet's flags are named."""
    config, link = place / "config.yaml", place / "bin" / NODE

    lines = done(configure(helper, place))

    assert lines == [
        str(config),
        f"  + {NODE}",
        f"  + {link}, a link to {EXECUTABLE}",
        "next: restart the kubelet with these flags",
        f"  --image-credential-provider-config={config}",
        f"  --image-credential-provider-bin-dir={place / 'bin'}",
    ]
    assert config.read_text() == (SHIPPED / "credential-provider-config.yaml").read_text()
    assert os.readlink(link) == str(EXECUTABLE)
    assert sorted(snapshot(place)) == ["bin", f"bin/{NODE}", "config.yaml"]


def test_the_mixed_way_is_two_providers_of_two_names(helper: Helper, place: Path) -> None:
    """Service accounts come first; the file is the one that is shipped."""
    lines = done(configure(helper, place, "--service-accounts"))

    assert names(place / "config.yaml") == [ACCOUNTS, NODE]
    shipped = SHIPPED / "credential-provider-config-mixed.yaml"
    assert (place / "config.yaml").read_text() == shipped.read_text()
    assert "request-serviceaccounts-token-audience" in lines[-1]
    assert {os.readlink(place / "bin" / name) for name in (ACCOUNTS, NODE)} == {str(EXECUTABLE)}


def test_service_accounts_that_come_later_stand_before_the_node(
    helper: Helper, place: Path
) -> None:
    """However they came to be there, the role of a service account is tried first."""
    done(configure(helper, place))
    done(configure(helper, place, "--service-accounts"))

    shipped = SHIPPED / "credential-provider-config-mixed.yaml"
    assert (place / "config.yaml").read_text() == shipped.read_text()


def test_the_link_leads_to_the_program_as_it_was_called(helper: Helper, place: Path) -> None:
    """Its own name and place are kept: what is behind them may be renewed."""
    called = helper.link("docker-credential-ecr-login")
    helper.run("configure", "--kubelet", str(place), argv0=called.name)

    assert os.readlink(place / "bin" / NODE) == str(called)


@pytest.mark.parametrize("options", [(), ("--service-accounts",)])
def test_a_second_run_changes_nothing(
    helper: Helper, place: Path, options: tuple[str, ...]
) -> None:
    """It says so, and writes no file."""
    done(configure(helper, place, *options))
    before, stamp = snapshot(place), (place / "config.yaml").stat().st_mtime_ns

    lines = done(configure(helper, place, *options))

    assert all(line.endswith(", as before") for line in lines[1:])
    assert (snapshot(place), (place / "config.yaml").stat().st_mtime_ns) == (before, stamp)


@pytest.mark.parametrize("options", [(), ("--service-accounts",)])
def test_remove_takes_all_of_it_out(helper: Helper, place: Path, options: tuple[str, ...]) -> None:
    """A file without a provider, which no kubelet takes, goes too, and so do the flags."""
    done(configure(helper, place, *options))

    lines = done(configure(helper, place, "--remove"))

    assert snapshot(place) == {"bin": None}
    assert "next: restart the kubelet without these flags" in lines
    assert "nothing of this program" in done(configure(helper, place, "--remove"))[-1]


def test_remove_of_service_accounts_leaves_the_node(helper: Helper, place: Path) -> None:
    """What is left is what the node alone has."""
    done(configure(helper, place))
    before = snapshot(place)
    done(configure(helper, place, "--service-accounts"))

    done(configure(helper, place, "--service-accounts", "--remove"))

    assert snapshot(place) == before


def test_a_dry_run_shows_and_changes_nothing(helper: Helper, place: Path) -> None:
    """What is to be done is a diff, and a line for each link."""
    lines = done(configure(helper, place, "--dry-run"))

    assert "+kind: CredentialProviderConfig" in lines
    assert lines[-1] == f"  + {place / 'bin' / NODE}, a link to {EXECUTABLE}"
    assert not place.exists()
    done(configure(helper, place))
    assert done(configure(helper, place, "--dry-run")) == ["nothing would change"]
    before = snapshot(place)
    assert "-kind: CredentialProviderConfig" in done(
        configure(helper, place, "--remove", "--dry-run")
    )
    assert snapshot(place) == before


# A configuration that is there


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_all_else_in_a_configuration_stays(
    helper: Helper, place: Path, name: str, ending: str
) -> None:
    """Our provider comes last, at the column of the others, and goes again without a trace."""
    old = (CONFIGS / name).read_bytes().decode().replace("\n", ending)
    config = present(place, name, old)
    before = snapshot(place)

    assert configure(helper, place).status == 0

    new = config.read_bytes().decode()
    providers = document(old).get("providers") or []
    assert document(new) == {**document(old), "providers": [*providers, PROVIDERS[NODE]]}
    assert name in REPLACED or is_insertion(old, new)
    assert new.count("\n") == new.count(ending)
    root = yaml.compose(new.replace("\t", " "), yaml.SafeLoader)
    (items,) = (value.value for key, value in root.value if key.value == "providers")
    if "\n" in new and name not in ("flow.yaml", "one_line.json"):
        assert len({item.start_mark.column for item in items}) == 1
    again = snapshot(place)
    assert configure(helper, place).status == 0
    assert snapshot(place) == again
    done(configure(helper, place, "--remove"))
    if providers:
        assert snapshot(place) == before
    else:
        assert not config.exists()


def test_the_link_goes_where_the_other_programs_are(helper: Helper, place: Path) -> None:
    """On EKS they lie beside the file; that AWS's provider is asked too is said."""
    present(place, "config.json", (CONFIGS / "eks.json").read_text(), programs=".")

    result = configure(helper, place)

    assert result.status == 0
    assert (place / NODE).is_symlink()
    assert not (place / "bin").exists()
    assert f"--image-credential-provider-bin-dir={place}\n" in result.out
    said = " ".join(result.err.split())
    assert "warn: the provider ecr-credential-provider is asked for images of ECR, too" in said
    assert "fix: take the hosts of ECR out of its matchImages" in said


def test_a_directory_for_the_link_may_be_named(helper: Helper, place: Path) -> None:
    """As where a configuration and its programs have nothing in common."""
    config = present(place, "azure.yaml", (CONFIGS / "azure.yaml").read_text())
    os.rename(place / "bin", place.parent / "programs")
    before = snapshot(place)

    result = configure(helper, place)

    assert (result.status, result.out) == (1, "")
    assert "acr-credential-provider" in result.err
    assert "hint: give --bin-dir" in result.err
    assert snapshot(place) == before
    done(configure(helper, config, "--bin-dir", str(place.parent / "programs")))
    assert (place.parent / "programs" / NODE).is_symlink()
    assert names(config) == ["acr-credential-provider", NODE]


def test_an_entry_of_the_users_stays(helper: Helper, place: Path) -> None:
    """Whoever has edited ours keeps the edit, and is told."""
    done(configure(helper, place))
    config = place / "config.yaml"
    config.write_text(config.read_text().replace("      - public.ecr.aws\n", ""))
    before = snapshot(place)

    lines = done(configure(helper, place))

    assert lines[1] == f"  = {NODE}, which is not as this writes it, and stays as you have it"
    assert snapshot(place) == before


def test_files_for_something_else_are_left_alone(helper: Helper, place: Path) -> None:
    """A directory may have other YAML than that of a CredentialProviderConfig."""
    present(place, "kubelet.yaml", "kind: KubeletConfiguration\n")
    before = snapshot(place)["kubelet.yaml"]

    done(configure(helper, place))

    assert names(place / "config.yaml") == [NODE]
    assert snapshot(place)["kubelet.yaml"] == before


def test_a_link_that_leads_nowhere_is_made_anew(helper: Helper, place: Path) -> None:
    """As after the program has moved: a kubelet would not start with it."""
    (place / "bin").mkdir(parents=True)
    (place / "bin" / NODE).symlink_to("/nonexistent/docker-credential-ecr")

    done(configure(helper, place))

    assert os.readlink(place / "bin" / NODE) == str(EXECUTABLE)


@pytest.mark.needs("unshare --mount")
def test_in_the_directory_of_k3s_no_flags_are_needed(helper: Helper, tmp_path: Path) -> None:
    """k3s has it as its default, and is to be restarted; here it is this test's own."""
    within = tmp_path / NODE
    within.write_text(
        "#!/bin/sh\nexec unshare --mount sh -ec "
        f'\'mount -t tmpfs none /var/lib; exec "$@"\' sh {EXECUTABLE} "$@"\n'
    )
    within.chmod(0o755)
    helper.executable = within

    lines = done(configure(helper, Path("/var/lib/rancher/credentialprovider")))

    assert lines[0] == "/var/lib/rancher/credentialprovider/config.yaml"
    assert lines[-1] == "next: restart k3s, or k3s-agent, which looks there by itself"
    assert not any("--image-credential-provider" in line for line in lines)


# What is refused


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("config.yaml", "kind: [", "not YAML or JSON"),
        ("config.json", '{"kind": "CredentialProviderConfig",', "not YAML or JSON"),
        ("config.yaml", "\tkind: CredentialProviderConfig", "not YAML or JSON"),
        ("config.yaml", "kind: KubeletConfiguration\napiVersion: v1\n", "'KubeletConfiguration'"),
        ("config.yaml", HEAD.replace("/v1", "/v2"), "kubelet.config.k8s.io/v2"),
        ("config.yaml", f"{HEAD}---\n{HEAD}", "but found another document"),
        ("config.yaml", f"{HEAD}kind: CredentialProviderConfig\n", '"kind" is there twice'),
        ("config.yaml", f"{HEAD}providers: {{}}\n", "providers is not a list"),
        ("config.yaml", f"{HEAD}providers: [name]\n", "a provider without a name"),
        ("config.yaml", "CredentialProviderConfig", "not an object"),
        ("config.yaml", "[" * 5000, "nested too deeply"),
        ("config.yaml", HEAD + "a: \x07\n", "special characters"),
        ("a.yml", "CredentialProviderConfig: [", "a.yml: not YAML"),
        (
            "config.yaml",
            f"{HEAD}providers:\n- name: a\n  note: |\n    open",
            "in a way that this cannot edit",
        ),
        (
            "config.yaml",
            f"{HEAD}x: &p\n- &q {{name: a}}\nproviders: *p\n",
            "in a way that this cannot edit",
        ),
    ],
)
def test_a_configuration_that_is_broken_is_refused(
    helper: Helper, place: Path, name: str, text: str, said: str
) -> None:
    """One line says what is wrong, one what to do, and nothing is changed."""
    place.mkdir(parents=True)
    (place / name).write_text(text)
    (place / "bin").mkdir()
    (place / "bin" / "a").touch()
    before = snapshot(helper.home)

    result = configure(helper, place)

    assert (result.status, result.out) == (1, "")
    assert said in result.err
    assert [line.partition(": ")[0] for line in result.err.splitlines()] == [NODE, "hint"]
    assert snapshot(helper.home) == before


def test_bytes_that_are_no_text_are_refused(helper: Helper, place: Path) -> None:
    """They are not guessed at."""
    place.mkdir(parents=True)
    (place / "config.yaml").write_bytes(b"kind: \xff\n")

    assert "config.yaml: not UTF-8" in configure(helper, place).err


def test_of_two_configurations_one_has_to_be_named(helper: Helper, place: Path) -> None:
    """The kubelet's flag says which one; its path does in place of the directory."""
    text = (CONFIGS / "azure.yaml").read_text()
    one, two = (present(place, name, text) for name in ("a.yaml", "b.yaml"))
    before = snapshot(place)

    result = configure(helper, place)

    assert result.status == 1
    assert "more than one CredentialProviderConfig: a.yaml, b.yaml" in result.err
    assert snapshot(place) == before
    done(configure(helper, two))
    assert (names(two)[-1], one.read_text()) == (NODE, text)


def test_service_accounts_want_a_configuration_of_today(helper: Helper, place: Path) -> None:
    """What v1beta1 has no field for is not written into it."""
    present(place, "config.json", (CONFIGS / "tabs.json").read_text())
    before = snapshot(place)

    result = configure(helper, place, "--service-accounts")

    assert result.status == 1
    assert "v1beta1 has no tokenAttributes" in result.err
    assert snapshot(place) == before


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_in_the_place_of_the_link_stays(helper: Helper, place: Path, kind: str) -> None:
    """It may be another program; which one the kubelet is to run is not guessed."""
    (place / "bin").mkdir(parents=True)
    if kind == "file":
        (place / "bin" / NODE).write_text("#!/bin/sh\n")
    else:
        (place / "bin" / NODE).symlink_to("/bin/sh")
    before = snapshot(place)

    result = configure(helper, place)

    assert result.status == 1
    assert f"{place / 'bin' / NODE} is there, and is not {EXECUTABLE}" in result.err
    assert snapshot(place) == before


def test_where_no_directory_can_be_made_nothing_is_done(helper: Helper, place: Path) -> None:
    """A file is in the way."""
    place.mkdir(parents=True)
    (place / "bin").write_text("")
    before = snapshot(helper.home)

    result = configure(helper, place)

    assert result.status == 1
    assert "cannot change" in result.err
    assert snapshot(helper.home) == before


@pytest.mark.parametrize(
    "words",
    [
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com",),
        ("--account", "111122223333"),
        ("--region", "eu-west-1"),
        ("--profiles",),
        ("--public",),
        ("--migrate",),
        ("--docker-config", "x"),
    ],
)
def test_what_is_for_docker_does_not_go_with_it(
    helper: Helper, place: Path, words: tuple[str, ...]
) -> None:
    """The usage is shown, and nothing done."""
    result = helper.run("configure", *words, "--kubelet", str(place))

    assert (result.status, result.out) == (2, "")
    assert "and --kubelet do not go together" in result.err
    assert not place.exists()


@pytest.mark.parametrize("words", [("--service-accounts",), ("--bin-dir", "x"), ("--kubelet", "")])
def test_what_is_for_a_kubelet_wants_a_directory(helper: Helper, words: tuple[str, ...]) -> None:
    """The usage is shown."""
    result = helper.run("configure", *words)

    assert (result.status, result.out) == (2, "")
    assert "--kubelet" in result.err


# All of it or nothing


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command that is run in this process take itself for the program."""
    monkeypatch.setattr(sys, "argv", [str(EXECUTABLE)])


def run_inside(place: Path, *options: str) -> str:
    """Run the command in this process; return what it says."""
    context = Context(lambda: 0.0, lambda _: None)
    words = ["configure", "--kubelet", str(place), *options]
    said, _ = commands.run(NODE, words, context, stdin=lambda: b"", columns=None)
    return said


@pytest.mark.inside
@pytest.mark.usefixtures("inside")
def test_no_link_is_left_where_the_file_cannot_be_saved(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves neither link nor directory."""

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "_put", full)
    home = place.parent.parent
    with pytest.raises(HelperError, match="No space left"):
        run_inside(place, "--service-accounts")
    assert snapshot(home) == {}


@pytest.mark.inside
@pytest.mark.usefixtures("inside")
def test_what_another_program_writes_meanwhile_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit is made again in it, and what is said is what was done by both tries."""
    put = saving._put

    def interrupted(change: saving.Change) -> None:
        monkeypatch.setattr(saving, "_put", put)
        (place / "config.yaml").write_text(f"{HEAD}providers: []  # theirs\n")
        put(change)

    monkeypatch.setattr(saving, "_put", interrupted)
    said = " ".join(run_inside(place).split())

    assert names(place / "config.yaml") == [NODE]
    assert "# theirs" in (place / "config.yaml").read_text()
    assert f"+ {place / 'bin' / NODE}, a link to" in said


@pytest.mark.inside
@pytest.mark.usefixtures("inside")
def test_a_link_that_cannot_be_removed_leaves_all_as_it_was(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kubelet whose configuration names what is not there would not start."""
    run_inside(place, "--service-accounts")
    before = snapshot(place)
    unlink = os.unlink

    def refused(path: str, **options: Any) -> None:
        if str(path).endswith(NODE):
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(HelperError, match="cannot change"):
        run_inside(place, "--remove")
    assert snapshot(place) == before


# Any configuration


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Write a configuration in the many ways of people and programs."""
    flags = st.booleans()
    word = st.text("abcxyz019", min_size=1, max_size=5).map("n{}".format)
    comment = st.sampled_from(["", "  # c", " #"])
    line = st.sampled_from(["", "# - name: x", "  # b", "      # deep"])
    quoted = st.sampled_from(["{}", "'{}'", '"{}"'])
    base, step = " " * draw(st.integers(0, 4)), " " * draw(st.integers(0, 4))
    items = []
    for name in draw(st.lists(word, min_size=1, max_size=3, unique=True)):
        entries = [f"name: {draw(quoted).format(name)}", "defaultCacheDuration: 1m"]
        lists = [
            f"{step}- {draw(quoted).format(draw(word))}" for _ in range(draw(st.integers(1, 2)))
        ]
        entries.append("\n  ".join([f"matchImages:{draw(comment)}", *lists]))
        if draw(flags):
            entries.append("args: [a, {b: c}, 'd'] ")
        if draw(flags):
            mark = draw(st.sampled_from(["|", ">", "|-", "|+"]))
            entries.append(
                f"note: {mark}\n    # text\n    - text" + draw(st.sampled_from(["", "\n"]))
            )
        if draw(flags):
            entries.append("empty:")
        entries = draw(st.permutations(entries))
        text = "- " + "\n  ".join(
            f"{entry}{draw(comment) if '|' not in entry and '>' not in entry else ''}"
            for entry in entries
        )
        items.append(text)
        items += draw(st.lists(line, max_size=2))
    body = "\n".join(
        f"{base}{part}" if part else part for item in items for part in item.split("\n")
    )
    parts = [
        f"providers:{draw(comment)}\n{body}",
        f"apiVersion: {VERSION}",
        "kind: CredentialProviderConfig",
    ]
    lines = (
        draw(st.lists(line, max_size=2))
        + draw(st.permutations(parts))
        + draw(st.lists(line, max_size=2))
    )
    text = "\n".join([*draw(st.sampled_from([[], ["---"]])), *lines])
    # What ends within a text of several lines would have one line more, were anything added to it.
    endings = ["\n", "\n\n", "\n...\n", *([] if text.endswith("- text") else [""])]
    text += draw(st.sampled_from(endings))
    return text.replace("\n", "\r\n") if draw(flags) else text


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name a file for one configuration after the other."""
    return tmp_path_factory.mktemp("any") / "config.yaml"


@pytest.mark.inside
@given(text=configurations(), both=st.booleans())
def test_any_configuration_keeps_what_else_is_in_it(file: Path, text: str, *, both: bool) -> None:
    """What is put in is our provider and nothing else, and taking it out restores every byte."""
    file.write_bytes(text.encode())
    before = yaml.safe_load(text)
    config = Configuration(str(file))
    for name in [NODE, ACCOUNTS] if both else [NODE]:
        last = config.text
        config.add(name)
        assert is_insertion(last, config.text)
    ours = [PROVIDERS[name] for name in ([ACCOUNTS, NODE] if both else [NODE])]
    assert yaml.safe_load(config.text) == {**before, "providers": [*before["providers"], *ours]}
    for name in [NODE, ACCOUNTS] if both else [NODE]:
        config.remove(name)
    assert config.text == text


@pytest.mark.inside
@given(
    names=st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True),
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    tight=st.booleans(),
)
def test_any_json_keeps_what_else_is_in_it(
    file: Path, names: list[str], indent: int | str | None, *, tight: bool
) -> None:
    """It stays JSON."""
    before = {"apiVersion": VERSION, "providers": [{"name": name} for name in names]}
    before["kind"] = "CredentialProviderConfig"
    separators = (",", ":") if tight else None
    text = json.dumps(before, indent=indent, separators=separators)
    file.write_text(text)
    config = Configuration(str(file))
    config.add(NODE)
    providers = [*before["providers"], PROVIDERS[NODE]]
    assert json.loads(config.text) == {**before, "providers": providers}
    assert is_insertion(text, config.text)
    config.remove(NODE)
    assert config.text == text

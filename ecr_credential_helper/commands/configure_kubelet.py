"""configure --kubelet: names this program in the configuration that a kubelet has, or is to have.

A kubelet does not start if its configuration names a program that is not there, so the links to
this program come before the configuration, and go after it.
"""

import argparse
import os
from typing import Any, NamedTuple

from ecr_credential_helper.context import Context
from ecr_credential_helper.errors import HelperError

from . import saving
from .docker_checks import own_path
from .kubelet_config import ACCOUNTS, KIND, NODE, PROVIDERS, Configuration, matching
from .saving import Change
from .screen import BOLD, Screen

_NEW = "config.yaml"
_ENDINGS = (".json", ".yaml", ".yml")  # of the files that a kubelet reads in a directory
_OF_K3S = "/var/lib/rancher/credentialprovider"
_FLAG = "--image-credential-provider"
_RIGHT = (
    "next: allow the nodes tokens of service accounts for sts.amazonaws.com, which takes the verb "
    "request-serviceaccounts-token-audience in a ClusterRole"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `configure` that are for kubelets to its parser."""
    group = parser.add_argument_group("for the kubelet of Kubernetes")
    group.add_argument(
        "--kubelet",
        metavar="DIR",
        help="write a CredentialProviderConfig and the link to this program into DIR, or add to "
        "the configuration that is there; also the configuration's own path",
    )
    group.add_argument(
        "--service-accounts",
        action="store_true",
        help="have pods whose service account has a role pull with that role",
    )
    group.add_argument(
        "--bin-dir",
        metavar="DIR",
        help="where the link goes (else to the other providers' programs, or to bin in DIR)",
    )


def check(arguments: argparse.Namespace) -> None:
    """End with the usage where arguments are for Docker's config.json, and not for a kubelet."""
    others = {
        "HOST": arguments.hosts,
        "--account": arguments.account,
        "--region": arguments.region,
        "--profiles": arguments.profiles is not None,
        "--public": arguments.public,
        "--migrate": arguments.migrate,
        "--docker-config": arguments.docker_config is not None,
    }
    for name, given in others.items():
        if given:
            arguments.usage(f"{name} and --kubelet do not go together")
    if not arguments.kubelet:
        arguments.usage("--kubelet: name a directory")


class _Plan(NamedTuple):
    """What is to be done: the change of the file, links to make, to remove, and lines about it.

    What `lines` say comes before the links, `rest` after them.
    """

    config: Configuration
    change: Change
    make: list[str]
    remove: list[str]
    lines: list[str]
    rest: list[str]


def run(arguments: argparse.Namespace, context: Context, screen: Screen) -> tuple[str, int]:
    """Edit the configuration as `arguments` say; return what was done. Raises HelperError."""
    program = own_path(screen.name)
    if not os.access(program, os.X_OK):
        raise HelperError(
            f"{program}, which a kubelet would run, is not there",
            "install this program, and run it by its name",
        )
    plan = _planned(arguments, program, screen)
    lines = _dry(plan, program, screen) if arguments.dry_run else _done(arguments, program, screen)
    if not arguments.remove:
        for name, pattern in matching(plan.config.providers):
            said = f"the provider {name} is asked for images of ECR, too: {pattern} in matchImages"
            fix = f"take the hosts of ECR out of its matchImages, or {name} out of the file"
            context.tell(screen.told(f"warn: {said}", fix))
    return "".join(f"{line}\n" for line in lines), 0


def _planned(arguments: argparse.Namespace, program: str, screen: Screen) -> _Plan:
    """Return what is to be done with what is there now. Raises HelperError."""
    config = Configuration(_path(os.path.abspath(arguments.kubelet)))
    programs = _programs(config, arguments.bin_dir)
    names = [ACCOUNTS, NODE] if arguments.service_accounts else [NODE]
    if arguments.remove:
        names = [ACCOUNTS] if arguments.service_accounts else [ACCOUNTS, NODE]
    lines = [screen.paint(config.path, BOLD)]
    make, remove = [], []
    for name in names:
        link = os.path.join(programs, name)
        if not arguments.remove:
            lines.append(_added(name, config))
            make += [] if _is_there(link, program) else [link]
        elif config.find(name):
            config.remove(name)
            lines.append(f"  - {name}")
            remove += [link] if os.path.islink(link) else []
    if arguments.remove and not remove and len(lines) == 1:
        lines.append("  = nothing of this program is in it")
    change, rest = config.change, []
    if change.new is None and change.old is not None:
        rest.append(f"  - {config.path}, for no provider is left in it")
    if change.new != change.old:
        rest += _next(config, programs)
        if ACCOUNTS in names and not arguments.remove:
            rest.append(_RIGHT)
    return _Plan(config, change, make, remove, lines, rest)


def _about_links(made: list[str], removed: list[str], program: str) -> list[str]:
    """Return lines that say which links are made, and which are removed."""
    return [
        *(f"  + {link}, a link to {program}" for link in made),
        *(f"  - {link}" for link in removed),
    ]


def _dry(plan: _Plan, program: str, screen: Screen) -> list[str]:
    """Return what a plan would change."""
    old, new = ((content or b"").decode() for content in (plan.change.old, plan.change.new))
    lines = screen.diff(plan.config.path, old, new)
    lines += _about_links(plan.make, plan.remove, program)
    return lines or ["nothing would change"]


def _done(arguments: argparse.Namespace, program: str, screen: Screen) -> list[str]:
    """Carry out what is planned, all of it or nothing; return the lines. Raises HelperError."""
    links = _Links()

    def edited() -> tuple[list[Change], _Plan]:
        plan = _planned(arguments, program, screen)
        links.make(plan.make, program)
        return [plan.change], plan

    try:
        plan = saving.edit(edited)
        try:
            links.remove(plan.remove)
        except HelperError:
            path, old, new = plan.change
            saving.edit(lambda: ([Change(path, new, old)], None))
            raise
    except HelperError:
        links.take_back()
        raise
    # The links are those of all tries: a second one finds those of the first.
    lines = [*plan.lines, *_about_links(links.made, plan.remove, program), *plan.rest]
    return [screen.lines(line, rest=" " * 6) if len(line.split()) > 1 else line for line in lines]


def _path(place: str) -> str:
    """Return the path of the configuration in a directory, or of the file itself.

    Raises HelperError if there are several.
    """
    if os.path.isfile(place):
        return place
    try:
        names = sorted(os.listdir(place))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise HelperError(
            f"cannot read {place}: {error.strerror}", "name a directory, and see who may read it"
        ) from error
    files = [os.path.join(place, name) for name in names if name.endswith(_ENDINGS)]
    found = [path for path in files if os.path.isfile(path) and _is_meant(path)]
    if len(found) > 1:
        raise HelperError(
            f"{place} has more than one {KIND}: {', '.join(map(os.path.basename, found))}",
            f"name the one that the kubelet's {_FLAG}-config names, in place of the directory",
        )
    return found[0] if found else os.path.join(place, _NEW)


def _is_meant(path: str) -> bool:
    """Whether a file is a configuration, perhaps with mistakes, or is where ours would go."""
    return os.path.basename(path) == _NEW or KIND.encode() in (saving.read(path) or b"")


def _programs(config: Configuration, chosen: str | None) -> str:
    """Return the directory in which the kubelet looks for the programs. Raises HelperError."""
    if chosen:
        return os.path.abspath(chosen)
    place = os.path.dirname(config.path)
    usual = os.path.join(place, "bin")
    names = [str(each["name"]) for each in config.providers]
    for programs in (usual, place):
        if any(os.path.lexists(os.path.join(programs, name)) for name in names):
            return programs
    others = [name for name in names if name not in PROVIDERS]
    if others:
        raise HelperError(
            f"{others[0]}, which {config.path} names, is neither in {usual} nor beside the file",
            f"give --bin-dir, with what the kubelet's {_FLAG}-bin-dir names",
        )
    return usual


def _added(name: str, config: Configuration) -> str:
    """Add a provider where it is missing; return a line that says what was done."""
    present = config.find(name)
    if present == PROVIDERS[name]:
        return f"  = {name}, as before"
    if present:
        return f"  = {name}, which is not as this writes it, and stays as you have it"
    config.add(name)
    return f"  + {name}"


def _is_there(link: str, program: str) -> bool:
    """Whether a link leads to a program. Raises HelperError if something else is in its place."""
    if os.path.exists(link):
        if os.path.realpath(link) == os.path.realpath(program):
            return True
        raise HelperError(
            f"{link} is there, and is not {program}",
            f"remove it, or run the program that it is: {link} configure --kubelet ...",
        )
    if os.path.lexists(link) and not os.path.islink(link):
        raise HelperError(f"cannot read {link}", "see who may read it")
    return False


def _next(config: Configuration, programs: str) -> list[str]:
    """Return lines that say what is left to do: flags each on a line, to be copied."""
    programs_of_k3s = os.path.join(_OF_K3S, "bin")
    if (os.path.dirname(config.path), programs) == (_OF_K3S, programs_of_k3s):
        return ["next: restart k3s, or k3s-agent, which looks there by itself"]
    flags = [f"  {_FLAG}-config={config.path}", f"  {_FLAG}-bin-dir={programs}"]
    if config.providers:
        return ["next: restart the kubelet with these flags", *flags]
    return ["next: restart the kubelet without these flags", *flags]


class _Links:
    """Links to a program that are made and removed, until all of that is taken back.

    `made` are the paths of those that were made.
    """

    def __init__(self) -> None:
        self.made: list[str] = []
        self._removed: list[tuple[str, str]] = []
        self._directories: list[str] = []

    def make(self, links: list[str], program: str) -> None:
        """Make links over nothing, or over links that lead nowhere. Raises HelperError."""
        for link in links:
            try:
                self._make_directory(os.path.dirname(link))
                if os.path.islink(link):
                    self._remove(link)
                os.symlink(program, link)
            except OSError as error:
                raise _failure(link, error) from error
            self.made.append(link)

    def remove(self, links: list[str]) -> None:
        """Remove links. Raises HelperError."""
        for link in links:
            try:
                self._remove(link)
            except OSError as error:
                raise _failure(link, error) from error

    def take_back(self) -> None:
        """Undo all of it, as far as that is possible."""
        for link in self.made:
            _quietly(os.unlink, link)
        for link, target in self._removed:
            _quietly(os.symlink, target, link)
        for path in reversed(self._directories):
            _quietly(os.rmdir, path)

    def _remove(self, link: str) -> None:
        target = os.readlink(link)
        os.unlink(link)
        self._removed.append((link, target))

    def _make_directory(self, path: str) -> None:
        missing = []
        while not os.path.isdir(path) and path != os.path.dirname(path):
            missing.append(path)
            path = os.path.dirname(path)
        self._directories += reversed(missing)
        if missing:
            saving.make_directory(missing[0])


def _failure(link: str, error: OSError) -> HelperError:
    return HelperError(
        f"cannot change {link}: {error.strerror}",
        "nothing was changed; run this as the user that owns the directory, mostly root",
    )


def _quietly(action: Any, *arguments: str) -> None:
    try:
        action(*arguments)
    except OSError:
        pass

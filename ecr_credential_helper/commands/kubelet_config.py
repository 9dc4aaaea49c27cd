"""The kubelet's CredentialProviderConfig, edited as text: what is not ours keeps every character.

YAML is parsed only to find where something begins and ends, and once more to check an edit: the
document has to be the old one but for the one provider. JSON is YAML, apart from its tabs.
"""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ecr_credential_helper.errors import HelperError

from .json_text import parsed
from .kubelet import API_VERSIONS, ROLE_ANNOTATION
from .saving import Change, read

NODE, ACCOUNTS = "docker-credential-ecr", "docker-credential-ecr-service-accounts"
KIND = "CredentialProviderConfig"
VERSION = "kubelet.config.k8s.io/v1"  # the first that has tokenAttributes
_VERSIONS = (VERSION, "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1")

# Every `*` is one part of a host name.
_PRIVATE = [
    "*.dkr.ecr.*.amazonaws.com",
    "*.dkr.ecr-fips.*.amazonaws.com",
    "*.dkr-ecr.*.on.aws",
    "*.dkr-ecr-fips.*.on.aws",
    "*.dkr.ecr.*.amazonaws.com.cn",
    "*.dkr-ecr.*.on.amazonwebservices.com.cn",
    "*.dkr.ecr.*.amazonaws.eu",
    "*.dkr.ecr.*.c2s.ic.gov",
    "*.dkr.ecr.*.sc2s.sgov.gov",
    "*.dkr.ecr.*.cloud.adc-e.uk",
    "*.dkr.ecr.*.csp.hci.ic.gov",
]
_ALL = [*_PRIVATE, "public.ecr.aws", "ecr-public.aws.com"]
# The HOME of a kubelet may be unset, or root's and closed to it (ProtectHome=yes in systemd). How
# long an answer is good for is in the answer itself.
_COMMON = {"apiVersion": API_VERSIONS[0], "args": ["kubelet"]}
PROVIDERS: dict[str, dict[str, Any]] = {
    ACCOUNTS: {
        "name": ACCOUNTS,
        **_COMMON,
        "matchImages": _PRIVATE,
        "defaultCacheDuration": "0s",
        "tokenAttributes": {
            "serviceAccountTokenAudience": "sts.amazonaws.com",
            "cacheType": "ServiceAccount",
            "requireServiceAccount": True,
            "requiredServiceAccountAnnotationKeys": [ROLE_ANNOTATION],
        },
    },
    NODE: {
        "name": NODE,
        **_COMMON,
        "env": [{"name": "AWS_ECR_CACHE_DIR", "value": "/var/cache/ecr-credential-helper"}],
        "matchImages": _ALL,
        "defaultCacheDuration": "0s",
    },
}

_HEAD = f"""\
# By `{NODE} configure --kubelet`. Every `*` is one part of a host name. 0s, for the
# answers say themselves how long they are good for: half of what a token has left.
apiVersion: {VERSION}
kind: {KIND}
"""
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_SPACE = " \t\r\n"


class _Item(NamedTuple):
    """Where one provider is in the text: its first character, and the end of its last."""

    start: int
    end: int


class Configuration:
    """One file with a CredentialProviderConfig, or the one that is to be.

    `old` is the content on disk (None if there is no file), `text` is what it is to hold. Raises
    HelperError if the file cannot be read, or if the kubelet could not use it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.old = read(path)
        try:
            self.text = (self.old or b"").decode()
        except UnicodeDecodeError as error:
            raise self._broken("not UTF-8") from error
        self._document = self._loaded(self.text)
        self._check()

    @property
    def providers(self) -> list[dict[str, Any]]:
        """The providers, in the order in which the kubelet tries them."""
        return (self._document or {}).get("providers") or []

    @property
    def change(self) -> Change:
        """What is to be saved. With no provider left there is no file: the kubelet takes none."""
        if self._document is None:
            return Change(self.path, self.old, self.old)
        return Change(self.path, self.old, self.text.encode() if self.providers else None)

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the provider of a name, None if there is none."""
        return next((each for each in self.providers if each["name"] == name), None)

    def add(self, name: str) -> None:
        """Add a provider of ours: that of service accounts before the node's. Raises HelperError.

        Whether one of service accounts may be added depends on the file's version.
        """
        provider = PROVIDERS[name]
        if "tokenAttributes" in provider and self._version not in ("", VERSION):
            raise HelperError(
                f"{self.path}: {self._version} has no tokenAttributes",
                f"set its apiVersion to {VERSION}, which the kubelet takes since 1.26",
            )
        names = [each["name"] for each in self.providers]
        place = names.index(NODE) if name == ACCOUNTS and NODE in names else len(names)
        expected = dict(self._document or {"apiVersion": VERSION, "kind": KIND})
        expected["providers"] = [*self.providers[:place], provider, *self.providers[place:]]
        self._edit(self._with(provider, place), expected)

    def remove(self, name: str) -> None:
        """Remove a provider. Raises HelperError."""
        names = [each["name"] for each in self.providers]
        place = names.index(name)
        kept = [each for each in self.providers if each["name"] != name]
        if not kept:  # no text is right for this: the file goes
            self._document = {**self._document, "providers": kept}
            return
        self._edit(self._without(place), {**self._document, "providers": kept})

    @property
    def _version(self) -> str:
        return str((self._document or {}).get("apiVersion", ""))

    def _edit(self, text: str, expected: dict[str, Any]) -> None:
        """Take `text` if the document in it is the one expected. Raises HelperError."""
        try:
            document = self._loaded(text)
        except HelperError:
            document = None
        if document != expected:
            raise HelperError(
                f"{self.path}: it is written in a way that this cannot edit",
                "edit the providers by hand; nothing was changed",
            )
        self.text, self._document = text, document

    def _loaded(self, text: str) -> Any:
        """Return the document in `text`, None if there is none. Raises HelperError."""
        import yaml  # type: ignore[import-untyped]

        try:
            loader = yaml.SafeLoader(_without_tabs(text))
            node = loader.get_single_node()
            _check_keys(node, set())
            return None if node is None else loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark
            place = f" in line {at.line + 1}" if at else ""
            raise self._broken(f"not YAML or JSON: {error.problem or error}{place}") from error
        except RecursionError as error:
            raise self._broken("not YAML or JSON: it is nested too deeply") from error
        except (yaml.YAMLError, ValueError) as error:
            what = str(error).partition("\n")[0]
            raise self._broken(f"not YAML or JSON: {what}") from error

    def _check(self) -> None:
        """Raise HelperError if this is no configuration, or one without names for its providers."""
        document = self._document
        if document is None:
            return
        if not isinstance(document, dict):
            raise self._broken("not an object")
        if document.get("kind") != KIND or document.get("apiVersion") not in _VERSIONS:
            found = f"{document.get('kind')!r} of {document.get('apiVersion')!r}"
            raise self._broken(f"{found}, and not a {KIND} of {VERSION}")
        providers = document.get("providers")
        if not isinstance(providers, list | None):
            raise self._broken("providers is not a list")
        for each in providers or []:
            if not isinstance(each, dict) or not isinstance(each.get("name"), str):
                raise self._broken("there is a provider without a name")

    def _broken(self, what: str) -> HelperError:
        return HelperError(f"{self.path}: {what}", "correct the file by hand; nothing was changed")

    # Where things are in the text

    def _with(self, provider: dict[str, Any], place: int) -> str:
        """Return the text with one provider more, at a place in the list."""
        import yaml

        text = self.text
        root = yaml.compose(_without_tabs(text), yaml.SafeLoader)
        if root is None:
            head = text if not text or text.endswith("\n") else f"{text}\n"
            return f"{head}{_HEAD}providers:\n{_block(provider, '  ')}\n"
        _, value = _member(root, "providers")
        if root.flow_style or (value is not None and value.value and value.flow_style):
            return self._with_in_flow(provider, place, root)
        return self._with_in_block(provider, place, root)

    def _with_in_block(self, provider: dict[str, Any], place: int, root: Any) -> str:
        """Return the text with one provider more in a list with a dash before each."""
        import yaml

        text, newline = self.text, _newline(self.text)
        key, value = _member(root, "providers")
        if value is None:  # after all else
            base = " " * root.start_mark.column
            at = self._line_end(self._last_end(root.end_mark.index))
            block = _block(provider, f"{base}  ", newline=newline)
            return f"{text[:at]}{newline}{base}providers:{newline}{block}{text[at:]}"
        if not value.value or not isinstance(value, yaml.SequenceNode):  # [], null or nothing
            start, end = value.start_mark.index, value.end_mark.index
            at = self._line_end(end)
            before = text[:start] if text[end:at] else text[:start].rstrip(" ")
            block = _block(provider, " " * (key.start_mark.column + 2), newline=newline)
            return f"{before}{text[end:at]}{newline}{block}{text[at:]}"
        items = self._items(value)
        column = self._column(items[0].start)
        block = _block(
            provider, " " * column, nested=column > key.start_mark.column, newline=newline
        )
        if place == len(items):
            at = self._line_end(items[-1].end)
            return f"{text[:at]}{newline}{block}{text[at:]}"
        at = self._above(items[place].start)
        return f"{text[:at]}{block}{newline}{text[at:]}"

    def _with_in_flow(self, provider: dict[str, Any], place: int, root: Any) -> str:
        """Return the text with one provider more in a list between brackets, which JSON is."""
        text, newline = self.text, _newline(self.text)
        _, value = _member(root, "providers")
        indent = _indent(text, root) if root.flow_style else None
        if value is None or not value.value or not value.flow_style:
            new = json.dumps([provider], indent=indent).replace("\n", f"{newline}{indent}")
            if value is None:
                end = root.value[-1][1].end_mark.index
                lead = " " if indent is None else f"{newline}{indent}"
                return f'{text[:end]},{lead}"providers": {new}{text[end:]}'
            start, end = value.start_mark.index, value.end_mark.index
            return f"{text[:start]}{'' if text[start:end] else ' '}{new}{text[end:]}"
        start = value.start_mark.index
        items = self._items(value)
        lead = text[start + 1 : items[0].start]
        lead = lead if not lead.strip(_SPACE) else ""
        base = lead.rpartition("\n")[2]
        many = "\n" in text[items[0].start : items[0].end]
        new = json.dumps(provider, indent=(indent or "  ") if many else None)
        new = new.replace("\n", f"{newline}{base}")
        if place == len(items):
            at = items[-1].end
            return f"{text[:at]},{lead or ' '}{new}{text[at:]}"
        at = items[place].start
        between = text[items[0].end : items[1].start] if len(items) > 1 else f",{lead or ' '}"
        between = between if not between.strip(_SPACE + ",") else f",{lead or ' '}"
        return f"{text[:at]}{new}{between}{text[at:]}"

    def _without(self, place: int) -> str:
        """Return the text without the provider at a place in the list, which has others."""
        import yaml

        text = self.text
        root = yaml.compose(_without_tabs(text), yaml.SafeLoader)
        _, value = _member(root, "providers")
        items = self._items(value)
        start, end = items[place]
        if value.flow_style:
            if place:
                return text[: items[place - 1].end] + text[end:]
            return text[:start] + text[items[1].start :]
        start = text.rfind("\n", 0, start) + 1
        end = self._line_end(end)
        before = start - len(_newline(text)) if text.endswith(_newline(text), 0, start) else start
        return text[:before] + text[end:]

    def _items(self, node: Any) -> list[_Item]:
        """Return where the providers are, of which there is at least one."""
        import yaml

        if node.flow_style:
            return [_Item(each.start_mark.index, each.end_mark.index) for each in node.value]
        start, end = node.start_mark.index, node.end_mark.index
        dashes = [
            token.start_mark
            for token in yaml.scan(_without_tabs(self.text), yaml.SafeLoader)
            if isinstance(token, yaml.BlockEntryToken) and start <= token.start_mark.index < end
        ]
        starts = [mark.index for mark in dashes if mark.column == dashes[0].column]
        ends = [self._last_end(until) for until in (*starts[1:], end)]
        return [_Item(*item) for item in zip(starts, ends, strict=True)]

    def _last_end(self, until: int) -> int:
        """Return where the last thing that begins before a place ends; comments are no things."""
        import yaml

        last = 0
        for token in yaml.scan(_without_tabs(self.text), yaml.SafeLoader):
            if token.start_mark.index >= until:
                break
            if token.end_mark.index > token.start_mark.index:
                last = token.end_mark.index
        return last

    def _line_end(self, at: int) -> int:
        """Return the end of the line of the character before `at`, without its newline."""
        end = self.text.find("\n", max(at - 1, 0))
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text.endswith("\r", 0, end) else end

    def _above(self, at: int) -> int:
        """Return the start of a provider's line, or that of the comments right above it."""
        bound = self._last_end(at)
        start = self.text.rfind("\n", 0, at) + 1
        while True:
            above = self.text.rfind("\n", 0, start - 1) + 1
            line = self.text[above:start].strip(_SPACE)
            if above < bound or not line.startswith("#"):
                return start
            start = above

    def _column(self, at: int) -> int:
        """Return the column of a character."""
        return at - self.text.rfind("\n", 0, at) - 1


def matching(providers: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the providers of others that are asked for images of ECR, each with a pattern."""
    hosts = [pattern.replace("*", "x") for pattern in _ALL]
    found = []
    for each in providers:
        if each["name"] not in PROVIDERS:
            patterns = [str(pattern) for pattern in each.get("matchImages") or []]
            ours = [one for one in patterns if any(_fits(one, host) for host in hosts)]
            found += [(each["name"], one) for one in ours[:1]]
    return found


def _fits(pattern: str, host: str) -> bool:
    """Whether the kubelet asks for the images of a host by a pattern (URLsMatch in its keyring)."""
    parts, labels = pattern.partition("/")[0].split("."), host.split(".")
    return len(parts) == len(labels) and all(map(fnmatchcase, labels, parts))


def _without_tabs(text: str) -> str:
    """Return JSON with spaces for tabs, which are only between its values; else the text."""
    if "\t" in text and text.lstrip(_SPACE).startswith("{"):
        try:
            parsed(text)
        except ValueError:
            return text
        return text.replace("\t", " ")
    return text


def _check_keys(node: Any, seen: set[int]) -> None:
    """Raise ValueError where a key is twice in an object: the kubelet refuses that."""
    import yaml

    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    values = node.value
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"the key {json.dumps(key)} is there twice")
        values = [value for _, value in node.value]
    for each in values:
        _check_keys(each, seen)


def _member(root: Any, name: str) -> tuple[Any, Any]:
    """Return the nodes of a key of an object and of its value, None for both without that key."""
    return next((pair for pair in root.value if pair[0].value == name), (None, None))


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _indent(text: str, root: Any) -> str | None:
    """Return the indentation of an object's members in braces, None if they are on its line."""
    lead = text[root.start_mark.index + 1 : root.value[0][0].start_mark.index]
    return lead.rpartition("\n")[2] if "\n" in lead and not lead.strip(_SPACE) else None


def _block(provider: dict[str, Any], base: str, *, nested: bool = True, newline: str = "\n") -> str:
    """Return a provider as an item of a list in YAML, its dash after `base`; the last line open.

    With `nested` the lists in it are indented, too.
    """
    lines = _lines(provider, "  " if nested else "")
    first, *rest = lines
    return newline.join([f"{base}- {first}", *(f"{base}  {line}" for line in rest)])


def _lines(value: dict[str, Any], step: str) -> list[str]:
    """Return an object as lines of YAML."""
    found = []
    for key, each in value.items():
        if isinstance(each, dict):
            found += [f"{key}:", *(f"  {line}" for line in _lines(each, step))]
        elif isinstance(each, list):
            found.append(f"{key}:")
            for item in each:
                inner = _lines(item, step) if isinstance(item, dict) else [_scalar(item)]
                found += [f"{step}- {inner[0]}", *(f"{step}  {line}" for line in inner[1:])]
        else:
            found.append(f"{key}: {_scalar(each)}")
    return found


def _scalar(value: str | bool) -> str:  # noqa: FBT001 - the two kinds that there are
    plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return str(value) if plain else json.dumps(value)

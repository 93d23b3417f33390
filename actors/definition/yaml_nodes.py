"""Read YAML safely into plain values that remember where in the file they stand."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader

from ...storage.strictjson import MAX_DEPTH, MAX_DIGITS, TOO_DEEP, is_endless
from ..errors import ConfigError
from .model import Mark
from .problems import Problems, did_you_mean, quoted

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

MAX_BYTES = 10 * 2**20
PARSER_TOO_DEEP = "exceeded maximum nesting depth"
"""The message of libyaml 0.2.6 and newer for the 1,001st level. Older versions have no limit of their own."""
MAX_COPIES = 100_000
"""The most nodes that aliases may add. Without a limit, a few lines of nested aliases would fill the memory."""

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_constructor = SafeConstructor()


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file: a scalar, a list (`items`) or a mapping (`pairs`)."""

    value: Any
    """The value as plain Python; dates stay text, so that everything can be written as JSON."""
    mark: Mark
    text: str = ""
    """A scalar as written, without its quotes."""
    items: tuple[Node, ...] | None = None
    pairs: tuple[tuple[Node, Node], ...] | None = None
    flow: bool = False
    """Written with brackets."""
    size: int = 1
    """The number of nodes in it, copies by aliases included."""

    def get(self, key: str) -> Node | None:
        """Return the value of a key of a mapping; None if the key is absent."""
        return next((node for known, node in self.pairs or () if known.text == key), None)

    def items_under(self, key: str) -> tuple[Node, ...]:
        """Return the items of the list under a key; none if there is no such list."""
        node = self.get(key)
        return (node.items if node is not None else None) or ()

    def pairs_under(self, key: str) -> tuple[tuple[Node, Node], ...]:
        """Return the keys and values of the mapping under a key; none if there is no such mapping."""
        node = self.get(key)
        return (node.pairs if node is not None else None) or ()

    @property
    def children(self) -> tuple[Node, ...]:
        """The values in a mapping or list; none for a scalar."""
        return self.items or tuple(body for _, body in self.pairs or ())

    @property
    def kind(self) -> str:
        """The kind of value, in words for a message."""
        if self.pairs is not None:
            return "a mapping"
        if self.items is not None:
            return "a list"
        if self.value is None:
            return "null" if self.text else "empty"
        return f"the {_WORDS.get(type(self.value), type(self.value).__name__)} {quoted(self.text)}"


_WORDS = {str: "text", bool: "boolean", int: "number", float: "number"}


def read_text(path: Path, problems: Problems) -> str:
    """Return the text of a file. Raise ConfigError if it cannot be read, is too large or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise problems.fatal(Mark(str(path)), "file not found", _similar_file(path), code="E016") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise problems.fatal(Mark(str(path)), f"cannot be read: {reason}", code="E016") from error
    if len(data) > MAX_BYTES:
        raise problems.fatal(Mark(str(path)), f"larger than {MAX_BYTES // 2**20} MiB", code="E016")
    return _decoded(data.removeprefix(codecs.BOM_UTF8), str(path), problems)


def compose(text: str, file: str, problems: Problems) -> Node:
    """Return the one document in `text`. Raise ConfigError if the text is not YAML."""
    _refuse_control_characters(text, file, problems)
    loader = _Loader(text)
    try:
        return _Composer(loader, file, problems).document()
    except yaml.MarkedYAMLError as error:
        if error.problem == PARSER_TOO_DEEP and error.problem_mark:
            # libyaml reads ahead: what it has taken so far exceeds our own limit, which reports the right place
            return compose(text[: error.problem_mark.index], file, problems)
        raise _syntax_error(error, text, file, problems) from None
    finally:
        loader.dispose()


def wrap(value: Any, mark: Mark, problems: Problems, depth: int = 0) -> Node:
    """Return plain Python data as a node, for machines that are not written in a file."""
    if depth > MAX_DEPTH:
        raise problems.fatal(mark, TOO_DEEP)
    if isinstance(value, Mapping):
        pairs = [(_plain_key(k, mark, problems), wrap(v, mark, problems, depth + 1)) for k, v in value.items()]
        return _mapping(pairs, mark)
    if isinstance(value, list | tuple):
        return _list([wrap(item, mark, problems, depth + 1) for item in value], mark)
    return _plain(value, mark, problems)


class _Composer:
    """Build nodes from the parser's events. Unlike PyYAML's composer, it stops at the limits of depth and size."""

    def __init__(self, loader: _Loader, file: str, problems: Problems) -> None:
        self._loader = loader
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}
        self._copies = 0

    def document(self) -> Node:
        self._next()
        if self._loader.check_event(yaml.StreamEndEvent):
            return Node(None, Mark(self._file))
        self._next()
        node = self._node(0)
        self._next()
        if not self._loader.check_event(yaml.StreamEndEvent):
            mark = self._mark(self._next())
            raise self._problems.fatal(mark, "a second document begins here", "one file defines one machine")
        return node

    def _node(self, depth: int) -> Node:
        event = self._next()
        if depth > MAX_DEPTH:
            raise self._problems.fatal(self._mark(event), TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._content(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: Any, depth: int) -> Node:
        mark = self._mark(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, mark, "seq")
            return _list(self._rest(yaml.SequenceEndEvent, depth), mark, bool(event.flow_style))
        self._check_tag(event, mark, "map")
        return self._pairs(mark, depth, bool(event.flow_style))

    def _rest(self, end: type, depth: int) -> list[Node]:
        nodes = []
        while not self._loader.check_event(end):
            nodes.append(self._node(depth + 1))
        self._next()
        return nodes

    def _pairs(self, mark: Mark, depth: int, flow: bool) -> Node:
        nodes = self._rest(yaml.MappingEndEvent, depth)
        pairs: dict[Any, tuple[Node, Node]] = {}
        merged: list[Node] = []
        for key, value in zip(nodes[::2], nodes[1::2], strict=True):
            if key.value is _MERGE:
                merged += value.items if value.items is not None else (value,)
            elif key.items is not None or key.pairs is not None:
                hint = 'quote it if it is text: "{...}"'
                self._problems.error(key.mark, f"a key must be text, not {key.kind}", hint, code="E011")
            elif (first := pairs.setdefault(key_of(key), (key, value))[0]) is not key:
                message = f"{quoted(key.text)} is given twice, first in line {first.mark.line}"
                hint = "keep one of the two: YAML would silently drop the other"
                self._problems.error(key.mark, message, hint, code="E018")
        for node in merged:
            self._merge(pairs, node)
        return _mapping(list(pairs.values()), mark, flow)

    def _merge(self, pairs: dict[Any, tuple[Node, Node]], node: Node) -> None:
        if node.pairs is None:
            self._problems.error(node.mark, f"'<<' merges mappings, not {node.kind}", code="E017")
        for key, value in node.pairs or ():
            pairs.setdefault(key_of(key), (key, value))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        mark = self._mark(event)
        name = str(event.anchor)
        if name not in self._anchors:
            hint = did_you_mean(name, self._anchors) or f'quote it if it is text: "*{name}"'
            raise self._problems.fatal(mark, f"alias '*{name}' has no anchor '&{name}' before it", hint)
        node = self._anchors[name]
        if node is None:
            raise self._problems.fatal(mark, f"alias '*{name}' stands inside its own anchor")
        self._copies += node.size
        if self._copies > MAX_COPIES:
            raise self._problems.fatal(mark, f"aliases expand to more than {MAX_COPIES} values")
        return node

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> Node:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        try:
            return Node(_constructed(tag, event.value), mark, event.value)
        except (ValueError, KeyError, IndexError) as error:
            fault = error if isinstance(error, _TooLong) else f"is not of the type {tag.removeprefix(_TAG)}"
            message = f"{quoted(event.value)} {fault}"
            self._problems.error(mark, message, "quote it if it is text", code="E017")
        except yaml.YAMLError:
            self._refuse_tag(tag, mark)
        return Node(event.value, mark, event.value)

    def _check_tag(self, event: Any, mark: Mark, plain: str) -> None:
        if event.tag not in (None, "!", _TAG + plain):
            self._refuse_tag(event.tag, mark)

    def _refuse_tag(self, tag: str, mark: Mark) -> None:
        message = f"tag '{tag.replace(_TAG, '!!')}' is not allowed: write plain values"
        self._problems.error(mark, message, code="E017")

    def _next(self) -> Any:
        return self._loader.get_event()

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)


class _TooLong(ValueError):
    """A number has too many characters: reading 1:59:59:... takes quadratic time."""


def _constructed(tag: str, text: str) -> Any:
    match tag.removeprefix(_TAG):
        case "int" | "float" if len(text) > MAX_DIGITS:
            raise _TooLong(f"is a number of more than {MAX_DIGITS} characters")
        case "str" | "timestamp" | "value":
            return text
        case "null":
            return None
        case "bool":
            return _constructor.construct_yaml_bool(yaml.ScalarNode(tag, text))
        case "int":
            return _constructor.construct_yaml_int(yaml.ScalarNode(tag, text))
        case "float":
            return _constructor.construct_yaml_float(yaml.ScalarNode(tag, text))
        case "merge":
            return _MERGE
    raise yaml.YAMLError(tag)


def _mapping(pairs: list[tuple[Node, Node]], mark: Mark, flow: bool = False) -> Node:
    value = {key_of(key): node.value for key, node in pairs}
    return Node(value, mark, pairs=tuple(pairs), flow=flow, size=1 + sum(1 + node.size for _, node in pairs))


def _list(items: list[Node], mark: Mark, flow: bool = False) -> Node:
    value = [item.value for item in items]
    return Node(value, mark, items=tuple(items), flow=flow, size=1 + sum(item.size for item in items))


def key_of(key: Node) -> str | int:
    """Return a key as plain Python: the text as written for `on:` and `2024-01-01:`, a number for an exit code."""
    return key.value if isinstance(key.value, str | int) and not isinstance(key.value, bool) else key.text


def _plain_key(value: object, mark: Mark, problems: Problems) -> Node:
    """Return a key as a node; PyYAML has read the key `on` as True."""
    return Node(True, mark, "on") if value is True else _plain(value, mark, problems)


def _plain(value: object, mark: Mark, problems: Problems) -> Node:
    if isinstance(value, int) and is_endless(value):
        raise problems.fatal(mark, f"a number of more than {MAX_DIGITS} digits", code="E015")
    return Node(value, mark, _written(value))


def _written(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _decoded(data: bytes, file: str, problems: Problems) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        place = _place_of(len(before := data[: error.start].decode()), before, file)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise problems.fatal(place, message, "save the file with the encoding UTF-8", code="E016") from None


def _refuse_control_characters(text: str, file: str, problems: Problems) -> None:
    match = Reader.NON_PRINTABLE.search(text)
    if match:
        character = ascii(match.group())
        message, hint = f"character {character} is not allowed in YAML", f'write it as an escape: "{character[1:-1]}"'
        raise problems.fatal(_place_of(match.start(), text, file), message, hint)


def _place_of(index: int, text: str, file: str) -> Mark:
    before = text[:index]
    return Mark(file, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _similar_file(path: Path) -> str | None:
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return None


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str, problems: Problems) -> ConfigError:
    unclosed = error.problem == "found unexpected end of stream"
    mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
    if mark is None:
        return problems.fatal(Mark(file), f"YAML: {error.problem}")
    message = "this quote is never closed" if unclosed else ", ".join(filter(None, (error.problem, error.context)))
    hint = None if unclosed else _syntax_hint(error.context or "", str(error.problem), text, mark)
    return problems.fatal(Mark(file, mark.line + 1, mark.column + 1), f"YAML: {message}", hint)


def _syntax_hint(context: str, problem: str, text: str, mark: Any) -> str | None:
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    character = line[mark.column : mark.column + 1]
    if character == "\t" or "tab character" in problem:
        return "indent with spaces: YAML takes no tabs"
    if "alias" in context:
        return 'quote the star: "*"'
    if character and character in "@`%":
        return f"quote a value that begins with {character}"
    if "mapping values" in problem:
        return "quote text that contains ': ', and check the indentation"
    if ": {" in line or "- {" in line:
        return 'quote a value that begins with a placeholder: "{name} ..."'
    return None

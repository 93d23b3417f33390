"""Read single fields of a definition: names, flags, durations, lists. Errors are added to `problems`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...storage.names import LONGEST_NAME, UNSAFE
from .model import ANY_STATE, seconds_in
from .problems import Problems, did_you_mean, listing, quoted
from .reserved_keys import RESERVED
from .yaml_nodes import Node

OWN_KEYS = ("x-", "_", ".")
"""Prefixes of keys that belong to the user; the engine ignores them."""

DURATION_HINT = "write seconds (5, .5) or units (250ms, 90s, 1m30s, 2h, 1d)"

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
LARGEST = 999_999_999.0


def name_of(node: Node, what: str, problems: Problems) -> str | None:
    """Return a name as text. Refuse unquoted yes, no, on, off, null, numbers and dates, since YAML changes them."""
    hint = None
    if node.items is not None or node.pairs is not None:
        fault = f"must be a name, not {node.kind}"
    elif not isinstance(node.value, str):
        fault = f"must be text, not {node.kind}"
        hint = f'quote it: "{node.text}"' if node.text else "write a name"
    elif not node.value.strip():
        fault = "must not be empty"
    elif UNSAFE.search(node.value):
        fault = f"{quoted(node.value)} has control characters or line breaks"
    elif len(node.value) > LONGEST_NAME:
        fault = f"is longer than {LONGEST_NAME} characters"
    else:
        return node.value
    problems.error(node.mark, f"{what} {fault}", hint, code="E011")
    return None


def state_name_of(node: Node, what: str, problems: Problems) -> str | None:
    """Return the name of one state; "*" is refused."""
    name = name_of(node, what, problems)
    if name == ANY_STATE:
        hint = "only 'from' of a transition takes '*'"
        problems.error(node.mark, f"{what} must be one state, not '*'", hint, code="E002")
        return None
    return name


def known_name_of(
    node: Node, what: str, known: Collection[str], problems: Problems, *, code: str = "E002"
) -> str | None:
    """Return a name that must be one of `known`."""
    name = name_of(node, what, problems)
    if name is None or name in known:
        return name
    hint = problems.suggestion(name, known)
    problems.error(node.mark, f"{what} {quoted(name)} is unknown; known: {listing(known)}", hint, code=code)
    return None


def context_name_of(key: Node, problems: Problems) -> str | None:
    """Return a variable's name; the engine's own variables are refused."""
    name = name_of(key, "a context key", problems)
    if name not in RESERVED:
        return name
    problems.error(
        key.mark, f"context key {quoted(key.text)} belongs to the engine", "choose another name", code="E019"
    )
    return None


def text_of(node: Node | None, what: str, problems: Problems) -> str | None:
    """Return free text; a number or a flag counts as it is written."""
    if node is None or node.value is None:
        return None
    if node.items is not None or node.pairs is not None:
        problems.error(node.mark, f"{what} must be text, not {node.kind}")
        return None
    return node.text


def flag_of(node: Node | None, what: str, problems: Problems) -> bool | None:
    """Return true or false; `yes`, `no`, `on`, `off`, 1 and 0 are taken too, also as text."""
    if node is None or node.value is None:
        return None
    word = node.text.lower()
    if word not in _TRUE | _FALSE:
        problems.error(node.mark, f"{what} must be true or false, not {node.kind}")
        return None
    return word in _TRUE


def choice_of(node: Node | None, what: str, choices: tuple[str, ...], problems: Problems) -> str | None:
    """Return one of a few words."""
    if node is None or node.value is None:
        return None
    if node.text in choices:
        return node.text
    message = f"{what} must be {' or '.join(choices)}, not {node.kind}"
    problems.error(node.mark, message, did_you_mean(node.text, choices))
    return None


def duration_of(node: Node | None, what: str, problems: Problems, *, positive: bool = False) -> float | None:
    """Return a duration in seconds."""
    if node is None or node.value is None:
        return None
    seconds = seconds_in(node.value)
    if seconds is None:
        problems.error(node.mark, f"{what} must be a duration, not {node.kind}", DURATION_HINT)
    elif positive and not seconds:
        problems.error(node.mark, f"{what} must be more than 0")
        return None
    return seconds


def number_of(
    node: Node | None, what: str, least: float, problems: Problems, *, most: float = LARGEST, whole: bool = False
) -> float | None:
    """Return a number from `least` to `most`; an int if it must be whole."""
    if node is None or node.value is None:
        return None
    value = node.value
    number = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    if not number or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        bounds = f"from {least:g} on" if most == LARGEST else f"from {least:g} to {most:g}"
        problems.error(node.mark, f"{what} must be a {kind} {bounds}, not {node.kind}")
        return None
    return int(value) if whole else float(value)


def pairs_of(node: Node | None, what: str, problems: Problems) -> Iterator[tuple[Node, Node]]:
    """Yield the keys and values of a mapping; nothing if it is absent or empty."""
    if node is None or node.value is None:
        return
    if node.pairs is None:
        problems.error(node.mark, f"{what} must be a mapping, not {node.kind}", "write 'key: value' lines below it")
    yield from node.pairs or ()


def items_of(node: Node | None, what: str, problems: Problems) -> Iterator[Node]:
    """Yield the items of a list; nothing if it is absent or empty."""
    if node is None or node.value is None:
        return
    if node.items is None:
        problems.error(node.mark, f"{what} must be a list, not {node.kind}", "begin each item with '- '")
    yield from node.items or ()


def one_or_more(node: Node | None, what: str, problems: Problems) -> Iterator[Node]:
    """Yield the items of a list; a single value counts as a list of one."""
    if node is not None and node.value is not None and node.items is None and node.pairs is None:
        yield node
    else:
        yield from items_of(node, what, problems)


def warn_unknown_keys(node: Node, what: str, known: Collection[str], problems: Problems) -> None:
    """Warn about each unknown key; the user's own keys (`x-...`, `_...`) are left alone."""
    for key, _ in node.pairs or ():
        if key.text not in known and not key.text.startswith(OWN_KEYS):
            hint = did_you_mean(key.text, known) or f"known: {listing(known)}"
            problems.warn(key.mark, f"{what} has no key {quoted(key.text)}; it is ignored", hint, code="W004")

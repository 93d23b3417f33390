"""Reads single fields of a definition: names, flags, durations, lists; what is wrong goes to the findings."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...storage.names import LONGEST_NAME, UNSAFE
from .keys import OWN_KEYS
from .model import ANY_STATE, parse_duration
from .problems import Problems, did_you_mean, listing, quoted
from .yaml_nodes import Node

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def name_of(node: Node, what: str, findings: Problems) -> str | None:
    """A name as text. Unquoted yes, no, on, off, null, numbers and dates are refused, since YAML changes them."""
    if node.items is not None or node.pairs is not None:
        findings.error(node.mark, f"{what} must be a name, not {node.kind}", code="E011")
    elif not isinstance(node.value, str):
        hint = f'quote it: "{node.text}"' if node.text else "write a name"
        findings.error(node.mark, f"{what} must be text, not {node.kind}", hint, code="E011")
    elif not node.value.strip():
        findings.error(node.mark, f"{what} must not be empty", code="E011")
    elif UNSAFE.search(node.value):
        message = f"{what} {quoted(node.value)} has control characters or line breaks"
        findings.error(node.mark, message, code="E011")
    elif len(node.value) > LONGEST_NAME:
        findings.error(node.mark, f"{what} is longer than {LONGEST_NAME} characters", code="E011")
    else:
        return node.value
    return None


def state_name_of(node: Node, what: str, findings: Problems) -> str | None:
    """The name of one state, which "*" is not."""
    name = name_of(node, what, findings)
    if name == ANY_STATE:
        hint = "only 'from' of a transition takes '*'"
        findings.error(node.mark, f"{what} must be one state, not '*'", hint, code="E002")
        return None
    return name


def known_name_of(
    node: Node, what: str, known: Collection[str], findings: Problems, *, code: str = "E002"
) -> str | None:
    """A name that has to be one of `known`."""
    name = name_of(node, what, findings)
    if name is None or name in known:
        return name
    hint = findings.suggestion(name, known)
    findings.error(node.mark, f"{what} {quoted(name)} is unknown; known: {listing(known)}", hint, code=code)
    return None


def text_of(node: Node | None, what: str, findings: Problems) -> str | None:
    """Free text; numbers and the like count as written."""
    if node is None or node.value is None:
        return None
    if node.items is not None or node.pairs is not None:
        findings.error(node.mark, f"{what} must be text, not {node.kind}")
        return None
    return node.text


def flag_of(node: Node | None, what: str, findings: Problems) -> bool | None:
    """True or false; the older engines also took the words as text."""
    if node is None or node.value is None:
        return None
    word = node.text.lower()
    if word not in _TRUE | _FALSE:
        findings.error(node.mark, f"{what} must be true or false, not {node.kind}")
        return None
    return word in _TRUE


def choice_of(node: Node | None, what: str, choices: tuple[str, ...], findings: Problems) -> str | None:
    """One of a few words."""
    if node is None or node.value is None:
        return None
    if node.text in choices:
        return node.text
    message = f"{what} must be {' or '.join(choices)}, not {node.kind}"
    findings.error(node.mark, message, did_you_mean(node.text, choices))
    return None


def duration_of(node: Node | None, what: str, findings: Problems, *, positive: bool = False) -> float | None:
    """Seconds."""
    if node is None or node.value is None:
        return None
    try:
        seconds = parse_duration(node.value)
    except ValueError:
        allowed = "write seconds (5, .5) or units (250ms, 90s, 1m30s, 2h, 1d)"
        findings.error(node.mark, f"{what} must be a duration, not {node.kind}", allowed)
        return None
    if positive and not seconds:
        findings.error(node.mark, f"{what} must be more than 0")
        return None
    return seconds


def number_of(node: Node | None, what: str, least: float, findings: Problems) -> float | None:
    """A number that is at least `least`."""
    if node is None or node.value is None:
        return None
    if isinstance(node.value, bool) or not isinstance(node.value, int | float) or not least <= node.value < 1e9:
        findings.error(node.mark, f"{what} must be a number from {least:g} on, not {node.kind}")
        return None
    return float(node.value)


def pairs_of(node: Node | None, what: str, findings: Problems) -> Iterator[tuple[Node, Node]]:
    """The keys and values of a mapping; none where it is absent or empty."""
    if node is None or node.value is None:
        return
    if node.pairs is None:
        findings.error(node.mark, f"{what} must be a mapping, not {node.kind}", "write 'key: value' lines below it")
        return
    yield from node.pairs


def items_of(node: Node | None, what: str, findings: Problems) -> Iterator[Node]:
    """The items of a list; none where it is absent or empty."""
    if node is None or node.value is None:
        return
    if node.items is None:
        findings.error(node.mark, f"{what} must be a list, not {node.kind}", "begin each item with '- '")
        return
    yield from node.items


def one_or_more(node: Node | None, what: str, findings: Problems) -> Iterator[Node]:
    """The items of a list, or the one value that stands for a list of one."""
    if node is not None and node.value is not None and node.items is None and node.pairs is None:
        yield node
    else:
        yield from items_of(node, what, findings)


def warn_unknown_keys(node: Node, what: str, known: Collection[str], findings: Problems) -> None:
    """Warn about each key that nothing reads; `x-...` and `_...` are the user's own."""
    for key, _ in node.pairs or ():
        if key.text not in known and not key.text.startswith(OWN_KEYS):
            hint = did_you_mean(key.text, known) or f"known: {listing(known)}"
            findings.warn(key.mark, f"{what} has no key {quoted(key.text)}; it is ignored", hint, code="W004")

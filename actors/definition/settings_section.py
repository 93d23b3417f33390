"""Read the single settings of a machine: its name, first context and policies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from ...storage.names import machine_name_fault
from . import secrets
from .field_kinds import read_closed, read_fields
from .fields import context_name_of, name_of, pairs_of
from .keys import MACHINE, METADATA, ON_ERROR, ON_RESTART
from .model import Mark, Retry
from .problems import Problems, did_you_mean, quoted
from .yaml_nodes import Node, key_of

_ADDRESSES = ("all", "ui")
"""Targets of events that stand for more than one machine of that name."""


def read_machine_name(root: Node, given: str | None, stem: str, problems: Problems) -> str:
    """Return the name given by the caller, else `metadata.machine_name`, else the file's stem."""
    name, mark = given if given is not None else stem, root.mark
    metadata = root.get("metadata")
    node = metadata.get("machine_name") if metadata is not None else None
    if node is not None and node.value is not None:
        written = name_of(node, "machine_name", problems)
        if given is None and written is not None:
            name, mark = written, node.mark
    _check_machine_name(name, mark, problems)
    return name


def read_settings(root: Node, states: Collection[str], problems: Problems) -> dict[str, Any]:
    """Return the settings beside the machine's name, by the names that Definition gives them."""
    values = read_fields(root, "the machine", MACHINE, problems)
    metadata = root.get("metadata")
    title = values.pop("name", None)
    if not title and metadata is not None:
        title = read_fields(metadata, "metadata", METADATA, problems).get("name")
    return values | {
        "title": title,
        "metadata": {key.text: body.value for key, body in pairs_of(metadata, "metadata", problems)},
        "context": read_context(root, problems),
        "on_error": _on_error(root, problems),
        "on_restart": _on_restart(root, states, problems),
    }


def read_context(root: Node, problems: Problems, *, key: str = "context") -> dict[str, Any]:
    """Return the context that the machine starts with. A SecretSource stands in for each secret."""
    context = {}
    for key_node, body in pairs_of(root.get(key), key, problems):
        name = context_name_of(key_node, problems)
        if name is not None:
            context[name] = _with_secrets(body, problems)
    return context


def _with_secrets(node: Node, problems: Problems) -> Any:
    """Return the value, with a SecretSource for each `{secret: ...}` in it."""
    if node.pairs is not None and [key.text for key, _ in node.pairs] == [secrets.KEY]:
        return _secret(node.pairs[0][1], problems)
    if node.pairs is not None:
        _warn_near_secrets(node.pairs, problems)
        return {key_of(key): _with_secrets(body, problems) for key, body in node.pairs}
    if node.items is not None:
        return [_with_secrets(item, problems) for item in node.items]
    return node.value


def _secret(node: Node, problems: Problems) -> secrets.SecretSource | None:
    if isinstance(node.value, str) and secrets.FORM.fullmatch(node.value):
        return secrets.SecretSource(node.value, node.mark)
    hint = "write {secret: env:NAME} or {secret: file:PATH}"
    problems.error(node.mark, f"a secret must say where it comes from, not {node.kind}", hint)
    return None


def _warn_near_secrets(pairs: Sequence[tuple[Node, Node]], problems: Problems) -> None:
    """Warn about a mapping that is clearly meant as a secret, and is not one."""
    for key, body in pairs:
        if not (isinstance(body.value, str) and secrets.FORM.fullmatch(body.value)):
            continue
        if key.text == secrets.KEY:
            others = ", ".join(quoted(other.text) for other, _ in pairs if other is not key)
            message = (
                f"this is not a secret but a mapping with the text {quoted(body.value)}, since it also has {others}"
            )
            problems.warn(key.mark, message, "a secret is {secret: ...} alone: give it a key of its own", code="W004")
        elif hint := did_you_mean(key.text.lower(), [secrets.KEY]):
            message = f"a secret has no key {quoted(key.text)}: this is a mapping with the text {quoted(body.value)}"
            problems.warn(key.mark, message, hint, code="W004")


def _on_restart(root: Node, states: Collection[str], problems: Problems) -> str:
    """Return where a machine starts that had started before: `initial`, `resume` or one of its states."""
    node = root.get("on_restart")
    if node is None or node.value is None:
        return "initial"
    if node.text not in ON_RESTART and node.text not in states:
        message = f"on_restart must be initial, resume or a state, not {node.kind}"
        problems.error(node.mark, message, did_you_mean(node.text, (*ON_RESTART, *states)), code="E002")
    return node.text


def _on_error(root: Node, problems: Problems) -> Retry:
    """Return how a state's actions are tried again after an error that no transition takes."""
    values = read_closed(root.get("on_error"), "on_error", ON_ERROR, problems)
    return Retry(max=int(values.pop("tries", 3)), **{"max_delay_s": 300.0, **values})


def _check_machine_name(name: str, mark: Mark, problems: Problems) -> None:
    fault = machine_name_fault(name)
    if fault is not None:
        message = f"machine name {quoted(name)} {fault}"
        problems.error(mark, message, "it becomes part of the path of a socket", code="E019")
    elif name in _ADDRESSES:
        message = f"an event for '{name}' goes to other receivers as well as to a machine of this name"
        problems.warn(mark, message, "choose another name", code="W019")

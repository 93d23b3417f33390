"""Reads the single settings of a machine: its name, first context and policies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from ...storage.names import machine_name_fault
from . import secrets
from .fields import choice_of, name_of, number_of, pairs_of, text_of, warn_unknown_keys
from .keys import ON_ERROR, ON_RESTART, ON_UNHANDLED, TIMERS
from .model import Mark, OnError
from .problems import Problems, did_you_mean, quoted
from .reserved_keys import RESERVED
from .retry_section import read_waits
from .yaml_nodes import Node, key_of

_ADDRESSES = ("all", "ui")
"""Targets of events that stand for more than a machine of that name."""


def read_machine_name(root: Node, given: str | None, stem: str, findings: Problems) -> str:
    """The name given by the caller, else `metadata.machine_name`, else the file's stem."""
    name, mark = given if given is not None else stem, root.mark
    metadata = root.get("metadata")
    node = metadata.get("machine_name") if metadata is not None else None
    if node is not None and node.value is not None:
        written = name_of(node, "machine_name", findings)
        if given is None and written is not None:
            name, mark = written, node.mark
    _check_machine_name(name, mark, findings)
    return name


def read_title(root: Node, findings: Problems) -> str | None:
    """The name that people read: `name`, else `metadata.name`."""
    title = text_of(root.get("name"), "name", findings)
    metadata = root.get("metadata")
    return title or (text_of(metadata.get("name"), "metadata.name", findings) if metadata is not None else None)


def read_metadata(root: Node, findings: Problems) -> dict[str, Any]:
    """The mapping under `metadata:` as it is."""
    return {key.text: body.value for key, body in pairs_of(root.get("metadata"), "metadata", findings)}


def read_context(root: Node, findings: Problems, *, key: str = "context") -> dict[str, Any]:
    """The context that the machine starts with, SecretSource where a secret is to be; the engine's keys are refused."""
    context = {}
    for key_node, body in pairs_of(root.get(key), key, findings):
        name = name_of(key_node, "a context key", findings)
        if name in RESERVED:
            message = f"context key {quoted(key_node.text)} belongs to the engine"
            findings.error(key_node.mark, message, "choose another name", code="E019")
        elif name is not None:
            context[name] = _with_secrets(body, findings)
    return context


def _with_secrets(node: Node, findings: Problems) -> Any:
    """The value, with a SecretSource for each `{secret: ...}` in it."""
    if node.pairs is not None and [key.text for key, _ in node.pairs] == [secrets.KEY]:
        return _secret(node.pairs[0][1], findings)
    if node.pairs is not None:
        _warn_of_a_secret_that_is_none(node.pairs, findings)
        return {key_of(key): _with_secrets(body, findings) for key, body in node.pairs}
    if node.items is not None:
        return [_with_secrets(item, findings) for item in node.items]
    return node.value


def _secret(node: Node, findings: Problems) -> secrets.SecretSource | None:
    if isinstance(node.value, str) and secrets.FORM.fullmatch(node.value):
        return secrets.SecretSource(node.value, node.mark)
    hint = "write {secret: env:NAME} or {secret: file:PATH}"
    findings.error(node.mark, f"a secret must say where it comes from, not {node.kind}", hint)
    return None


def _warn_of_a_secret_that_is_none(pairs: Sequence[tuple[Node, Node]], findings: Problems) -> None:
    """Where a secret is clearly meant, and what stands there is a mapping like any other."""
    for key, body in pairs:
        if not (isinstance(body.value, str) and secrets.FORM.fullmatch(body.value)):
            continue
        if key.text == secrets.KEY:
            others = ", ".join(quoted(other.text) for other, _ in pairs if other is not key)
            message = f"this is no secret but a mapping with the text {quoted(body.value)}, since it also has {others}"
            findings.warn(key.mark, message, "a secret is {secret: ...} alone: give it a key of its own", code="W004")
        elif hint := did_you_mean(key.text.lower(), [secrets.KEY]):
            message = f"a secret has no key {quoted(key.text)}: this is a mapping with the text {quoted(body.value)}"
            findings.warn(key.mark, message, hint, code="W004")


def read_on_unhandled(root: Node, findings: Problems) -> Literal["ignore", "error"]:
    """What happens to an event that no transition takes."""
    word = choice_of(root.get("on_unhandled"), "on_unhandled", ON_UNHANDLED, findings)
    return "error" if word == "error" else "ignore"


def read_on_restart(root: Node, states: Collection[str], findings: Problems) -> str:
    """Where the machine starts that had started before: `initial`, `resume` or one of its states."""
    node = root.get("on_restart")
    if node is None or node.value is None:
        return "initial"
    if node.text not in ON_RESTART and node.text not in states:
        message = f"on_restart must be initial, resume or a state, not {node.kind}"
        findings.error(node.mark, message, did_you_mean(node.text, (*ON_RESTART, *states)), code="E002")
    return node.text


def read_timers(root: Node, findings: Problems) -> Literal["deadline", "remaining", "restart"]:
    """What the timeouts of a machine that resumes count from."""
    word = choice_of(root.get("timers"), "timers", TIMERS, findings)
    return "remaining" if word == "remaining" else "restart" if word == "restart" else "deadline"


def read_on_error(root: Node, findings: Problems) -> OnError:
    """How a state's actions are tried again after an error that no transition takes."""
    node = root.get("on_error")
    usual = OnError()
    if not list(pairs_of(node, "on_error", findings)) or node is None:
        return usual
    warn_unknown_keys(node, "on_error", ON_ERROR, findings)
    tries = number_of(node.get("tries"), "tries", 0, findings)
    return OnError(tries=usual.tries if tries is None else int(tries), **read_waits(node, usual, findings))


def _check_machine_name(name: str, mark: Mark, findings: Problems) -> None:
    fault = machine_name_fault(name)
    if fault is not None:
        findings.error(
            mark, f"machine name {quoted(name)} {fault}", "it becomes part of the path of a socket", code="E019"
        )
    elif name in _ADDRESSES:
        findings.warn(
            mark, f"events for '{name}' do not only mean a machine of this name", "choose another name", code="W019"
        )

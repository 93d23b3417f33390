"""Read lists of actions, from `actions:`, from a state or from a transition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from .field_kinds import read_fields
from .fields import duration_of, items_of, name_of, pairs_of
from .keys import ACTION, REPEATING
from .model import ActionSpec
from .problems import Problems, did_you_mean, quoted
from .retry_section import read_retry
from .yaml_nodes import Node

KnownKeys = Callable[[str], Collection[str] | None]
"""The keys of an action type; None where they are not known, as for a custom action."""

DEFAULT_EVERY_S = 0.5
_EVENT_KEYS = ("success", "error")


def read_actions(node: Node | None, what: str, known_keys: KnownKeys, problems: Problems) -> tuple[ActionSpec, ...]:
    """Return the actions of a list in their order, without those that are wrong."""
    specs = (_action(item, known_keys, problems) for item in items_of(node, f"actions of {what}", problems))
    return tuple(spec for spec in specs if spec is not None)


def _action(node: Node, known_keys: KnownKeys, problems: Problems) -> ActionSpec | None:
    if node.pairs is None:
        hint = f"write '- type: {node.text}'" if isinstance(node.value, str) else "write '- type: bash'"
        problems.error(node.mark, f"an action must be a mapping with a type, not {node.kind}", hint)
        return None
    type_node = node.get("type")
    if type_node is None:
        misspelt = next((key.text for key, _ in node.pairs if did_you_mean(key.text, ["type"])), None)
        hint = f"did you mean 'type' instead of '{misspelt}'?" if misspelt else "write 'type: log', for example"
        problems.error(node.mark, "this action has no 'type'", hint, code="E010")
        return None
    action_type = name_of(type_node, "the type of an action", problems)
    every_s = _repeats(read_fields(node, "an action", ACTION, problems))
    retries = (holder.get("retry") for holder in _holders(node))
    retry = read_retry(next((value for value in retries if value is not None), None), problems)
    _check_common(node, problems)
    _warn_placeholders(node, problems)
    if action_type is None:
        return None
    _warn_keys(node, action_type, known_keys(action_type), problems)
    return ActionSpec(action_type, _config(node, problems), node.mark, every_s, retry)


def _config(node: Node, problems: Problems) -> dict[str, Any]:
    """Merge the keys beside `type` and those under `params`. `params` stays, for custom actions that look into it."""
    flat = {key: value for key, value in node.value.items() if key != "params"}
    params = node.get("params")
    if params is None or params.value is None:
        return flat
    nested = {}
    for key, body in pairs_of(params, "params", problems):
        if key.text in flat:
            message = f"{quoted(key.text)} is given both beside `params` and under it; the one beside it is used"
            problems.warn(key.mark, message, "keep one of the two", code="W017")
        nested[key.text] = body.value
    return {**nested, **flat, "params": {**nested, **{k: v for k, v in flat.items() if k != "type"}}}


def _holders(node: Node) -> list[Node]:
    """Return the mappings that may have an action's keys, the one whose keys win first."""
    return [holder for holder in (node, node.get("params")) if holder is not None]


def _check_common(node: Node, problems: Problems) -> None:
    for holder in _holders(node):
        for key in _EVENT_KEYS:
            event = holder.get(key)
            if event is not None and event.value not in (None, ""):  # neither is an event
                name_of(event, f"the event under '{key}'", problems)
        lease = holder.get("lease")
        if lease is not None and "{" not in lease.text:
            duration_of(lease, "lease", problems, positive=True)


def _repeats(values: Mapping[str, Any]) -> float | None:
    """Return the seconds between the runs of an action that repeats while its state lasts; None if it runs once."""
    every_s = values.get("every_s")
    repeatable = values.get("repeatable", every_s is not None or values.get("run_policy") in REPEATING)
    return (every_s or DEFAULT_EVERY_S) if repeatable else None


def _warn_keys(node: Node, action_type: str, known: Collection[str] | None, problems: Problems) -> None:
    names = [*ACTION, *(known or ())]
    for holder in _holders(node) if known is not None else ():
        for key, _ in holder.pairs or ():
            if key.text not in names and not _is_filled_in(key.text, node):
                message = f"action '{action_type}' has no key {quoted(key.text)}; it is ignored"
                problems.warn(key.mark, message, did_you_mean(key.text, names), code="W004")


def _is_filled_in(key: str, node: Node) -> bool:
    """Return whether a text of the action contains the key as a placeholder."""
    used = any(f"{{{key}{end}" in node.text for end in ("}", ".", "|"))
    return used or any(_is_filled_in(key, child) for child in node.children)


def _warn_placeholders(node: Node, problems: Problems) -> None:
    """Warn about `{id}` without quotes: it is a YAML mapping, and never meant."""
    if node.flow and node.pairs is not None and len(node.pairs) == 1:
        key, body = node.pairs[0]
        if body.value is None and not body.text:
            message = f"{{{key.text}}} without quotes is a mapping"
            problems.warn(node.mark, message, f'quote it: "{{{key.text}}}"', code="W016")
    for child in node.children:
        _warn_placeholders(child, problems)

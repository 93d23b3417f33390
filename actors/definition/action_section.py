"""Reads lists of actions, from `actions:`, from a state or from a transition."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .fields import choice_of, duration_of, flag_of, items_of, name_of, pairs_of, text_of
from .keys import ACTION, REPEATING, RUN_POLICIES
from .model import ActionSpec
from .problems import Problems, did_you_mean, quoted
from .retry_section import read_retry
from .yaml_nodes import Node

KnownKeys = Callable[[str], Collection[str] | None]
"""The keys of an action type; None where they are not known, as for a custom action."""

COMMON_KEYS = tuple(ACTION)
"""Keys that every action takes."""

DEFAULT_EVERY_S = 0.5
_EVENT_KEYS = ("success", "error")


def read_actions(node: Node | None, what: str, known_keys: KnownKeys, findings: Problems) -> tuple[ActionSpec, ...]:
    """The actions of a list, in order; those that cannot be read are left out."""
    specs = (_action(item, known_keys, findings) for item in items_of(node, f"actions of {what}", findings))
    return tuple(spec for spec in specs if spec is not None)


def _action(node: Node, known_keys: KnownKeys, findings: Problems) -> ActionSpec | None:
    if node.pairs is None:
        hint = f"write '- type: {node.text}'" if isinstance(node.value, str) else "write '- type: bash'"
        findings.error(node.mark, f"an action must be a mapping with a type, not {node.kind}", hint)
        return None
    type_node = node.get("type")
    if type_node is None:
        misspelt = next((key.text for key, _ in node.pairs if did_you_mean(key.text, ["type"])), None)
        hint = f"did you mean 'type' instead of '{misspelt}'?" if misspelt else "write 'type: log', for example"
        findings.error(node.mark, "this action has no 'type'", hint, code="E010")
        return None
    action_type = name_of(type_node, "the type of an action", findings)
    every_s = _repeats(node, findings)
    retry = read_retry(_beside_or_under(node, "retry"), findings)
    _check_common(node, findings)
    _warn_placeholders(node, findings)
    if action_type is None:
        return None
    _warn_keys(node, action_type, known_keys(action_type), findings)
    return ActionSpec(action_type, _config(node, findings), node.mark, every_s, retry)


def _config(node: Node, findings: Problems) -> dict[str, Any]:
    """Flat keys and those of `params:` together; `params` stays, for custom actions that look into it."""
    params = node.get("params")
    if params is None or params.value is None:
        return {key: value for key, value in node.value.items() if key != "params"}
    flat = {key: value for key, value in node.value.items() if key != "params"}
    nested = {}
    for key, body in pairs_of(params, "params", findings):
        if key.text in flat:
            message = f"{quoted(key.text)} stands beside and under params; the one beside is used"
            findings.warn(key.mark, message, "keep one of the two", code="W017")
        nested[key.text] = body.value
    return {**nested, **flat, "params": {**nested, **{k: v for k, v in flat.items() if k != "type"}}}


def _beside_or_under(node: Node, key: str) -> Node | None:
    """A key's value: the one beside `type` wins over that under `params`."""
    params = node.get("params")
    return node.get(key) or (params.get(key) if params is not None else None)


def _check_common(node: Node, findings: Problems) -> None:
    params = node.get("params")
    for holder in (node, params):
        for key in _EVENT_KEYS:
            event = holder.get(key) if holder is not None else None
            if event is not None and event.value not in (None, ""):  # neither is an event
                name_of(event, f"the event under '{key}'", findings)
        lease = holder.get("lease") if holder is not None else None
        if lease is not None and "{" not in lease.text:
            duration_of(lease, "lease", findings, positive=True)
    text_of(node.get("description"), "description of an action", findings)


def _repeats(node: Node, findings: Problems) -> float | None:
    """Seconds between the runs of an action that repeats while its state lasts."""
    every_s = duration_of(node.get("every"), "every", findings, positive=True)
    repeatable = flag_of(node.get("repeatable"), "repeatable", findings)
    policy = choice_of(node.get("run_policy"), "run_policy", RUN_POLICIES, findings)
    wanted = repeatable if repeatable is not None else every_s is not None or policy in REPEATING
    return (every_s or DEFAULT_EVERY_S) if wanted else None


def _warn_keys(node: Node, action_type: str, known: Collection[str] | None, findings: Problems) -> None:
    if known is None:
        return
    names = [*COMMON_KEYS, *known]
    for holder in (node, node.get("params")):
        for key, _ in (holder.pairs or ()) if holder is not None else ():
            if key.text not in names and not _is_filled_in(key.text, node):
                message = f"action '{action_type}' has no key {quoted(key.text)}; it is ignored"
                findings.warn(key.mark, message, did_you_mean(key.text, names), code="W004")


def _is_filled_in(key: str, node: Node) -> bool:
    """Whether a text of the action has the key as a placeholder, so that it is there for that."""
    bodies = [body for _, body in node.pairs or ()] + [*(node.items or ())]
    used = any(f"{{{key}{end}" in node.text for end in ("}", ".", "|"))
    return used or any(_is_filled_in(key, body) for body in bodies)


def _warn_placeholders(node: Node, findings: Problems) -> None:
    """Without quotes, `{id}` is a YAML mapping; nobody means that."""
    if node.flow and node.pairs is not None and len(node.pairs) == 1:
        key, body = node.pairs[0]
        if body.value is None and not body.text:
            message = f"{{{key.text}}} without quotes is a mapping"
            findings.warn(node.mark, message, f'quote it: "{{{key.text}}}"', code="W016")
    for _, body in node.pairs or ():
        _warn_placeholders(body, findings)
    for item in node.items or ():
        _warn_placeholders(item, findings)

"""The JSON Schema (draft 2020-12) of a machine's file, for editors; made from the keys that the loader knows."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import getdoc
from typing import Any

from ...storage.names import LONGEST_MACHINE_NAME
from ..actions.base import BaseAction
from ..actions.registry import builtin, builtin_types
from ..definition import secrets
from ..definition.keys import (
    ACTION,
    EVENT,
    MACHINE,
    METADATA,
    MISSED,
    ON_ERROR,
    ON_UNHANDLED,
    OUTCOMES,
    OVERLAP,
    OWN_KEYS,
    RETRY,
    RUN_POLICIES,
    SCHEDULE,
    SCHEDULED_EVENT,
    SCHEDULED_JOB,
    STATE,
    TIMERS,
    TRANSITION,
    Keys,
)
from ..definition.reserved_keys import RESERVED
from ..definition.retry_section import HIGHEST_EXIT_CODE

Schema = dict[str, Any]

_ID = "urn:statemachine-engine:machine:2"
_NOTHING: Schema = {"type": "null"}
_AMOUNT = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_UNITS = "".join(f"({_AMOUNT}{unit})?" for unit in ("d", "h", "m", "s", "ms"))
_DURATION = rf"\s*({_AMOUNT}|(?=[0-9.]){_UNITS})\s*"
_WORDS = "|".join("".join(f"[{c.upper()}{c}]" for c in word) for word in ("true", "false", "yes", "no", "on", "off"))


def schema() -> Schema:
    """The whole schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "statemachine-engine machine",
        "description": "One state machine: its states, the events that lead from one to another, the actions they run.",
        **_closed(MACHINE, _machine()),
        "$defs": {**_names(), **_sections(), **_actions()},
    }


def _machine() -> dict[str, Schema]:
    return {
        "name": _ref("text"),
        "description": _ref("text"),
        "version": {},
        "metadata": _ref("metadata"),
        "initial_state": _ref("state_name"),
        "states": _ref("states"),
        "state_groups": _ref("state_groups"),
        "events": _ref("events"),
        "transitions": _any(_NOTHING, _list(_ref("transition"))),
        "actions": _any(_NOTHING, _map(_ref("state_name"), _ref("actions"))),
        "schedules": _any(_NOTHING, _map(_ref("name"), _schedule())),
        "context": _any(_NOTHING, _map(_ref("variable"), _ref("value"))),
        "final": _ref("final"),
        "on_error": _any(_NOTHING, _closed(ON_ERROR, _on_error())),
        "on_restart": _any(_NOTHING, _ref("state_name")),
        "timers": _choice(TIMERS),
        "on_unhandled": _choice(ON_UNHANDLED),
        "template": _ref("flag"),
        "actions_root": _ref("text"),
    }


def _names() -> dict[str, Schema]:
    """Names and other single values."""
    plain = r"^(?=[\s\S]*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
    return {
        "name": {"type": "string", "pattern": plain},
        "state_name": {"allOf": [_ref("name"), {"not": {"const": "*"}}]},
        "variable": {"allOf": [_ref("name"), {"not": {"enum": list(RESERVED)}}]},
        "text": {"type": ["string", "number", "boolean", "null"]},
        "value": {
            "if": {"type": "object", "required": [secrets.KEY], "maxProperties": 1},
            "then": {"properties": {secrets.KEY: {"type": "string", "pattern": f"^({secrets.FORM.pattern})$"}}},
            "else": {"additionalProperties": _ref("value"), "items": _ref("value")},
        },
        "flag": _any(
            {"type": ["boolean", "null"]}, {"enum": [0, 1]}, {"type": "string", "pattern": f"^({_WORDS}|0|1)$"}
        ),
        "duration": _any({"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_DURATION}$"}, _NOTHING),
        "event_name": {
            "allOf": [_ref("name")],
            "if": {"type": "string", "pattern": r"^timeout\([\s\S]*\)$"},
            "then": {"pattern": rf"^timeout\({_DURATION}\)$"},
        },
        "event_or_none": _any(_NOTHING, {"const": ""}, _ref("name")),
    }


def _sections() -> dict[str, Schema]:
    """What stands under the keys of a machine."""
    named_states = _any(_ref("state_name"), _list(_ref("state_name")), _NOTHING)
    return {
        "metadata": _any(_NOTHING, {"type": "object", "properties": _described(METADATA, _metadata())}),
        "states": _any(
            _NOTHING,
            {**_list(_ref("state_name")), "uniqueItems": True},
            _map(_ref("state_name"), _any({"type": ["string", "null"]}, _closed(STATE, _state()))),
        ),
        "state_groups": _any(
            _NOTHING, _map({}, _any(named_states, {"type": "object", "properties": {"states": named_states}}))
        ),
        "events": _any(
            _NOTHING,
            {**_list(_ref("name")), "uniqueItems": True},
            _map(_ref("name"), _any({"type": ["string", "null"]}, _closed(EVENT, _event()))),
        ),
        "final": _any(named_states, _final()),
        "transition": {
            **_closed(TRANSITION, _transition()),
            "required": ["from", "event"],
            "if": {"not": {"required": ["internal"]}},
            "then": {"required": ["to"]},
        },
    }


def _final() -> Schema:
    """From state to outcome, or from outcome to states."""
    states = _any(_choice(OUTCOMES), _ref("state_name"), _list(_ref("state_name")))
    return {**_map(_ref("state_name"), _choice(OUTCOMES)), "properties": dict.fromkeys(OUTCOMES, states)}


def _metadata() -> dict[str, Schema]:
    machine = {"type": ["string", "null"], "pattern": r"^(?=.*\S)[^/\x00-\x1f\x7f-\x9f\u2028\u2029]*$"}
    return {
        "machine_name": {**machine, "maxLength": LONGEST_MACHINE_NAME},
        "name": _ref("text"),
        "version": {},
        "job_type": {},
    }


def _state() -> dict[str, Schema]:
    return {
        "description": _ref("text"),
        "group": _ref("text"),
        "parent": _any(_ref("state_name"), _NOTHING),
        "actions": _ref("actions"),
        "outcome": _choice(OUTCOMES),
        "final": _any(_ref("flag"), _choice(OUTCOMES)),
    }


def _event() -> dict[str, Schema]:
    path = {"type": "string", "pattern": r"^[^\s.{}]+(\.[^\s.{}]+)*$"}
    return {"context_map": _any(_NOTHING, _map(_ref("variable"), path)), "description": _ref("text")}


def _transition() -> dict[str, Schema]:
    return {
        "from": _any(_ref("name"), {**_list(_ref("name")), "minItems": 1}),
        "to": _ref("state_name"),
        "event": _ref("event_name"),
        "actions": _ref("actions"),
        "internal": _ref("flag"),
        "interrupt": _ref("flag"),
        "description": _ref("text"),
    }


def _schedule() -> Schema:
    job = _any(_ref("name"), {**_closed(SCHEDULED_JOB, _scheduled_job()), "required": ["type"]})
    event = _any(_ref("name"), {**_closed(SCHEDULED_EVENT, _scheduled_event()), "required": ["type"]})
    keys: dict[str, Schema] = {
        "cron": {"type": "string", "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4})\s*$"},
        "timezone": {"type": ["string", "null"]},
        "job": job,
        "event": event,
        "missed": _choice(MISSED),
        "window": _ref("duration"),
        "overlap": _choice(OVERLAP),
        "description": _ref("text"),
    }
    either: list[Schema] = [{"required": ["job"]}, {"required": ["event"]}]
    return {**_closed(SCHEDULE, keys), "required": ["cron"], "oneOf": either}


def _scheduled_job() -> dict[str, Schema]:
    name = _any(_ref("name"), _NOTHING)
    return {
        "type": _ref("name"),
        "job_id": name,
        "payload": {},
        "machine_type": name,
        "priority": {"type": ["integer", "null"]},
        "max_attempts": {"type": ["integer", "null"], "minimum": 1},
        "backoff": _any(_ref("duration"), _NOTHING),
        "time_limit": _any(_ref("duration"), _NOTHING),
    }


def _scheduled_event() -> dict[str, Schema]:
    target = {"type": "string", "pattern": r"^[^/*?\[]+$", "not": {"const": "all"}}
    return {"type": _ref("name"), "payload": {}, "target": _any(target, _NOTHING)}


def _on_error() -> dict[str, Schema]:
    return {
        "tries": {"type": ["number", "null"], "minimum": 0},
        "delay": _ref("duration"),
        "factor": {"type": ["number", "null"], "minimum": 1},
        "max_delay": _ref("duration"),
    }


def _actions() -> dict[str, Schema]:
    """A list of actions, and each built-in one with its keys."""
    kinds = {name: builtin(name) for name in sorted(builtin_types())}
    common = _described(ACTION, _common())
    common["type"] |= {"anyOf": [{"enum": list(kinds)}, _ref("name")]}
    action: Schema = {"type": "object", "required": ["type"], "properties": common}
    action["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": _ref(f"action_{name}")}
        for name in kinds
    ]
    own = {f"action_{name}": _action(name, kind) for name, kind in kinds.items()}
    retry = _any(_NOTHING, _closed(RETRY, _retry()))
    return {"actions": _any(_NOTHING, _list(_ref("action"))), "action": action, "retry": retry, **own}


def _common() -> dict[str, Schema]:
    return {
        "type": {},
        "name": {},
        "description": _ref("text"),
        "params": {"type": ["object", "null"], "properties": {"retry": _ref("retry")}},
        "success": _ref("event_or_none"),
        "error": _ref("event_or_none"),
        "repeatable": _ref("flag"),
        "run_policy": _choice(RUN_POLICIES),
        "every": _ref("duration"),
        "retry": _ref("retry"),
    }


def _retry() -> dict[str, Schema]:
    failure = _any(
        {"type": "integer", "minimum": 1, "maximum": HIGHEST_EXIT_CODE},
        {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    return {
        "max": {"type": ["integer", "null"], "minimum": 0},
        "delay": _ref("duration"),
        "factor": {"type": ["number", "null"], "minimum": 1},
        "max_delay": _ref("duration"),
        "jitter": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "on": _any(_NOTHING, failure, _list(failure)),
    }


def _action(name: str, kind: type[BaseAction]) -> Schema:
    """One built-in action; its keys may stand beside `type` or under `params`."""
    events = kind.events if isinstance(kind.events, Mapping) else {}
    keys = {key: _ref("event_or_none") if key in events else {} for key in kind.keys}
    properties = _described(kind.keys, keys)
    needs: list[Schema] = [_needed(key, kind) for key in kind.required_keys]
    params: Schema = {"type": ["object", "null"], "properties": properties}
    found: Schema = {"title": name, "description": getdoc(kind) or name}
    found["properties"] = {**properties, "params": params}
    return {**found, "allOf": needs} if needs else found


def _needed(key: str, kind: type[BaseAction]) -> Schema:
    words = [key, *(other for other, meant in kind.same_as.items() if meant == key)]
    if key == "command":
        words.append("allow_job_command")
    either: list[Schema] = [{"required": [word]} for word in words]
    return _any(*either, {"required": ["params"], "properties": {"params": _any(*either)}})


def _closed(keys: Keys, values: Mapping[str, Schema]) -> Schema:
    """A mapping with these keys and the user's own."""
    own = "|".join(prefix.replace(".", r"\.") for prefix in OWN_KEYS)
    return {
        "type": "object",
        "properties": _described(keys, values),
        "patternProperties": {f"^({own})": {}},
        "additionalProperties": False,
    }


def _described(keys: Keys, values: Mapping[str, Schema]) -> dict[str, Schema]:
    return {key: {"description": meaning, **values[key]} for key, meaning in keys.items()}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def _choice(words: tuple[str, ...]) -> Schema:
    return {"enum": [*words, None]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(names: Schema, values: Schema) -> Schema:
    return {"type": "object", "propertyNames": names, "additionalProperties": values}

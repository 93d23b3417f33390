"""Make the JSON Schema (draft 2020-12) of a machine's file, for editors, from the keys that the loader knows."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import getdoc

from ...storage.names import LONGEST_MACHINE_NAME
from ..actions.base import BaseAction
from ..actions.registry import builtin, builtin_types
from ..definition import secrets
from ..definition.field_kinds import NOTHING, Fields, Schema, any_of, choice, ref
from ..definition.fields import OWN_KEYS
from ..definition.keys import (
    ACTION,
    EVENT,
    MACHINE,
    METADATA,
    ON_ERROR,
    OUTCOMES,
    RETRY,
    SCHEDULE,
    SCHEDULED_EVENT,
    SCHEDULED_JOB,
    STATE_FIELDS,
    TRANSITION,
)
from ..definition.reserved_keys import RESERVED
from ..definition.retry_section import EXIT_CODES, STATUSES

_ID = "urn:statemachine-engine:machine:2"
_AMOUNT = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_UNITS = "".join(f"({_AMOUNT}{unit})?" for unit in ("d", "h", "m", "s", "ms"))
_DURATION = rf"\s*({_AMOUNT}|(?=[0-9.]){_UNITS})\s*"
_WORDS = "|".join("".join(f"[{c.upper()}{c}]" for c in word) for word in ("true", "false", "yes", "no", "on", "off"))
_TEXT: Schema = {"type": ["string", "null"]}
_PATH: Schema = {"type": "string", "pattern": r"^[^\s.{}]+(\.[^\s.{}]+)*$"}
_MACHINE_NAME: Schema = {
    **_TEXT,
    "pattern": r"^(?=.*\S)[^/\x00-\x1f\x7f-\x9f\u2028\u2029]*$",
    "maxLength": LONGEST_MACHINE_NAME,
}
_OUTCOME = choice(*OUTCOMES).schema


def schema() -> Schema:
    """Return the whole schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "statemachine-engine machine",
        "description": "One state machine: its states, the events that lead from one to another, the actions they run.",
        **_closed(
            MACHINE,
            transitions=any_of(NOTHING, _list(ref("transition"))),
            actions=any_of(NOTHING, _map(ref("state_name"), ref("actions"))),
            schedules=any_of(NOTHING, _map(ref("name"), _schedule())),
            context=any_of(NOTHING, _map(ref("variable"), ref("value"))),
            on_error=any_of(NOTHING, _closed(ON_ERROR)),
            on_restart=any_of(NOTHING, ref("state_name")),
        ),
        "$defs": {**_names(), **_sections(), **_actions()},
    }


def _names() -> dict[str, Schema]:
    """Return names and other single values."""
    plain = r"^(?=[\s\S]*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
    return {
        "name": {"type": "string", "pattern": plain},
        "state_name": {"allOf": [ref("name"), {"not": {"const": "*"}}]},
        "variable": {"allOf": [ref("name"), {"not": {"enum": list(RESERVED)}}]},
        "text": {"type": ["string", "number", "boolean", "null"]},
        "value": {
            "if": {"type": "object", "required": [secrets.KEY], "maxProperties": 1},
            "then": {"properties": {secrets.KEY: {"type": "string", "pattern": f"^({secrets.FORM.pattern})$"}}},
            "else": {"additionalProperties": ref("value"), "items": ref("value")},
        },
        "flag": any_of(
            {"type": ["boolean", "null"]}, {"enum": [0, 1]}, {"type": "string", "pattern": f"^({_WORDS}|0|1)$"}
        ),
        "duration": any_of({"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_DURATION}$"}, NOTHING),
        "event_name": {
            "allOf": [ref("name")],
            "if": {"type": "string", "pattern": r"^timeout\([\s\S]*\)$"},
            "then": {"pattern": rf"^timeout\({_DURATION}\)$"},
        },
        "event_or_none": any_of(NOTHING, {"const": ""}, ref("name")),
    }


def _sections() -> dict[str, Schema]:
    """Return the sections of a machine."""
    named_states = any_of(ref("state_name"), _list(ref("state_name")), NOTHING)
    return {
        "metadata": any_of(NOTHING, {"type": "object", "properties": _described(METADATA, machine_name=_MACHINE_NAME)}),
        "states": any_of(
            NOTHING,
            {**_list(ref("state_name")), "uniqueItems": True},
            _map(ref("state_name"), any_of(_TEXT, _closed(STATE_FIELDS, final=any_of(ref("flag"), _OUTCOME)))),
        ),
        "state_groups": any_of(
            NOTHING, _map({}, any_of(named_states, {"type": "object", "properties": {"states": named_states}}))
        ),
        "events": any_of(
            NOTHING,
            {**_list(ref("name")), "uniqueItems": True},
            _map(
                ref("name"),
                any_of(_TEXT, _closed(EVENT, context_map=any_of(NOTHING, _map(ref("variable"), _PATH)))),
            ),
        ),
        "final": any_of(named_states, _final()),
        "transition": {
            **_closed(TRANSITION, **{"from": any_of(ref("name"), {**_list(ref("name")), "minItems": 1})}),
            "required": ["from", "event"],
            "if": {"not": {"required": ["internal"]}},
            "then": {"required": ["to"]},
        },
    }


def _final() -> Schema:
    """Return the schema of a map from state to outcome, or from outcome to states."""
    states = any_of(_OUTCOME, ref("state_name"), _list(ref("state_name")))
    return {**_map(ref("state_name"), _OUTCOME), "properties": dict.fromkeys(OUTCOMES, states)}


def _schedule() -> Schema:
    target = {"type": "string", "pattern": r"^[^/*?\[]+$", "not": {"const": "all"}}
    event = _closed(SCHEDULED_EVENT, target=any_of(target, NOTHING))
    keys = _closed(
        SCHEDULE,
        cron={"type": "string", "pattern": r"^\s*(@[A-Za-z]+|\S+(\s+\S+){4})\s*$"},
        timezone={"type": ["string", "null"]},
        job=any_of(ref("name"), {**_closed(SCHEDULED_JOB), "required": ["type"]}),
        event=any_of(ref("name"), {**event, "required": ["type"]}),
    )
    return {**keys, "required": ["cron"], "oneOf": [{"required": ["job"]}, {"required": ["event"]}]}


def _actions() -> dict[str, Schema]:
    """Return the schema of a list of actions, and of each built-in action with its keys."""
    kinds = {name: builtin(name) for name in sorted(builtin_types())}
    common = _described(
        ACTION,
        type=any_of({"enum": list(kinds)}, ref("name")),
        params={"type": ["object", "null"], "properties": {"retry": ref("retry")}},
    )
    action: Schema = {"type": "object", "required": ["type"], "properties": common}
    action["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": ref(f"action_{name}")}
        for name in kinds
    ]
    own = {f"action_{name}": _action(name, kind) for name, kind in kinds.items()}
    failure = any_of(
        *({"type": "integer", "minimum": codes[0], "maximum": codes[-1]} for codes in (EXIT_CODES, STATUSES)),
        {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"},
    )
    retry = any_of(NOTHING, _closed(RETRY, on=any_of(NOTHING, failure, _list(failure))))
    return {"actions": any_of(NOTHING, _list(ref("action"))), "action": action, "retry": retry, **own}


def _action(name: str, kind: type[BaseAction]) -> Schema:
    """Return the schema of a built-in action; its keys may stand beside `type` or under `params`."""
    events = kind.events if isinstance(kind.events, Mapping) else {}
    properties: dict[str, Schema] = {
        key: {"description": meaning, **(ref("event_or_none") if key in events else {})}
        for key, meaning in kind.keys.items()
    }
    needs: list[Schema] = [_needed(key, kind) for key in kind.required_keys]
    params: Schema = {"type": ["object", "null"], "properties": properties}
    schema: Schema = {"title": name, "description": getdoc(kind) or name}
    schema["properties"] = {**properties, "params": params}
    return {**schema, "allOf": needs} if needs else schema


def _needed(key: str, kind: type[BaseAction]) -> Schema:
    words = [key, *(other for other, meant in kind.same_as.items() if meant == key)]
    if key == "command":
        words.append("allow_job_command")
    either: list[Schema] = [{"required": [word]} for word in words]
    return any_of(*either, {"required": ["params"], "properties": {"params": any_of(*either)}})


def _closed(fields: Fields, **own: Schema) -> Schema:
    """Return the schema of a mapping with these keys and the user's own, such as `x-note`."""
    prefixes = "|".join(prefix.replace(".", r"\.") for prefix in OWN_KEYS)
    return {
        "type": "object",
        "properties": _described(fields, **own),
        "patternProperties": {f"^({prefixes})": {}},
        "additionalProperties": False,
    }


def _described(fields: Fields, **own: Schema) -> dict[str, Schema]:
    """Return the schema of each field; `own` replaces that of its kind."""
    return {key: {"description": meaning, **own.get(key, kind.schema)} for key, (meaning, kind) in fields.items()}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(names: Schema, values: Schema) -> Schema:
    return {"type": "object", "propertyNames": names, "additionalProperties": values}

"""The context of a machine: its first values, and those that an event brings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..definition.model import Definition
from ..definition.reserved_keys import RESERVED
from ..placeholders.interpolation import MISSING, resolve
from ..sockets.messages import START, EventMessage, event_data


def first_context(
    definition: Definition, given: Mapping[str, Any], name: str, saved: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the file's `context:`, overridden by the given values, the saved ones and the engine's own keys."""
    data = {**copy.deepcopy(dict(definition.context)), **given, **(saved or {})}
    return {
        **{key: value for key, value in data.items() if key not in RESERVED},
        "machine_name": name,
        "current_state": definition.initial_state,
        "previous_state": None,
        "config": definition.config,
        "event_data": (saved or {}).get("event_data", event_data(START)),
    }


def admit(definition: Definition, context: dict[str, Any], event: EventMessage) -> None:
    """Put an event into the context: as `event_data`, and its fields as its `context_map` says."""
    context["event_data"] = event_data(event)
    known = definition.events.get(event.type)
    if known is None or not known.context_map:
        return
    for key, path in known.context_map.items():
        value = resolve(path, context["event_data"])
        if value is not None and value is not MISSING and key not in RESERVED:
            context[key] = value

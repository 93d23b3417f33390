"""Read `events:`: the events a machine declares and what each copies into the context."""

from __future__ import annotations

import re

from .field_kinds import read_closed
from .fields import context_name_of, items_of, name_of, pairs_of
from .keys import EVENT
from .model import Event
from .problems import Problems, did_you_mean, listing, quoted
from .yaml_nodes import Node

BUILT_IN_EVENTS = frozenset(
    {
        "start", "stop", "error", "success", "continue", "wake_up", "job_done", "new_job", "no_jobs", "no_events",
        "event_sent", "events_cleared", "no_events_to_clear", "in_expected_state", "unexpected_state", "not_running",
        "claimed", "already_claimed", "jobs_found", "item_popped", "list_empty", "all_jobs_complete",
        "no_jobs_tracked",
    }
)  # fmt: skip
"""Events of the engine and of its actions. They need no declaration."""

_PATH = re.compile(r"[^\s.{}]+(\.[^\s.{}]+)*\Z")


def read_events(root: Node, problems: Problems) -> dict[str, Event] | None:
    """Return the declared events in their order; None if the file has no `events:`."""
    section = root.get("events")
    if section is None or not section.value:
        return None
    events: dict[str, Event] = {}
    pairs = section.pairs if section.pairs is not None else [(n, None) for n in items_of(section, "events", problems)]
    for name_node, body in pairs:
        name = name_of(name_node, "an event", problems)
        if name is not None and name in events:
            problems.warn(name_node.mark, f"event {quoted(name)} is listed twice", "keep one of the two", code="W018")
        elif name is not None:
            events[name] = _event(name, body, problems)
    return events


def warn_undeclared(node: Node, declared: dict[str, Event], problems: Problems) -> None:
    """Warn about an event that `events:` does not list, which is often a misspelt one."""
    if node.text not in declared and node.text not in BUILT_IN_EVENTS:
        hint = did_you_mean(node.text, [*declared, *BUILT_IN_EVENTS])
        message = f"event {quoted(node.text)} is not declared; events: {listing(declared)}"
        problems.warn(node.mark, message, hint, code="E003")


def _event(name: str, body: Node | None, problems: Problems) -> Event:
    if body is None or isinstance(body.value, str):
        return Event(name, description=body.text if body else None)
    what = f"event {quoted(name)}"
    values = read_closed(body, what, EVENT, problems)
    return Event(name, _context_map(body.get("context_map"), what, problems), **values)


def _context_map(node: Node | None, what: str, problems: Problems) -> dict[str, str]:
    paths = {}
    for key, body in pairs_of(node, f"context_map of {what}", problems):
        name = context_name_of(key, problems)
        if name is None:
            continue
        if isinstance(body.value, str) and _PATH.match(body.value):
            paths[name] = body.value
        else:
            message = f"context_map of {quoted(key.text)} must be a path into the message, not {body.kind}"
            problems.error(body.mark, message, "write a dotted path such as payload.user.id", code="E013")
    return paths

"""Read `schedules:`: what is done by the clock while the machine runs."""

from __future__ import annotations

from typing import Any

from ...storage.names import machine_name_fault
from .cron import FIELDS, Cron, zone_of
from .event_section import warn_undeclared
from .field_kinds import Fields, read_closed
from .fields import name_of, pairs_of
from .keys import SCHEDULE, SCHEDULED_EVENT, SCHEDULED_JOB
from .model import Event
from .problems import Problems, quoted
from .schedule import LONGEST_WINDOW_S, Schedule, ScheduledEvent, ScheduledJob
from .yaml_nodes import Node

Events = dict[str, Event] | None
"""The declared events; None if the file declares none."""


def read_schedules(root: Node, events: Events, problems: Problems) -> tuple[Schedule, ...]:
    """Return the schedules in the order of the file, without those that are wrong."""
    read = []
    for key, body in pairs_of(root.get("schedules"), "schedules", problems):
        name = name_of(key, "a schedule", problems)
        schedule = None if name is None else _schedule(name, key, body, events, problems)
        if schedule is not None:
            read.append(schedule)
    return tuple(read)


def _schedule(name: str, key: Node, body: Node, events: Events, problems: Problems) -> Schedule | None:
    what = f"schedule {quoted(name)}"
    if body.pairs is None:
        problems.error(body.mark, f"{what} must be a mapping, not {body.kind}", "write 'cron:' and 'job:' below it")
        return None
    values = read_closed(body, what, SCHEDULE, problems)
    cron = _cron(key, body, what, problems)
    does = _does(key, body, what, events, problems)
    window = body.get("window")
    if window is not None and "window_s" in values:
        if values.get("missed") == "skip":
            problems.warn(window.mark, f"window of {what} has no effect with missed: skip", "leave it out", code="W004")
        if values["window_s"] > LONGEST_WINDOW_S:
            problems.error(window.mark, f"window of {what} must be at most 31d")
    return None if cron is None or does is None else Schedule(name, cron, does, **values)


def _cron(key: Node, body: Node, what: str, problems: Problems) -> Cron | None:
    timezone = _timezone(body.get("timezone"), what, problems)
    node = body.get("cron")
    if node is None or node.value is None:
        hint = 'such as cron: "0 2 * * *", which is 2 o\'clock every night'
        problems.error((node or key).mark, f"{what} has no 'cron'", hint, code="E010")
        return None
    if not isinstance(node.value, str):
        problems.error(node.mark, f"cron of {what} must be text, not {node.kind}", 'quote it: "0 2 * * *"')
        return None
    try:
        return Cron(node.value, timezone)
    except ValueError as error:
        hint = f"five fields: {FIELDS}; such as '0 2 * * *'"
        problems.error(node.mark, f"cron of {what}: {quoted(node.value)}: {error}", hint)
        return None


def _timezone(node: Node | None, what: str, problems: Problems) -> str:
    """Return the zone's name; UTC in place of a wrong one, so that reading goes on."""
    if node is None or node.value is None:
        return "UTC"
    try:
        zone_of(node.text)
    except ValueError as error:
        problems.error(node.mark, f"timezone of {what}: {quoted(node.text)} is unknown", str(error))
        return "UTC"
    return node.text


def _does(key: Node, body: Node, what: str, events: Events, problems: Problems) -> ScheduledJob | ScheduledEvent | None:
    job, event = body.get("job"), body.get("event")
    if job is not None and event is not None:
        problems.error(event.mark, f"{what} has a job and an event", "make two schedules of it", code="E018")
    elif job is not None:
        kind = _type(job, f"job of {what}", problems)
        values = _options(job, f"job of {what}", SCHEDULED_JOB, problems)
        return None if kind is None else ScheduledJob(kind.text, **values)
    elif event is not None:
        return _event(event, f"event of {what}", events, problems)
    else:
        problems.error(key.mark, f"{what} has neither 'job' nor 'event'", "say what it does", code="E010")
    return None


def _event(node: Node, what: str, events: Events, problems: Problems) -> ScheduledEvent | None:
    kind = _type(node, what, problems)
    values = _options(node, what, SCHEDULED_EVENT, problems)
    target, place = values.get("target"), node.get("target")
    if target is not None and place is not None:
        several = target == "all" or any(sign in target for sign in "*?[")
        fault = "must be one machine" if several else machine_name_fault(target)
        if fault is not None:
            problems.error(place.mark, f"target of {what} {fault}")
    elif kind is not None and events is not None:
        warn_undeclared(kind, events, problems)
    return None if kind is None else ScheduledEvent(kind.text, **values)


def _options(node: Node, what: str, fields: Fields, problems: Problems) -> dict[str, Any]:
    return {} if node.pairs is None else read_closed(node, what, fields, problems)


def _type(node: Node, what: str, problems: Problems) -> Node | None:
    """Return the node that names the type: the job or event itself, or `type` of a mapping."""
    kind = node if node.pairs is None else node.get("type")
    if kind is None:
        problems.error(node.mark, f"{what} has no 'type'", code="E010")
        return None
    return kind if name_of(kind, what if kind is node else f"type of {what}", problems) is not None else None

"""Reads `schedules:`: what is done by the clock while the machine runs."""

from __future__ import annotations

from typing import Any, cast

from ...storage.names import machine_name_fault
from .cron import FIELDS, Cron, zone_of
from .event_section import warn_undeclared
from .fields import choice_of, duration_of, name_of, number_of, pairs_of, text_of, warn_unknown_keys
from .keys import MISSED, OVERLAP, SCHEDULE, SCHEDULED_EVENT, SCHEDULED_JOB, Keys
from .model import Event
from .problems import Problems, quoted
from .schedule import DEFAULT_WINDOW_S, LONGEST_WINDOW_S, Missed, Overlap, Schedule, ScheduledEvent, ScheduledJob
from .yaml_nodes import Node


def read_schedules(root: Node, events: dict[str, Event] | None, findings: Problems) -> tuple[Schedule, ...]:
    """The schedules in their order; `events` are the declared ones, None where the file declares none."""
    found = []
    for key, body in pairs_of(root.get("schedules"), "schedules", findings):
        name = name_of(key, "a schedule", findings)
        schedule = None if name is None else _schedule(name, key, body, events, findings)
        if schedule is not None:
            found.append(schedule)
    return tuple(found)


def _schedule(name: str, key: Node, body: Node, events: dict[str, Event] | None, findings: Problems) -> Schedule | None:
    what = f"schedule {quoted(name)}"
    if body.pairs is None:
        findings.error(body.mark, f"{what} must be a mapping, not {body.kind}", "write 'cron:' and 'job:' below it")
        return None
    warn_unknown_keys(body, what, SCHEDULE, findings)
    cron = _cron(key, body, what, findings)
    does = _does(key, body, what, events, findings)
    missed = choice_of(body.get("missed"), f"missed of {what}", MISSED, findings) or "once"
    overlap = choice_of(body.get("overlap"), f"overlap of {what}", OVERLAP, findings) or "allow"
    window_s = _window(body.get("window"), what, missed, findings)
    description = text_of(body.get("description"), f"description of {what}", findings)
    if cron is None or does is None:
        return None
    return Schedule(name, cron, does, cast(Missed, missed), window_s, cast(Overlap, overlap), description)


def _cron(key: Node, body: Node, what: str, findings: Problems) -> Cron | None:
    timezone = _timezone(body.get("timezone"), what, findings)
    node = body.get("cron")
    if node is None or node.value is None:
        hint = 'such as cron: "0 2 * * *", which is 2 o\'clock every night'
        findings.error((node or key).mark, f"{what} has no 'cron'", hint, code="E010")
        return None
    if not isinstance(node.value, str):
        findings.error(node.mark, f"cron of {what} must be text, not {node.kind}", 'quote it: "0 2 * * *"')
        return None
    try:
        return Cron(node.value, timezone)
    except ValueError as error:
        hint = f"five fields: {FIELDS}; such as '0 2 * * *'"
        findings.error(node.mark, f"cron of {what}: {quoted(node.value)}: {error}", hint)
        return None


def _timezone(node: Node | None, what: str, findings: Problems) -> str:
    """The zone's name; UTC stands in for one that is wrong, so that the rest can be read."""
    if node is None or node.value is None:
        return "UTC"
    try:
        zone_of(node.text)
    except ValueError as error:
        findings.error(node.mark, f"timezone of {what}: {quoted(node.text)} is unknown", str(error))
        return "UTC"
    return node.text


def _does(
    key: Node, body: Node, what: str, events: dict[str, Event] | None, findings: Problems
) -> ScheduledJob | ScheduledEvent | None:
    job, event = body.get("job"), body.get("event")
    if job is not None and event is not None:
        findings.error(event.mark, f"{what} has a job and an event", "make two schedules of it", code="E018")
    elif job is not None:
        return _job(job, f"job of {what}", findings)
    elif event is not None:
        return _event(event, f"event of {what}", events, findings)
    else:
        findings.error(key.mark, f"{what} has neither 'job' nor 'event'", "say what it does", code="E010")
    return None


def _job(node: Node, what: str, findings: Problems) -> ScheduledJob | None:
    kind = _type(node, what, SCHEDULED_JOB, findings)
    if kind is None or node.pairs is None:
        return None if kind is None else ScheduledJob(kind.text)
    attempts = _whole(node.get("max_attempts"), f"max_attempts of {what}", 1, findings)
    priority = _whole(node.get("priority"), f"priority of {what}", -1e9, findings)
    return ScheduledJob(
        kind.text,
        _name(node.get("job_id"), f"job_id of {what}", findings),
        _value(node.get("payload")),
        _name(node.get("machine_type"), f"machine_type of {what}", findings),
        5 if priority is None else priority,
        attempts,
        duration_of(node.get("backoff"), f"backoff of {what}", findings),
        duration_of(node.get("time_limit"), f"time_limit of {what}", findings),
    )


def _event(node: Node, what: str, events: dict[str, Event] | None, findings: Problems) -> ScheduledEvent | None:
    kind = _type(node, what, SCHEDULED_EVENT, findings)
    if kind is None:
        return None
    place = node.get("target")
    target = _name(place, f"target of {what}", findings)
    if target is not None and place is not None:
        several = target == "all" or any(mark in target for mark in "*?[")
        fault = "must be one machine" if several else machine_name_fault(target)
        if fault is not None:
            findings.error(place.mark, f"target of {what} {fault}")
    if target is None and events is not None:
        warn_undeclared(kind, events, findings)
    return ScheduledEvent(kind.text, _value(node.get("payload")), target)


def _type(node: Node, what: str, keys: Keys, findings: Problems) -> Node | None:
    """The name alone, or `type` of a mapping."""
    if node.pairs is None:
        return node if name_of(node, what, findings) is not None else None
    warn_unknown_keys(node, what, keys, findings)
    kind = node.get("type")
    if kind is None:
        findings.error(node.mark, f"{what} has no 'type'", code="E010")
        return None
    return kind if name_of(kind, f"type of {what}", findings) is not None else None


def _window(node: Node | None, what: str, missed: str, findings: Problems) -> float:
    seconds = duration_of(node, f"window of {what}", findings, positive=True)
    if seconds is None or node is None:
        return DEFAULT_WINDOW_S
    if missed == "skip":
        findings.warn(node.mark, f"window of {what} means nothing with missed: skip", "leave it out", code="W004")
    if seconds > LONGEST_WINDOW_S:
        findings.error(node.mark, f"window of {what} must be at most 31d")
    return seconds


def _whole(node: Node | None, what: str, least: float, findings: Problems) -> int | None:
    number = number_of(node, what, least, findings)
    if number is not None and node is not None and number != int(number):
        findings.error(node.mark, f"{what} must be a whole number, not {node.kind}")
    return None if number is None else int(number)


def _name(node: Node | None, what: str, findings: Problems) -> str | None:
    return None if node is None or node.value is None else name_of(node, what, findings)


def _value(node: Node | None) -> Any:
    return None if node is None else node.value

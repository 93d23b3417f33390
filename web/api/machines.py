"""`/api/machines`: machines, their status and their history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response

from ...actors.processes.liveness import STATUSES
from ...storage import audit, contexts, durations
from ...storage.payload import attributes
from ..answers import Refused, page_of, reply
from ..durations import grouped
from ..machines import Machine
from ..monitor import the_monitor
from ..query import MAX_ID, Query
from .events import history, transition_row

if TYPE_CHECKING:
    from ...actors.definition.model import Definition
    from ...storage.audit import Event
    from ...storage.machines import MachineRow

SEARCHED = ("machine_name", "current_state", "config_type", "last_error", "current_job")

blueprint = Blueprint("machines", __name__, url_prefix="/api")


@blueprint.get("/machines")
def listing() -> Response:
    """Return all machines that match `q` and `status`."""
    query = Query()
    wanted, status = query.text("q"), query.choice("status", STATUSES)
    found = [m for m in the_monitor().machines.now()[1] if _matches(m, wanted) and status in (None, m["status"])]
    return reply({"items": found, "total": len(found)})


@blueprint.get("/machines/<name>")
def details(name: str) -> Response:
    """Return one machine, its definition, and the counts of its transitions."""
    monitor = the_monitor()
    row, machine = known(name)
    definition = monitor.library.definition_of(row)
    db = monitor.store.db
    last_id, counts = monitor.transition_counts.of(db, name)
    return reply(
        {
            **machine,
            "definition": _definition(definition) if definition else None,
            "allowed_events": _allowed(definition, row.current_state),
            **_context(name),
            "counts": [{"from": a, "to": b, "event": e, "count": count} for (a, b, e), count in counts.items()],
            "actions": [found.as_dict() for found in grouped(durations.counts(db, row.config_type or name))],
            "last_id": last_id,
        }
    )


@blueprint.get("/machines/<name>/context")
def context(name: str) -> Response:
    """Return the context, at most a second old; `context_at` is the time of its last change."""
    known(name)
    return reply(_context(name))


@blueprint.get("/machines/<name>/timeline")
def timeline(name: str) -> Response:
    """Return transitions, newest first, with the seconds in the state entered; null for the current state."""
    known(name)
    query = Query()
    limit = query.integer("limit", 50, low=1, high=1000)
    before = query.integer("before", None, low=0, high=MAX_ID)
    db = the_monitor().store.db
    events = audit.before(db, before, limit, [name], ["state_change"])
    later = audit.since(db, before - 1, 1, [name], ["state_change"]) if before else []
    return page_of(
        _with_durations(events, later[0].timestamp if later else None), events[-1].id if len(events) == limit else None
    )


@blueprint.get("/machines/<name>/errors")
def errors(name: str) -> Response:
    """Return the errors of a machine, newest first."""
    known(name)
    return history(machines=[name], types=["error", "machine_failed"])


@blueprint.get("/machines/<name>/log")
def log(name: str) -> Response:
    """Return everything that a machine recorded, newest first; `type` filters."""
    known(name)
    return history(machines=[name])


@blueprint.get("/machines/<name>/activity")
def activity(name: str) -> Response:
    """Return the number of events in each of the last minutes."""
    known(name)
    minutes = Query().integer("minutes", 15, low=1, high=60)
    monitor = the_monitor()
    return reply({"minutes": minutes, "counts": monitor.feed.board.activity(name, minutes, monitor.now())})


@blueprint.get("/activity")
def all_activity() -> Response:
    """Return the number of events in each of the last minutes, for every machine."""
    minutes = Query().integer("minutes", 15, low=1, high=60)
    monitor = the_monitor()
    now_s = monitor.now()
    names = [machine["machine_name"] for machine in monitor.machines.now()[1]]
    counts = {name: monitor.feed.board.activity(name, minutes, now_s) for name in names}
    return reply({"minutes": minutes, "machines": counts})


def known(name: str) -> tuple[MachineRow, Machine]:
    """Return the machine; Refused (404) if it was never seen."""
    found = the_monitor().machines.one(name)
    if found is None:
        raise Refused(404, f"no machine {name!r} has been seen", "/api/machines has all names")
    return found


# Helpers


def _context(name: str) -> dict[str, Any]:
    found = contexts.get(the_monitor().store.db, name)
    return {
        "context": found and found.values,
        "context_cut": found.cut if found else [],
        "context_left_out": found.left_out if found else 0,
        "context_at": found and found.saved_at,
    }


def _matches(machine: Machine, wanted: str | None) -> bool:
    return wanted is None or any(wanted.lower() in str(machine[key] or "").lower() for key in SEARCHED)


def _with_durations(events: list[Event], left_s: float | None) -> list[dict[str, Any]]:
    items = []
    for event in events:
        duration_s = None if left_s is None else round(max(0.0, left_s - event.timestamp), 3)
        items.append({**transition_row(event), "duration_s": duration_s})
        left_s = event.timestamp
    return items


def _allowed(definition: Definition | None, state: str | None) -> list[str]:
    if definition is None or state is None:
        return []
    timers = {t.event for t in definition.transitions if t.timeout_s is not None}
    return [event for event in definition.allowed(state) if event not in timers]


def _definition(definition: Definition) -> dict[str, Any]:
    return {
        **attributes(definition, "title", "description", "initial_state"),
        "states": [
            {**attributes(state, "name", "group", "description", "outcome"), "actions": [a.type for a in state.actions]}
            for state in definition.states.values()
        ],
        "events": list(definition.events),
        "transitions": [
            {
                "from": transition.source,
                "to": transition.target,
                **attributes(transition, "event", "internal", "timeout_s"),
                "actions": [action.type for action in transition.actions],
            }
            for transition in definition.transitions
        ],
        "final": [name for name in definition.states if definition.is_final(name)],
        **attributes(definition, "groups", "template"),
    }

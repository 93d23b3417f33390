"""`/api/events` and related routes: the audit log, filtered, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from ...storage import audit, schedules
from ..answers import page_of, reply
from ..monitor import the_monitor
from ..query import MAX_ID, Query, checked_text

if TYPE_CHECKING:
    from ...storage.audit import Event
    from ...storage.engine.database import Database

LEVELS = ("debug", "info", "warning", "error")
#: types that are errors, whatever level their payload has
ERRORS = frozenset({"error", "machine_failed", "job_failed"})
WARNINGS = frozenset({"unhandled"})

CHUNK = 1000
#: most rows that one request reads; the next page continues from there
MOST_ROWS = 20_000

blueprint = Blueprint("events", __name__, url_prefix="/api")


@blueprint.get("/events")
def events() -> Response:
    """Return the audit log: oldest first after `since`, else newest first before `before`."""
    return history(machines=several("machine"))


@blueprint.get("/transitions")
def transitions() -> Response:
    """Return the state changes of all machines."""
    return history(machines=several("machine"), types=["state_change"])


@blueprint.get("/errors")
def errors() -> Response:
    """Return the errors of all machines and jobs."""
    return history(machines=several("machine"), types=sorted(ERRORS))


@blueprint.get("/schedules")
def all_schedules() -> Response:
    """Return all schedules."""
    items = [row.as_dict() for row in schedules.list_(the_monitor().store.db)]
    return reply({"items": items, "total": len(items)})


def history(*, machines: Sequence[str] | None = None, types: Sequence[str] | None = None) -> Response:
    """Return a page of the audit log, by the parameters of the request."""
    query = Query()
    limit = query.integer("limit", 100, low=1, high=1000)
    since = query.integer("since", None, low=0, high=MAX_ID)
    before = query.integer("before", None, low=0, high=MAX_ID)
    level = query.choice("level", LEVELS)
    types = types or several("type")
    db = the_monitor().store.db
    if since is not None:
        found, cursor = _collect(lambda at, n: audit.since(db, at or 0, n, machines, types), since, limit, level)
    else:
        found, cursor = _collect(lambda at, n: audit.before(db, at, n, machines, types), before, limit, level)
    return page_of([event.envelope() for event in found], cursor, last_id=_last_id(db))


def level_of(event: Event) -> str:
    """Return debug, info, warning or error."""
    if event.type in ERRORS:
        return "error"
    if event.type in WARNINGS:
        return "warning"
    said = str(event.fields.get("level") or "").lower()
    return {"warn": "warning", "critical": "error"}.get(said, said if said in LEVELS else "info")


def rows_after(db: Database, after_id: int, types: Sequence[str], machine: str | None = None) -> Iterator[Event]:
    """Yield events of these types after an id, oldest first; at most MOST_ROWS."""
    for _ in range(MOST_ROWS // CHUNK):
        events = audit.since(db, after_id, CHUNK, None if machine is None else [machine], types)
        yield from events
        if len(events) < CHUNK:
            return
        after_id = events[-1].id


def transition_row(event: Event) -> dict[str, Any]:
    """Return a state change as the API shows it."""
    payload = event.fields
    names = {key: payload.get(f"{key}_state") for key in ("from", "to")}
    return {"id": event.id, **names, "event": payload.get("event_trigger"), "timestamp": event.timestamp}


# Helpers

_Read = Callable[[int | None, int], "list[Event]"]


def _collect(read: _Read, at: int | None, limit: int, level: str | None) -> tuple[list[Event], int | None]:
    """Return at most `limit` events, and the cursor of the next page; None if there is none."""
    if level is None:
        found = read(at, limit)
        return found, found[-1].id if len(found) == limit else None
    found = []
    for _ in range(MOST_ROWS // CHUNK):
        chunk = read(at, CHUNK)
        for event in chunk:
            at = event.id
            if level_of(event) == level:
                found.append(event)
                if len(found) == limit:
                    return found, at
        if len(chunk) < CHUNK:
            return found, None
    return found, at


def several(name: str) -> list[str] | None:
    """Return the values of a parameter that may be repeated or contain commas; None if there are none."""
    texts = [checked_text(text, name) or "" for text in request.args.getlist(name)]
    return [part for text in texts for part in text.split(",") if part][:100] or None


def _last_id(db: Database) -> int:
    return max(the_monitor().feed.backlog.end.id, 0) or audit.newest_id(db)

"""`/api/jobs`: the queue, searched page by page; what was done to a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from ...storage import audit
from ...storage.clock import from_text
from ...storage.errors import JobNotFound
from ...storage.jobs import attempts, queries
from ...storage.jobs.job import STATUSES
from ..answers import page_of, reply
from ..errors import Refused
from ..monitor import the_monitor
from ..query import MAX_ID, Query

if TYPE_CHECKING:
    from ...storage.audit import Event
    from ...storage.engine.database import Database
    from ...storage.jobs.attempts import Attempt
    from ...storage.jobs.job import Job

#: what machines say of a job
JOB_NOTES = ("job_started", "job_completed", "job_failed")
LONGEST_HISTORY = 50
#: states of a job's path that are looked up
LONGEST_PATH = 500
CHUNK = 1000
#: rows that are looked through for a path
MOST_ROWS = 20_000

blueprint = Blueprint("jobs", __name__, url_prefix="/api")


@blueprint.get("/jobs")
def listing() -> Response:
    """Jobs, newest first, that match all that is given; `status` may be repeated."""
    query = Query()
    limit = query.integer("limit", 50, low=1, high=1000)
    db = the_monitor().store.db
    found = queries.search(
        db,
        statuses=_statuses(),
        job_type=query.text("type"),
        machine_type=query.text("machine_type"),
        machine=query.text("machine"),
        text=query.text("q"),
        before_id=query.integer("cursor", None, low=0, high=MAX_ID),
        limit=limit,
    )
    counts = queries.counts(db)
    cursor = found[-1].id if len(found) == limit else None
    return page_of([shown(job) for job in found], cursor, counts=counts, total=sum(counts.values()))


@blueprint.get("/jobs/<path:job_id>")
def details(job_id: str) -> Response:
    """Everything about one job: each attempt, what machines said, and the states that the last one went through."""
    db = the_monitor().store.db
    job = queries.get(db, job_id)
    if job is None:
        raise JobNotFound(job_id)
    worked = next(_notes(db, job, job.started_at, ["job_started"]), None)
    history = [_said(event) for event in islice(_notes(db, job, job.created_at, JOB_NOTES), LONGEST_HISTORY)]
    past = [_past(attempt) for attempt in attempts.of(db, job)]
    return reply({**shown(job), "attempt_history": past, "history": history, "path": _path(db, job, worked)})


def shown(job: Job) -> dict[str, Any]:
    """A job as the page has it: all fields, and its times in epoch seconds too."""
    times = {f"{key}_s": _epoch(getattr(job, key)) for key in ("created_at", "started_at", "completed_at")}
    return {**job.as_dict(), **times}


# Helpers


def _statuses() -> list[str]:
    wanted = [part for text in request.args.getlist("status") for part in text.split(",") if part]
    for status in wanted:
        if status not in STATUSES:
            raise Refused(400, f"status must be one of {', '.join(STATUSES)}, not {status[:60]!r}")
    return wanted


def _past(attempt: Attempt) -> dict[str, Any]:
    times = {f"{key}_s": _epoch(getattr(attempt, key)) for key in ("started_at", "ended_at")}
    return {**attempt.as_dict(), **times}


def _epoch(text: str | None) -> float | None:
    try:
        return from_text(text) if text else None
    except ValueError:
        return None


def _notes(db: Database, job: Job, since: str | None, types: Sequence[str]) -> Iterator[Event]:
    """What machines put on record of this job from a moment on: the queue itself knows only the last process."""
    since_s = _epoch(since)
    if since_s is None:
        return
    after_id = audit.last_before(db, since_s)
    for _ in range(MOST_ROWS // CHUNK):
        events = audit.since(db, after_id, CHUNK, types=types)
        for event in events:
            if isinstance(event.payload, dict) and event.payload.get("job_id") == job.job_id:
                yield event
        if len(events) < CHUNK:
            return
        after_id = events[-1].id


def _said(event: Event) -> dict[str, Any]:
    reason = event.payload.get("error_message") if isinstance(event.payload, dict) else None
    return {
        "id": event.id,
        "type": event.type,
        "machine": event.machine,
        "error_message": None if reason is None else str(reason),
        "timestamp": event.timestamp,
    }


def _path(db: Database, job: Job, worked: Event | None) -> list[dict[str, Any]]:
    """Transitions of its machine, from the beginning until it ended; oldest first."""
    if worked is None or worked.machine is None:
        return []
    ended_s, after_id, machine = _epoch(job.completed_at), worked.id, worked.machine
    path: list[dict[str, Any]] = []
    for _ in range(MOST_ROWS // CHUNK):
        events = audit.since(db, after_id, CHUNK, [machine], ["state_change"])
        for event in events:
            after_id = event.id
            if (ended_s is not None and event.timestamp > ended_s + 1) or len(path) == LONGEST_PATH:
                return path
            payload = event.payload if isinstance(event.payload, dict) else {}
            names = {key: payload.get(f"{key}_state") for key in ("from", "to")}
            path.append({"id": event.id, **names, "event": payload.get("event_trigger"), "timestamp": event.timestamp})
        if len(events) < CHUNK:
            break
    return path

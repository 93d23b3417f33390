"""`/api/jobs`: the queue, searched page by page, and the history of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response

from ...storage import audit
from ...storage.clock import from_text
from ...storage.errors import JobNotFound
from ...storage.jobs import attempts, queries
from ...storage.jobs.job import STATUSES
from ..answers import Refused, page_of, reply
from ..monitor import the_monitor
from ..query import MAX_ID, Query
from .events import rows_after, several, transition_row

if TYPE_CHECKING:
    from ...storage.audit import Event
    from ...storage.engine.database import Database
    from ...storage.jobs.attempts import Attempt
    from ...storage.jobs.job import Job

#: events of machines about a job
JOB_NOTES = ("job_started", "job_completed", "job_failed")
LONGEST_HISTORY = 50
#: most transitions of a job's path
LONGEST_PATH = 500

blueprint = Blueprint("jobs", __name__, url_prefix="/api")


@blueprint.get("/jobs")
def listing() -> Response:
    """Return jobs that match all parameters, newest first; `status` may be repeated."""
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
    """Return one job with its attempts, what machines reported, and the transitions of its last attempt."""
    db = the_monitor().store.db
    job = queries.get(db, job_id)
    if job is None:
        raise JobNotFound(job_id)
    started = next(_notes(db, job, job.started_at, ["job_started"]), None)
    history = [_record(event) for event in islice(_notes(db, job, job.created_at, JOB_NOTES), LONGEST_HISTORY)]
    past = [_with_seconds(attempt, "started_at", "ended_at") for attempt in attempts.of(db, job)]
    return reply({**shown(job), "attempt_history": past, "history": history, "path": _path(db, job, started)})


def shown(job: Job) -> dict[str, Any]:
    """Return a job as the page has it: all fields, and its times in epoch seconds too."""
    return _with_seconds(job, "created_at", "started_at", "completed_at")


# Helpers


def _statuses() -> list[str]:
    wanted = several("status") or []
    for status in wanted:
        if status not in STATUSES:
            raise Refused(400, f"status must be one of {', '.join(STATUSES)}, not {status[:60]!r}")
    return wanted


def _with_seconds(row: Job | Attempt, *times: str) -> dict[str, Any]:
    return {**row.as_dict(), **{f"{key}_s": _epoch(getattr(row, key)) for key in times}}


def _epoch(text: str | None) -> float | None:
    try:
        return from_text(text) if text else None
    except ValueError:
        return None


def _notes(db: Database, job: Job, since: str | None, types: Sequence[str]) -> Iterator[Event]:
    """Yield what machines recorded of this job from a time on; the queue knows only the last process."""
    since_s = _epoch(since)
    events = () if since_s is None else rows_after(db, audit.last_before(db, since_s), types)
    return (event for event in events if event.fields.get("job_id") == job.job_id)


def _record(event: Event) -> dict[str, Any]:
    reason = event.fields.get("error_message")
    return {
        "id": event.id,
        "type": event.type,
        "machine": event.machine,
        "error_message": None if reason is None else str(reason),
        "timestamp": event.timestamp,
    }


def _path(db: Database, job: Job, started: Event | None) -> list[dict[str, Any]]:
    """Return the transitions of its machine from the start of the job to its end, oldest first."""
    if started is None or started.machine is None:
        return []
    ended_s = _epoch(job.completed_at)
    events = rows_after(db, started.id, ["state_change"], started.machine)
    if ended_s is not None:
        events = takewhile(lambda event: event.timestamp <= ended_s + 1, events)
    return [transition_row(event) for event in islice(events, LONGEST_PATH)]

"""A job as the rest of the engine sees it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..backoff import back_off
from ..clock import to_text
from ..names import check_names
from ..payload import dumps, loads
from ..row import Row

STATUSES = ("pending", "scheduled", "processing", "completed", "failed", "cancelled")
DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_BACKOFF_S = 10.0

#: seconds; no back-off is longer
LONGEST_BACKOFF_S = 3600.0


@dataclass(frozen=True, slots=True)
class Job(Row):
    """One row of `jobs`."""

    id: int
    """Row number; never used twice."""
    job_id: str
    """The user's name for it; unique."""
    job_type: str
    machine_type: str | None
    """The worker type that it waits for; None: any."""
    source_job_id: str | None
    data: Any
    result: Any
    priority: int
    """1 is claimed first."""
    status: str
    """One of STATUSES."""
    created_at: str | None
    """UTC text with milliseconds, like the other two."""
    started_at: str | None
    completed_at: str | None
    error_message: str | None
    metadata: Any
    attempts: int
    """Claims so far."""
    max_attempts: int
    due_at: float | None
    """Epoch seconds from which on it may be claimed."""
    owner: str | None
    """The runtime that claimed it last."""
    lease_until: float | None
    """Epoch seconds; a held job whose lease has passed is rescued. None: never."""
    unique_key: str | None
    machine: str | None
    """The machine that claimed it last."""
    time_limit_s: float | None
    """Seconds that one attempt may take. None: any."""
    backoff_s: float
    """Seconds of the first wait between attempts; see `wait_s`."""

    @property
    def wait_s(self) -> float:
        """Seconds that the job waits for its next attempt when the one that it is in has failed.

        Rule (docs/jobs-and-events.md, "Back-off"): the first retry is at once, each further one waits twice as long as
        the one before it, from `backoff_s` on, an hour at most.
        """
        if self.attempts < 2:
            return 0.0
        return back_off(self.backoff_s, self.attempts - 1, longest_s=LONGEST_BACKOFF_S)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added."""

    job_type: str
    job_id: str | None = None
    """None: an id is made up."""
    machine_type: str | None = None
    """The worker type that may take it; None: any."""
    data: Any = None
    source_job_id: str | None = None
    priority: int = 5
    """1 is claimed first."""
    delay_s: float = 0.0
    """Seconds after `due_at`, or after now, at which it is due."""
    due_at: float | None = None
    """Epoch seconds; None: now."""
    max_attempts: int | None = None
    """None: as many as the claim says, else DEFAULT_MAX_ATTEMPTS."""
    unique_key: str | None = None
    """Nothing is added while an unfinished job has the same key."""
    metadata: Mapping[str, Any] | None = None
    time_limit_s: float | None = None
    """Seconds that one attempt may take; 0 or None: any."""
    backoff_s: float | None = None
    """See `Job.wait_s`; None: as the claim says, else DEFAULT_BACKOFF_S."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt at a job: completed, or failed if it has a reason."""

    job_id: str
    result: Any = None
    reason: str | None = None
    output: str | None = None
    """The end of what its commands wrote."""


_NAMES = [field.name for field in fields(Job)]
COLUMNS = ", ".join(_NAMES)
_JSON = [_NAMES.index(name) for name in ("data", "result", "metadata")]
_MAX_ATTEMPTS, _BACKOFF = _NAMES.index("max_attempts"), _NAMES.index("backoff_s")

INSERT = """
INSERT INTO jobs (job_id, job_type, machine_type, source_job_id, data, metadata, priority, status, created_at, due_at,
                  max_attempts, unique_key, time_limit_s, backoff_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""


def new_id() -> str:
    """Make up an id."""
    return os.urandom(6).hex()


def values_of(new: NewJob, now: float) -> tuple[Any, ...]:
    """Return the parameters of INSERT for a job that is added at `now`. ValueRefused for what is no name."""
    check_names(
        job_id=new.job_id,
        job_type=new.job_type,
        machine_type=new.machine_type,
        source_job_id=new.source_job_id,
        unique_key=new.unique_key,
    )
    due_at = (now if new.due_at is None else new.due_at) + new.delay_s
    return (
        new.job_id or new_id(),
        new.job_type,
        new.machine_type,
        new.source_job_id,
        None if new.data is None else dumps(new.data),
        None if new.metadata is None else dumps(new.metadata),
        new.priority,
        "scheduled" if due_at > now else "pending",
        to_text(now),
        due_at,
        new.max_attempts,
        new.unique_key,
        new.time_limit_s or None,
        new.backoff_s,
    )


def from_row(row: Any) -> Job:
    """Return the job of a row of COLUMNS."""
    values = list(row)
    for index in _JSON:
        values[index] = loads(values[index])
    values[_MAX_ATTEMPTS] = values[_MAX_ATTEMPTS] or DEFAULT_MAX_ATTEMPTS
    if values[_BACKOFF] is None:
        values[_BACKOFF] = DEFAULT_BACKOFF_S
    return Job(*values)

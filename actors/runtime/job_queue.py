"""The job queue for Python programs."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

from ...storage import jobs
from ...storage.engine.database import Database
from ...storage.errors import JobNotFound
from ...storage.jobs import Job
from ..concurrency.wait_board import Wait
from ..jobs import job_options
from ..sockets import notifications
from .machine import WaitTimeout
from .runtime import Runtime

#: final statuses of a job
ENDED = ("completed", "failed", "cancelled")

#: seconds between looks at a job if no runtime of this process notices its end
LOOK_S = 0.05


class JobQueue:
    """Adds jobs and waits for them, in the store of a runtime of this process or in one given by URL or path."""

    def __init__(self, store: Runtime | Database | str | Path | None = None) -> None:
        self._runtime = store if isinstance(store, Runtime) else None
        self._own = not isinstance(store, Runtime | Database)
        self._db = _database(store)
        self._opening = threading.Lock()

    @property
    def db(self) -> Database:
        """Return the open store.

        One that this queue opened is opened again when another file has taken its place. StoreUnavailable while there
        is none.
        """
        with self._opening:
            if self._own and self._db.has_lost_file():
                self._db.close()
                self._db = Database.open(self._db.url, create=False)
        return self._db

    def add(self, job_type: str, data: Any = None, *, job_id: str | None = None, **options: Any) -> Job:
        """Add a job and notify a worker; without `job_id` a new id is made.

        Options: machine_type, priority (1 is first, 5), delay_s, due_at (epoch seconds), max_attempts (3), unique_key,
        source_job_id, metadata, time_limit_s (of one attempt; none), backoff_s (the first wait between attempts; the
        worker's or 10). Raises JobExists, and ValueError for an invalid option.
        """
        job_options.check({"job_type": job_type, "job_id": job_id, **options})
        job = jobs.enqueue(self.db, job_id, job_type, data=data, **options)
        if self._runtime is not None:
            self._runtime.router.notify("jobs", (job.job_type, job.machine_type), 1)
        else:
            notifications.notify(self.db, "jobs", key=(job.job_type, job.machine_type))
        return job

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None if there is none with this id."""
        return jobs.get(self.db, job_id)

    def list(self, status: str | None = None, job_type: str | None = None, limit: int = 20) -> list[Job]:
        """Return jobs, newest first. Raises ValueError for an unknown status, or a limit below 0."""
        job_options.check_status(status)
        job_options.check({"limit": limit})
        return jobs.find(self.db, status=status, job_type=job_type, limit=limit)

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """Wait until a job is completed, failed or cancelled. Raises JobNotFound, WaitTimeout."""
        deadline_s = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        while True:
            version = self._runtime.resources.wait_board.version("done") if self._runtime is not None else 0
            job = self.get(job_id)
            if job is None:
                raise JobNotFound(job_id)
            if job.status in ENDED:
                return job
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                msg = f"job {job_id} is {job.status} after {timeout_s:g} s"
                raise WaitTimeout(msg)
            self._pause(job_id, version, min(left_s, 1.0))

    async def wait_async(self, job_id: str, timeout_s: float | None = None) -> Job:
        """Do the same as `wait`, for coroutines."""
        return await asyncio.to_thread(self.wait, job_id, timeout_s)

    def close(self) -> None:
        """Close the store, if this queue opened it."""
        if self._own:
            self._db.close()

    def __enter__(self) -> JobQueue:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def _pause(self, job_id: str, version: int, longest_s: float) -> None:
        """Wait until the job may have ended."""
        if self._runtime is None:
            time.sleep(min(longest_s, LOOK_S))
            return
        ended, board = threading.Event(), self._runtime.resources.wait_board
        wait = Wait("done", (job_id,), ended.set)
        if board.park(wait, version):
            try:
                ended.wait(longest_s)
            finally:
                board.leave(wait)


# Helpers


def _database(store: Runtime | Database | str | Path | None) -> Database:
    if isinstance(store, Runtime):
        return store.db
    return store if isinstance(store, Database) else Database.open(store)

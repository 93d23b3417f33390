"""Make stored jobs and machines for tests."""

from __future__ import annotations

from typing import Any

from statemachine_engine.storage import jobs, machines
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import Job


def add_jobs(db: Database, count: int, job_type: str = "work", **fields: Any) -> list[str]:
    """Add that many jobs, named job-0, job-1, …; returns the names."""
    names = [f"job-{number}" for number in range(count)]
    jobs.enqueue_many(db, [jobs.NewJob(job_type, name, **fields) for name in names])
    return names


def claimed(db: Database, owner: str = "worker", **options: Any) -> Job:
    """Claim and return the next job, which must exist."""
    job = jobs.claim(db, owner=owner, **options)
    assert job is not None, "no job to claim"
    return job


def acquire(db: Database, name: str, incarnation: str = "run-1", **changes: Any) -> machines.MachineRow | None:
    """Take a machine's name on host `here`, where holders count as alive."""
    options: dict[str, Any] = {
        "pid": 100,
        "host": "here",
        "config_type": "worker",
        "state": "waiting",
        "control_socket": None,
        "is_alive": lambda row: True,
    }
    return machines.acquire(db, name, incarnation=incarnation, **{**options, **changes})

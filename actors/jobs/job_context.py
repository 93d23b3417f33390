"""The variables of a machine's current job in its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..definition.reserved_keys import JOB_KEYS, RESERVED

if TYPE_CHECKING:
    from ...storage.jobs import Job


def put_job(context: dict[str, Any], job: Job | Mapping[str, Any]) -> None:
    """Put a job and the keys of its data into the context, in place of the previous job.

    `job` may also be a mapping, such as an item of `get_pending_jobs`. Values that the keys cover are restored by
    `remove_job`.
    """
    row = job if isinstance(job, Mapping) else job.as_dict()
    remove_job(context)
    job_id, data = row.get("job_id") or row.get("id"), _data_of(row.get("data"))
    identity = {
        "id": job_id, "job_id": job_id, "job_type": row.get("job_type"), "source_job_id": row.get("source_job_id"),
    }  # fmt: skip
    keys = {**_allowed(data), **identity}
    context[JOB_KEYS] = {key: [context[key]] if key in context else [] for key in keys}
    context.update(keys)
    context["current_job"] = {
        **identity, "data": data, "priority": row.get("priority"), "attempt": row.get("attempts"),
    }  # fmt: skip


def remove_job(context: dict[str, Any]) -> None:
    """Take the job out of the context, and restore the values that its data had covered."""
    context.pop("current_job", None)
    for key, covered in context.pop(JOB_KEYS, {}).items():
        context.pop(key, None)
        if covered:
            context[key] = covered[0]


def merge(context: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put data from outside into the context, without reserved names."""
    context.update(_allowed(values))


def with_params(context: Mapping[str, Any], params: Any) -> Mapping[str, Any]:
    """Return the context of an action's placeholders: its `params:`, without reserved names, cover the variables."""
    return {**context, **_allowed(params)} if isinstance(params, Mapping) and params else context


def current_job_id(context: Mapping[str, Any]) -> str | None:
    """Return the id of the job in the context, or None."""
    job = context.get("current_job")
    job_id = job.get("job_id") or job.get("id") if isinstance(job, Mapping) else context.get("job_id")
    return str(job_id) if job_id else None


def _data_of(data: Any) -> dict[str, Any]:
    """Return a job's data as a mapping; data that is no object stands under `payload`."""
    if data is None:
        return {}
    return dict(data) if isinstance(data, Mapping) else {"payload": data}


def _allowed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in RESERVED and key != JOB_KEYS}

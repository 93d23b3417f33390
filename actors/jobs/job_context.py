"""How the job that a machine works on appears in its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..definition.reserved_keys import JOB_KEYS, RESERVED

if TYPE_CHECKING:
    from ...storage.jobs import Job


def hold(context: dict[str, Any], job: Job) -> None:
    """Puts a job and its data's keys into the context, in the place of the job before it."""
    _hold(context, job.job_id, job.job_type, job.source_job_id, job.data, job.priority, job.attempts)


def hold_row(context: dict[str, Any], row: Mapping[str, Any]) -> None:
    """The same for a job as a mapping, such as an item of `get_pending_jobs`."""
    job_id = row.get("job_id") or row.get("id")
    names = ("job_type", "source_job_id", "data", "priority", "attempts")
    _hold(context, job_id, *(row.get(name) for name in names))


def drop(context: dict[str, Any]) -> None:
    """Takes the job out of the context; a value that its data had covered comes to light again."""
    context.pop("current_job", None)
    for key, covered in context.pop(JOB_KEYS, {}).items():
        context.pop(key, None)
        if covered:
            context[key] = covered[0]


def merge(context: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Puts data from outside into the context, reserved names left out."""
    context.update(_free(values))


def with_params(context: Mapping[str, Any], params: Any) -> Mapping[str, Any]:
    """The context as an action's placeholders see it: its own `params:` laid over it, reserved names left out."""
    return {**context, **_free(params)} if isinstance(params, Mapping) and params else context


def current_job_id(context: Mapping[str, Any]) -> str | None:
    """The id of the job in the context."""
    job = context.get("current_job")
    job_id = job.get("job_id") or job.get("id") if isinstance(job, Mapping) else context.get("job_id")
    return str(job_id) if job_id else None


def _data_of(data: Any) -> dict[str, Any]:
    """A job's data as a mapping: anything but an object stands under `payload`."""
    if data is None:
        return {}
    return dict(data) if isinstance(data, Mapping) else {"payload": data}


def _free(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in RESERVED and key != JOB_KEYS}


def _hold(
    context: dict[str, Any], job_id: Any, job_type: Any, source_job_id: Any, data: Any, priority: Any, attempt: Any
) -> None:
    drop(context)
    identity = {"id": job_id, "job_id": job_id, "job_type": job_type, "source_job_id": source_job_id}
    data = _data_of(data)
    keys = {**_free(data), **identity}
    context[JOB_KEYS] = {key: [context[key]] if key in context else [] for key in keys}
    context.update(keys)
    context["current_job"] = {**identity, "data": data, "priority": priority, "attempt": attempt}

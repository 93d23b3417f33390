"""How the job that a machine works on appears in its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..storage.jobs import Job

#: the engine's own context keys; data that comes from outside never overwrites them
RESERVED = (
    "machine_name",
    "current_state",
    "previous_state",
    "event_data",
    "current_job",
    "job_model",
    "config",
    "last_error",
    "last_error_action",
    "last_error_command",
    "last_error_exit_code",
)
_OWN = "_job_keys"


def hold(context: dict[str, Any], job: Job) -> None:
    """Puts a job and its data's keys into the context, in the place of the job before it."""
    drop(context)
    identity = {"id": job.job_id, "job_id": job.job_id, "job_type": job.job_type, "source_job_id": job.source_job_id}
    data = data_of(job)
    keys = {**_free(data), **identity}
    context[_OWN] = {key: [context[key]] if key in context else [] for key in keys}
    context.update(keys)
    context["current_job"] = {**identity, "data": data, "priority": job.priority, "attempt": job.attempts}


def drop(context: dict[str, Any]) -> None:
    """Takes the current job out of the context; a value that its data had covered comes to light again."""
    context.pop("current_job", None)
    for key, covered in context.pop(_OWN, {}).items():
        context.pop(key, None)
        if covered:
            context[key] = covered[0]


def merge(context: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Puts outside data into the context, reserved names left out."""
    context.update(_free(values))


def data_of(job: Job) -> dict[str, Any]:
    """A job's data as a mapping: anything but an object stands under `payload`."""
    if job.data is None:
        return {}
    return dict(job.data) if isinstance(job.data, Mapping) else {"payload": job.data}


def _free(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in RESERVED and key != _OWN}

"""Context keys that belong to the engine: no data from outside sets them."""

from __future__ import annotations

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
#: what the job's keys cover, so that it can be taken out again
JOB_KEYS = "_job_keys"

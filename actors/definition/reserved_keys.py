"""Context keys that belong to the engine: no data from outside sets them."""

from __future__ import annotations

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
"""The engine's own context keys. Data from outside never overwrites them."""

JOB_KEYS = "_job_keys"
"""The variable that keeps the values hidden by a job's keys, so that they return when the job is done."""

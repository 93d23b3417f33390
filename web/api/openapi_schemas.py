"""The shapes that the API's answers and bodies have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...actors.processes import liveness
from ...storage.jobs import job
from ...storage.jobs.attempts import OUTCOMES
from ..query import LONGEST_TEXT

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
ANY: Json = {}
OBJECT: Json = {"type": "object"}

LARGEST = 2**31 - 1
TEN_YEARS_S = 315_360_000

#: a text that the store takes
GIVEN: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}


def ref(name: str) -> Json:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(*, optional: Sequence[str] = (), **properties: Json) -> Json:
    """An object; further keys may come with later versions."""
    return {"type": "object", "properties": properties, "required": [key for key in properties if key not in optional]}


def or_null(schema: Json) -> Json:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Json) -> Json:
    """Any number of these."""
    return {"type": "array", "items": schema}


def _page(item: str, **more: Json) -> Json:
    properties: dict[str, Any] = {"items": list_of(ref(item)), "next_cursor": or_null(WHOLE), **more}
    return shape(**properties)


_MACHINE: dict[str, Any] = {
    "machine_name": TEXT, "current_state": or_null(TEXT), "last_activity": or_null(NUMBER),
    "state_since": or_null(NUMBER), "running": FLAG,
    "status": {"enum": list(liveness.STATUSES)},
    "pid": or_null(WHOLE), "host": or_null(TEXT), "config_type": or_null(TEXT), "template": FLAG, "metadata": ANY,
    "current_job": or_null(TEXT), "last_error": or_null(TEXT), "group": or_null(TEXT), "started_at": or_null(NUMBER),
    "heard_at": or_null(NUMBER),
}  # fmt: skip

#: values, names of those cut short, how many are not there, and since when that is so (epoch seconds)
_CONTEXT: dict[str, Any] = {
    "context": or_null(OBJECT), "context_cut": list_of(TEXT), "context_left_out": WHOLE, "context_at": or_null(NUMBER),
}  # fmt: skip

_JOB: dict[str, Any] = {
    "id": WHOLE, "job_id": TEXT, "job_type": TEXT, "machine_type": or_null(TEXT), "source_job_id": or_null(TEXT),
    "data": ANY, "result": ANY, "priority": WHOLE,
    "status": {"enum": list(job.STATUSES)},
    "created_at": or_null(TEXT), "started_at": or_null(TEXT), "completed_at": or_null(TEXT),
    "created_at_s": or_null(NUMBER), "started_at_s": or_null(NUMBER), "completed_at_s": or_null(NUMBER),
    "error_message": or_null(TEXT), "metadata": ANY, "attempts": WHOLE, "max_attempts": WHOLE,
    "due_at": or_null(NUMBER), "owner": or_null(TEXT), "lease_until": or_null(NUMBER),
    "unique_key": or_null(TEXT), "machine": or_null(TEXT), "time_limit_s": or_null(NUMBER),
    "backoff_s": NUMBER,
}  # fmt: skip

_STEP: dict[str, Any] = {
    "id": WHOLE,
    "from": or_null(TEXT),
    "to": or_null(TEXT),
    "event": or_null(TEXT),
    "timestamp": NUMBER,
}

_DEFINITION = shape(
    title=or_null(TEXT),
    description=or_null(TEXT),
    initial_state=TEXT,
    states=list_of(
        shape(name=TEXT, group=or_null(TEXT), description=or_null(TEXT), outcome=or_null(TEXT), actions=list_of(TEXT))
    ),
    events=list_of(TEXT),
    transitions=list_of(
        {
            **shape(event=TEXT, to=TEXT, internal=FLAG, timeout_s=or_null(NUMBER), actions=list_of(TEXT)),
            "description": "`from` is a state or *.",
        }
    ),
    final=list_of(TEXT),
    groups={"type": "object", "additionalProperties": list_of(TEXT)},
    template=FLAG,
)

_SENT: dict[str, Any] = {"event_id": WHOLE, "running": FLAG, "delivered": FLAG, "machine_name": TEXT, "type": TEXT}

SCHEMAS: dict[str, Json] = {
    "Error": shape(optional=("hint",), error=TEXT, hint=TEXT),
    "Object": OBJECT,
    "Health": shape(
        status={"const": "ok"}, connections=WHOLE, last_event_time=or_null(NUMBER),
        seconds_since_last_event=or_null(NUMBER), unix_socket_active=FLAG,
    ),
    "Ready": shape(ready=FLAG, error=or_null(TEXT)),
    "Initial": shape(
        optional=("error",), type={"const": "initial"}, machines=list_of(ref("Machine")), timestamp=NUMBER,
        last_id=WHOLE, read_only=FLAG, error=TEXT,
    ),
    "Config": shape(
        websocket_url=TEXT, websocket_port=or_null(WHOLE), ui_port=or_null(WHOLE), read_only=FLAG, version=TEXT,
        project=TEXT, title=TEXT, csrf_token=TEXT,
    ),
    "Machine": shape(**_MACHINE),
    "Machines": shape(items=list_of(ref("Machine")), total=WHOLE),
    "MachineDetails": shape(
        **_MACHINE,
        definition=or_null(_DEFINITION),
        allowed_events=list_of(TEXT),
        **_CONTEXT,
        counts=list_of({"type": "object", "required": ["from", "to", "event", "count"]}),
        actions=list_of(shape(type=TEXT, count=WHOLE, failures=WHOLE, mean_s=NUMBER, p95_s=NUMBER)),
        last_id=WHOLE,
    ),
    "MachineContext": shape(**_CONTEXT),
    "Stay": {**shape(**_STEP, duration_s=or_null(NUMBER))},
    "Timeline": _page("Stay"),
    "Event": shape(
        id=WHOLE, machine_name=or_null(TEXT), type=TEXT, event_type=TEXT, payload=ANY, timestamp=NUMBER
    ),
    "Events": _page("Event", last_id=WHOLE),
    "Activity": shape(minutes=WHOLE, counts=list_of(WHOLE)),
    "Activities": shape(minutes=WHOLE, machines={"type": "object", "additionalProperties": list_of(WHOLE)}),
    "Schedules": shape(items=list_of(OBJECT), total=WHOLE),
    "Job": shape(**_JOB),
    "Attempt": shape(
        number=WHOLE, attempt=WHOLE, machine=or_null(TEXT), owner=or_null(TEXT),
        started_at=or_null(TEXT), ended_at=TEXT, started_at_s=or_null(NUMBER), ended_at_s=or_null(NUMBER),
        outcome={"enum": list(OUTCOMES)}, error_message=or_null(TEXT), output=or_null(TEXT),
    ),
    "Jobs": _page("Job", counts={"type": "object", "additionalProperties": WHOLE}, total=WHOLE),
    "JobDetails": shape(
        **_JOB,
        attempt_history=list_of(ref("Attempt")),
        history=list_of(
            shape(id=WHOLE, type=TEXT, machine=or_null(TEXT), error_message=or_null(TEXT), timestamp=NUMBER)
        ),
        path=list_of(shape(**_STEP)),
    ),
    "Changed": shape(
        items=list_of(shape(optional=("error", "status"), job_id=TEXT, ok=FLAG, error=TEXT, status=TEXT)),
        total=WHOLE,
        done=WHOLE,
    ),
    "Sent": shape(**_SENT),
    "Stopped": {"anyOf": [shape(**_SENT), shape(machine_name=TEXT, pid=WHOLE, signal=TEXT)]},
    "Diagram": shape(machine_name=TEXT, diagram=TEXT),
    "NamedDiagram": shape(machine_name=TEXT, diagram_name=TEXT, mermaid_code=TEXT, metadata=OBJECT),
}  # fmt: skip

BODIES: dict[str, Json] = {
    name: {**schema, "additionalProperties": False}
    for name, schema in {
        "Nothing": shape(),
        "NewEvent": shape(
            optional=("payload", "job_id"), type={**GIVEN, "maxLength": 256}, payload=ANY, job_id=or_null(GIVEN)
        ),
        "Stop": shape(optional=("process",), process=or_null(FLAG)),
        "NewJob": shape(
            optional=(
                "job_id", "machine_type", "payload", "priority", "delay_s", "max_attempts", "source_job_id",
                "unique_key", "time_limit_s", "backoff_s",
            ),
            job_type=GIVEN,
            job_id=or_null(GIVEN),
            machine_type=or_null(GIVEN),
            payload=ANY,
            priority=or_null({"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}),
            delay_s=or_null({"type": "number", "minimum": 0, "maximum": TEN_YEARS_S}),
            max_attempts=or_null({"type": "integer", "minimum": 1, "maximum": LARGEST}),
            source_job_id=or_null(GIVEN),
            unique_key=or_null(GIVEN),
            time_limit_s=or_null({"type": "number", "minimum": 0, "maximum": TEN_YEARS_S}),
            backoff_s=or_null({"type": "number", "minimum": 0, "maximum": TEN_YEARS_S}),
        ),
        "Bulk": shape(
            action={"enum": ["retry", "cancel"]},
            ids={"type": "array", "items": GIVEN, "minItems": 1, "maxItems": 1000},
        ),
    }.items()
}  # fmt: skip

"""JSON schemas of the API's answers and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...actors.processes import liveness
from ...storage.jobs import job
from ...storage.jobs.attempts import OUTCOMES
from ..query import LARGEST, LONGEST_TEXT, TEN_YEARS_S

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
ANY: Json = {}
OBJECT: Json = {"type": "object"}

#: a text that the database can store
GIVEN: Json = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}


def ref(name: str) -> Json:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(*, optional: Sequence[str] = (), required: list[str] | None = None, **properties: Json) -> Json:
    """Return the schema of an object; later versions may add keys."""
    required = required or [key for key in properties if key not in optional]
    return {"type": "object", "properties": properties, "required": required}


def or_null(schema: Json) -> Json:
    """Return the same schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


NULL_TEXT, NULL_NUMBER, NULL_GIVEN = or_null(TEXT), or_null(NUMBER), or_null(GIVEN)
SECONDS = or_null({"type": "number", "minimum": 0, "maximum": TEN_YEARS_S})


def list_of(schema: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def _page(item: str, **more: Json) -> Json:
    properties: dict[str, Any] = {"items": list_of(ref(item)), "next_cursor": or_null(WHOLE), **more}
    return shape(**properties)


_MACHINE: dict[str, Any] = {
    "machine_name": TEXT, "current_state": NULL_TEXT, "last_activity": NULL_NUMBER, "state_since": NULL_NUMBER,
    "running": FLAG, "status": {"enum": list(liveness.STATUSES)}, "pid": or_null(WHOLE), "host": NULL_TEXT,
    "config_type": NULL_TEXT, "template": FLAG, "metadata": ANY, "current_job": NULL_TEXT, "last_error": NULL_TEXT,
    "group": NULL_TEXT, "started_at": NULL_NUMBER, "heard_at": NULL_NUMBER,
}  # fmt: skip

#: values, names of shortened ones, the number left out, and the epoch seconds of the last change
_CONTEXT: dict[str, Any] = {
    "context": or_null(OBJECT), "context_cut": list_of(TEXT), "context_left_out": WHOLE, "context_at": NULL_NUMBER,
}  # fmt: skip

_JOB: dict[str, Any] = {
    "id": WHOLE, "job_id": TEXT, "job_type": TEXT, "machine_type": NULL_TEXT, "source_job_id": NULL_TEXT, "data": ANY,
    "result": ANY, "priority": WHOLE, "status": {"enum": list(job.STATUSES)}, "created_at": NULL_TEXT,
    "started_at": NULL_TEXT, "completed_at": NULL_TEXT, "created_at_s": NULL_NUMBER, "started_at_s": NULL_NUMBER,
    "completed_at_s": NULL_NUMBER, "error_message": NULL_TEXT, "metadata": ANY, "attempts": WHOLE,
    "max_attempts": WHOLE, "due_at": NULL_NUMBER, "owner": NULL_TEXT, "lease_until": NULL_NUMBER,
    "unique_key": NULL_TEXT, "machine": NULL_TEXT, "time_limit_s": NULL_NUMBER, "backoff_s": NUMBER,
}  # fmt: skip

_TRANSITION: dict[str, Any] = {"id": WHOLE, "from": NULL_TEXT, "to": NULL_TEXT, "event": NULL_TEXT, "timestamp": NUMBER}

_DEFINITION = shape(
    title=NULL_TEXT,
    description=NULL_TEXT,
    initial_state=TEXT,
    states=list_of(shape(name=TEXT, group=NULL_TEXT, description=NULL_TEXT, outcome=NULL_TEXT, actions=list_of(TEXT))),
    events=list_of(TEXT),
    transitions=list_of(
        {
            **shape(event=TEXT, to=TEXT, internal=FLAG, timeout_s=NULL_NUMBER, actions=list_of(TEXT)),
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
        status={"const": "ok"}, connections=WHOLE, last_event_time=NULL_NUMBER,
        seconds_since_last_event=NULL_NUMBER, unix_socket_active=FLAG,
    ),
    "Ready": shape(ready=FLAG, error=NULL_TEXT),
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
    "Visit": shape(**_TRANSITION, duration_s=NULL_NUMBER),
    "Timeline": _page("Visit"),
    "Event": shape(
        id=WHOLE, machine_name=NULL_TEXT, type=TEXT, event_type=TEXT, payload=ANY, timestamp=NUMBER
    ),
    "Events": _page("Event", last_id=WHOLE),
    "Activity": shape(minutes=WHOLE, counts=list_of(WHOLE)),
    "Activities": shape(minutes=WHOLE, machines={"type": "object", "additionalProperties": list_of(WHOLE)}),
    "Schedules": shape(items=list_of(OBJECT), total=WHOLE),
    "Job": shape(**_JOB),
    "Attempt": shape(
        number=WHOLE, attempt=WHOLE, machine=NULL_TEXT, owner=NULL_TEXT,
        started_at=NULL_TEXT, ended_at=TEXT, started_at_s=NULL_NUMBER, ended_at_s=NULL_NUMBER,
        outcome={"enum": list(OUTCOMES)}, error_message=NULL_TEXT, output=NULL_TEXT,
    ),
    "Jobs": _page("Job", counts={"type": "object", "additionalProperties": WHOLE}, total=WHOLE),
    "JobDetails": shape(
        **_JOB,
        attempt_history=list_of(ref("Attempt")),
        history=list_of(
            shape(id=WHOLE, type=TEXT, machine=NULL_TEXT, error_message=NULL_TEXT, timestamp=NUMBER)
        ),
        path=list_of(shape(**_TRANSITION)),
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
            optional=("payload", "job_id"), type={**GIVEN, "maxLength": 256}, payload=ANY, job_id=NULL_GIVEN
        ),
        "Stop": shape(optional=("process",), process=or_null(FLAG)),
        "NewJob": shape(
            required=["job_type"], job_type=GIVEN, job_id=NULL_GIVEN, machine_type=NULL_GIVEN, payload=ANY,
            priority=or_null({"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}),
            max_attempts=or_null({"type": "integer", "minimum": 1, "maximum": LARGEST}),
            source_job_id=NULL_GIVEN, unique_key=NULL_GIVEN, delay_s=SECONDS, time_limit_s=SECONDS, backoff_s=SECONDS,
        ),
        "Bulk": shape(
            action={"enum": ["retry", "cancel"]},
            ids={"type": "array", "items": GIVEN, "minItems": 1, "maxItems": 1000},
        ),
    }.items()
}  # fmt: skip

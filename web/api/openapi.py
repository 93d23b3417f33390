"""The description of the API, served at /api/openapi.json."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Blueprint, Response

from ...actors.processes import liveness
from ...storage.jobs import job
from ..answers import reply
from ..query import LONGEST_TEXT, MAX_ID
from ..settings import version
from .events import LEVELS
from .openapi_schemas import BODIES, SCHEMAS, ref

Json = dict[str, Any]

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/api/openapi.json")
def document() -> Response:
    """Return the document."""
    return reply(whole())


@cache
def whole() -> Json:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "statemachine-engine monitor",
            "version": version(),
            "description": "Machines and jobs, their history, and writes of an operator. The same events "
            "stream over a WebSocket at /ws/events. Writes need the X-CSRF-Token of /api/config.",
        },
        "paths": {
            path: {m: _operation(path, m, *said) for m, said in methods.items()} for path, methods in PATHS.items()
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


# Helpers


def _integer(name: str, low: int, high: int, text: str) -> Json:
    return _query(name, {"type": "integer", "minimum": low, "maximum": high}, text)


def _text(name: str, text: str) -> Json:
    return _query(name, {"type": "string", "maxLength": LONGEST_TEXT, "pattern": r"^[^\u0000\ud800-\udfff]*$"}, text)


def _choice(name: str, values: tuple[str, ...], text: str) -> Json:
    return _query(name, {"type": "string", "enum": [*values, ""]}, f"{text} Empty: any.")


def _query(name: str, schema: Json, text: str) -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": text}


LIMIT = _integer("limit", 1, 1000, "Largest number of items.")
BEFORE = _integer("before", 0, MAX_ID, "Only events of lower ids: the last page's next_cursor.")
MINUTES = _integer("minutes", 1, 60, "Number of minutes.")
MACHINE = _text("machine", "Names of machines, separated by commas.")
TYPE = _text("type", "Types, separated by commas.")
LEVEL = _choice("level", LEVELS, "Level.")
SINCE = _integer("since", 0, MAX_ID, "Only events of higher ids, in the order of ids.")
HISTORY = [LIMIT, SINCE, BEFORE, LEVEL]
MACHINE_FILTERS = [
    _text("q", "Text in name, state, configuration, error or job."),
    _choice("status", liveness.STATUSES, "Status."),
]
JOB_FILTERS = [
    LIMIT,
    _integer("cursor", 0, MAX_ID, "The last page's next_cursor."),
    _choice("status", job.STATUSES, "Status; may be repeated."),
    _text("type", "Type."),
    _text("machine", "Machine that claimed it last."),
    _text("machine_type", "Machine type."),
    _text("q", "Text in id, payload, result or error."),
]

#: path -> method -> (summary, parameters, schema of the answer, status[, schema of the body])
PATHS: dict[str, dict[str, tuple[Any, ...]]] = {
    "/health": {"get": ("Check that the server lives.", [], "Health", 200)},
    "/ready": {"get": ("Check that the database can be read; 503 if not.", [], "Ready", 200)},
    "/initial": {"get": ("The first message of the stream.", [], "Initial", 200)},
    "/api/config": {"get": ("The address of the stream, and what is allowed.", [], "Config", 200)},
    "/api/machines": {"get": ("All machines ever seen.", MACHINE_FILTERS, "Machines", 200)},
    "/api/machines/{name}": {"get": ("One machine and its definition.", [], "MachineDetails", 200)},
    "/api/machines/{name}/context": {"get": ("Its context.", [], "MachineContext", 200)},
    "/api/machines/{name}/timeline": {"get": ("Its transitions, newest first.", [LIMIT, BEFORE], "Timeline", 200)},
    "/api/machines/{name}/errors": {"get": ("Its errors.", HISTORY, "Events", 200)},
    "/api/machines/{name}/log": {"get": ("Everything it recorded.", [*HISTORY, TYPE], "Events", 200)},
    "/api/machines/{name}/activity": {"get": ("Events in each of the last minutes.", [MINUTES], "Activity", 200)},
    "/api/machines/{name}/events": {"post": ("Send it an event.", [], "Sent", 202, "NewEvent")},
    "/api/machines/{name}/stop": {"post": ("Send `stop`, or end its process.", [], "Stopped", 202, "Stop")},
    "/api/activity": {"get": ("Events in each of the last minutes, for every machine.", [MINUTES], "Activities", 200)},
    "/api/events": {
        "get": ("The audit log, newest first, or after `since`.", [*HISTORY, MACHINE, TYPE], "Events", 200)
    },
    "/api/transitions": {"get": ("State changes.", [*HISTORY, MACHINE], "Events", 200)},
    "/api/errors": {"get": ("Errors.", [*HISTORY, MACHINE], "Events", 200)},
    "/api/schedules": {"get": ("All schedules.", [], "Schedules", 200)},
    "/api/jobs": {
        "get": ("Jobs, newest first.", JOB_FILTERS, "Jobs", 200),
        "post": ("Add a job.", [], "Job", 201, "NewJob"),
    },
    "/api/jobs/bulk": {"post": ("Retry or cancel many.", [], "Changed", 200, "Bulk")},
    "/api/jobs/{job_id}": {"get": ("One job, with its attempts and transitions.", [], "JobDetails", 200)},
    "/api/jobs/{job_id}/retry": {"post": ("Put it back in the queue.", [], "Job", 200, "Nothing")},
    "/api/jobs/{job_id}/cancel": {"post": ("Take it out of the queue.", [], "Job", 200, "Nothing")},
    "/api/diagram/{machine}": {"get": ("The whole machine as Mermaid.", [], "Diagram", 200)},
    "/api/diagram/{machine}/metadata": {"get": ("The list of diagrams.", [], "Object", 200)},
    "/api/diagram/{machine}/{diagram}": {"get": ("One diagram.", [], "NamedDiagram", 200)},
}

#: (path, method) -> (status, text) of a further answer of the same schema
OTHER_ANSWERS = {
    ("/ready", "get"): ("503", "Not ready."),
    ("/api/jobs", "post"): ("200", "Nothing added: this unfinished job has the same unique_key."),
}


def _operation(
    path: str, method: str, summary: str, parameters: list[Json], answer: str, status: int, body: str | None = None
) -> Json:
    found: Json = {
        "summary": summary,
        "operationId": f"{method} {path}",
        "parameters": [*_path_parameters(path), *parameters],
        "responses": {str(status): _response("The answer.", answer), "default": _response("An error.", "Error")},
    }
    if (path, method) in OTHER_ANSWERS:
        other, text = OTHER_ANSWERS[path, method]
        found["responses"][other] = _response(text, answer)
    if body is not None:
        found["requestBody"] = {
            "required": body != "Nothing", "content": {"application/json": {"schema": BODIES[body]}}
        }  # fmt: skip
        found["security"] = [{}, {"token": []}]
    return found


def _path_parameters(path: str) -> list[Json]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _response(text: str, schema: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": ref(schema)}}}

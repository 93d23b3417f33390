"""The API and its description agree: called with everything that the description allows, and with what it does not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from statemachine_engine.storage import jobs
from statemachine_engine.web.api.openapi import PATHS
from statemachine_engine.web.app import create_app, monitor_of

#: a route and kind; `SCHEMA_EXAMPLES=200 pytest tests/web/api/test_openapi.py` looks further
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "15"))

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection, unsupported_method,
]  # fmt: skip

#: routes that are no part of the API proper: the page, its ways in and out, and what never ends
BESIDE = {"/", "/login", "/csp-report", "/static/<path:filename>", "/ws", "/ws/events", "/api/stream", "/metrics",
          "/api/openapi.json"}  # fmt: skip
CONFIG = """
initial_state: waiting
# the machine of the schema's tests
states: [waiting, working, done]
state_groups: {BUSY: [working]}
final: [done]
transitions:
  - {from: waiting, to: working, event: go}
  - {from: working, to: waiting, event: back}
  - {from: '*', to: done, event: stop}
  - {from: working, to: waiting, event: timeout(5)}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("api")
    (folder / "worker.yaml").write_text(CONFIG, encoding="utf-8")
    app = create_app(
        folder / "store.db", project_root=folder, event_socket=str(folder / "e"), control_prefix=str(folder / "c")
    )
    monitor = monitor_of(app)
    monitor.feed.start()
    fill(monitor.store.db, folder)
    yield app
    monitor.close()


def fill(db: Any, folder: Path) -> None:
    """Store one row of every kind."""
    from statemachine_engine.storage import audit, machines

    machines.acquire(
        db, "worker", incarnation="here/1/2/abc", pid=1, host="elsewhere", config_type="worker", state="waiting",
        control_socket=None, is_alive=lambda row: True, metadata={"config_path": str(folder / "worker.yaml")},
    )  # fmt: skip
    change = {"from_state": "waiting", "to_state": "working", "event_trigger": "go"}
    audit.write(db, [audit.Note("worker", "state_change", change, db.now()), audit.Note("worker", "error", {}, 1.0)])
    for number, status in enumerate(("pending", "failed", "cancelled")):
        jobs.enqueue(db, f"job-{number}", "work", data={"n": number})
        if status == "failed":
            jobs.fail(db, f"job-{number}", "broken")
        elif status == "cancelled":
            jobs.cancel(db, f"job-{number}")


@pytest.fixture(scope="module")
def schema(app: Any) -> Any:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", app)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), [(path, method) for path in PATHS for method in PATHS[path]])
def test_a_route_answers_as_the_document_says(
    app: Any, schema: Any, path: str, method: str, mode: GenerationMode
) -> None:
    headers = {"X-CSRF-Token": monitor_of(app).csrf_token}

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    with contextlib.suppress(Unsatisfiable, schemathesis.errors.InvalidSchema):  # nothing there that could be wrong
        check()


def test_known_names_are_answered_as_the_document_says(app: Any, schema: Any) -> None:
    """Cover names that random values hardly ever hit."""
    names = {"name": "worker", "machine": "worker", "diagram": "main", "job_id": "job-1"}
    client = app.test_client()
    for path, methods in PATHS.items():
        if "get" in methods:
            answer = client.get(path.format(**names))
            assert answer.status_code == 200, (path, answer.json)
            case = schema[path]["GET"].Case(path_parameters=names)
            case.call_and_validate(checks=CHECKS[:4])


def test_no_route_is_left_out_of_the_document(app: Any) -> None:
    def braces(rule: str) -> str:
        for converter in ("path:", "any(retry, cancel):"):
            rule = rule.replace(converter, "")
        return rule.replace("<", "{").replace(">", "}")

    rules = {rule.rule for rule in app.url_map.iter_rules()} - BESIDE
    described = {path for path in PATHS if not path.endswith(("/retry", "/cancel"))}
    assert {braces(rule) for rule in rules} == described | {"/api/jobs/{job_id}/{action}"}


def test_the_document_is_one(app: Any) -> None:
    document = app.test_client().get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"].endswith(".")

"""Machines over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.machine.context_publisher import shown
from statemachine_engine.storage import audit, durations, jobs, machines
from statemachine_engine.storage.contexts import ContextRow
from statemachine_engine.storage.durations import DurationCount
from tests.support.until import until
from tests.web.conftest import RUN, Site

CONFIG = """
initial_state: waiting
states: [waiting, working, done]
state_groups: {BUSY: [working]}
final: [done]
actions: {working: [{type: log, message: hi}]}
transitions:
  - {from: waiting, to: working, event: go}
  - {from: working, to: waiting, event: back}
  - {from: working, to: waiting, event: timeout(5)}
  - {from: '*', to: done, event: stop}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "worker.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def seen(site: Site, last_id: int) -> None:
    """Wait until the feed has read this event."""
    until(lambda: site.monitor.feed.backlog.end.id >= last_id)


def one(site: Site, name: str) -> dict[str, Any]:
    machine: dict[str, Any] = site.get(f"/api/machines/{name}")
    return machine


def test_a_machine_is_shown_with_its_state_and_since_when(site: Site, config: Path) -> None:
    site.start("worker", config)
    moved = site.move("worker", "waiting", "working")
    again = site.move("worker", "working", "working", "again")
    seen(site, again)
    (machine,) = site.get("/api/machines")["items"]

    entered = audit.since(site.db, moved - 1, 1)[0].timestamp
    assert machine["current_state"] == "working"
    assert machine["state_since"] == pytest.approx(entered, abs=0.002)
    assert (machine["running"], machine["status"], machine["group"]) == (True, "running", "BUSY")
    assert machine["host"] == "elsewhere"


def test_a_machine_whose_process_is_gone_is_dead(site: Site) -> None:
    import socket

    site.start("worker", host=socket.gethostname(), incarnation=f"{socket.gethostname()}/999999999/1/x")
    assert one(site, "worker")["status"] == "dead"
    assert one(site, "worker")["running"] is False


def test_a_machine_that_has_ended_says_so(site: Site) -> None:
    site.start("worker")
    machines.release(site.db, "worker", RUN)
    assert one(site, "worker")["status"] == "ended"


def test_its_job_and_its_last_error_are_shown(site: Site) -> None:
    site.start("worker")
    jobs.enqueue(site.db, "j1", "work")
    jobs.claim(site.db, owner=RUN)
    *_, last = site.happen(
        ("worker", "job_started", {"job_id": "j1", "job_type": "work"}),
        ("worker", "error", {"error_message": "it broke", "job_id": None}),
    )
    seen(site, last)
    machine = one(site, "worker")
    assert (machine["current_job"], machine["last_error"]) == ("j1", "it broke")

    jobs.complete(site.db, "j1")
    assert one(site, "worker")["current_job"] is None


def test_details_tell_what_it_is_and_what_it_takes_now(site: Site, config: Path) -> None:
    site.start("worker", config)
    site.move("worker", "waiting", "working")
    site.move("worker", "working", "waiting", "back")
    site.move("worker", "waiting", "working")
    machine = one(site, "worker")

    assert machine["allowed_events"] == ["back", "stop"]
    definition = machine["definition"]
    assert [state["name"] for state in definition["states"]] == ["waiting", "working", "done"]
    assert definition["final"] == ["done"]
    assert definition["groups"] == {"BUSY": ["working"]}
    assert definition["transitions"][2]["timeout_s"] == 5
    counts = [
        {"from": "waiting", "to": "working", "event": "go", "count": 2},
        {"from": "working", "to": "waiting", "event": "back", "count": 1},
    ]
    assert machine["counts"] == counts
    site.move("worker", "working", "waiting", "back")
    assert one(site, "worker")["counts"][1]["count"] == 2


def test_a_definition_that_is_gone_or_wrong_takes_nothing_else_away(site: Site, config: Path) -> None:
    site.start("worker", config)
    config.write_text("no: machine")
    machine = one(site, "worker")
    assert (machine["definition"], machine["allowed_events"]) == (None, [])


def test_a_definition_is_found_in_the_project_when_nobody_said_where_it_is(site: Site, config: Path) -> None:
    site.start("worker-7", config_type="worker")
    assert one(site, "worker-7")["definition"]["initial_state"] == "waiting"


def test_its_timeline_has_durations_page_by_page(site: Site) -> None:
    site.start("worker")
    moves = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]
    notes = [
        audit.Note("worker", "state_change", {"from_state": a, "to_state": b, "event_trigger": "go"}, 1000.0 + n * n)
        for n, (a, b) in enumerate(moves)
    ]
    audit.write(site.db, notes)
    first = site.get("/api/machines/worker/timeline?limit=3")
    second = site.get(f"/api/machines/worker/timeline?limit=3&before={first['next_cursor']}")

    assert [(item["to"], item["duration_s"]) for item in first["items"]] == [("e", None), ("d", 5), ("c", 3)]
    assert [(item["to"], item["duration_s"]) for item in second["items"]] == [("b", 1)]
    assert second["next_cursor"] is None


def test_its_errors_and_its_log_are_its_own(site: Site) -> None:
    site.start("worker")
    site.happen(
        ("worker", "error", {"error_message": "x"}), ("other", "error", {"error_message": "y"}),
        ("worker", "activity_log", {"message": "m", "level": "warning"}),
        ("worker", "activity_log", {"message": "n", "level": "info"}),
    )  # fmt: skip
    errors = site.get("/api/machines/worker/errors")["items"]
    warnings = site.get("/api/machines/worker/log?level=warning")["items"]
    lines = site.get("/api/machines/worker/log?type=activity_log")["items"]

    assert [event["payload"]["error_message"] for event in errors] == ["x"]
    assert [event["payload"]["message"] for event in warnings] == ["m"]
    assert [event["payload"]["message"] for event in lines] == ["n", "m"]


def test_its_activity_is_counted_by_the_minute(site: Site) -> None:
    site.start("worker")
    *_, last = site.happen(*[("worker", "activity_log", {})] * 7)
    seen(site, last)

    counts = site.get("/api/machines/worker/activity?minutes=15")["counts"]
    assert len(counts) == 15
    assert sum(counts[-2:]) == 7
    assert sum(site.get("/api/activity?minutes=5")["machines"]["worker"]) == 7


def test_listings_are_searched(site: Site) -> None:
    for name in ("alpha", "beta", "alphabet"):
        site.start(name)
    machines.release(site.db, "beta", RUN)

    def names(query: str) -> list[str]:
        return [machine["machine_name"] for machine in site.get(f"/api/machines?{query}")["items"]]

    assert names("q=ALPHA") == ["alpha", "alphabet"]
    assert names("status=ended") == ["beta"]
    assert names("q=bet&status=running") == ["alphabet"]


@pytest.mark.parametrize("rest", ["", "/timeline", "/errors", "/log", "/activity"])
def test_a_machine_that_nobody_has_seen_is_not_found(site: Site, rest: str) -> None:
    answer = site.ask(f"/api/machines/nobody{rest}")
    assert answer.status == 404
    assert "nobody" in answer.json["error"]


def test_a_thousand_machines_are_listed_fast_enough(site: Site) -> None:
    with site.db.write():
        for number in range(1000):
            site.start(f"m{number:04}", host="elsewhere")
    import time

    began_s = time.monotonic()
    assert site.get("/api/machines")["total"] == 1000
    assert time.monotonic() - began_s < 10


def test_the_context_is_what_the_machine_left_last_and_its_values_are_data(site: Site) -> None:
    site.start("worker")
    nothing = {"context": None, "context_cut": [], "context_left_out": 0, "context_at": None}
    assert site.get("/api/machines/worker/context") == nothing
    text = shown({"page": "<b>&", "many": ["x" * 100] * 200, "nan": float("nan"), "what": object()})
    audit.write(site.db, [ContextRow("worker", shown({}), 1.0), ContextRow("worker", text, 2.5)])

    found = site.get("/api/machines/worker/context")
    assert found["context"].pop("many").startswith('["xxx')
    assert found == {
        "context": {"page": "<b>&", "nan": None},
        "context_cut": ["many"],
        "context_left_out": 1,
        "context_at": 2.5,
    }
    assert one(site, "worker")["context"]["page"] == "<b>&"
    assert site.ask("/api/machines/nobody/context").status == 404


def test_how_long_its_actions_take_is_shown_for_all_of_its_definition(site: Site) -> None:
    site.start("worker-1", config_type="worker")
    durations.add(site.db, [DurationCount("worker", "bash", 5, 4, 1, 1.0), DurationCount("other", "log", 0, 1, 0, 0.0)])
    (bash,) = one(site, "worker-1")["actions"]
    assert bash == {"type": "bash", "count": 4, "failures": 1, "mean_s": 0.25, "p95_s": 0.25}

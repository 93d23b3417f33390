"""The audit log over HTTP."""

from __future__ import annotations

from typing import Any

from statemachine_engine.storage import schedules
from statemachine_engine.storage.schedules import ScheduleRow
from statemachine_engine.web.api import events
from tests.web.conftest import Site


def ids(answer: Any) -> list[int]:
    return [event["id"] for event in answer["items"]]


def test_it_is_read_backwards_and_forwards(site: Site) -> None:
    written = site.happen(*[("m", "activity_log", {"message": str(n)}) for n in range(7)])
    newest = site.get("/api/events?limit=3")
    older = site.get(f"/api/events?limit=3&before={newest['next_cursor']}")
    since = site.get(f"/api/events?limit=3&since={written[1]}")
    rest = site.get(f"/api/events?limit=3&since={since['next_cursor']}")

    assert ids(newest) == written[:3:-1]
    assert ids(older) == written[3:0:-1]
    assert (ids(since), ids(rest)) == (written[2:5], written[5:])
    assert rest["next_cursor"] is None
    assert newest["last_id"] in (written[-1], 0) or newest["last_id"] <= written[-1]


def test_it_is_filtered(site: Site) -> None:
    site.happen(
        ("a", "activity_log", {"message": "1", "level": "WARN"}),
        ("b", "activity_log", {"message": "2"}),
        ("a", "error", {"error_message": "3"}),
        ("c", "state_change", {"from_state": "x", "to_state": "y", "event_trigger": "go"}),
        ("c", "unhandled", {"event": "go"}),
        ("c", "job_failed", {"job_id": "j"}),
    )  # fmt: skip

    def found(path: str) -> list[tuple[str, str]]:
        return [(event["machine_name"], event["type"]) for event in site.get(path)["items"]]

    assert found("/api/events?machine=a,b&type=activity_log") == [("b", "activity_log"), ("a", "activity_log")]
    assert found("/api/events?machine=a&machine=b&type=error") == [("a", "error")]
    assert found("/api/events?level=warning") == [("c", "unhandled"), ("a", "activity_log")]
    assert found("/api/events?level=error") == [("c", "job_failed"), ("a", "error")]
    assert found("/api/transitions") == [("c", "state_change")]
    assert found("/api/errors?machine=a") == [("a", "error")]


def test_a_rare_level_is_looked_for_a_while_and_then_on_the_next_page(site: Site, monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "CHUNK", 5)
    monkeypatch.setattr(events, "MOST_ROWS", 10)
    (rare,) = site.happen(("m", "error", {}))
    site.happen(*[("m", "activity_log", {})] * 15)
    pages, cursor = [], None
    while True:
        page = site.get("/api/events?level=error" + (f"&before={cursor}" if cursor else ""))
        pages.append(ids(page))
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert pages == [[], [rare]]


def test_schedules_are_listed(site: Site) -> None:
    schedules.register(site.db, ScheduleRow("s1", "m", "m", "* * * * *", "UTC", "add job", "x", 1000.0))
    (item,) = site.get("/api/schedules")["items"]
    assert (item["schedule_id"], item["next_at"]) == ("s1", 1000.0)

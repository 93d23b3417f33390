"""Commands about the past."""

from __future__ import annotations

from typing import Any

from statemachine_engine.storage import audit, jobs


def test_transitions_are_listed_newest_first_with_their_times(place: Any) -> None:
    database = place.open()
    for at, (old, new, event) in enumerate((("a", "b", "go"), ("b", "c", "on"))):
        payload = {"from_state": old, "to_state": new, "event_trigger": event}
        audit.write(database, [audit.Note("m", "state_change", payload, 1_800_000_000.0 + at)])

    rows = place.json("transition-history", "--machine", "m", "--limit", "50")

    assert [list(row.items()) for row in rows][1] == [
        ("id", 1), ("machine", "m"), ("from_state", "a"), ("to_state", "b"), ("event", "go"),
        ("timestamp", "2027-01-15 08:00:00.000"),
    ]  # fmt: skip
    assert [row["event"] for row in rows] == ["on", "go"]
    heading = place.db("transition-history").stdout.splitlines()[0]
    assert heading.split() == ["ID", "Machine", "From", "State", "To", "State", "Event", "Timestamp"]
    assert place.db("transition-history", "--machine", "x").output == "No state transitions found\n"


def test_hours_leave_out_what_is_older(place: Any) -> None:
    database = place.open()
    for age_s, event in ((7200, "old"), (60, "new")):
        note = audit.Note("m", "state_change", {"event_trigger": event}, database.now() - age_s)
        audit.write(database, [note])

    assert [row["event"] for row in place.json("transition-history", "--hours", "1")] == ["new"]
    assert len(place.json("transition-history", "--hours", "2.5")) == 2


def test_errors_are_listed_with_their_jobs(place: Any) -> None:
    database = place.open()
    audit.write(database, [audit.Note("m", "error", {"error_message": "x" * 70, "job_id": "j"}, database.now())])

    (row,) = place.json("error-history", "--machine", "m", "--hours", "1")

    assert list(row) == ["id", "machine", "error_message", "job_id", "timestamp"]
    assert row["error_message"] == "x" * 70
    assert "x" * 57 + "... " in place.db("error-history").stdout


def test_list_errors_gathers_errors_log_lines_and_failed_jobs(place: Any) -> None:
    database = place.open()
    now_s = database.now() - 60
    audit.write(
        database,
        [
            audit.Note("m", "error", {"error_message": "broke", "job_id": "j1"}, now_s),
            audit.Note("m", "activity_log", {"message": "fine", "level": "info"}, now_s + 1),
            audit.Note("m", "activity_log", {"message": "oh no", "level": "error"}, now_s + 2),
        ],
    )
    jobs.enqueue(database, "j2", "t")
    jobs.claim(database, owner="here/1/2/abc", machine="worker_1")
    jobs.fail(database, "j2", "gave up")

    rows = place.json("list-errors")

    assert [(row["type"], row["message"]) for row in rows] == [
        ("failed_job", "gave up"), ("activity_log", "oh no"), ("error", "broke"),
    ]  # fmt: skip
    assert rows[0]["machine"] == "worker_1"
    assert list(rows[0]) == ["type", "level", "event_name", "machine", "job_id", "message", "payload", "timestamp"]
    assert len(place.json("list-errors", "--limit", "1")) == 1
    assert place.db("list-errors").stdout.split()[:4] == ["Type", "Event", "Machine", "Job"]


def test_the_controllers_log_lines_are_shown_and_others_on_request(place: Any) -> None:
    database = place.open()
    audit.write(database, [audit.Note("controller", "activity_log", {"message": "hi", "level": "info"}, 1.0)])
    audit.write(database, [audit.Note("w", "activity_log", {"message": "ho", "level": "info"}, 2.0)])

    assert [row["message"] for row in place.json("controller-log")] == ["hi"]
    assert [row["message"] for row in place.json("controller-log", "--machine", "w", "--limit", "5")] == ["ho"]
    assert place.db("controller-log", "--machine", "x").output == "No log lines of machine 'x' found\n"

"""Tidying up from a shell."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine_engine.storage import jobs, mailbox
from tests.support.readonly import immutable


def test_cleanup_deletes_the_jobs_of_one_status(place: Any) -> None:
    for job_id in ("a", "b", "c"):
        place.db("add-job", job_id, "--type", "t")
    place.db("complete-job", "a")
    place.db("complete-job", "b")

    assert place.db("cleanup", "--status", "completed").output == "Deleted 2 completed jobs\n"
    assert [job["job_id"] for job in place.json("list")] == ["c"]
    assert place.db("cleanup", "--status", "completed").output == "No completed jobs to delete\n"


@pytest.mark.parametrize("chosen", ["pending", "completed", "failed", "cancelled"])
def test_cleanup_leaves_jobs_in_other_statuses_and_all_events(place: Any, chosen: str) -> None:
    for job_id in ("pending", "completed", "failed", "cancelled"):
        place.db("add-job", job_id, "--type", "t")
    place.db("complete-job", "completed")
    place.db("fail-job", "failed", "--reason", "r")
    place.db("cancel", "cancelled")
    place.db("send-event", "--target", "m", "--type", "e")

    assert place.db("cleanup", "--status", chosen).exit_code == 0

    assert {job["job_id"] for job in place.json("list")} == {"pending", "completed", "failed", "cancelled"} - {chosen}
    assert len(place.json("list-events")) == 1


@pytest.mark.parametrize(("status", "left"), [(None, set()), ("processed", {"pending"}), ("pending", {"processed"})])
def test_cleanup_events_leaves_other_statuses_and_all_jobs(place: Any, status: str | None, left: set[str]) -> None:
    place.db("add-job", "a", "--type", "t")
    place.db("complete-job", "a")
    for wanted in ("processed", "pending"):
        mailbox.post(place.open(), "m", wanted, status=wanted)

    assert place.db("cleanup-events", *(["--status", status] if status else [])).exit_code == 0

    assert {event["status"] for event in place.json("list-events")} == left
    assert [job["status"] for job in place.json("list")] == ["completed"]


def test_reset_processing_leaves_jobs_that_are_not_processing(place: Any) -> None:
    for job_id in ("held", "done", "failed", "waits"):
        place.db("add-job", job_id, "--type", "t")
    place.db("complete-job", "done")
    place.db("fail-job", "failed", "--reason", "r")
    jobs.claim(place.open(), job_id="held", owner="w")

    assert place.db("reset-processing", "--force").exit_code == 0

    statuses = {job["job_id"]: job["status"] for job in place.json("list")}
    assert statuses == {"held": "pending", "done": "completed", "failed": "failed", "waits": "pending"}
    assert place.json("details", "held")["attempts"] == 0


def test_cleanup_refuses_to_delete_what_is_being_worked_on(place: Any) -> None:
    place.db("add-job", "a", "--type", "t")
    jobs.claim(place.open(), owner="w")

    result = place.db("cleanup", "--status", "processing")

    assert (result.exit_code, result.output.startswith("WARNING: ")) == (0, True)
    assert len(place.json("list")) == 1


def test_reset_processing_takes_only_stuck_jobs_unless_forced(place: Any, received: Any) -> None:
    place.db("add-job", "a", "--type", "t")
    jobs.claim(place.open(), owner="w")
    worker = place.listen(place.machine("worker"))

    assert place.db("reset-processing").output == "No stuck processing jobs found\n"
    assert received(worker) == []
    assert place.db("reset-processing", "--force").output == "Reset 1 processing jobs to pending status\n"
    assert received(worker) == [{"bell": "jobs", "count": 1, "key": []}, {"bell": "done", "count": 1, "key": []}]
    assert place.json("details", "a")["status"] == "pending"


def test_cleanup_events_deletes_one_status_or_all(place: Any) -> None:
    place.db("send-event", "--target", "ui", "--type", "activity_log")
    place.db("send-event", "--target", "m", "--type", "e")

    assert place.db("cleanup-events", "--status", "processed").output == "Deleted 1 processed event\n"
    assert [event["target_machine"] for event in place.json("list-events")] == ["m"]
    assert place.db("cleanup-events").output == "Deleted 1 event\n"
    assert place.db("cleanup-events").output == "No events to delete\n"


@pytest.mark.parametrize(("answer", "exit_code", "left"), [("DELETE ALL DATA\n", 0, 0), ("yes\n", 1, 1), ("\n", 1, 1)])
def test_recreate_database_wants_the_exact_words(place: Any, answer: str, exit_code: int, left: int) -> None:
    place.db("add-job", "a", "--type", "t")

    result = place.db("recreate-database", stdin=answer)

    assert result.exit_code == exit_code
    assert len(place.json("list")) == left


def test_recreate_database_does_not_ask_when_forced_and_the_result_works(place: Any) -> None:
    place.db("add-job", "a", "--type", "t")
    place.machine("running")

    result = place.db("recreate-database", "--force")

    assert (result.exit_code, result.output) == (0, "✅ Database recreated successfully!\n")
    assert place.db("add-job", "a", "--type", "t").exit_code == 0
    assert place.json("machine-state") == []


def test_recreate_database_refuses_while_machines_run(place: Any) -> None:
    place.machine("worker")

    result = place.db("recreate-database", stdin="DELETE ALL DATA\n")

    assert result.exit_code == 1
    assert "machines run on this database: worker" in result.stderr
    assert "DELETE ALL DATA" not in result.output
    assert len(place.json("machine-state")) == 1


def test_recreate_database_refuses_what_it_cannot_do_before_it_asks(place: Any) -> None:
    with immutable(place.open().path):
        result = place.db("recreate-database", stdin="DELETE ALL DATA\n")

    assert result.exit_code == 1
    assert "can only be read, and nothing was changed" in result.stderr
    assert "DELETE ALL DATA" not in result.output

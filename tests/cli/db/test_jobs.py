"""Jobs from a shell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statemachine_engine.storage import jobs


def test_status_counts_the_jobs(place: Any) -> None:
    for job_id in ("a", "b", "c"):
        place.db("add-job", job_id, "--type", "t")
    place.db("fail-job", "a", "--reason", "because")

    assert place.db("status").output == (
        "Database Status:\n  Total jobs: 3\n  Pending: 2\n  Processing: 0\n  Completed: 0\n  Failed: 1\n"
        "  Scheduled: 0\n  Cancelled: 0\n"
    )
    assert place.json("status")["failed"] == 1


def test_jobs_are_listed_newest_first_and_filtered(place: Any) -> None:
    for number, kind in enumerate(("x", "y", "x")):
        place.db("add-job", f"j{number}", "--type", kind)
    place.db("complete-job", "j0")

    listed = place.db("list").stdout.splitlines()
    assert listed[0].split() == ["ID", "Type", "Status", "Created", "Updated"]
    assert [line.split()[0] for line in listed[1:]] == ["j2", "j1", "j0"]
    assert [job["job_id"] for job in place.json("list", "--type", "x", "--status", "pending")] == ["j2"]
    assert [job["job_id"] for job in place.json("list", "--limit", "1")] == ["j2"]


def test_an_empty_list_names_the_filters(place: Any) -> None:
    assert place.db("list").output == "No jobs found\n"
    assert place.db("list", "--type", "x", "--status", "failed").output == "No jobs (x) with status 'failed' found\n"


def test_details_show_payload_result_and_error(place: Any) -> None:
    place.db(
        "add-job", "j", "--type", "t", "--payload", '{"a": [1, 2]}', "--time-limit", "1m30s", "--backoff", "500ms"
    )  # fmt: skip
    place.db("fail-job", "j", "--reason", "out of paper")

    shown = place.db("details", "j").output

    assert shown.startswith("Job Details: j\n  Status: failed\n  Job Type: t\n")
    for line in ("  Error: out of paper\n", '  Payload: {"a": [1, 2]}\n', "  Attempts: 0 of 3\n", "  Created: 20"):
        assert line in shown
    assert "  Time Limit: 90 s\n  Back-off: 0.5 s\n" in shown


@pytest.mark.parametrize("line", ["details x", "complete-job x", "fail-job x --reason r", "remove-job x"])
def test_an_unknown_job_is_an_error(place: Any, line: str) -> None:
    result = place.db(*line.split())

    assert result.exit_code == 1
    assert "Job x not found (statemachine-db list shows the jobs)" in result.stderr
    assert result.stdout == ""


def test_an_operators_word_ends_a_job_in_any_status(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    assert place.db("fail-job", "j", "--reason", "r").output == "❌ Job j marked as failed!\n   Reason: r\n"
    assert place.db("complete-job", "j", "--result", '{"n": 1}').output == "✅ Job j marked as completed!\n"
    assert place.json("details", "j")["result"] == {"n": 1}


def test_the_end_of_a_job_is_its_status_result_and_error(place: Any) -> None:
    for job_id in ("done", "failed"):
        place.db("add-job", job_id, "--type", "t")
        jobs.claim(place.open(), job_id=job_id, owner="w")

    place.db("complete-job", "done", "--result", "[1]")
    place.db("fail-job", "failed", "--reason", "corrupt")

    rows = {job_id: place.json("details", job_id) for job_id in ("done", "failed")}
    fields = ("status", "result", "error_message", "lease_until")
    assert [rows["done"][key] for key in fields] == ["completed", [1], None, None]
    assert [rows["failed"][key] for key in fields] == ["failed", None, "corrupt", None]
    assert all(row["completed_at"] for row in rows.values())
    assert [row["attempt_history"][0]["outcome"] for row in rows.values()] == ["completed", "failed"]


def test_ending_a_job_notifies_waiting_machines_and_is_shown_to_the_monitor(place: Any, received: Any) -> None:
    waiting, monitor = place.listen(place.machine("controller")), place.listen(place.events)
    place.db("add-job", "j", "--type", "t")
    received(waiting)

    place.db("complete-job", "j")

    assert received(waiting) == [{"bell": "done", "count": 1, "key": ["j"]}]
    (envelope,) = received(monitor)
    assert (envelope["type"], envelope["payload"]) == ("job_completed", {"job_id": "j", "job_type": "t"})


def test_a_removed_job_is_gone(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    removed = place.db("remove-job", "j", "--reason", "twice")
    assert removed.output == "✅ Job j removed successfully!\n   Reason: twice\n"
    assert place.db("details", "j").exit_code == 1


def test_details_tell_each_attempt_with_the_end_of_its_output(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")
    database = place.open()
    jobs.claim(database, owner="run", machine="worker_1")
    jobs.retry(database, "j", owner="run", reason="no paper", output="tray 1\n\x1b[31mempty\n")
    jobs.claim(database, owner="run", machine="worker_2")
    jobs.complete(database, "j", owner="run")

    first, second = place.json("details", "j")["attempt_history"]
    assert (first["machine"], first["outcome"], first["error_message"]) == ("worker_1", "retried", "no paper")
    assert (second["machine"], second["outcome"], second["output"]) == ("worker_2", "completed", None)
    lines = place.db("details", "j").output.splitlines()
    at = next(number for number, line in enumerate(lines) if "no paper" in line and "retried" in line)
    assert lines[at].endswith("worker_1  attempt 1 retried: no paper")
    assert lines[at + 1 : at + 3] == ["    | tray 1", "    | \\x1b[31mempty"]
    assert lines[at + 3].endswith("worker_2  attempt 2 completed")


def test_jobs_are_listed_by_the_machine_that_took_them(place: Any) -> None:
    for name in ("a", "b"):
        place.db("add-job", name, "--type", "t")
    jobs.claim(place.open(), job_id="b", owner="run", machine="worker_1")

    assert [job["job_id"] for job in place.json("list", "--machine", "worker_1")] == ["b"]
    assert place.json("list", "--machine", "worker_2") == []


def test_a_lease_is_shown_as_a_time(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")
    jobs.claim(place.open(), owner="somebody")

    job = place.json("details", "j")

    assert job["owner"] == "somebody"
    assert job["lease_until"].startswith("20")


def test_json_output_survives_a_pipe(place: Any) -> None:
    place.db("add-job", "j", "--type", "tüpe", "--payload", '{"k": "ä"}')

    piped = place.shell("statemachine-db", "list", "--format", "json", "--status", "pending")

    assert (piped.returncode, piped.stderr) == (0, "")
    assert json.loads(piped.stdout)[0]["data"] == {"k": "ä"}

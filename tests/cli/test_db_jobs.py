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
    place.db("add-job", "j", "--type", "t", "--payload", '{"a": [1, 2]}')
    place.db("fail-job", "j", "--reason", "out of paper")

    shown = place.db("details", "j").output

    assert shown.startswith("Job Details: j\n  Status: failed\n  Job Type: t\n")
    for line in ("  Error: out of paper\n", '  Payload: {"a": [1, 2]}\n', "  Attempts: 0 of 3\n", "  Created: 20"):
        assert line in shown


@pytest.mark.parametrize("line", ["details x", "complete-job x", "fail-job x --reason r", "remove-job x"])
def test_an_unknown_job_is_an_error(place: Any, line: str) -> None:
    result = place.db(*line.split())

    assert result.exit_code == 1
    assert "Job x not found" in result.stderr
    assert result.stdout == ""


def test_an_operators_word_ends_a_job_in_any_status(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    assert place.db("fail-job", "j", "--reason", "r").output == "❌ Job j marked as failed!\n   Reason: r\n"
    assert place.db("complete-job", "j", "--result", '{"n": 1}').output == "✅ Job j marked as completed!\n"
    assert place.json("details", "j")["result"] == {"n": 1}


def test_ending_a_job_wakes_those_who_wait_and_is_shown_to_the_monitor(place: Any, received: Any) -> None:
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

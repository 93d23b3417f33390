"""Jobs from a shell."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.cli.db_jobs import REMOVED
from statemachine_engine.storage import jobs


def test_a_new_job_is_stored_with_its_payload_and_reported(place: Any) -> None:
    result = place.db("add-job", "job_001", "--type", "image_processing", "--payload", '{"input": "image.jpg"}')

    assert result.exit_code == 0
    assert result.output == (
        "✅ Job created successfully!\n   Job ID: job_001\n   Job Type: image_processing\n"
        "   Machine Type: any\n   Database ID: 1\n"
    )
    job = place.json("details", "job_001")
    assert (job["status"], job["data"], job["machine_type"]) == ("pending", {"input": "image.jpg"}, None)


def test_every_option_of_a_new_job_is_kept(place: Any) -> None:
    result = place.db(
        *shlex.split("add-job j --type t --machine-type w --priority 1 --source-job-id parent --max-attempts 7")
    )

    assert "   Machine Type: w\n" in result.output
    job = place.json("details", "j")
    assert [job[key] for key in ("machine_type", "priority", "source_job_id", "max_attempts")] == ["w", 1, "parent", 7]


def test_an_input_file_is_stored_by_its_absolute_path(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    Path("photo.jpg").touch()

    place.db(*shlex.split("""add-job j --type t --input-file photo.jpg --payload '{"prompt": "enhance"}'"""))

    data = place.json("details", "j")["data"]
    assert data == {"prompt": "enhance", "input_file_path": str(place.folder / "photo.jpg")}


def test_a_payload_that_is_no_object_keeps_its_input_file(place: Any) -> None:
    file = place.folder / "f"
    file.touch()

    place.db("add-job", "j", "--type", "t", "--input-file", str(file), "--payload", "[1]")

    assert place.json("details", "j")["data"] == {"payload": [1], "input_file_path": str(file)}


def test_a_missing_input_file_is_an_error_and_no_job_is_made(place: Any) -> None:
    result = place.db("add-job", "j", "--type", "t", "--input-file", "no/such")

    assert (result.exit_code, result.stderr) == (1, "Error: Input file not found: no/such\n")
    assert place.json("list") == []


def test_invalid_json_is_a_usage_error_and_no_job_is_made(place: Any) -> None:
    result = place.db("add-job", "j", "--type", "t", "--payload", "{broken")

    assert result.exit_code == 2
    assert "Error: Invalid JSON payload" in result.stderr
    assert place.json("list") == []


def test_a_job_id_is_taken_only_once(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    result = place.db("add-job", "j", "--type", "t")

    assert (result.exit_code, result.stderr) == (1, "❌ Error creating job: Job j exists already\n")


@pytest.mark.parametrize("flag", REMOVED)
def test_a_removed_flag_says_what_to_use_instead(place: Any, flag: str) -> None:
    result = place.db("add-job", "j", "--type", "t", flag, "x")

    assert result.exit_code == 2
    assert f"{flag} was removed in 1.0.3: use {REMOVED[flag]}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_new_job_rings_the_workers(place: Any, received: Any) -> None:
    listener = place.listen(place.machine("worker"))

    place.db("add-job", "j", "--type", "t", "--machine-type", "m")

    assert received(listener) == [{"bell": "jobs", "count": 1, "key": ["t", "m"]}]


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


@pytest.mark.parametrize(
    "line", ["details x", "complete-job x", "fail-job x --reason r", "remove-job x", "retry-job x", "cancel-job x"]
)
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


def test_a_failed_job_can_be_tried_again(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")
    place.db("fail-job", "j", "--reason", "r")

    assert place.db("retry-job", "j").output == "🔁 Job j is pending again\n"
    assert place.json("details", "j")["status"] == "pending"


def test_a_cancelled_job_is_kept_and_a_removed_one_is_not(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    place.db("cancel-job", "j")
    assert place.json("details", "j")["status"] == "cancelled"
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

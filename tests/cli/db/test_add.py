"""One job, from a shell and from cron's bare environment."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.cli.db.add import REMOVED
from statemachine_engine.storage.clock import from_text

HEAVY = (
    "peewee",
    "psycopg",
    "rich",
    "yaml",
    "pykka",
    "logging",
    "zoneinfo",
    "cronsim",
    "csv",
    "asyncio",
    "importlib.metadata",
)


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
    options = "--machine-type w --priority 1 --source-job-id parent --max-attempts 7 --time-limit 1m30s --backoff 2m"
    result = place.db(*shlex.split(f"add-job j --type t {options}"))

    assert "   Machine Type: w\n" in result.output
    job = place.json("details", "j")
    assert (job["time_limit_s"], job["backoff_s"]) == (90, 120)
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


def test_a_new_job_notifies_the_workers(place: Any, received: Any) -> None:
    listener = place.listen(place.machine("worker"))

    place.db("add-job", "j", "--type", "t", "--machine-type", "m")

    assert received(listener) == [{"bell": "jobs", "count": 1, "key": ["t", "m"]}]


def test_a_number_that_no_database_holds_is_refused_in_words(place: Any) -> None:
    result = place.db("add-job", "j1", "--type", "t", "--priority", "9" * 20)
    assert (result.exit_code, result.stderr.endswith(": a number is too large for it\n")) == (1, True)


def test_without_an_id_one_is_made(place: Any) -> None:
    result = place.db("add-job", "--type", "t")

    (job,) = place.json("list")
    assert re.fullmatch(r"[0-9a-f]{12}", job["job_id"])
    assert f"   Job ID: {job['job_id']}\n" in result.output


def test_ids_payload_and_file_are_filled_in(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.folder)
    Path(f"{socket.gethostname()}.csv").touch()
    payload = '{"day": "{date}", "at": ["{datetime}"], "mine": "{{date}} {id}"}'

    result = place.db(
        "add-job", "report-{date}-{uuid}", "--type", "t", "--payload", payload, "--input-file", "{host}.csv",
        "--source-job-id", "{host}", "--unique-key", "k-{date}",
    )  # fmt: skip

    assert result.exit_code == 0
    (job,) = place.json("list")
    day = f"{datetime.now():%Y-%m-%d}"
    assert re.fullmatch(rf"report-{day}-[0-9a-f-]{{36}}", job["job_id"])
    assert (job["data"]["day"], job["data"]["mine"]) == (day, "{date} {id}")
    assert job["data"]["input_file_path"] == str(place.folder / f"{socket.gethostname()}.csv")
    assert (job["source_job_id"], job["unique_key"]) == (socket.gethostname(), f"k-{day}")
    assert datetime.strptime(job["data"]["at"][0], "%Y%m%dT%H%M%S")


def test_if_absent_says_that_there_is_one_and_exits_0(place: Any) -> None:
    place.db("add-job", "j", "--type", "t")

    again = place.db("add-job", "j", "--type", "t", "--if-absent")

    assert (again.exit_code, again.output) == (0, "Job j exists already: nothing added\n")
    assert place.json("add-job", "j", "--type", "t", "--if-absent") == {"added": False, "job_id": "j"}
    assert len(place.json("list")) == 1


def test_a_unique_key_lets_one_job_in_until_it_is_done(place: Any) -> None:
    place.db("add-job", "first", "--type", "t", "--unique-key", "scan")

    again = place.db("add-job", "--type", "t", "--unique-key", "scan")

    assert again.exit_code == 0
    assert again.output == "Job first has the unique key scan and is not done: nothing added\n"
    place.db("complete-job", "first")
    assert place.json("add-job", "second", "--type", "t", "--unique-key", "scan")["added"] is True


def test_a_job_may_wait_for_some_time_or_for_its_time(place: Any) -> None:
    result = place.db("add-job", "in", "--type", "t", "--in", "10m")
    place.db("add-job", "at", "--type", "t", "--at", "2099-01-02T03:04:05Z")
    place.db("add-job", "past", "--type", "t", "--at", "2001-01-01 12:00")
    place.db("add-job", "clock", "--type", "t", "--at", "03:15")

    jobs = {job["job_id"]: job for job in place.json("list")}
    assert [jobs[name]["status"] for name in ("in", "at", "past", "clock")] == [
        "scheduled", "scheduled", "pending", "scheduled",
    ]  # fmt: skip
    assert "   Due: 20" in result.output
    assert from_text(jobs["in"]["due_at"]) - from_text(jobs["in"]["created_at"]) == pytest.approx(600, abs=0.01)
    assert jobs["at"]["due_at"] == "2099-01-02 03:04:05.000"
    due, created = from_text(jobs["clock"]["due_at"]), from_text(jobs["clock"]["created_at"])
    assert 0 < due - created <= 86400
    assert f"{datetime.fromtimestamp(due):%H:%M}" == "03:15"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("--in 5m --at 08:00", "--in and --at exclude each other"),
        ("--in soon", "is no duration"),
        ("--at noon", "'noon' is no time; write 2026-11-24 08:00"),
        ("--at 25:00", "is no time"),
        ("--unique-key ''", "it is empty"),
    ],
)
def test_a_wrong_time_is_a_usage_error(place: Any, args: str, said: str) -> None:
    result = place.db("add-job", "j", "--type", "t", *shlex.split(args))

    assert result.exit_code == 2
    assert said in result.stderr
    assert place.json("list") == []


def test_quiet_says_nothing_but_errors(place: Any) -> None:
    assert place.db("add-job", "j", "--type", "t", "--quiet").output == ""
    assert place.db("add-job", "j", "--type", "t", "--quiet", "--if-absent").output == ""
    refused = place.db("add-job", "j", "--type", "t", "--quiet")
    assert (refused.stdout, refused.exit_code) == ("", 1)
    assert "exists already" in refused.stderr


def test_json_tells_the_whole_job(place: Any) -> None:
    job = place.json("add-job", "--type", "t", "--payload", "[1]")

    assert (job["added"], job["data"], job["status"], job["priority"]) == (True, [1], "pending", 5)


def test_it_works_with_nothing_in_the_environment_but_the_database(place: Any) -> None:
    done = subprocess.run(
        ["/usr/bin/env", "-i", f"STATEMACHINE_DB={place.url}", str(place.bin / "statemachine-db"), "add-job",
         "ä-{date}", "--type", "t"],
        cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert place.json("list")[0]["job_id"].startswith("ä-20")


@pytest.mark.parametrize("dedupe", [["one-{date}", "--if-absent"], ["--unique-key", "one"]])
def test_overlapping_runs_add_one_job(place: Any, dedupe: list[str]) -> None:
    command = [str(place.bin / "statemachine-db"), "add-job", *dedupe, "--type", "t"]
    runs = [
        subprocess.Popen(command, cwd=place.folder, env=place.process_environ, stdout=-1, stderr=-1, text=True)
        for _ in range(6)
    ]
    said = [run.communicate(timeout=60) for run in runs]

    assert [run.returncode for run in runs] == [0] * 6, said
    assert sorted(out.startswith("✅") for out, _ in said) == [False] * 5 + [True]
    assert len(place.json("list")) == 1


def test_it_loads_nothing_that_is_slow_to_load(place: Any) -> None:
    program = (
        "import sys; from statemachine_engine.cli.db.main import db\n"
        "db(sys.argv[1:], standalone_mode=False)\n"
        f"print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    arguments = shlex.split("add-job 'a-{date}' --type t --if-absent --quiet --in 5m --payload '{}'")

    done = place.process([sys.executable, "-c", program, *arguments])

    assert (done.stdout, done.stderr) == ("\n", "")
    assert json.loads(place.shell("statemachine-db", "list", "--format", "json").stdout)

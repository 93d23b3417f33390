"""Jobs by the file, in and out."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest


def write(place: Any, name: str, rows: list[Any]) -> str:
    path: Path = place.folder / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def numbered(count: int) -> list[Any]:
    return [{"job_id": f"j{number}", "type": "t", "payload": {"n": number}} for number in range(count)]


def ids(place: Any) -> list[str]:
    return [job["job_id"] for job in reversed(place.json("list", "--limit", "1000"))]


def test_all_jobs_are_added_and_workers_are_notified(place: Any, received: Any) -> None:
    listener = place.listen(place.machine("worker"))
    file = write(place, "jobs.jsonl", numbered(25))

    result = place.db("add-jobs", file, "--batch", "10")

    assert (result.exit_code, result.output) == (0, "✅ 25 jobs added\n")
    assert ids(place) == [f"j{number}" for number in range(25)]
    assert place.json("details", "j7")["data"] == {"n": 7}
    assert [message["count"] for message in received(listener)] == [10, 25]


def test_a_second_run_skips_and_counts_what_is_there(place: Any) -> None:
    place.db("add-jobs", write(place, "jobs.jsonl", numbered(3)))

    again = place.db("add-jobs", write(place, "jobs.jsonl", numbered(5)))

    assert (again.exit_code, again.output) == (0, "✅ 2 jobs added, 3 there already\n")
    assert len(ids(place)) == 5


def test_a_file_without_ids_can_be_run_again_too_and_a_changed_one_is_new(place: Any) -> None:
    file = write(place, "jobs.jsonl", [{"type": "t"}] * 3)

    assert place.db("add-jobs", file).output == "✅ 3 jobs added\n"
    assert place.db("add-jobs", file).output == "✅ 0 jobs added, 3 there already\n"
    write(place, "jobs.jsonl", [{"type": "t"}] * 4)
    assert place.db("add-jobs", file).output == "✅ 4 jobs added\n"


def test_a_bad_line_is_reported_with_its_number_and_the_rest_goes_in(place: Any) -> None:
    file = write(place, "jobs.jsonl", [*numbered(2), "broken", {"job_id": "x"}, {"job_id": "j2", "type": "t"}])

    result = place.db("add-jobs", file)

    assert result.exit_code == 1
    assert result.stdout == "⚠️  3 jobs added, 2 bad lines\n"
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:3: not JSON")
    assert second.startswith(f"{file}:4: there is no job_type")
    assert ids(place) == ["j0", "j1", "j2"]


def test_many_bad_lines_are_not_all_printed(place: Any) -> None:
    result = place.db("add-jobs", write(place, "jobs.jsonl", ["broken"] * 50))

    assert result.stderr.count("not JSON") == 20
    assert "and 30 more bad lines" in result.stderr


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_atomic_means_all_or_none(place: Any, source: str) -> None:
    rows = [*numbered(15), "broken"]
    file = write(place, "jobs.jsonl", rows)

    def run(file: str) -> Any:
        if source == "file":
            return place.db("add-jobs", file, "--atomic", "--batch", "4")
        return place.db("add-jobs", "-", "--atomic", "--batch", "4", stdin=Path(file).read_text())

    refused = run(file)
    assert (refused.exit_code, refused.stdout) == (1, "❌ Nothing added: 1 bad line\n")
    assert ids(place) == []
    assert run(write(place, "jobs.jsonl", rows[:-1])).stdout == "✅ 15 jobs added\n"
    assert len(ids(place)) == 15


def test_a_dry_run_changes_nothing_and_counts_as_the_run_will(place: Any) -> None:
    place.db("add-job", "j1", "--type", "t")
    file = write(place, "jobs.jsonl", [*numbered(3), {"job_id": "j2", "type": "t"}, "broken"])

    result = place.db("add-jobs", file, "--dry-run")

    assert (result.exit_code, result.stdout) == (1, "⚠️  2 jobs would be added, 2 there already, 1 bad line\n")
    assert ids(place) == ["j1"]
    assert place.db("add-jobs", file).stdout == "⚠️  2 jobs added, 2 there already, 1 bad line\n"


def test_csv_goes_in_with_the_defaults_of_the_command_line(place: Any) -> None:
    (place.folder / "photos.csv").write_text("job_id,file\np1,a.jpg\np2,b.jpg\n")

    defaults = "--type resize --priority 1 --max-attempts 7 --backoff 1m"
    place.db("add-jobs", str(place.folder / "photos.csv"), *defaults.split())

    job = place.json("details", "p2")
    assert (job["data"], job["job_type"], job["priority"]) == ({"file": "b.jpg"}, "resize", 1)
    assert (job["max_attempts"], job["backoff_s"]) == (7, 60)


def test_a_summary_for_programs(place: Any) -> None:
    file = write(place, "jobs.jsonl", [*numbered(2), "broken"])

    result = place.db("add-jobs", file, "--format", "json")

    summary = json.loads(result.stdout)
    assert [problem.pop("problem")[:8] for problem in summary["problems"]] == ["not JSON"]
    assert summary == {"added": 2, "already_there": 0, "bad": 1, "dry_run": False, "problems": [{"line": 3}]}


def test_quiet_says_nothing_if_nothing_is_wrong(place: Any) -> None:
    assert place.db("add-jobs", write(place, "jobs.jsonl", numbered(2)), "--quiet").output == ""


def test_a_file_that_cannot_be_read_is_an_error(place: Any) -> None:
    result = place.db("add-jobs", "no/such.jsonl")

    assert (result.exit_code, result.stderr) == (1, "Error: no/such.jsonl: No such file or directory\n")
    assert place.db("add-jobs", str(place.folder)).exit_code == 1


def test_a_terminal_sees_a_bar_and_a_pipe_does_not(place: Any) -> None:
    file = write(place, "jobs.jsonl", numbered(50))
    command = [str(place.bin / "statemachine-db"), "add-jobs", file, "--batch", "5"]
    piped = subprocess.run(command, env=place.process_environ, capture_output=True, text=True, timeout=60, check=False)
    assert (piped.stdout, piped.stderr) == ("✅ 50 jobs added\n", "")

    ours, theirs = pty.openpty()
    environ = {**place.process_environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode(errors="replace")
    os.close(ours)
    assert done.stdout.decode() == "✅ 0 jobs added, 50 there already\n"
    assert "━" in shown
    assert "jobs" in shown


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_what_is_exported_can_be_added_elsewhere(place: Any, kind: str) -> None:
    place.db("add-job", "a", "--type", "t", "--payload", '{"text": "ä, \\"b\\"\\n", "n": [1, null]}', "--priority", "1")
    place.db("add-job", "b", "--type", "u", "--at", "2099-01-01T00:00:00Z", "--unique-key", "k", "--backoff", "1m")
    place.db("fail-job", "a", "--reason", "why")
    file, other = str(place.folder / f"jobs.{kind}"), f"sqlite:///{place.folder}/other.db"

    assert place.db("export", file).output == f"✅ 2 jobs written to {file}\n"
    assert place.db("add-jobs", file, "--db", other).output == "✅ 2 jobs added\n"

    for job_id, status in (("a", "pending"), ("b", "scheduled")):
        before, after = (place.json("details", job_id, "--db", url) for url in (place.url, other))
        kept = ("job_type", "data", "priority", "due_at", "unique_key", "max_attempts", "backoff_s")
        assert [after[key] for key in kept] == [before[key] for key in kept]
        assert after["status"] == status


def test_an_export_without_a_folder_is_refused_with_its_name(place: Any) -> None:
    result = place.db("export", "away/jobs.jsonl")
    said = "Error: cannot write away/jobs.jsonl: No such file or directory; see that its folder is there"
    assert (result.exit_code, result.stderr) == (1, f"{said} and can be written\n")


def test_an_export_is_filtered_and_goes_to_standard_output(place: Any) -> None:
    for job_id, kind in (("a", "t"), ("b", "u")):
        place.db("add-job", job_id, "--type", kind)
    place.db("fail-job", "b", "--reason", "why")

    (line,) = place.db("export", "--status", "failed").stdout.splitlines()
    exported = json.loads(line)
    assert (exported["job_id"], exported["error_message"]) == ("b", "why")
    header, row = place.db("export", "--as", "csv", "--type", "t").stdout.splitlines()
    assert header.startswith("job_id,job_type,machine_type,status")
    assert row.startswith("a,t,,pending,5,")

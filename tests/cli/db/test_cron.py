"""Lines for cron, and what machines do next by the clock."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.definition.cron import Cron
from statemachine_engine.cli.db.cron import LONGEST_COMMAND
from statemachine_engine.storage import schedules
from statemachine_engine.storage.clock import from_text
from statemachine_engine.storage.schedules import ScheduleRow

TEXT = '100% of "it\'s" $HOME `here`; ä\\'


@pytest.fixture
def here(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The installation, with its folder as the current one."""
    monkeypatch.chdir(place.folder)
    return place


def as_cron_does(line: str) -> str:
    """Return the command of a crontab line: without the five fields, with an escaped % made plain."""
    command = re.sub(r"^(@\w+|(\S+ ){4}\S+) ", "", line.strip())
    assert not re.search(r"(?<!\\)%", command)
    return command.replace(r"\%", "%")


def run(command: str) -> subprocess.CompletedProcess[str]:
    """Run it as cron does: with /bin/sh and a minimal environment."""
    return subprocess.run(
        ["/usr/bin/env", "-i", "/bin/sh", "-c", command],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_line_does_what_the_command_would_do_here(here: Any) -> None:
    payload = json.dumps({"text": TEXT})

    printed = here.db("crontab", "0 2 * * *", "add-job", "r-{date}", "--type", "t", "--payload", payload, "--if-absent")

    assert (printed.exit_code, printed.stderr) == (0, "")
    assert printed.stdout.startswith("0 2 * * * cd ")
    assert printed.stdout.count("\n") == 1
    done = run(as_cron_does(printed.stdout))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (job,) = here.json("list")
    assert job["job_id"].startswith("r-20")
    assert job["data"] == {"text": TEXT}
    log = here.folder / "logs" / "cron.log"
    assert f"Job ID: {job['job_id']}" in log.read_text()
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_odd_folders_and_files_are_quoted(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here.folder / "it's 50% $mine"
    folder.mkdir()
    monkeypatch.chdir(folder)

    line = here.db("crontab", "--log", "my log.txt", "--db", "a b.db", "@hourly", "add-job", "--type", "t").stdout

    done = run(as_cron_does(line))
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "a b.db").exists()
    assert "created successfully" in (folder / "my log.txt").read_text()


def test_the_database_and_the_sockets_in_use_are_in_the_line(here: Any) -> None:
    line = here.db("crontab", "@daily", "send-event", "--target", "m", "--type", "e").stdout

    for name, value in here.environ.items():
        expected = value.removeprefix("sqlite:///") if name == "STATEMACHINE_DB" else value
        assert f" {name}={shlex.quote(expected)} " in line


def test_a_password_in_the_line_is_pointed_out(here: Any) -> None:
    result = here.db("crontab", "--db", "postgresql://u:p%40ss@h/d", "@daily", "add-job", "--type", "t")

    assert r" STATEMACHINE_DB=postgresql://u:p\%40ss@h/d " in result.stdout
    assert "the line holds the database's password" in result.stderr


def test_a_line_for_etc_cron_d_names_the_user(here: Any) -> None:
    line = here.db("crontab", "--user", "worker", "0 2 * * *", "add-job", "--type", "t").stdout

    assert line.startswith("0 2 * * * worker cd ")


def test_an_id_that_is_good_for_one_run_is_pointed_out(here: Any) -> None:
    result = here.db("crontab", "@daily", "add-job", "report", "--type", "t")

    assert result.exit_code == 0
    assert result.stderr == "note: a job report can be added once; leave the id out, or write report-{datetime}\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["61 * * * *", "add-job", "--type", "t"], "'61 * * * *' is not a cron expression: the minute is wrong"),
        (["* * * *", "add-job", "--type", "t"], "it has 4 fields, not five"),
        (["0 0 L * *", "add-job", "--type", "t"], "cron supports neither L nor #"),
        (["0 0 * * FRI#2", "add-job", "--type", "t"], "cron supports neither L nor #"),
        (["@daily", "add-jobb"], "'add-jobb' is not a statemachine-db command"),
        (["@daily", "add-job", "j"], "Missing option '--type'"),
        (["@daily", "add-job", "--type", "t", "--payload", "{"], "Invalid JSON payload"),
        (["@daily"], "Missing argument"),
    ],
)
def test_what_cron_would_trip_over_is_refused_now(here: Any, args: list[str], said: str) -> None:
    result = here.db("crontab", *args)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_command_that_cron_cannot_hold_is_refused(here: Any) -> None:
    long = here.db("crontab", "@daily", "add-job", "--type", "t" * LONGEST_COMMAND)
    broken = here.db("crontab", "@daily", "add-job", "--type", "t", "--payload", '{"a":\n1}')
    memory = here.db("crontab", "--db", ":memory:", "@daily", "add-job", "--type", "t")

    assert [result.exit_code for result in (long, broken, memory)] == [1, 1, 1]
    assert "put it into a script" in long.stderr
    assert "line breaks" in broken.stderr
    assert "in memory" in memory.stderr


def test_reboot_and_months_are_times_for_cron(here: Any) -> None:
    for expression in ("@reboot", "0 2 1 JUL MON-FRI"):
        assert here.db("crontab", expression, "add-job", "--type", "t").stdout.startswith(f"{expression} cd ")


def enter(place: Any, name: str = "worker.nightly", machine: str = "m", **changes: Any) -> None:
    given = {
        "config_type": "worker", "cron": "0 2 * * *", "timezone": "Europe/Helsinki", "what": "job report",
        "spec": "s", "next_at": from_text("2030-01-01 00:00:00"),
    }  # fmt: skip
    row = ScheduleRow(name, machine_name=machine, **{**given, **changes})  # type: ignore[arg-type]
    schedules.register(place.open(), row)


def test_the_next_runs_are_listed_in_their_time_zone(place: Any) -> None:
    enter(place)
    place.machine("m")

    listed = place.db("schedules", "--next", "2").stdout
    (row,) = place.json("schedules", "--next", "3")

    assert "2030-01-01 02:00 EET, 2030-01-02 02:00 EET" in listed
    assert row["next_at"] == "2030-01-01 00:00:00.000"
    assert row["next_runs"] == [f"2030-01-0{day} 00:00:00.000" for day in (1, 2, 3)]
    assert (row["schedule_id"], row["followed"], row["fired"]) == ("worker.nightly", True, 0)


def test_an_overdue_schedule_shows_what_it_waits_for_and_that_nobody_follows_it(place: Any) -> None:
    enter(place, next_at=from_text("2020-01-01 00:00:00"))

    (row,) = place.json("schedules", "--next", "2")

    assert row["followed"] is False
    due, following = (from_text(text) for text in row["next_runs"])
    assert due == from_text("2020-01-01 00:00:00")
    assert following == Cron("0 2 * * *", "Europe/Helsinki").after(place.open().now())


def test_schedules_are_chosen_by_machine_and_forgotten(place: Any) -> None:
    enter(place)
    enter(place, "other.x", "n")

    assert [row["schedule_id"] for row in place.json("schedules", "--machine", "n")] == ["other.x"]
    assert place.db("schedules", "--forget", "other.x").output == "✅ Schedule other.x forgotten\n"
    refused = place.db("schedules", "--forget", "other.x")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Schedule other.x not found (statemachine-db schedules lists them)\n",
    )


def test_no_schedules_is_said(place: Any) -> None:
    assert place.db("schedules").output.startswith("No schedules found")
    assert place.json("schedules") == []


def test_the_program_in_the_line_is_absolute(here: Any) -> None:
    line = here.db("crontab", "@daily", "add-job", "--type", "t").stdout

    (program,) = re.findall(r"(/\S+/statemachine-db) add-job", line)
    assert Path(program).is_absolute()

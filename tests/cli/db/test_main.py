"""`statemachine-db` as a whole."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LISTINGS = (
    "status", "list", "list-events", "process-events m", "machine-state", "machine-status", "machine-health",
    "transition-history", "error-history", "list-errors", "controller-log",
)  # fmt: skip


def elsewhere(place: Any, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process in the place's folder, without a variable that names the database."""
    environ = {key: value for key, value in os.environ.items() if key != "STATEMACHINE_DB"}
    command = [place.bin / "statemachine-db", *args]
    return subprocess.run(
        command, cwd=place.folder, env={**environ, **variables}, check=True, capture_output=True, text=True
    )


def test_no_command_shows_the_help_and_exits_0(place: Any) -> None:
    result = place.db()

    assert result.exit_code == 0
    assert "Usage: statemachine-db" in result.stdout
    for section in ("Jobs:", "Events:", "Machines:", "Maintenance:"):
        assert section in result.stdout


@pytest.mark.parametrize("args", [["--help"], ["add-job", "--help"]])
def test_help_exits_0(place: Any, args: list[str]) -> None:
    assert place.db(*args).exit_code == 0


@pytest.mark.parametrize(
    "line",
    [
        "nonsense", "list --status odd", "list --limit many", "list --limit -1", "add-job", "add-job j", "fail-job j",
        "send-event --target m", "cleanup", "details", "--colour", "add-job j --type t --max-attempts 0",
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_2(place: Any, line: str) -> None:
    result = place.db(*line.split())

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_an_empty_name_of_a_database_is_no_other_one(place: Any) -> None:
    for args in (["--db", "", "list"], ["list", "--db", ""]):
        result = place.db(*args)

        assert result.exit_code == 2
        assert "'--db': it is empty (an unset shell variable?)" in result.stderr


@pytest.mark.parametrize("line", LISTINGS)
def test_every_listing_has_a_json_form_also_when_it_is_empty(place: Any, line: str) -> None:
    assert json.loads(place.db(*line.split(), "--format", "json").stdout) is not None


def test_the_database_is_named_by_option_variable_or_default(bare: Any, tmp_path: Path) -> None:
    def files(*args: str, **variables: str) -> list[str]:
        elsewhere(bare, "add-job", "j", "--type", "t", *args, **variables)
        return sorted(str(path.relative_to(bare.folder)) for path in bare.folder.rglob("*.db"))

    assert files("--db", "group.db") == ["group.db"]
    assert files("--db", f"sqlite:///{tmp_path / 'sub.db'}") == ["group.db", "sub.db"]
    assert files(STATEMACHINE_DB="variable.db") == ["group.db", "sub.db", "variable.db"]
    assert files() == ["data/pipeline.db", "group.db", "sub.db", "variable.db"]
    assert stat.S_IMODE((bare.folder / "data" / "pipeline.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("line", [*LISTINGS, "watch --once", "retry j", "complete-job j", "prune --older-than 1d"])
def test_a_database_that_is_not_there_is_not_made_by_a_command_that_needs_one(bare: Any, line: str) -> None:
    result = bare.db("--db", str(bare.folder / "dta" / "pipeline.db"), *line.split())

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"no such database: {bare.folder}/dta/pipeline.db, and no folder {bare.folder}/dta; statem" in result.stderr
    assert list(bare.folder.iterdir()) == []


@pytest.mark.parametrize("typed", ["dta/pipeline.db", "data/pipline.db", "data", "data/pipeline.db-wal"])
def test_the_database_that_was_meant_is_named(place: Any, typed: str) -> None:
    result = place.db("--db", str(place.folder / typed), "list")

    assert f"did you mean {place.folder}/data/pipeline.db?" in result.stderr


def test_a_folder_where_nothing_was_done_yet_is_answered_as_an_empty_database(bare: Any) -> None:
    done = elsewhere(bare, "list", "--format", "json")

    assert done.stdout == "[]\n"
    assert done.stderr.startswith(f"Nothing is here yet: no such database: {bare.folder}/data/pipeline.db")
    assert list(bare.folder.iterdir()) == []


@pytest.mark.parametrize("url", ["no-such-scheme://x", "/proc/nowhere/x.db", "postgresql://127.0.0.1:1/nothing"])
def test_a_database_that_cannot_be_had_is_one_line_and_exit_1(place: Any, url: str) -> None:
    result = place.db("--db", url, "status")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_no_database_is_one_line_and_exit_1(place: Any) -> None:
    (place.folder / "notes.txt").write_text("not a database, only text that is long enough to be looked at\n" * 50)

    result = place.db("--db", str(place.folder / "notes.txt"), "status")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "notes.txt" in result.stderr


def test_a_folder_that_cannot_be_made_is_reported_with_the_remedy(bare: Any) -> None:
    (bare.folder / "data").write_text("a file where the folder should be")

    result = bare.db("add-job", "--type", "t", "--db", str(bare.folder / "data" / "pipeline.db"))

    assert result.exit_code == 1
    assert result.stderr.endswith(
        "see that its folder is there and that we may write it: statemachine-db doctor looks\n"
    )


def test_debug_shows_the_traceback(place: Any) -> None:
    assert "Traceback" in place.db("--debug", "complete-job", "x").stderr


def test_a_reader_that_leaves_early_is_no_error_message(place: Any) -> None:
    for number in range(3):
        place.db("add-job", f"j{number}", "--type", "t")

    piped = subprocess.run(
        f"{place.bin / 'statemachine-db'} list | head -n 1", shell=True, capture_output=True, text=True, check=True,
        env=place.process_environ, cwd=place.folder,
    )  # fmt: skip

    assert piped.stdout.startswith("ID")
    assert piped.stderr == ""


@pytest.mark.parametrize(
    ("args", "unwanted"),
    [
        (["--help"], {"yaml", "pykka", "rich", "peewee", "sqlite3", "logging.config", "asyncio", "psycopg"}),
        (["add-job", "j", "--type", "t"], {"yaml", "pykka", "rich", "peewee", "logging.config", "asyncio", "psycopg"}),
        (["send-event", "--target", "m", "--type", "e"], {"yaml", "pykka", "rich", "peewee", "logging.config"}),
        (["machine-state"], {"yaml", "pykka", "rich", "peewee", "logging.config"}),
        (["list"], {"yaml", "pykka", "rich", "logging.config"}),
    ],
)
def test_a_command_loads_only_what_it_needs(place: Any, args: list[str], unwanted: set[str]) -> None:
    code = (
        "import atexit, sys\nfrom statemachine_engine.cli.db.main import main\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\nmain()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *args], env=place.process_environ, capture_output=True, text=True, check=True
    )

    assert unwanted & set(done.stderr.split()) == set()


def test_all_of_it_works_on_postgresql(place: Any, postgres_url: str) -> None:
    def run(line: str) -> str:
        result = place.db("--db", postgres_url, *line.split())
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    assert "Database ID: 1" in run("add-job j --type t --payload {}")
    assert "✅ Event stored for later!" in run("send-event --target m --type e")
    assert run("list").splitlines()[1].startswith("j   t     pending  20")
    assert run("complete-job j") == "✅ Job j marked as completed!\n"
    assert json.loads(run("details j --format json"))["status"] == "completed"
    for line in LISTINGS:
        run(line)
    assert run("cleanup --status completed") == "Deleted 1 completed job\n"
    assert run("recreate-database --force") == "✅ Database recreated successfully!\n"
    assert run("list-events") == "No events found\n"

"""The database's file is deleted, or another takes its place, while machines run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from tests.degrading.conftest import House
from tests.support.project import Project
from tests.support.until import until

LOST = "the runtime stops: the database {path} was deleted, or another file was put in its place"


def _delete(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def _delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def _replace(path: Path) -> None:
    other = path.with_name("other.db")
    with Database.open(other) as db:
        jobs.enqueue(db, "from-backup", "t")
    other.replace(path)


@pytest.mark.parametrize("lose", [_delete, _delete_folder, _replace])
def test_a_process_ends_when_its_database_is_lost_and_works_in_the_file_that_is_there_when_started_again(
    lose: Callable[[Path], None], project: Project
) -> None:
    path = project.folder / "data" / "pipeline.db"
    machines = f"statemachine worker.yaml lamp.yaml --db {path}"
    first = project.start(machines)
    project.env["STATEMACHINE_DB"] = str(path)
    project.until_state("worker", "waiting")

    lost_s = time.monotonic()
    lose(path)
    project.until_logged(LOST.format(path=path))
    assert time.monotonic() - lost_s < 5, "two seconds, on a host that is not busy"
    assert first.wait(30) == 1
    assert project.log().count("CRITICAL") == 1
    assert path.exists() == (lose is _replace), "nothing is put in its place"

    second = project.start(machines)
    project.until_state("worker", "waiting")
    project.shell("statemachine-db add-job j1 --type t")
    project.until_jobs("completed", "j1", *(["from-backup"] if lose is _replace else []))
    assert project.interrupt(second) == 130


def test_a_backup_put_in_the_databases_place_is_not_mixed_with_what_was_written_since(house: House) -> None:
    runtime = house.begin()
    jobs.enqueue(runtime.db, "from-backup", "t", delay_s=3600)
    backup = house.path.with_name("backup.db")
    with closing(sqlite3.connect(house.path)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    jobs.enqueue(runtime.db, "later", "t")
    until(lambda: house.trace() == ["later"])

    shutil.move(backup, house.path)

    runtime.wait(30)
    assert "another file was put in its place" in str(runtime.broken)
    runtime.stop()
    with Database.open(house.path) as db:
        assert [job.job_id for job in jobs.find(db)] == ["from-backup"]


def test_a_database_that_was_emptied_under_machines_has_them_again(house: House) -> None:
    runtime = house.begin()

    house.cli("recreate-database", "--force")
    runtime.maintenance.look(float("inf"))  # the next heartbeat, which is ten seconds away

    assert house.registered(house.db()) == "dark"
    until(lambda: house.problems() == {"machine_unregistered": 2})

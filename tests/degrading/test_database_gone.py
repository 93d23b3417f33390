"""The database's file is deleted, or another takes its place, while machines run."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from statemachine_engine.storage import jobs
from tests.degrading.conftest import House
from tests.support.metrics import numbers
from tests.support.until import until


def test_a_deleted_database_is_made_anew_and_machines_go_on_in_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()
    for _ in range(3):
        house.lamp.send("switch")
    house.lamp.wait_for("lit", 5)

    for file in house.path.parent.iterdir():
        file.unlink()
    house.cli("send-event", "--target", "lamp", "--type", "switch")  # the first row of the new file: ids begin anew
    house.cli("add-job", "j1", "--type", "t")

    house.lamp.wait_for("dark", 5)
    until(lambda: house.trace() == ["j1"])
    db = house.db()
    until(lambda: house.registered(db) == "dark")
    until(lambda: house.status(db, "j1") == "completed")
    assert runtime.db.generation == 1
    assert "pipeline.db was deleted or replaced: machines go on in the file that is there now" in caplog.text
    assert caplog.text.count("entered into the registry again") == 2
    expected = {"database_replaced": 1, "machine_unregistered": 2}
    until(lambda: expected.items() <= house.troubles().items())  # and an outage, if a write came in between


def test_a_deleted_database_is_made_by_the_machines_where_nobody_else_does(house: House) -> None:
    house.begin()

    for file in house.path.parent.iterdir():
        file.unlink()

    until(lambda: house.path.exists() and house.registered(house.db()) == "dark")
    house.lamp.send("switch")
    house.lamp.wait_for("lit", 5)


def test_a_file_put_in_the_databases_place_is_used_from_then_on(house: House, caplog: pytest.LogCaptureFixture) -> None:
    runtime = house.begin()
    jobs.enqueue(runtime.db, "from-backup", "t", delay_s=3600)
    backup = house.path.with_name("backup.db")
    with closing(sqlite3.connect(house.path)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    jobs.enqueue(runtime.db, "later", "t")
    until(lambda: house.trace() == ["later"])

    shutil.move(backup, house.path)

    until(lambda: "pipeline.db was deleted or replaced" in caplog.text)
    db = house.db()
    until(lambda: house.registered(db) == "dark")
    assert [job.job_id for job in jobs.find(db)] == ["from-backup"]
    jobs.enqueue(db, "new", "t")
    until(lambda: house.status(db, "new") == "completed")


def test_a_folder_that_is_gone_is_waited_for(house: House, caplog: pytest.LogCaptureFixture) -> None:
    runtime = house.begin()
    away = house.folder / "away"
    assert not house.troubles()

    house.path.parent.rename(away)
    until(lambda: runtime.shared.recorder.outage.lasts)
    assert numbers(house.metrics()) == {("database_up", ()): 0}
    house.switch("lit")
    away.rename(house.path.parent)

    db = house.db()
    until(lambda: house.registered(db) == "lit")
    until(lambda: not runtime.shared.recorder.outage.lasts)
    assert runtime.db.generation == 0, "it is the same file"
    until(lambda: "database_not_opened" in house.troubles())


def test_a_database_that_was_emptied_under_machines_has_them_again(house: House) -> None:
    runtime = house.begin()

    house.cli("recreate-database", "--force")
    runtime.keeper.look(float("inf"))  # the next heartbeat, which is ten seconds away

    assert house.registered(house.db()) == "dark"
    until(lambda: house.troubles() == {"machine_unregistered": 2})

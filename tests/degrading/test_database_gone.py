"""The database's file is deleted, or another takes its place, while machines run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from statemachine_engine.actors.metrics import outage
from statemachine_engine.actors.runtime import maintenance
from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from tests.degrading.conftest import House
from tests.support.metrics import numbers, trouble_seconds
from tests.support.until import until


def test_a_deleted_database_is_made_anew_and_machines_go_on_in_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()
    for _ in range(3):
        house.lamp.send("switch")
    house.lamp.wait_for("lit", 30)

    for file in house.path.parent.iterdir():
        file.unlink()
    house.cli("send-event", "--target", "lamp", "--type", "switch")  # the first row of the new file: ids begin anew
    house.cli("add-job", "j1", "--type", "t")

    house.lamp.wait_for("dark", 30)
    until(lambda: house.trace() == ["j1"])
    db = house.db()
    until(lambda: house.registered(db) == "dark")
    until(lambda: house.status(db, "j1") == "completed")
    assert runtime.db.generation == 1
    assert "pipeline.db was deleted or replaced: machines go on in the file that is there now" in caplog.text
    assert caplog.text.count("entered into the registry again") == 2
    # and an outage, if a write came in between
    until(lambda: {"database_replaced": 1, "machine_unregistered": 2}.items() <= house.troubles().items())


def test_a_deleted_database_is_made_by_the_machines_where_nobody_else_does(house: House) -> None:
    house.begin()

    for file in house.path.parent.iterdir():
        file.unlink()

    until(lambda: house.path.exists() and house.registered(house.db()) == "dark")
    house.lamp.send("switch")
    house.lamp.wait_for("lit", 30)


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


@pytest.fixture
def away(house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Away:
    """Looks ten times a second, and says every half second that it is not over, so that a short outage shows all."""
    monkeypatch.setattr(maintenance, "LOOK_S", 0.1)
    monkeypatch.setattr(outage, "QUIET_S", 0.5)
    return Away(house, caplog)


class Away:
    """The time that the database's folder is gone."""

    def __init__(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        self._house, self._caplog = house, caplog
        self._runtime = house.begin()
        until(lambda: house.ready() == 200)
        assert not house.troubles()

    @property
    def lines(self) -> list[str]:
        """What the log says of the store."""
        return [message for message in self._caplog.messages if message.startswith("the store takes nothing")]

    def goes_on(self) -> None:
        """Once it is noticed, machines make 100 moves, and nobody writes, reads or says that it is over."""
        until(lambda: self._runtime.resources.recorder.outage.lasts)
        self._began_s = time.monotonic()
        for state in ("lit", "dark") * 50:
            self._house.switch(state)
        for ask in (lambda: jobs.enqueue(self._runtime.db, "j", "t"), lambda: jobs.find(self._runtime.db)):
            with pytest.raises(StoreUnavailable, match="No such file or directory: .*; see that its folder is there"):
                ask()
        until(lambda: self._house.ready() == 503)
        assert numbers(self._house.metrics()) == {("database_up", ()): 0}
        until(lambda: len(self.lines) == 4)
        assert self._runtime.resources.recorder.outage.lasts
        assert self._runtime.resources.recorder.waiting >= 100
        assert not self._house.path.parent.exists(), "nothing is put in its place"

    def is_over(self) -> None:
        """From now on, once; what was meanwhile is written and counted."""
        least_s = time.monotonic() - self._began_s
        until(lambda: not self._runtime.resources.recorder.outage.lasts)
        most_s = time.monotonic() - self._began_s + 1
        assert self._runtime.resources.recorder.flush()
        with Database.open(self._house.path) as db:
            assert len(audit.transitions(db, "lamp", limit=None)) == 100
            until(lambda: self._house.registered(db) == "dark")
        until(lambda: self._house.ready() == 200)
        until(lambda: self._house.troubles().get("database_not_opened") == 1)
        assert least_s < trouble_seconds(self._house.metrics())["database_not_opened"] < most_s
        assert [line for line in self.lines if "over after" in line] == self.lines[-1:]


def test_a_folder_that_is_gone_is_waited_for(house: House, away: Away) -> None:
    aside = house.folder / "aside"
    house.path.parent.rename(aside)

    away.goes_on()
    aside.rename(house.path.parent)

    away.is_over()
    assert house.troubles() == {"database_not_opened": 1}, "it is the same file"


def test_what_happens_while_the_folder_is_gone_stands_in_the_database_of_the_next_one(house: House, away: Away) -> None:
    shutil.rmtree(house.path.parent)

    away.goes_on()
    house.path.parent.mkdir(0o700)

    away.is_over()
    until(lambda: house.troubles() == {"database_not_opened": 1, "database_replaced": 1, "machine_unregistered": 2})


def test_a_database_that_was_emptied_under_machines_has_them_again(house: House) -> None:
    runtime = house.begin()

    house.cli("recreate-database", "--force")
    runtime.maintenance.look(float("inf"))  # the next heartbeat, which is ten seconds away

    assert house.registered(house.db()) == "dark"
    until(lambda: house.troubles() == {"machine_unregistered": 2})

"""The database may be read and not written, from the start or from some moment on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine.storage import audit, jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import ReadOnlyStore, StoreUnavailable
from tests.degrading.conftest import House
from tests.support.older_engines import make_old_file
from tests.support.otheruser import OtherUser, other_user
from tests.support.readonly import immutable, mounted_read_only
from tests.support.until import until

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture(scope="module")
def mallory() -> Iterator[OtherUser]:
    """A second user of this computer."""
    with other_user() as user:
        yield user


def test_a_start_on_a_read_only_database_is_refused_with_the_reason(house: House) -> None:
    house.db().close()

    with immutable(house.path):
        with pytest.raises(StoreUnavailable, match="can only be read.*: we may not write it; let its owner"):
            house.begin()
        said = house.cli("add-job", "j1", "--type", "t", code=1)
        assert "give us the right to write the file and its folder" in said
        assert "can only be read: we may not write it" in house.cli("doctor", code=1)


def test_a_start_in_a_folder_that_may_not_be_written_is_refused_with_the_reason(house: House) -> None:
    house.db().close()

    with immutable(house.path.parent), pytest.raises(ReadOnlyStore, match="we may not write its folder"):
        house.begin()


def test_a_read_only_database_is_shown_and_nothing_beside_it_is_made(house: House) -> None:
    house.cli("add-job", "j1", "--type", "t")

    with immutable(house.path, house.path.parent):
        assert "j1" in house.cli("list")
        said = house.cli("cancel", "j1", code=1)

    assert "can only be read, and nothing was changed: we may not write it" in said
    assert [path.name for path in house.path.parent.iterdir()] == ["pipeline.db"]


def test_a_running_machine_is_seen_from_where_its_folder_is_mounted_read_only(house: House) -> None:
    house.begin()

    with mounted_read_only(house.path.parent) as seen, Database.open(seen / "pipeline.db", create=False) as db:
        token = db.change_token()
        house.switch("lit")
        until(lambda: house.registered(db) == "lit")
        assert db.change_token() != token
        with pytest.raises(ReadOnlyStore, match="its file system is mounted read-only"):
            jobs.enqueue(db, "j1", "t")


def test_a_file_at_rest_is_read_again_when_another_process_writes_it(house: House) -> None:
    house.db().close()

    with mounted_read_only(house.path.parent) as seen, Database.open(seen / "pipeline.db", create=False) as db:
        token = db.change_token()
        assert jobs.counts(db)["pending"] == 0
        house.cli("add-job", "j1", "--type", "t")  # opened, and closed again
        assert jobs.counts(db)["pending"] == 1
        assert db.change_token() != token
        house.begin()
        until(lambda: house.registered(db) == "dark")


def test_what_a_crash_left_in_the_log_is_not_passed_over_in_silence(house: House) -> None:
    jobs.enqueue(house.db(), "j1", "t")
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pipeline.db", "pipeline.db-wal"):
            shutil.copy(house.path.with_name(name), copy)
        with (
            mounted_read_only(Path(copy)) as seen,
            pytest.raises(StoreUnavailable, match="what was written last is still in pipeline.db-wal"),
        ):
            Database.open(seen / "pipeline.db")


def test_an_older_engines_tables_cannot_be_read_where_they_cannot_be_brought_up_to_date(house: House) -> None:
    house.path.parent.mkdir()
    make_old_file(house.path, with_config_type=True)

    with immutable(house.path), pytest.raises(ReadOnlyStore, match="its tables are an older engine's"):
        house.db()


def test_another_user_reads_a_file_of_its_own_that_it_has_protected(house: House, mallory: OtherUser) -> None:
    house.cli("add-job", "j1", "--type", "t")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(house.path, folder)
        file = Path(folder) / "pipeline.db"
        os.chown(folder, mallory.uid, -1)
        os.chown(file, mallory.uid, -1)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        said = mallory.run(
            """
            from statemachine_engine.storage import jobs
            from statemachine_engine.storage.engine.database import Database
            with Database.open(args[0]) as db:
                print(jobs.get(db, "j1").status)
                try:
                    jobs.cancel(db, "j1")
                except Exception as error:
                    print(type(error).__name__)
            """,
            file,
            load="statemachine_engine.storage.jobs statemachine_engine.storage.engine.database difflib",
        )
        assert os.listdir(folder) == ["pipeline.db"]

    assert said.split() == ["pending", "ReadOnlyStore"]


def test_a_database_that_becomes_read_only_costs_nothing_but_time(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()
    jobs.enqueue(runtime.db, "j1", "t", delay_s=0.1)

    with immutable(house.path, house.path.with_name("pipeline.db-wal")):
        for state in ("lit", "dark") * 10:
            house.switch(state)
        until(lambda: "the store takes nothing" in caplog.text)
        house.cli("send-event", "--target", "lamp", "--type", "switch", code=1)
        assert not house.trace()

    until(lambda: house.trace() == ["j1"])
    until(lambda: "the store takes nothing: over after" in caplog.text)
    assert runtime.resources.recorder.flush()
    assert len(audit.transitions(runtime.db, "lamp")) == 20
    until(
        lambda: {"database_read_only", "database_io_error"} & house.problems().keys()
    )  # files that are open: the latter

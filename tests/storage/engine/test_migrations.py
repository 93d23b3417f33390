"""From nothing, from the older engines, from the future."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from statemachine_engine.storage import audit, jobs, machines, mailbox
from statemachine_engine.storage.clock import from_text
from statemachine_engine.storage.engine import migrations
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreTooNew, StoreUnavailable
from tests.support.factories import add_jobs
from tests.support.manual_clock import ManualClock
from tests.support.older_engines import make_old_file

Open = Callable[..., Database]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_new_store_has_every_migration_on_record(db: Database) -> None:
    assert migrations.pending(db) == []
    assert migrations.applied(db) == [
        (1, "m0001_tables", "2027-01-15 08:00:00.000"),
        (2, "m0002_schedules", "2027-01-15 08:00:00.000"),
        (3, "m0003_snapshots", "2027-01-15 08:00:00.000"),
        (4, "m0004_attempts", "2027-01-15 08:00:00.000"),
        (5, "m0005_monitor", "2027-01-15 08:00:00.000"),
        (6, "m0006_standing", "2027-01-15 08:00:00.000"),
        (7, "m0007_backoff", "2027-01-15 08:00:00.000"),
        (8, "m0008_troubles", "2027-01-15 08:00:00.000"),
    ]


def test_looking_at_migrations_makes_nothing(db_url: str) -> None:
    db = Database(db_url)
    if db.path is not None:
        db.path.touch()
    try:
        assert [migration.__name__.rpartition(".")[2] for migration in migrations.pending(db)] == [
            "m0001_tables",
            "m0002_schedules",
            "m0003_snapshots",
            "m0004_attempts",
            "m0005_monitor",
            "m0006_standing",
            "m0007_backoff",
            "m0008_troubles",
        ]
        assert migrations.applied(db) == []
        assert db.tables() == set()
    finally:
        db.close()


@pytest.mark.parametrize("with_config_type", [False, True])
def test_an_older_engines_file_is_taken_over(
    sqlite_path: Path, with_config_type: bool, open_db: Open, clock: ManualClock
) -> None:
    db = open_db(make_old_file(sqlite_path, with_config_type=with_config_type), clock=clock)

    found = {job.job_id: job for job in jobs.find(db)}
    assert {job_id: job.status for job_id, job in found.items()} == {
        "waiting": "pending",
        "urgent": "pending",
        "held": "processing",
        "done": "completed",
    }
    assert (found["waiting"].id, found["waiting"].data, found["done"].data) == (3, {"n": 1}, "no json")
    assert found["waiting"].due_at == pytest.approx(from_text("2026-01-02 03:04:05"), abs=0.001)
    assert [job.job_id for job in jobs.pending(db, "work", "work")] == ["urgent", "waiting"]
    assert [(row.id, row.status, row.payload) for row in mailbox.list_(db)] == [
        (8, "processed", "{broken"),
        (7, "expired", {"x": 1}),
    ]
    assert [(row.machine_name, row.last_activity, row.running) for row in machines.list_(db)] == [
        ("m", 1767323045.25, False),
        ("n", from_text("2026-01-02 03:04:05"), False),
    ]
    assert [(row.id, row.event) for row in audit.transitions(db)] == [(5, "go")]


def test_held_jobs_of_an_older_engine_wait_for_the_operator(
    sqlite_path: Path, open_db: Open, clock: ManualClock
) -> None:
    db = open_db(make_old_file(sqlite_path), clock=clock)

    assert jobs.rescue(db) == []
    assert jobs.reset_processing(db, older_than_s=600) == 1


def test_a_column_of_the_users_own_may_have_a_name_of_ours(sqlite_path: Path, open_db: Open) -> None:
    with closing(sqlite3.connect(make_old_file(sqlite_path))) as connection:
        connection.execute("ALTER TABLE jobs ADD COLUMN machine TEXT")
        connection.commit()

    assert jobs.claim(open_db(sqlite_path), owner="w", machine="m") is not None


def test_a_taken_over_file_goes_on_counting(sqlite_path: Path, open_db: Open) -> None:
    db = open_db(make_old_file(sqlite_path))

    assert jobs.enqueue(db, "next", "work").id == 13
    assert jobs.cancel(db, "next").status == "cancelled"
    assert mailbox.post(db, "m", "go").id == 9
    assert audit.write(db, [audit.Note("m", "n", {}, 1.0)]) == [6]


def test_the_file_is_copied_before_it_is_touched(sqlite_path: Path, open_db: Open) -> None:
    make_old_file(sqlite_path).chmod(0o644)
    before = dump(sqlite_path)
    open_db(sqlite_path)

    copy = sqlite_path.with_name("pipeline.db.before-2.0")
    assert dump(copy) == before
    assert copy.stat().st_mode & 0o777 == 0o600
    open_db(sqlite_path)
    assert sorted(path.name for path in sqlite_path.parent.glob("*before*")) == [copy.name]


def test_a_copy_of_another_day_is_kept(sqlite_path: Path, open_db: Open) -> None:
    earlier = sqlite_path.with_name("pipeline.db.before-2.0")
    make_old_file(sqlite_path)
    earlier.write_text("another day")
    open_db(sqlite_path)

    assert earlier.read_text() == "another day"
    assert dump(sqlite_path.with_name("pipeline.db.before-2.0.2"))


def test_a_new_store_leaves_no_copy(sqlite_path: Path, open_db: Open) -> None:
    open_db(sqlite_path)

    assert list(sqlite_path.parent.glob("*before*")) == []


def test_columns_and_tables_of_the_users_own_survive(sqlite_path: Path, open_db: Open) -> None:
    make_old_file(sqlite_path)
    with closing(sqlite3.connect(sqlite_path)) as connection, connection:
        connection.executescript(
            'ALTER TABLE jobs ADD COLUMN "my note" TEXT; UPDATE jobs SET "my note" = \'keep me\';'
            "CREATE TABLE mine (x); INSERT INTO mine VALUES (42);"
            "CREATE VIEW open_jobs AS SELECT job_id FROM jobs WHERE status = 'pending';"
        )
    db = open_db(sqlite_path)

    with db.read():
        assert db.execute('SELECT DISTINCT "my note" FROM jobs').fetchall() == [("keep me",)]
        assert db.execute("SELECT x FROM mine").fetchone() == (42,)
        assert db.execute("SELECT job_id FROM open_jobs ORDER BY 1").fetchall() == [("urgent",), ("waiting",)]


def test_a_failed_takeover_changes_nothing(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old_file(sqlite_path)
    before = dump(sqlite_path)
    monkeypatch.setattr(migrations.m0001_tables, "INDEXES", ("CREATE INDEX broken ON nowhere (x)",))

    with pytest.raises(StoreUnavailable, match="nowhere"):
        Database.open(sqlite_path)
    assert dump(sqlite_path) == before


def test_a_file_with_some_of_the_tables_is_completed(sqlite_path: Path, open_db: Open) -> None:
    make_old_file(sqlite_path)
    with closing(sqlite3.connect(sqlite_path)) as connection:
        connection.executescript("DROP TABLE realtime_events; DROP TABLE machine_state; ALTER TABLE jobs DROP metadata")
    db = open_db(sqlite_path)

    assert len(jobs.find(db)) == 4
    assert machines.list_(db) == []


def test_a_store_of_a_newer_engine_is_refused(db_url: str, open_db: Open) -> None:
    db = open_db(db_url)
    with db.write():
        db.execute("INSERT INTO schema_version (version, name, applied_at) VALUES (99, 'm0099', 'later')")
        if not db.is_postgres:
            db.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreTooNew, match=f"version 99 is newer than this engine's {migrations.LATEST}"):
        Database.open(db_url)


def test_many_open_an_older_file_at_once(sqlite_path: Path, open_db: Open) -> None:
    make_old_file(sqlite_path)
    barrier = threading.Barrier(6)
    opened: list[Database] = []

    def open_together() -> None:
        barrier.wait()
        opened.append(open_db(sqlite_path))

    threads = [threading.Thread(target=open_together) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(jobs.find(db)) for db in opened] == [4] * 6
    assert len(list(sqlite_path.parent.glob("*before*"))) >= 1
    assert len(migrations.applied(opened[0])) == migrations.LATEST


def test_a_recreated_store_is_empty_and_current(db: Database) -> None:
    add_jobs(db, 3)
    migrations.recreate(db)

    assert jobs.find(db) == []
    assert len(migrations.applied(db)) == migrations.LATEST
    add_jobs(db, 1)

"""The database is no database, or a damaged one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.errors import StoreDamaged
from tests.degrading.conftest import House
from tests.support.until import until


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _wrong_magic(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"SQLite format 4\0")


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


@pytest.mark.parametrize("damage", [_garbage, _wrong_magic, _cut_short])
def test_a_damaged_database_is_named_with_the_remedy_and_never_replaced_unasked(
    damage: Callable[[Path], None], house: House
) -> None:
    house.db().close()
    damage(house.path)
    damaged = house.path.read_bytes()

    said = house.cli("add-job", "j1", "--type", "t", code=1)

    assert "put a backup in its place, or begin with empty tables: statemachine-db recreate-database" in said
    assert len(said.splitlines()) == 1
    with pytest.raises(StoreDamaged):
        house.begin()
    assert house.path.read_bytes() == damaged

    kept = Path(f"{house.path}.damaged-1")
    assert f"The damaged file is kept: {kept}" in house.cli("recreate-database", "--force")
    assert kept.read_bytes() == damaged
    jobs.enqueue(house.db(), "j2", "t")


def test_a_database_that_is_damaged_under_machines_is_named_and_machines_end_when_it_is_recreated(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = house.begin()

    with closing(sqlite3.connect(house.path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with house.path.open("r+b") as file:
        file.write(os.urandom(house.path.stat().st_size))
    house.switch("lit")
    until(lambda: "recreate-database" in caplog.text)
    house.switch("dark")
    assert "database_damaged" in {problem.kind for problem in runtime.resources.counters.take().problems}
    house.cli("recreate-database", "--force")

    runtime.wait(30)
    assert "another file was put in its place" in str(runtime.broken)

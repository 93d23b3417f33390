"""The database as requests see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from statemachine_engine.web.store import Store


def test_it_is_made_once_and_waited_for_later(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.db"
    store = Store(str(path))
    jobs.enqueue(store.db, "a", "work")
    assert path.exists()
    aside = path.rename(tmp_path / "aside.db")

    with pytest.raises(StoreUnavailable, match="no such database"):
        _ = store.db
    assert not path.exists()

    aside.rename(path)
    assert jobs.get(store.db, "a") is not None
    store.close()


def test_another_file_under_the_same_name_is_read_instead(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store.db"))
    first = store.db
    assert store.db is first
    with Database.open(tmp_path / "other.db") as other:
        jobs.enqueue(other, "b", "work")
    (tmp_path / "other.db").replace(tmp_path / "store.db")
    for leftover in ("store.db-wal", "store.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)

    assert jobs.get(store.db, "b") is not None
    store.close()
    store.close()

"""The database as requests see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StoreUnavailable
from statemachine_engine.web.feed.store import Store
from tests.support.readonly import immutable
from tests.web.conftest import Site


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


def test_a_read_only_monitor_waits_for_the_database_and_makes_none(make_site: Callable[..., Site]) -> None:
    site = make_site(read_only=True)
    path = site.db.path
    assert path is not None
    site.db.close()
    site.monitor.store.close()
    aside = path.rename(path.with_name("aside.db"))

    answer = site.ask("/api/jobs")
    assert (answer.status, path.exists()) == (503, False)
    assert "no such database" in answer.json["error"]

    aside.rename(path)
    assert site.get("/api/jobs")["items"] == []


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


def test_a_database_that_may_only_be_read_is_shown_and_refuses_every_write(make_site: Callable[..., Site]) -> None:
    site = make_site()
    path = site.db.path
    assert path is not None
    jobs.enqueue(site.db, "a", "work")
    site.db.close()
    site.monitor.store.close()

    with immutable(path, path.parent):
        assert [job["job_id"] for job in site.get("/api/jobs")["items"]] == ["a"]
        answer = site.post("/api/jobs/a/cancel")
        assert (answer.status, site.get("/api/config")["read_only"]) == (403, True)
        assert "can only be read, and nothing was changed: we may not write it" in answer.json["error"]

    assert site.post("/api/jobs/a/cancel").status == 200
    assert site.get("/api/config")["read_only"] is False

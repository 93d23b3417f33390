"""The start, the run and the end of the feed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.web.feed import feed as module
from statemachine_engine.web.feed.feed import Feed
from statemachine_engine.web.feed.store import Store
from tests.support.until import until
from tests.web.conftest import RUN, Site


def test_a_job_that_began_long_before_is_still_known(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_BACK", 5)
    first = make_site()
    first.start("worker")
    jobs.enqueue(first.db, "long", "work")
    jobs.claim(first.db, owner=RUN)
    first.happen(("worker", "job_started", {"job_id": "long", "job_type": "work"}))
    first.happen(*[("other", "activity_log", {})] * 50)

    late = make_site()
    assert late.get("/api/machines/worker")["current_job"] == "long"


def test_it_looks_back_only_so_far(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_BACK", 5)
    first = make_site()
    written = first.happen(*[("m", "activity_log", {})] * 50)

    late = make_site()
    assert sum(late.monitor.feed.board.activity("m", 5, late.db.now())) == 5
    assert late.monitor.feed.backlog.end.id == written[-1]


def test_stopping_it_is_safe_before_its_start_and_twice(tmp_path: Path) -> None:
    never = Feed(Store(str(tmp_path / "store.db")), str(tmp_path / "events.sock"))
    never.stop()
    never.start()
    never.stop()

    feed = Feed(Store(str(tmp_path / "store.db")), str(tmp_path / "events.sock"))
    feed.start()
    feed.start()
    assert feed.ready.wait(30)
    feed.stop()
    feed.stop()
    assert feed.stopped.is_set()
    assert not (tmp_path / "events.sock").exists()


def test_a_mistake_of_ours_ends_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    with site.follow() as ws:
        ws.receive()
        with monkeypatch.context() as broken:
            stumbled = threading.Event()
            broken.setattr(module, "entry_of", lambda event: stumbled.set() or 1 / 0)
            site.happen(("m", "activity_log", {"message": "lost on the way"}))
            assert stumbled.wait(30)
        (later,) = site.happen(("m", "activity_log", {"message": "after"}))

        assert ws.until("resync")["last_id"] <= later
    assert site.ask("/ready").status == 200


def test_a_newer_store_is_waited_for_and_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    path = site.db.path
    assert path is not None
    with site.db.write():
        site.db.execute("INSERT INTO schema_version (version, name, applied_at) VALUES (999, 'later', '')")
        site.db.execute("PRAGMA user_version = 999")
    path.rename(path.with_name("aside.db"))
    until(lambda: site.monitor.feed.problem is not None)
    path.with_name("aside.db").rename(path)

    until(lambda: "newer" in str(site.monitor.feed.problem))
    assert site.ask("/ready").status == 503

"""What the feed knows of the past when it starts, and how it lives and ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine_engine.storage import jobs
from statemachine_engine.web import feed as module
from statemachine_engine.web.feed import Feed
from statemachine_engine.web.store import Store
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
    assert feed.ready.wait(10)
    feed.stop()
    feed.stop()
    assert feed.stopped.is_set()
    assert not (tmp_path / "events.sock").exists()

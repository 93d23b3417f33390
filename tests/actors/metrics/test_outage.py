"""An outage is logged once a minute and when it is over, and counted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from statemachine_engine.actors.metrics import outage as outage_module
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.metrics.outage import Outage
from statemachine_engine.storage.errors import StoreUnavailable


@dataclass
class Stopwatch:
    """Stands for the monotonic clock."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    watch = Stopwatch()
    monkeypatch.setattr(outage_module, "time", watch)
    return watch


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def outage(counters: Counters) -> Outage:
    return Outage(counters, None, "the store takes nothing", lambda: "2 writes wait", lambda: "they are stored now")


def test_it_is_said_once_however_often_it_is_met_and_once_when_it_is_over(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        outage.met("disk full")
    assert outage.lasts
    outage.over()
    outage.over()

    assert not outage.lasts
    assert caplog.messages == [
        "the store takes nothing: disk full; 2 writes wait",
        "the store takes nothing: over after 0.0 s; they are stored now",
    ]


def test_one_that_lasts_is_a_line_a_minute_and_one_at_its_end_and_counts_all_its_seconds(
    watch: Stopwatch, outage: Outage, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(150):
        outage.met(StoreUnavailable("no room"))
        watch.now_s += 1
    outage.over()
    watch.now_s += 1000

    assert caplog.messages == [
        "the store takes nothing: no room; 2 writes wait",
        "the store takes nothing (for 60 s now): no room; 2 writes wait",
        "the store takes nothing (for 120 s now): no room; 2 writes wait",
        "the store takes nothing: over after 150.0 s; they are stored now",
    ]
    assert counters.take().problems == [("database_failed", 1, 150.0)]


def test_one_that_comes_and_goes_does_not_fill_the_log(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        outage.met("locked")
        outage.over()

    assert len(caplog.messages) == 2


def test_what_was_begun_before_it_was_met_does_not_end_it(
    watch: Stopwatch, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    began_s = watch.now_s
    watch.now_s += 1
    outage.met("no such file")
    outage.over(began_s)
    assert outage.lasts

    outage.over(watch.now_s)
    assert not outage.lasts
    assert caplog.text.count("over after") == 1


def test_an_outage_lasts_from_the_begin_of_the_failed_call_and_no_second_counts_twice(
    watch: Stopwatch, outage: Outage, counters: Counters
) -> None:
    began_s = watch.now_s
    for _ in range(2):
        watch.now_s += 5
        outage.met(StoreUnavailable("locked"), began_s)
        outage.over()

    assert counters.take().problems == [("database_failed", 2, 10.0)]


def test_no_outage_is_not_over(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    outage.over()

    assert not caplog.messages


def test_each_cause_counts_once_with_its_own_time_however_often_it_is_met(
    watch: Stopwatch, outage: Outage, counters: Counters
) -> None:
    locked, full = StoreUnavailable("locked"), StoreUnavailable("full")
    locked.problem_kind, full.problem_kind = "database_locked", "database_full"
    for error in (locked, locked, full, full, locked):
        outage.met(error)
        watch.now_s += 10
    outage.over()

    assert sorted(counters.take().problems) == [("database_full", 1, 20.0), ("database_locked", 2, 30.0)]


def test_what_lasts_is_counted_while_it_lasts(watch: Stopwatch, outage: Outage, counters: Counters) -> None:
    outage.met(StoreUnavailable("away"))
    counters.take()
    watch.now_s += 10
    outage.met(StoreUnavailable("away"))

    assert counters.take().problems == [("database_failed", 0, 10.0)]

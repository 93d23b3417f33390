"""A trouble is said once a minute, and once when it is over; and counted."""

from __future__ import annotations

import time

import pytest

from statemachine_engine.actors import trouble as trouble_module
from statemachine_engine.actors.tally import Tally
from statemachine_engine.actors.trouble import Trouble
from statemachine_engine.storage.errors import StoreUnavailable


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def trouble(tally: Tally) -> Trouble:
    return Trouble(tally, None, "the store takes nothing", lambda: "2 writes wait", lambda: "they are stored now")


def test_it_is_said_once_however_often_it_is_met_and_once_when_it_is_over(
    trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        trouble.met("disk full")
    assert trouble.lasts
    trouble.over()
    trouble.over()

    assert not trouble.lasts
    assert caplog.messages == [
        "the store takes nothing: disk full; 2 writes wait",
        "the store takes nothing: over after 0.0 s; they are stored now",
    ]


def test_one_that_goes_on_is_said_again_after_a_while(
    trouble: Trouble, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble_module, "QUIET_S", 0.0)
    trouble.met("disk full")
    trouble.met("disk full")

    assert caplog.text.count("disk full") == 2


def test_one_that_comes_and_goes_does_not_fill_the_log(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        trouble.met("locked")
        trouble.over()

    assert len(caplog.messages) == 2


def test_what_was_begun_before_it_was_met_does_not_end_it(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    began_s = time.monotonic()
    trouble.met("no such file")
    trouble.over(began_s)
    assert trouble.lasts

    trouble.over(time.monotonic())
    assert not trouble.lasts
    assert caplog.text.count("over after") == 1


def test_it_lasts_since_what_failed_was_begun_and_no_second_counts_twice(trouble: Trouble, tally: Tally) -> None:
    began_s = time.monotonic() - 5
    for _ in range(2):
        trouble.met(StoreUnavailable("locked"), began_s)
        trouble.over()

    (count,) = tally.take()
    assert count.times == 2
    assert 5 <= count.seconds <= time.monotonic() - began_s


def test_no_trouble_is_not_over(trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    trouble.over()

    assert not caplog.messages


def test_each_cause_counts_once_with_its_own_time_however_often_it_is_met(trouble: Trouble, tally: Tally) -> None:
    locked, full = StoreUnavailable("locked"), StoreUnavailable("full")
    locked.trouble, full.trouble = "database_locked", "database_full"
    began_s = time.monotonic()
    for error in (locked, locked, full, full, locked):
        trouble.met(error)
    trouble.over()
    took_s = time.monotonic() - began_s

    counts = {count.kind: count for count in tally.take()}
    assert {kind: count.times for kind, count in counts.items()} == {"database_locked": 2, "database_full": 1}
    assert 0 < sum(count.seconds for count in counts.values()) <= took_s


def test_what_lasts_is_counted_while_it_lasts(trouble: Trouble, tally: Tally) -> None:
    trouble.met(StoreUnavailable("away"))
    tally.take()
    trouble.met(StoreUnavailable("away"))

    (count,) = tally.take()
    assert (count.kind, count.times) == ("database_failed", 0)
    assert count.seconds > 0

"""The policies `skip`, `once` and `all` decide which missed firings count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from statemachine_engine.actors.definition.cron import Cron
from statemachine_engine.actors.definition.schedule import (
    MOST_AT_ONCE,
    Due,
    Schedule,
    ScheduledEvent,
    ScheduledJob,
    due,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def schedule(expression: str = "*/30 * * * *", **changes: Any) -> Schedule:
    return Schedule("s", Cron(expression), ScheduledJob("report"), **changes)


def clock(minutes: float) -> float:
    """Return minutes after noon in epoch seconds."""
    return (NOON + timedelta(minutes=minutes)).timestamp()


def times(found: Due) -> list[str]:
    return [datetime.fromtimestamp(moment, UTC).strftime("%H:%M") for moment in found.firings]


@pytest.mark.parametrize("missed", ["skip", "once", "all"])
def test_a_firing_that_is_a_few_seconds_late_was_not_missed(missed: Any) -> None:
    found = due(schedule(missed=missed, window_s=1.0), clock(0), clock(0.9))

    assert (times(found), found.next_at, found.left_out) == (["12:00"], clock(30), 0)


def test_after_three_hours_skip_fires_nothing_and_waits_for_the_next() -> None:
    found = due(schedule(missed="skip"), clock(0), clock(190))

    assert (times(found), found.next_at, found.left_out) == ([], clock(210), 1)


def test_after_three_hours_once_fires_for_the_last_that_was_missed() -> None:
    found = due(schedule(missed="once"), clock(0), clock(190))

    assert (times(found), found.next_at, found.left_out) == (["15:00"], clock(210), 6)


def test_after_three_hours_all_fires_for_each_in_order() -> None:
    found = due(schedule(missed="all"), clock(0), clock(190))

    assert times(found) == ["12:00", "12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]
    assert (found.next_at, found.left_out) == (clock(210), 0)


def test_firings_older_than_the_window_are_left_out() -> None:
    found = due(schedule(missed="all", window_s=3600.0), clock(0), clock(190))

    assert (times(found), found.next_at, found.left_out) == (["14:30", "15:00"], clock(210), 1)


def test_a_missed_firing_outside_the_window_is_not_made_up_for() -> None:
    found = due(schedule("0 12 * * *", missed="once", window_s=3600.0), clock(0), clock(190))

    assert (times(found), found.next_at, found.left_out) == ([], clock(24 * 60), 1)


def test_skip_still_fires_what_is_due_right_now() -> None:
    found = due(schedule(missed="skip"), clock(0), clock(180.5))

    assert (times(found), found.next_at) == (["15:00"], clock(210))


def test_very_many_missed_firings_are_made_up_for_in_several_rounds() -> None:
    waiting: float | None = clock(0)
    fired: list[str] = []
    while waiting is not None and waiting <= clock(250):
        found = due(schedule("* * * * *", missed="all"), waiting, clock(250))
        assert len(found.firings) <= MOST_AT_ONCE
        fired += times(found)
        waiting = found.next_at

    assert (len(fired), len(set(fired)), waiting) == (251, 251, clock(251))


def test_a_year_of_missed_minutes_is_decided_at_once() -> None:
    found = due(schedule("* * * * *", missed="once"), clock(-365 * 24 * 60), clock(0))

    assert (times(found), found.next_at) == (["12:00"], clock(1))


def test_a_schedule_describes_its_job_or_event() -> None:
    assert schedule().what == "job report"
    assert Schedule("s", Cron("@daily"), ScheduledEvent("tick", target="m")).what == "event tick to m"
    assert Schedule("s", Cron("@daily"), ScheduledEvent("tick")).what == "event tick"

"""Cron expressions fire at the right times, across both changes of daylight saving time in three zones."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest

from statemachine_engine.actors.definition.cron import SHORTHANDS, Cron


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def fired(expression: str, zone: str, after: str, count: int) -> list[str]:
    cron = Cron(expression, zone)
    moments = islice(cron.firings(at(after)), count)
    return [datetime.fromtimestamp(moment, cron.zone).strftime("%d %H:%M%z") for moment in moments]


def test_a_firing_comes_after_the_moment_and_never_at_it() -> None:
    cron = Cron("0 2 * * *")

    assert cron.after(at("2026-11-24T01:59:59.9+00:00")) == at("2026-11-24T02:00+00:00")
    assert cron.after(at("2026-11-24T02:00+00:00")) == at("2026-11-25T02:00+00:00")


@pytest.mark.parametrize("shorthand", SHORTHANDS)
def test_a_shorthand_stands_for_its_five_fields(shorthand: str) -> None:
    start = at("2026-11-24T02:00+00:00")

    assert Cron(shorthand).after(start) == Cron(SHORTHANDS[shorthand]).after(start)


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        ("America/New_York", "2026-03-07T12:00-05:00", ["08 03:00-0400", "09 02:30-0400"]),
        ("Europe/Helsinki", "2026-03-28T12:00+02:00", ["29 02:30+0200", "30 02:30+0300"]),
        ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", ["04 02:30+1100", "05 02:30+1100"]),
    ],
)
def test_a_firing_in_the_skipped_hour_of_spring_comes_right_after_it(
    zone: str, start: str, expected: list[str]
) -> None:
    assert fired("30 2 * * *", zone, start, 2) == expected


@pytest.mark.parametrize(
    ("zone", "expression", "start", "expected"),
    [
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00-04:00", ["01 01:30-0400", "02 01:30-0500"]),
        ("Europe/Helsinki", "30 3 * * *", "2026-10-24T12:00+03:00", ["25 03:30+0300", "26 03:30+0200"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00+11:00", ["05 01:45+1100", "06 01:45+1030"]),
    ],
)
def test_a_firing_in_the_repeated_hour_of_autumn_comes_once(
    zone: str, expression: str, start: str, expected: list[str]
) -> None:
    assert fired(expression, zone, start, 2) == expected


@pytest.mark.parametrize(
    ("zone", "before_spring", "before_autumn"),
    [
        ("America/New_York", "2026-03-08T00:00-05:00", "2026-11-01T00:00-04:00"),
        ("Europe/Helsinki", "2026-03-29T00:00+02:00", "2026-10-25T00:00+03:00"),
        ("Australia/Lord_Howe", "2026-10-04T00:00+10:30", "2026-04-05T00:00+11:00"),
    ],
)
def test_every_quarter_of_an_hour_follows_elapsed_time(zone: str, before_spring: str, before_autumn: str) -> None:
    for start in (before_spring, before_autumn):
        moments = list(islice(Cron("*/15 * * * *", zone).firings(at(start)), 40))
        assert {later - earlier for earlier, later in zip(moments, moments[1:], strict=False)} == {900.0}


def test_the_second_pass_of_the_repeated_hour_repeats_no_firing_of_the_first() -> None:
    second_pass = at("2026-11-01T01:10-05:00")

    assert (Cron("30 1 * * *", "America/New_York").after(second_pass) or 0) > second_pass
    assert fired("30 1 * * *", "America/New_York", "2026-11-01T01:10-05:00", 1) == ["02 01:30-0500"]


def test_two_firings_of_the_skipped_hour_become_one() -> None:
    assert fired("15,30 2 * * *", "America/New_York", "2026-03-08T00:00-05:00", 2) == ["08 03:00-0400", "09 02:15-0400"]


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("61 * * * *", "the minute is wrong"),
        ("* * * *", "it has 4 fields, not five"),
        ("* * * * * *", "it has 6 fields, not five"),
        ("0 0 31 2 *", "the day of month is wrong"),
        ("@reboot", "shorthands are @hourly"),
        ("", "it has 0 fields"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_reason(expression: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Cron(expression)


@pytest.mark.parametrize("zone", ["Europe/Helsinky", "", "../etc/passwd", "/etc/passwd", "Mars/Olympus", "x\0y"])
def test_an_unknown_time_zone_is_refused_with_a_hint(zone: str) -> None:
    with pytest.raises(ValueError, match="did you mean|write a name"):
        Cron("* * * * *", zone)

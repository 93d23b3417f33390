"""`schedules:` is read with its defaults, and each mistake is reported at its place."""

from __future__ import annotations

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.definition.schedule import Schedule, ScheduledEvent, ScheduledJob
from statemachine_engine.actors.errors import ConfigError

FILE = """
initial_state: a
events: [tick]
schedules:
  s:
"""


def read(*lines: str) -> Schedule:
    (schedule,) = load_text(FILE + "".join(f"    {line}\n" for line in lines)).schedules
    return schedule


def refused(*lines: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*lines)
    return [f"{p.line}:{p.column} {p.message}" + (f" ({p.hint})" if p.hint else "") for p in caught.value.problems]


def test_a_machine_without_schedules_has_none() -> None:
    assert load_text("initial_state: a\n").schedules == ()
    assert load_text("initial_state: a\nschedules:\n").schedules == ()


def test_a_schedule_needs_a_time_and_a_type() -> None:
    schedule = read('cron: "0 2 * * *"', "job: report")

    assert (schedule.name, str(schedule.cron), schedule.does) == ("s", "0 2 * * * UTC", ScheduledJob("report"))
    assert (schedule.missed, schedule.window_s, schedule.overlap, schedule.description) == (
        "once",
        86400.0,
        "allow",
        None,
    )


def test_all_settings_are_kept() -> None:
    schedule = read(
        "cron: '@daily'", "timezone: Europe/Helsinki", "missed: all", "window: 6h", "overlap: skip", "description: why",
        "job: {type: t, job_id: 'i-{date}', payload: {a: [1]}, machine_type: m, priority: 1, max_attempts: 2, "
        "backoff: 1m, time_limit: 1h}",
    )  # fmt: skip

    assert schedule.does == ScheduledJob("t", "i-{date}", {"a": [1]}, "m", 1, 2, 60, 3600)
    assert (schedule.cron.timezone, schedule.missed, schedule.window_s, schedule.overlap, schedule.description) == (
        "Europe/Helsinki", "all", 21600.0, "skip", "why",
    )  # fmt: skip


def test_an_event_may_be_a_name_or_a_mapping() -> None:
    assert read("cron: '@daily'", "event: tick").does == ScheduledEvent("tick")
    does = read("cron: '@daily'", "event: {type: go, payload: 5, target: other}").does
    assert does == ScheduledEvent("go", 5, "other")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["job: t"], "5:3 schedule 's' has no 'cron' (such as cron:"),
        (["cron: '@daily'"], "5:3 schedule 's' has neither 'job' nor 'event' (say what it does)"),
        (["cron: '@daily'", "job: t", "event: e"], "8:12 schedule 's' has a job and an event"),
        (["cron: 5", "job: t"], "6:11 cron of schedule 's' must be text, not the number '5' (quote it"),
        (["cron: '61 * * * *'", "job: t"], "6:11 cron of schedule 's': '61 * * * *': the minute is wrong (five fields"),
        (["cron: '* * * *'", "job: t"], "6:11 cron of schedule 's': '* * * *': it has 4 fields, not five"),
        (
            ["cron: '@daily'", "timezone: Europe/Helsinky", "job: t"],
            "7:15 timezone of schedule 's': 'Europe/Helsinky' is unknown (did you mean Europe/Helsinki?)",
        ),
        (["cron: '@daily'", "job: {typ: t}"], "7:10 job of schedule 's' has no 'type'"),
        (["cron: '@daily'", "job: yes"], "7:10 job of schedule 's' must be text, not the boolean 'yes' (quote it"),
        (["cron: '@daily'", "job: {type: t, priority: 1.5}"], "7:30 priority of job of schedule 's' must be a whole"),
        (["cron: '@daily'", "job: {type: t, max_attempts: 0}"], "7:34 max_attempts of job of schedule 's' must be"),
        (["cron: '@daily'", "job: {type: t, backoff: soon}"], "7:29 backoff of job of schedule 's' must be a duration"),
        (
            ["cron: '@daily'", "job: {type: t, time_limit: 1y}"],
            "7:32 time_limit of job of schedule 's' must be a durat",
        ),
        (["cron: '@daily'", "event: {type: t, target: a/b}"], "7:30 target of event of schedule 's' must not contain"),
        (["cron: '@daily'", "event: {type: t, target: all}"], "7:30 target of event of schedule 's' must be one mach"),
        (["cron: '@daily'", "job: t", "missed: al"], "8:13 missed of schedule 's' must be skip or once or all"),
        (["cron: '@daily'", "job: t", "overlap: x"], "8:14 overlap of schedule 's' must be allow or skip"),
        (["cron: '@daily'", "job: t", "window: 0"], "8:13 window of schedule 's' must be more than 0"),
        (["cron: '@daily'", "job: t", "window: 40d"], "8:13 window of schedule 's' must be at most 31d"),
        (["- 1"], "6:5 schedule 's' must be a mapping, not a list"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(lines: list[str], expected: str) -> None:
    assert any(problem.startswith(expected) for problem in refused(*lines)), refused(*lines)


def test_all_mistakes_come_at_once() -> None:
    assert len(refused("cron: '* *'", "timezone: Nowhere/At_All", "job: {priority: x}", "missed: 7")) == 5


def test_a_probable_mistake_is_a_warning() -> None:
    warnings = load_text(
        FILE + "    cron: '@daily'\n    event: tik\n    cronn: x\n    missed: skip\n    window: 5m\n"
    ).warnings

    assert sorted(warning.code for warning in warnings) == ["E003", "W004", "W004"]
    assert any(warning.hint == "did you mean 'tick'?" for warning in warnings)


def test_schedules_must_be_a_mapping() -> None:
    with pytest.raises(ConfigError, match="schedules must be a mapping, not a list"):
        load_text("initial_state: a\nschedules: [1]\n")

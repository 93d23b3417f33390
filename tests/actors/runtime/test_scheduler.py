"""Schedules under a clock that is set by hand: one firing each, whoever looks, however long nobody did."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import pytest

from statemachine_engine.actors.definition.loader import load_text
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.runtime.router import Router
from statemachine_engine.actors.runtime.runtime import Runtime
from statemachine_engine.actors.runtime.scheduler import Scheduler
from statemachine_engine.storage import jobs, mailbox, schedules
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.mailbox import MailboxMessage
from statemachine_engine.storage.schedules import ScheduleRow
from tests.support.manual_clock import ManualClock
from tests.support.until import until

NIGHTLY = 'nightly: {cron: "0 2 * * *", job: {type: report, payload: {day: "{date}"}}}'
HALF_HOURLY = '{cron: "*/30 * * * *", job: report, missed: MISSED, window: WINDOW}'
TICK = 'tick: {cron: "* * * * *", event: {type: tick, payload: {at: "{time}"}}}'

Open = Callable[..., Database]


class House:
    """A process with machines, as the scheduler sees it."""

    def __init__(self, db: Database, clock: ManualClock) -> None:
        self.db, self.clock = db, clock
        self.running = ["m"]
        self.handed: list[MailboxMessage] = []
        self.notified: list[tuple[str, tuple[str | None, ...], int]] = []
        self.scheduler = Scheduler(db, cast(Router, self), names=lambda: self.running)

    def deliver(self, event: MailboxMessage, timeout_s: float) -> bool:
        self.handed.append(event)
        return event.target in self.running

    def notify(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        self.notified.append((topic, key, count))

    def follow(self, *entries: str, machine: str = "m", file: str = "worker") -> None:
        self.scheduler.follow(definition(*entries, file=file), machine)

    def look_at(self, text: str) -> None:
        """Set the clock, and look."""
        self.clock.now_s = at(text)
        self.scheduler.look()

    def job_ids(self) -> list[str]:
        return [job.job_id for job in reversed(jobs.find(self.db, limit=None))]

    def row(self) -> ScheduleRow:
        (row,) = schedules.list_(self.db)
        return row


def at(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def definition(*entries: str, file: str = "worker") -> Definition:
    lines = "\n".join(f"  {entry}" for entry in entries)
    return load_text(f"initial_state: a\nschedules:\n{lines}\n", f"{file}.yaml")


@pytest.fixture
def house(db: Database, clock: ManualClock) -> House:
    clock.now_s = at("2026-11-24 12:00:30")
    return House(db, clock)


def test_a_job_is_added_when_its_time_has_come_and_not_before(house: House) -> None:
    house.follow(NIGHTLY)
    house.look_at("2026-11-25 01:59:59.9")
    assert house.job_ids() == []

    house.look_at("2026-11-25 02:00:00.5")
    house.look_at("2026-11-25 02:00:01.5")

    (job,) = jobs.find(house.db)
    assert (job.job_id, job.job_type, job.data) == ("worker.nightly-20261125T020000Z", "report", {"day": "2026-11-25"})
    assert job.metadata == {"schedule": "worker.nightly", "scheduled_for": "20261125T020000Z"}
    assert house.notified == [("jobs", ("report", None), 1)]
    row = house.row()
    assert (row.fired, row.last_at, row.next_at) == (1, at("2026-11-25 02:00"), at("2026-11-26 02:00"))
    assert row.last_result == "job worker.nightly-20261125T020000Z"


def test_all_that_a_job_may_have_is_passed_on(house: House) -> None:
    house.follow(
        """s: {cron: "0 13 * * *", job: {type: t, job_id: "t-{date}", machine_type: m, priority: 1, max_attempts: 9,
                                         backoff: 7, time_limit: 1m}}"""
    )
    house.look_at("2026-11-24 13:00")

    (job,) = jobs.find(house.db)
    assert (job.job_id, job.machine_type, job.priority, job.max_attempts) == ("t-2026-11-24", "m", 1, 9)
    assert (job.backoff_s, job.time_limit_s) == (7, 60)


def test_an_event_goes_to_the_machine_itself(house: House) -> None:
    house.follow(TICK)
    house.look_at("2026-11-24 12:01:00.2")

    (event,) = mailbox.unread(house.db, "m")
    assert (event.type, event.payload, event.source) == ("tick", {"at": "120100"}, "schedule:tick@m")
    assert [handed.id for handed in house.handed] == [event.id]


def test_an_event_may_go_to_another_machine_also_one_that_is_down(house: House) -> None:
    house.follow("call: {cron: '@hourly', event: {type: wake_up, target: other}}")
    house.look_at("2026-11-24 13:00:00")

    assert [event.type for event in mailbox.unread(house.db, "other")] == ["wake_up"]
    assert house.row().schedule_id == "worker.call"


def test_each_machine_of_a_file_has_its_own_event_but_they_share_the_job(house: House) -> None:
    house.running = ["m", "n"]
    for machine in house.running:
        house.follow(TICK, NIGHTLY.replace("0 2", "1 12"), machine=machine)
    house.look_at("2026-11-24 12:01:00")

    assert len(house.job_ids()) == 1
    assert [len(mailbox.unread(house.db, machine)) for machine in ("m", "n")] == [1, 1]


def test_a_schedule_is_followed_as_long_as_one_of_its_machines_runs(house: House) -> None:
    for machine in ("m", "n"):
        house.follow(NIGHTLY, machine=machine)
    house.running = ["n"]
    house.look_at("2026-11-25 02:00")
    assert len(house.job_ids()) == 1

    house.running = []
    house.look_at("2026-11-26 02:00")
    assert len(house.job_ids()) == 1


def test_one_firing_of_several_runtimes(db_url: str, open_db: Open, clock: ManualClock) -> None:
    clock.now_s = at("2026-11-24 12:00:30")
    houses = [House(open_db(db_url, clock=clock), clock) for _ in range(4)]
    for house in houses:
        house.follow('a: {cron: "* * * * *", job: t}', TICK)
    for minute in range(1, 6):
        clock.now_s = at(f"2026-11-24 12:0{minute}:00")
        threads = [threading.Thread(target=house.scheduler.look) for house in houses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert houses[0].job_ids() == [f"worker.a-20261124T120{minute}00Z" for minute in range(1, 6)]
    assert len(mailbox.unread(houses[0].db, "m")) == 5
    assert sum(len(house.handed) for house in houses) == 5
    assert [row.fired for row in schedules.list_(houses[0].db)] == [5, 5]


@pytest.mark.parametrize(
    ("missed", "window", "expected"),
    [
        ("skip", "1d", []),
        ("once", "1d", ["15:00"]),
        ("once", "5m", []),
        ("all", "1d", ["12:30", "13:00", "13:30", "14:00", "14:30", "15:00"]),
        ("all", "1h", ["14:30", "15:00"]),
    ],
)
def test_after_three_hours_of_downtime(house: House, missed: str, window: str, expected: list[str]) -> None:
    entry = "s: " + HALF_HOURLY.replace("MISSED", missed).replace("WINDOW", window)
    if missed == "skip":
        entry = entry.replace(", window: 1d", "")
    house.follow(entry)
    house.clock.now_s = at("2026-11-24 15:10")
    after = House(house.db, house.clock)

    after.follow(entry)
    after.scheduler.look()

    made = [job_id[-7:-3] for job_id in after.job_ids()]
    assert made == [text.replace(":", "") for text in expected]
    assert after.row().next_at == at("2026-11-24 15:30")


def test_a_new_schedule_has_missed_nothing(house: House) -> None:
    house.follow(NIGHTLY)
    house.scheduler.look()

    assert house.job_ids() == []


def test_a_changed_expression_counts_from_now_and_the_older_one_ends(house: House) -> None:
    house.follow(NIGHTLY)
    newer = House(house.db, house.clock)
    newer.follow(NIGHTLY.replace("0 2", "0 3"))

    house.look_at("2026-11-25 02:00")
    assert house.job_ids() == []
    newer.look_at("2026-11-25 03:00")
    house.look_at("2026-11-25 03:00")
    assert newer.job_ids() == ["worker.nightly-20261125T030000Z"]


def test_with_overlap_skip_a_job_is_not_added_while_the_one_before_is_not_done(house: House) -> None:
    house.follow('s: {cron: "* * * * *", job: t, overlap: skip}')
    house.look_at("2026-11-24 12:01")
    house.look_at("2026-11-24 12:02")
    assert len(house.job_ids()) == 1
    assert house.row().last_result == "left out: job worker.s-20261124T120100Z is not done"

    jobs.complete(house.db, house.job_ids()[0])
    house.look_at("2026-11-24 12:03")
    assert (len(house.job_ids()), house.row().fired, house.row().left_out) == (2, 2, 1)


def test_with_overlap_skip_an_event_is_not_sent_while_the_one_before_is_unread(house: House) -> None:
    house.follow(TICK.replace("}}}", "}}, overlap: skip}"))
    house.look_at("2026-11-24 12:01")
    house.look_at("2026-11-24 12:02")
    (event,) = mailbox.unread(house.db, "m")

    mailbox.settle(house.db, [event.id], "processed")
    house.look_at("2026-11-24 12:03")
    assert [event.payload for event in mailbox.unread(house.db, "m")] == [{"at": "120300"}]


def test_a_job_id_that_is_taken_leaves_the_firing_out_and_the_schedule_goes_on(house: House) -> None:
    house.follow('s: {cron: "* * * * *", job: {type: t, job_id: "t-{date}"}}')
    for minute in (1, 2):
        house.look_at(f"2026-11-24 12:0{minute}")

    assert house.job_ids() == ["t-2026-11-24"]
    assert (house.row().left_out, house.row().last_result) == (1, "left out: there is a job t-2026-11-24")
    assert house.row().next_at == at("2026-11-24 12:03")


def test_a_clock_that_is_set_back_fires_nothing_twice(house: House) -> None:
    house.follow(NIGHTLY)
    house.look_at("2026-11-25 02:00")
    house.look_at("2026-11-25 01:00")
    house.look_at("2026-11-25 02:00")

    assert len(house.job_ids()) == 1


def test_a_clock_that_is_set_back_by_a_day_does_not_keep_the_next_firing_waiting(house: House) -> None:
    house.follow(NIGHTLY)
    house.clock.now_s = at("2026-11-23 12:00")

    house.scheduler.plan_again()

    assert house.row().next_at == at("2026-11-24 02:00")
    house.look_at("2026-11-24 02:00:01")
    assert house.job_ids() == ["worker.nightly-20261124T020000Z"]


def test_a_schedule_that_skips_missed_firings_counts_them(house: House) -> None:
    house.follow('s: {cron: "0 * * * *", job: t, missed: skip}')

    house.look_at("2026-11-24 13:30")

    row = house.row()
    assert (row.last_result, row.fired, row.last_at) == ("missed firings were left out", 0, None)
    assert (row.left_out, row.next_at) == (1, at("2026-11-24 14:00"))


def test_a_runtime_looks_once_a_second_and_its_machine_takes_the_event_and_the_job(clock: ManualClock) -> None:
    clock.now_s = at("2026-11-24 12:00:30")
    with Runtime("sqlite:///:memory:", clock=clock, sockets=False) as runtime:
        machine = runtime.add(
            {
                "initial_state": "a",
                "transitions": [
                    {"from": "a", "to": "b", "event": "tick"},
                    {"from": "b", "to": "c", "event": "new_job"},
                ],
                "actions": {"b": [{"type": "check_database_queue", "job_type": "t"}]},
                "schedules": {
                    "first": {"cron": "1 12 * * *", "event": "tick"},
                    "then": {"cron": "2 12 * * *", "job": "t"},
                },
            }
        )
        clock.now_s = at("2026-11-24 12:01:00")
        until(lambda: machine.state == "b")
        clock.now_s = at("2026-11-24 12:02:00")
        until(lambda: machine.state == "c")
        assert [row.fired for row in schedules.list_(runtime.db)] == [1, 1]


@pytest.mark.parametrize(
    ("zone", "day", "cron", "expected"),
    [
        ("America/New_York", "2026-03-08", "30 2 * * *", "20260308T070000Z"),  # 2:30 is skipped: at 3:00
        ("Europe/Helsinki", "2026-03-29", "30 3 * * *", "20260329T010000Z"),  # 3:30 is skipped: at 4:00
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", "20261003T153000Z"),  # 2:15 is skipped: at 2:30
        ("America/New_York", "2026-11-01", "30 1 * * *", "20261101T053000Z"),  # the first of two 1:30
        ("Europe/Helsinki", "2026-10-25", "30 3 * * *", "20261025T003000Z"),  # the first of two 3:30
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", "20260404T144500Z"),  # the first of two 1:45
    ],
)
def test_both_changes_of_the_clock_minute_by_minute(
    open_db: Open, zone: str, day: str, cron: str, expected: str
) -> None:
    clock = ManualClock(at(f"{day} 00:00") - 14 * 3600)
    house = House(open_db("sqlite:///:memory:", clock=clock), clock)
    house.follow(f'daily: {{cron: "{cron}", timezone: {zone}, job: t}}')
    house.follow(f'often: {{cron: "*/30 * * * *", timezone: {zone}, job: u}}', file="often")
    for _ in range(22 * 60):
        clock.advance(60)
        house.scheduler.look()

    assert [job.job_id for job in jobs.find(house.db, job_type="t")] == [f"worker.daily-{expected}"]
    assert len(jobs.find(house.db, job_type="u", limit=None)) == 44

"""A firing is taken once, whoever asks, and a known schedule keeps the firing it waits for."""

from __future__ import annotations

import threading
from typing import Any

from statemachine_engine.storage import schedules
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.schedules import ScheduleRow


def register(db: Database, **changes: Any) -> ScheduleRow:
    given = {
        "machine_name": "m", "config_type": "worker", "cron": "0 2 * * *", "timezone": "UTC", "what": "job report",
        "spec": "0 2 * * * UTC", "next_at": 1000.0,
    }  # fmt: skip
    return schedules.register(db, ScheduleRow("worker.nightly", **{**given, **changes}))  # type: ignore[arg-type]


def test_a_new_schedule_waits_for_its_first_firing(db: Database) -> None:
    row = register(db)

    assert (row.next_at, row.last_at, row.fired, row.left_out) == (1000.0, None, 0, 0)
    assert schedules.list_(db) == [row]
    assert row.as_dict()["schedule_id"] == "worker.nightly"


def test_a_known_schedule_keeps_its_firing_and_a_changed_one_gets_another(db: Database) -> None:
    register(db)

    assert register(db, next_at=5000.0, machine_name="n").next_at == 1000.0
    changed = register(db, next_at=5000.0, cron="0 3 * * *", spec="0 3 * * * UTC")
    assert (changed.next_at, changed.cron, changed.machine_name) == (5000.0, "0 3 * * *", "m")


def test_a_firing_is_taken_by_one_of_many(db: Database) -> None:
    spec = register(db).spec
    taken: list[bool] = []
    barrier = threading.Barrier(4)

    def take() -> None:
        barrier.wait(30)
        taken.append(schedules.claim(db, "worker.nightly", spec=spec, seen=1000.0, next_at=2000.0))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(taken) == [False, False, False, True]
    assert [row.next_at for row in schedules.list_(db)] == [2000.0]


def test_a_schedule_that_has_changed_meanwhile_is_left_alone(db: Database) -> None:
    register(db)

    assert not schedules.claim(db, "worker.nightly", spec="another", seen=1000.0, next_at=2000.0)
    assert not schedules.claim(db, "nobody.knows", spec="another", seen=1000.0, next_at=2000.0)


def test_what_came_of_a_firing_is_counted(db: Database) -> None:
    register(db)

    schedules.note(db, "worker.nightly", last_at=1000.0, result="job a", fired=1, left_out=0)
    schedules.note(db, "worker.nightly", last_at=None, result="left out", fired=0, left_out=3)

    row = schedules.get(db, "worker.nightly")
    assert row is not None
    assert (row.last_at, row.last_result, row.fired, row.left_out) == (1000.0, "left out", 1, 3)


def test_a_schedule_that_never_fires_again_comes_last(db: Database) -> None:
    register(db, next_at=None)
    schedules.register(db, ScheduleRow("b", "m", None, "* * * * *", "UTC", "x", "s", 5.0))

    assert [row.schedule_id for row in schedules.list_(db)] == ["b", "worker.nightly"]


def test_a_forgotten_schedule_is_gone(db: Database) -> None:
    register(db)

    assert schedules.remove(db, "worker.nightly")
    assert not schedules.remove(db, "worker.nightly")

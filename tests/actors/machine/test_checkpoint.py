"""Machines that go on where they were (`on_restart:`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import JobQueue, Machine, Runtime
from statemachine_engine.actors.errors import CannotResume
from statemachine_engine.actors.machine.checkpoint import json_part
from statemachine_engine.storage import jobs, snapshots
from statemachine_engine.storage.engine.database import Database
from tests.support.manual_clock import ManualClock
from tests.support.until import until


def definition(**more: Any) -> dict[str, Any]:
    return {
        "initial_state": "a",
        "on_restart": "resume",
        "states": ["a", "b", "c"],
        "transitions": [
            {"from": "a", "to": "b", "event": "go"},
            {"from": "b", "to": "c", "event": "on"},
            {"from": "*", "to": "stopped", "event": "stop"},
        ],
        "actions": {"b": [{"type": "add_to_list", "list_key": "entered", "value": "{current_state}"}]},
        **more,
    }


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as database:
        yield database


def run_to_b(db: Database, **more: Any) -> None:
    with Runtime(db, sockets=False) as runtime:
        machine = runtime.add(definition(**more), "m", {"x": 1})
        machine.send("go", {"n": 5})
        machine.wait_for("b", 30)
        until(lambda: machine.context.get("entered") == ["b"])


def restarted(runtime: Runtime, **more: Any) -> Machine:
    return runtime.add(definition(**more), "m")


def test_state_and_context_are_those_it_had_and_actions_that_had_run_do_not_run_again(db: Database) -> None:
    run_to_b(db)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime)
        machine.wait_for("b", 30)
        machine.send("on")
        machine.wait_for("c", 30)

        assert machine.context["x"] == 1
        assert machine.context["event_data"]["type"] == "on"
        assert machine.context["entered"] == ["b"]


def test_actions_that_had_not_ended_run_again(db: Database, tmp_path: Path) -> None:
    actions = {"b": [{"type": "bash", "command": f"echo x >> {tmp_path}/ran; [ -e {tmp_path}/free ] || sleep 60"}]}
    with Runtime(db, sockets=False, grace_s=0) as runtime:
        runtime.add(definition(actions=actions), "m").send("go")
        until(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text())
    (tmp_path / "free").touch()

    with Runtime(db, sockets=False) as runtime:
        restarted(runtime, actions=actions).wait_for("b", 30)
        until(lambda: (tmp_path / "ran").read_text() == "x\nx\n")


def test_a_watch_goes_on_watching(db: Database) -> None:
    more = {
        "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "b", "to": "c", "event": "new_job"}],
        "actions": {
            "b": [{"type": "add_to_list", "list_key": "entered", "value": "b"}, {"type": "check_database_queue"}]
        },
    }
    run_to_b(db, **more)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.wait_for("b", 30)
        JobQueue(runtime).add("t")
        machine.wait_for("c", 30)
        assert machine.context["entered"] == ["b"]


def test_a_job_is_taken_up_again(db: Database) -> None:
    more = {
        "transitions": [{"from": "a", "to": "b", "event": "new_job"}, {"from": "b", "to": "c", "event": "on"}],
        "actions": {"a": [{"type": "check_database_queue"}], "c": [{"type": "complete_job"}]},
    }
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t", {"size": 3}).job_id
        machine.wait_for("b", 30)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.wait_for("b", 30)
        machine.send("on")

        assert JobQueue(runtime).wait(job_id, 5).status == "completed"
        assert machine.context["size"] == 3


def test_without_its_job_it_starts_from_the_beginning(db: Database) -> None:
    more = {
        "transitions": [{"from": "a", "to": "b", "event": "new_job"}, {"from": "a", "to": "c", "event": "on"}],
        "actions": {"a": [{"type": "check_database_queue"}]},
    }
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t").job_id
        machine.wait_for("b", 30)
    jobs.complete(db, job_id)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.send("on")
        machine.wait_for("c", 30)


WORKER: dict[str, Any] = {
    "states": ["a", "b", "c"],
    "transitions": [
        {"from": "a", "to": "b", "event": "new_job"},
        {"from": "b", "to": "c", "event": "cut", "interrupt": True},
        {"from": "b", "to": "c", "event": "broken"},
        {"from": "c", "to": "a", "event": "on"},
    ],
}


@pytest.mark.parametrize(
    ("command", "event", "left_in", "status"),
    [("sleep 60", "cut", "c", "pending"), ("exit 1", None, "c", "failed"), ("true", None, "b", "completed")],
)
def test_what_was_to_become_of_a_job_is_not_forgotten(
    db: Database, command: str, event: str | None, left_in: str, status: str
) -> None:
    work = {"type": "bash", "command": command, "error": "broken"}
    more = {**WORKER, "actions": {"a": [{"type": "check_database_queue"}], "b": [work]}}
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t").job_id
        machine.wait_for("b", 30)
        if event is not None:
            machine.send(event)
        machine.wait_for(left_in, 5)
        until(lambda: machine.dependencies.job_holder.current is not None and not runtime.resources.running_actions)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.wait_for(left_in, 5)
        machine.dependencies.job_holder.finish()

    assert JobQueue(db).get(job_id).status == status


def test_a_job_that_was_under_way_is_tried_again_when_the_machine_starts_elsewhere(
    db: Database, tmp_path: Path
) -> None:
    work = [{"type": "bash", "command": f"touch {tmp_path}/begun; sleep 60"}]
    more = {**WORKER, "on_restart": "c", "actions": {"a": [{"type": "check_database_queue"}], "b": work}}
    with Runtime(db, sockets=False, grace_s=0) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t").job_id
        until(lambda: (tmp_path / "begun").exists())

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.wait_for("c", 30)
        machine.dependencies.job_holder.finish()

    assert JobQueue(db).get(job_id).status == "pending"


def test_a_job_whose_machine_is_started_elsewhere_between_its_actions_is_tried_again_too(db: Database) -> None:
    more = {**WORKER, "actions": {"a": [{"type": "check_database_queue"}], "b": [{"type": "log", "message": "at it"}]}}
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t", backoff_s=600).job_id
        machine.wait_for("b", 30)
        until(lambda: machine.dependencies.job_holder.current is not None and not runtime.resources.running_actions)
        runtime.resources.recorder.flush()

    with Runtime(db, sockets=False) as runtime:
        runtime.add(definition(**more), "m", from_state="a")
        until(lambda: (job := JobQueue(runtime).get(job_id)) is not None and job.attempts == 2)


def test_a_job_that_was_taken_before_it_could_be_completed_is_tried_again_and_has_not_failed(
    db: Database, tmp_path: Path
) -> None:
    begin = {"type": "bash", "command": f"touch {tmp_path}/begun; until [ -e {tmp_path}/go ]; do sleep 0.01; done"}
    work = [begin, {"type": "complete_job", "error": "broken"}]
    more = {**WORKER, "actions": {"a": [{"type": "check_database_queue"}], "b": work}}
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        job_id = JobQueue(runtime).add("t").job_id
        until((tmp_path / "begun").exists)
        with db.write():
            db.execute("UPDATE jobs SET lease_until = 1")
            assert jobs.rescue(db)
        (tmp_path / "go").touch()
        machine.wait_for("c", 30)

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, **more)
        machine.wait_for("c", 30)
        machine.dependencies.job_holder.finish()

    job = JobQueue(db).get(job_id)
    assert (job.status, job.attempts) == ("scheduled", 2)


@pytest.mark.parametrize(("timers", "left_s"), [("deadline", 0.0), ("remaining", 60.0), ("restart", 100.0)])
def test_timers_keep_their_deadline_or_their_rest_or_restart(tmp_path: Path, timers: str, left_s: float) -> None:
    clock = ManualClock()
    more = {
        "timers": timers,
        "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "b", "to": "c", "event": "timeout(100)"}],
        "actions": {},
    }
    with Database.open(tmp_path / "x.db", clock=clock) as db:
        with Runtime(db, sockets=False) as runtime:
            machine = restarted(runtime, **more)
            machine.send("go")
            machine.wait_for("b", 30)
            clock.advance(40)
            machine.dependencies.resources.recorder.flush()
        _saved_later(db, clock)
        clock.advance(3600)
        with Runtime(db, sockets=False) as runtime:
            machine = restarted(runtime, **more)
            if left_s == 0:
                machine.wait_for("c", 30)
            else:
                machine.wait_for("b", 30)
                runtime.resources.recorder.flush()
                found = snapshots.get(db, "m")
                assert found is not None
                assert found.timers["timeout(100)"] - clock.now() == pytest.approx(left_s)


def test_a_machine_that_ended_starts_from_the_beginning(db: Database) -> None:
    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime)
        machine.send("go")
        machine.wait_for("b", 30)
        until(lambda: snapshots.get(db, "m") is not None)
        machine.send("stop")
        machine.wait(30)
    assert snapshots.get(db, "m") is None

    with Runtime(db, sockets=False) as runtime:
        assert restarted(runtime).state == "a"


def test_a_state_may_be_named_to_start_in_after_the_first_time(db: Database) -> None:
    run_to_b(db, on_restart="c")

    with Runtime(db, sockets=False) as runtime:
        machine = restarted(runtime, on_restart="c")
        machine.wait_for("c", 30)
        assert machine.context["x"] == 1


def test_a_changed_definition_is_said_and_a_state_that_is_gone_is_refused(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    run_to_b(db)
    caplog.set_level(logging.WARNING)

    with Runtime(db, sockets=False) as runtime:
        runtime.add(definition(description="new"), "m").wait_for("b", 30)
    assert "has changed since it was in state b" in caplog.text

    without_b = {"initial_state": "a", "on_restart": "resume", "states": ["a", "z"], "transitions": []}
    with Runtime(db, sockets=False) as runtime:
        with pytest.raises(CannotResume, match="no state b .* --from and one of a, z"):
            runtime.add(without_b, "m")
        runtime.add(without_b, "m", from_state="z").wait_for("z", 30)


@pytest.mark.parametrize(("column", "text"), [("context", "[1]"), ("timers", '{"timeout(9)": "soon"}')])
def test_what_it_left_behind_and_cannot_be_read_is_refused_with_the_way_out(
    db: Database, column: str, text: str
) -> None:
    run_to_b(db)
    with db.write():
        db.execute(f"UPDATE machine_snapshots SET {column} = ?", (text,))

    with Runtime(db, sockets=False) as runtime:
        with pytest.raises(CannotResume, match=f"m left behind cannot be read, its {column} .* --from and one of a, b"):
            restarted(runtime)
        runtime.add(definition(), "m", from_state="b").wait_for("b", 30)


def test_only_what_is_json_is_saved() -> None:
    assert json_part({"a": [1], "b": object(), "config": {}, "current_job": {}}) == '{"a": [1]}'


def _saved_later(db: Database, clock: ManualClock) -> None:
    """Pretend that the machine was saved again, 40 s after it entered the state."""
    with db.write():
        db.execute("UPDATE machine_snapshots SET saved_at = ?", (clock.now(),))

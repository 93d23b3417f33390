"""Test the copy of its context that a machine stores for people to read."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import Runtime
from statemachine_engine.actors.machine.context_publisher import MOST, MOST_OF_ONE, ContextPublisher, shown
from statemachine_engine.actors.machine.messages import ContextDue
from statemachine_engine.storage import contexts, snapshots
from statemachine_engine.storage.contexts import MachineContext
from statemachine_engine.storage.engine.database import Database
from tests.support.gate import Gate, gate_in
from tests.support.until import until

COUNTER = {
    "initial_state": "idle",
    "states": ["idle", "busy", "done"],
    "transitions": [
        {"from": "idle", "to": "busy", "event": "go"},
        {"from": "busy", "to": "idle", "event": "go"},
        {"from": "*", "to": "done", "event": "stop"},
    ],
    "final": ["done"],
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as database:
        yield database


@pytest.fixture
def busy(db: Database, tmp_path: Path, action: Callable[[str, str], None]) -> Iterator[type[Gate]]:
    """Machine m is held in an action that it came to by an event with the payload {"n": 1}."""
    gate = gate_in(action)
    actions = {"busy": [{"type": "gate"}]}
    with Runtime(db, sockets=False, actions_dir=tmp_path / "actions") as runtime:
        runtime.add({**COUNTER, "actions": actions}, "m").send("go", {"n": 1})
        assert gate.entered.wait(30)
        yield gate


def left(db: Database) -> MachineContext:
    found = contexts.get(db, "m")
    assert found is not None
    return found


def values(db: Database) -> dict[str, Any]:
    found = contexts.get(db, "m")
    return found.values if found else {}


def last_n(db: Database) -> Any:
    return (values(db).get("event_data") or {}).get("payload", {}).get("n")


def test_a_machine_leaves_its_context_at_once_and_its_last_one_soon_after_a_burst(db: Database) -> None:
    with Runtime(db, sockets=False) as runtime:
        machine = runtime.add(COUNTER, "m", {"x": 1})
        until(lambda: values(db).get("x") == 1, timeout_s=0.9)
        for n in range(200):
            machine.send("go", {"n": n})
        until(lambda: last_n(db) == 199)
        assert "config" not in values(db)


def test_what_an_action_changes_is_left_when_it_has_ended(db: Database, busy: type[Gate]) -> None:
    busy.opened.set()
    until(lambda: values(db).get("from_gate"))


def test_what_an_action_works_with_is_left_while_it_runs(db: Database, busy: type[Gate]) -> None:
    until(lambda: last_n(db) == 1)
    assert "from_gate" not in values(db)
    busy.opened.set()


def test_many_changes_ask_for_one_more_look_and_a_context_that_stays_leaves_nothing(db: Database) -> None:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with Runtime(db, sockets=False) as runtime:
        context_publisher = ContextPublisher("m", runtime.resources, told.put)
        assert [len(context_publisher.look({"n": n})) for n in range(100)] == [1] + [0] * 99
        assert told.get(timeout=30) == ContextDue()
        context_publisher.due()
        assert len(context_publisher.look({"n": 99})) == 1
        assert context_publisher.look({"n": 99}) == ()
        assert told.get(timeout=30) == ContextDue()
        context_publisher.due()
        assert context_publisher.look({"n": 99}) == ()
        assert told.empty()


def test_the_context_of_an_ended_machine_can_still_be_looked_at(db: Database) -> None:
    with Runtime(db, sockets=False) as runtime:
        machine = runtime.add(COUNTER, "m", {"x": 1})
        machine.send("stop", {"n": 7})
        assert machine.wait(30) is not None
    assert last_n(db) == 7
    assert snapshots.get(db, "m") is None


def test_no_machine_resumes_from_the_stored_context_of_another_start(db: Database) -> None:
    """Neither one that always starts from the beginning, nor one whose file has begun to say that it resumes."""
    for more in ({}, {}, {"on_restart": "resume"}):
        with Runtime(db, sockets=False) as runtime:
            machine = runtime.add({**COUNTER, **more}, "m")
            machine.wait_for("idle", 30)
            assert "n" not in str(machine.context["event_data"]["payload"])
            machine.send("go", {"n": 1})
            machine.wait_for("busy", 30)
            if not more:
                until(lambda: last_n(db) == 1)


def test_long_values_are_cut_and_what_is_no_json_or_finds_no_room_is_counted() -> None:
    context = {
        "short": 'é\ud800"',
        "text": "x" * 10_000,
        "list": list(range(100_000)),
        "nan": float("nan"),
        "object": object(),
        3: "no name",
        "machine_name": "the engine's own",
    }
    found = json.loads(shown(context))
    assert found["values"]["short"] == context["short"]
    assert found["values"]["text"] == "x" * MOST_OF_ONE
    assert found["values"]["list"].startswith("[0,1,2,")
    assert (found["cut"], found["left_out"]) == (["text", "list"], 2)
    assert set(found["values"]) == {"short", "text", "list", "nan"}

    crowd = {f"k{i}": "y" * 1000 for i in range(1000)}
    text = shown(crowd)
    found = json.loads(text)
    assert len(text) < MOST + 2 * MOST_OF_ONE
    assert len(found["values"]) + found["left_out"] == 1000


def test_a_circle_is_left_out() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert json.loads(shown({"a": circle, "b": 1})) == {"values": {"b": 1}, "cut": [], "left_out": 1}

"""A stuck actor or action is reported once with its stack, and again when it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.runtime.machine_registry import MachineRegistry
from statemachine_engine.actors.runtime.watchdog import MESSAGE_S, Watchdog
from tests.support.gate import gate_in
from tests.support.journal import Journal
from tests.support.until import until

Start = Callable[..., Machine]
WriteAction = Callable[[str, str], None]

GATE = "{initial_state: a, transitions: [{from: a, to: b, event: done}], actions: {a: [{type: TYPE, success: done}]}}"
ACTION_S = 60.0


class Watch:
    """A watchdog that is looked through by hand, and what it publishes."""

    def __init__(self, runtime: Runtime, *machines: Machine) -> None:
        machine_registry = MachineRegistry()
        for machine in machines:
            machine_registry.add(machine)
        self.said: list[tuple[str, str, str]] = []
        self.dog = Watchdog(machine_registry, runtime.resources.running_actions, self._hear, action_s=ACTION_S)

    def _hear(self, machine: str, type: str, payload: dict[str, Any]) -> None:
        self.said.append((machine, type, payload["what"]))
        assert type == "unstuck" or "gate.opened.wait" in payload["stack"]

    def look(self, later_s: float) -> None:
        self.dog.look(time.monotonic() + later_s)


def test_a_python_action_that_runs_long_is_reported_once_with_its_stack_and_again_at_its_end(
    start: Start, runtime: Runtime, action: WriteAction
) -> None:
    gate = gate_in(action)
    machine = start(GATE.replace("TYPE", "gate"))
    watch = Watch(runtime, machine)
    gate.entered.wait(30)
    until(lambda: machine.live.busy_since_s is None)  # else its actor is still at the message that started it

    watch.look(ACTION_S - 5)
    assert watch.said == []
    watch.look(ACTION_S)
    watch.look(ACTION_S + 1)
    assert watch.said == [("m", "stuck", "action gate")]
    assert machine.stuck == "action gate"
    assert watch.dog.actors_move

    gate.opened.set()
    machine.wait_for("b", 30)
    until(lambda: not runtime.resources.running_actions and machine.live.busy_since_s is None)
    watch.look(ACTION_S + 2)
    assert watch.said[1:] == [("m", "unstuck", "action gate")]
    assert machine.stuck is None


def test_an_actor_that_takes_long_over_one_message_is_reported(
    start: Start, runtime: Runtime, action: WriteAction, tmp_path: Path
) -> None:
    gate = gate_in(action)
    source = (tmp_path / "actions" / "gate_action.py").read_text()
    action("gate", source.replace("(BaseAction):", "(BaseAction):\n    instant = True"))  # it says that it never waits
    machine = start(GATE.replace("TYPE", "gate"))
    watch = Watch(runtime, machine)
    gate.entered.wait(30)

    watch.look(MESSAGE_S)
    assert watch.said == [("m", "stuck", "a message")]
    assert not watch.dog.actors_move

    gate.opened.set()
    machine.wait_for("b", 30)
    until(lambda: machine.live.busy_since_s is None)
    watch.look(MESSAGE_S)
    assert watch.said[1:] == [("m", "unstuck", "a message")]
    assert watch.dog.actors_move


@pytest.mark.parametrize("action", ["{type: sleep, duration: 100}", "{type: bash, command: sleep 100, timeout: 200}"])
def test_what_hears_of_its_cancellation_may_take_its_time(start: Start, runtime: Runtime, action: str) -> None:
    machine = start(GATE.replace("{type: TYPE, success: done}", action))
    watch = Watch(runtime, machine)
    until(lambda: [run for run in runtime.resources.running_actions.values() if run.services.cancel.listened])
    until(lambda: machine.live.busy_since_s is None)

    watch.look(10 * ACTION_S)

    assert watch.said == []
    machine.stop(drain=False)


def test_a_running_runtime_looks_by_itself(tmp_path: Path, action: WriteAction) -> None:
    gate, journal = gate_in(action), Journal()
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=tmp_path / "actions", watchdog_s=0.01) as runtime:
        runtime.subscribe(journal)
        machine = runtime.add(yaml.safe_load(GATE.replace("TYPE", "gate")), "m")
        (stuck,) = journal.wait_for("stuck")
        gate.opened.set()
        machine.wait_for("b", 30)
        (over,) = journal.wait_for("unstuck")

    assert stuck["what"] == over["what"] == "action gate"
    assert over["seconds"] >= stuck["seconds"] >= 0

"""Another machine's state, as the state table and its sign of life tell it."""

from __future__ import annotations

import os
import socket

import pytest

from statemachine_engine.actors.errors import ActionError
from statemachine_engine.actors.processes.incarnation import new_incarnation
from statemachine_engine.storage import machines

INCARNATION = new_incarnation()


@pytest.fixture
def register(bench):
    """Registers a machine as running, by default in this process."""

    def register(name="other", state="waiting", **changes):
        options = {
            "incarnation": INCARNATION,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "config_type": "other",
            "state": state,
            "control_socket": None,
            "is_alive": lambda row: False,
        }
        machines.acquire(bench.db, name, **{**options, **changes})

    return register


@pytest.mark.parametrize("states", ["waiting", ["busy", "waiting"]])
def test_a_machine_in_an_expected_state(bench, register, states):
    register()
    assert bench.run("check_machine_state", target_machine="other", expected_states=states) == "in_expected_state"


def test_a_machine_in_another_state(bench, register):
    register(state="busy")
    assert bench.run("check_machine_state", target="other", expected_states=["waiting"]) == "unexpected_state"


def test_a_machine_that_nobody_knows_does_not_run(bench):
    assert bench.run("check_machine_state", target_machine="other") == "not_running"


def test_a_machine_that_ended_does_not_run(bench, register):
    register()
    machines.release(bench.db, "other", INCARNATION)
    assert bench.run("check_machine_state", target_machine="other", expected_states="waiting") == "not_running"


def test_a_machine_whose_process_was_killed_does_not_run(bench, register):
    register(incarnation=f"{socket.gethostname()}/999999999/1/abc", pid=999999999)
    assert bench.run("check_machine_state", target_machine="other", expected_states="waiting") == "not_running"


def test_a_machine_of_another_host_runs_while_its_heartbeat_lasts(bench, register):
    register(host="elsewhere", lease_s=30.0)
    register("silent", host="elsewhere", lease_s=-1.0)

    assert bench.run("check_machine_state", target="other", expected_states="waiting") == "in_expected_state"
    assert bench.run("check_machine_state", target="silent", expected_states="waiting") == "not_running"


def test_events_can_be_named_and_the_state_stored(bench, register):
    register()
    named = {"target": "other", "in_expected_state": "ready", "unexpected_state": "busy", "store_as": "its_state"}

    assert bench.run("check_machine_state", **named, expected_states="waiting") == "ready"
    assert bench.run("check_machine_state", **named, expected_states="done") == "busy"
    assert bench.context["its_state"] == "waiting"
    assert bench.run("check_machine_state", target="nobody", not_running="gone") == "gone"


def test_it_is_a_watch_that_waits_for_the_expected_state(bench, register):
    action = bench.make("check_machine_state", target="other", expected_states="waiting")
    assert (action.watch, action.watch_key()) == ("machine", ("other",))
    assert action.execute(bench.context) == action.empty_event() == "not_running"

    register(state="busy")
    assert action.execute(bench.context) == action.empty_event() == "unexpected_state"


def test_the_target_is_required(bench):
    with pytest.raises(ActionError, match="'target' is required"):
        bench.run("check_machine_state")

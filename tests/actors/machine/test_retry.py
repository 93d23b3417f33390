"""Actions that are tried again (`retry:`), before their failure counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.machine import worker_pool as workers_module
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from tests.support.gate import gate_in
from tests.support.journal import Journal
from tests.support.until import until

Start = Callable[..., Machine]
WriteAction = Callable[[str, str], None]

FLAKY = """
    from statemachine_engine.actions import BaseAction

    class FlakyAction(BaseAction):
        def execute(self, context):
            tries = context["tries"] = context.get("tries", 0) + 1
            if tries <= int(self.config.get("failures", 99)):
                {fail}
            return self.config.get("success", "done")
"""
MACHINE = """
    initial_state: busy
    context: {{ran: []}}
    final: [end]
    on_error: {{tries: 0}}
    transitions:
      - {{from: busy, to: end, event: done}}
      - {{from: busy, to: gave_up, event: {event}}}
      - {{from: "*", to: away, event: leave}}
      - {{from: busy, event: look, internal: true, actions: [{{type: add_to_list, list_key: ran, value: look}}]}}
    actions:
      busy:
        - {{type: add_to_list, list_key: ran, value: before, success: null}}
        - {action}
"""


def machine_of(action: str, event: str = "error") -> str:
    return MACHINE.format(action=action, event=event)


@pytest.fixture
def raising(action: WriteAction) -> None:
    action("flaky", FLAKY.format(fail='raise ConnectionResetError("gone away")'))


# What is tried again


@pytest.mark.usefixtures("raising")
def test_an_action_that_raises_is_retried_and_the_actions_before_it_are_not(
    start: Start, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    machine = start(machine_of("{type: flaky, failures: 2, retry: {max: 3, delay: 0.01}}"))
    journal.wait_path("end")

    assert (machine.context["tries"], machine.context["ran"]) == (3, ["before"])
    assert journal.of("error") == []
    first, second = journal.of("action_retry")
    assert (first["action"], first["state"], first["attempt"], first["attempts"]) == ("flaky", "busy", 2, 4)
    assert (first["delay_s"], second["delay_s"], second["attempt"]) == (0.01, 0.02, 3)
    assert "ConnectionResetError: gone away" in first["error_message"]
    said = [r.getMessage() for r in caplog.records if "try" in r.message and r.levelno == logging.WARNING]
    assert said[0].startswith("m: flaky in state busy: try 2 of 4 in 0.01 s: Error executing action flaky")


@pytest.mark.usefixtures("raising")
def test_only_when_the_tries_are_spent_does_the_failure_count(start: Start, journal: Journal) -> None:
    machine = start(machine_of("{type: flaky, retry: {max: 2, delay: 0}}"))
    journal.wait_path("gave_up")

    assert machine.context["tries"] == 3
    assert [len(journal.of(type)) for type in ("action_retry", "error")] == [2, 1]


@pytest.mark.parametrize(
    ("on", "tries"), [("ConnectionError", 2), ("[ValueError, OSError]", 2), ("KeyError", 1), ("[7]", 1)]
)
@pytest.mark.usefixtures("raising")
def test_an_exception_is_known_by_its_class_and_those_above_it(
    start: Start, journal: Journal, on: str, tries: int
) -> None:
    machine = start(machine_of(f"{{type: flaky, retry: {{max: 1, delay: 0, on: {on}}}}}"))
    journal.wait_path("gave_up")

    assert machine.context["tries"] == tries


def test_an_action_that_answers_with_its_error_event_is_tried_again(
    start: Start, journal: Journal, action: WriteAction
) -> None:
    action("flaky", FLAKY.format(fail='return "no_luck"'))
    machine = start(machine_of("{type: flaky, error: no_luck, retry: {max: 1, delay: 0}}", event="no_luck"))
    journal.wait_path("gave_up")

    assert machine.context["tries"] == 2


def command(tmp_path: Path, command: str, more: str) -> str:
    return machine_of(f"{{type: bash, command: 'echo x >> {tmp_path}/ran; {command}', success: done, {more}}}", "later")


@pytest.mark.parametrize(
    ("ends", "more", "runs"),
    [
        ("exit 75", "error: later, retry: {max: 2, delay: 0, on: [6, 75]}", 3),
        ("exit 74", "error: later, retry: {max: 2, delay: 0, on: [6, 75]}", 1),
        ("exit 3", "error: later, retry: {max: 1, delay: 0}", 2),
        ("exit 3", "error_mappings: {3: later}, retry: {max: 1, delay: 0}", 1),
        ("exit 3", "error_mappings: {3: later}, retry: {max: 1, delay: 0, on: 3}", 2),
        ("sleep 9", "timeout: 0.05, error: later, retry: {max: 1, delay: 0, on: timeout}", 2),
        ("sleep 9", "timeout: 0.05, timeout_event: later, retry: {max: 1, delay: 0, on: [timeout]}", 2),
        ("sleep 9", "timeout: 0.05, timeout_event: later, retry: {max: 1, delay: 0}", 1),
    ],
)
def test_a_command_is_known_by_its_exit_code_or_its_time_limit(
    start: Start, journal: Journal, tmp_path: Path, ends: str, more: str, runs: int
) -> None:
    start(command(tmp_path, ends, more))
    journal.wait_path("gave_up")

    assert (tmp_path / "ran").read_text() == "x\n" * runs


# The wait


@pytest.mark.usefixtures("raising")
def test_events_wait_with_the_run_and_are_taken_when_it_is_over(start: Start, journal: Journal) -> None:
    machine = start(machine_of("{type: flaky, failures: 1, success: null, retry: {delay: 0.3}}"))
    journal.wait_for("action_retry")
    machine.send("look")
    until(lambda: machine.context["ran"] == ["before", "look"])

    assert machine.context["tries"] == 2


@pytest.mark.usefixtures("raising")
def test_an_interrupting_transition_ends_the_wait_at_once(start: Start, journal: Journal) -> None:
    machine = start(machine_of("{type: flaky, retry: {delay: 0.05, factor: 9000}}"))
    journal.wait_for("action_retry", count=2)
    machine.send("leave")
    machine.wait_for("away", 30)

    assert machine.context["tries"] == 2


@pytest.mark.usefixtures("raising")
def test_a_timeout_of_the_state_ends_the_wait(start: Start, journal: Journal) -> None:
    text = machine_of("{type: flaky, retry: {delay: 60}}").replace("event: leave", "event: timeout(0.1)")
    start(text)
    journal.wait_path("away")

    assert len(journal.of("action_retry")) == 1


@pytest.mark.usefixtures("raising")
def test_machines_that_wait_keep_no_worker_from_others(
    start: Start, journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers_module, "WORKERS", 2)
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=tmp_path / "actions") as runtime:
        journal = Journal()
        runtime.subscribe(journal)
        waiting = {
            "initial_state": "a",
            "transitions": [],
            "actions": {"a": [{"type": "flaky", "retry": {"delay": 60}}]},
        }
        for number in range(5):
            runtime.add(waiting, f"m{number}")
        journal.wait_for("action_retry", count=5)

        works = {
            "initial_state": "a",
            "final": ["b"],
            "transitions": [{"from": "a", "to": "b", "event": "job_done"}],
            "actions": {"a": [{"type": "bash", "command": "true"}]},
        }
        runtime.add(works, "works").wait_for("b", 30)


# Beside the other things that make an action run again


@pytest.mark.usefixtures("raising")
def test_a_watch_before_it_still_waits_in_the_state_afterwards(
    start: Start, journal: Journal, runtime: Runtime
) -> None:
    machine = start("""
        initial_state: busy
        final: [end]
        transitions:
          - {from: busy, to: end, event: new_job}
        actions:
          busy:
            - {type: check_database_queue, job_type: t}
            - {type: flaky, failures: 2, success: null, retry: {delay: 0.01}}
            - {type: set_context, key: reached, value: true, success: null}
    """)
    until(lambda: machine.context.get("reached"))
    assert machine.context["tries"] == 3

    jobs.enqueue(runtime.db, "j", "t")
    machine.wait_for("end", 30)


@pytest.mark.usefixtures("raising")
def test_an_action_that_repeats_has_its_tries_each_time(start: Start, journal: Journal) -> None:
    machine = start(
        """
        initial_state: busy
        on_error: {tries: 0}
        actions:
          busy:
            - {type: flaky, failures: 1, success: null, every: 0.01, retry: {max: 1, delay: 0}}
            - {type: add_to_list, list_key: ran, value: 1, success: null}
        """
    )
    until(lambda: machine.context.get("tries", 0) >= 5)

    assert machine.context["ran"] == [1]
    assert machine.live.status == "running"


@pytest.mark.usefixtures("raising")
def test_a_final_state_s_actions_are_tried_again_before_the_machine_ends(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        final: [end]
        transitions:
          - {from: a, to: end, event: start}
        actions:
          end:
            - {type: flaky, failures: 1, retry: {delay: 0.01}}
            - {type: set_context, key: reached, value: true}
    """)
    journal.wait_for("machine_terminated", outcome="success")

    assert (machine.context["tries"], machine.context["reached"]) == (2, True)


@pytest.mark.usefixtures("raising")
def test_the_actions_of_an_internal_transition_are_tried_again(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - from: a
            event: look
            internal: true
            actions:
              - {type: flaky, failures: 1, success: null, retry: {delay: 0.01}}
              - {type: set_context, key: looked, value: true, success: null}
    """)
    machine.send("look")
    until(lambda: machine.context.get("looked"))

    assert (machine.state, machine.context["tries"]) == ("a", 2)


@pytest.mark.usefixtures("raising")
def test_on_error_runs_the_whole_list_again_with_all_its_tries(start: Start, journal: Journal) -> None:
    text = machine_of("{type: flaky, retry: {max: 1, delay: 0}}", event="never").replace(
        "tries: 0", "tries: 1, delay: 0"
    )
    machine = start(text)
    journal.wait_for("machine_failed")

    assert (machine.context["tries"], machine.context["ran"]) == (4, ["before", "before"])


# Stop and restart


WORKER: dict[str, Any] = {
    "initial_state": "waiting",
    "transitions": [{"from": "waiting", "to": "busy", "event": "new_job"}],
    "actions": {
        "waiting": [{"type": "check_database_queue", "job_type": "t"}],
        "busy": [{"type": "bash", "command": "exit 1", "retry": {"delay": 60}}],
    },
}


def test_a_machine_that_is_stopped_does_not_wait_and_its_job_goes_back(tmp_path: Path) -> None:
    with Database.open(tmp_path / "x.db") as db:
        with Runtime(db, sockets=False, grace_s=60) as runtime:
            journal = Journal()
            runtime.subscribe(journal)
            jobs.enqueue(db, "j", "t")
            runtime.add(WORKER, "m")
            assert journal.wait_for("action_retry")[0]["job_id"] == "j"
            stopping = threading.Thread(target=runtime.stop)
            stopping.start()
            stopping.join(30)
            assert not stopping.is_alive()

        job = jobs.get(db, "j")
        assert job is not None
        assert (job.status, job.attempts) == ("pending", 0)


def test_a_job_that_is_cancelled_ends_the_wait_for_its_next_try(tmp_path: Path) -> None:
    gives_up = {**WORKER, "transitions": [*WORKER["transitions"], {"from": "busy", "to": "gave_up", "event": "error"}]}
    with Runtime(tmp_path / "x.db", sockets=False) as runtime:
        journal = Journal()
        runtime.subscribe(journal)
        jobs.enqueue(runtime.db, "j", "t")
        machine = runtime.add(gives_up, "m")
        journal.wait_for("action_retry")

        jobs.cancel(runtime.db, "j")
        machine.wait_for("gave_up", 30)

        assert len(journal.of("action_retry")) == 1


def test_a_machine_that_stops_does_not_begin_a_wait(action: WriteAction, tmp_path: Path) -> None:
    gate = gate_in(action)
    source = (tmp_path / "actions" / "gate_action.py").read_text()
    (tmp_path / "actions" / "gate_action.py").write_text(source.replace("return", "raise OSError\n        return"))
    definition = {"initial_state": "a", "actions": {"a": [{"type": "gate", "retry": {"delay": 60}}]}}
    with Runtime("sqlite:///:memory:", sockets=False, actions_dir=tmp_path / "actions", grace_s=60) as runtime:
        machine = runtime.add(definition, "m")
        assert gate.entered.wait(30)
        machine.stop()
        gate.opened.set()
        assert machine.live.ended.wait(30)


def test_a_machine_that_resumes_in_the_middle_of_a_wait_runs_the_actions_from_the_first(tmp_path: Path) -> None:
    resuming = {**WORKER, "on_restart": "resume"}
    resuming["actions"]["busy"] = [
        {"type": "add_to_list", "list_key": "ran", "value": "{job_id}", "success": None},
        {"type": "bash", "command": f"[ -e {tmp_path}/free ]", "success": "none", "retry": {"delay": 60}},
    ]
    with Database.open(tmp_path / "x.db") as db:
        jobs.enqueue(db, "j", "t")
        for attempt in (1, 2):
            with Runtime(db, sockets=False) as runtime:
                journal = Journal()
                runtime.subscribe(journal)
                machine = runtime.add(resuming, "m")
                if attempt == 1:
                    assert journal.wait_for("action_retry")[0]["attempt"] == 2
                else:
                    journal.wait_for("unhandled", event="none")
                    assert machine.context["ran"] == ["j"]
            (tmp_path / "free").touch()

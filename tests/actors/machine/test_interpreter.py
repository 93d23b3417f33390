"""Test how a running machine handles events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine_engine import JobQueue, Machine, Runtime
from statemachine_engine.storage import machines, mailbox, problems
from tests.support.gate import gate_in
from tests.support.journal import Journal
from tests.support.processes import alive
from tests.support.until import until

Start = Callable[..., Machine]
WriteAction = Callable[[str, str], None]

TWO_STATES = """
    initial_state: a
    transitions:
      - {from: a, to: b, event: go}
      - {from: b, to: a, event: back}
      - {from: "*", to: stopped, event: stop}
"""


def test_an_event_moves_the_machine_and_is_on_record(start: Start, journal: Journal) -> None:
    machine = start(TWO_STATES)

    machine.send("go", {"n": 1})

    change = journal.wait_for("state_change")[0]
    assert (change["from_state"], change["to_state"], change["event_trigger"]) == ("a", "b", "go")
    assert machine.state == "b"
    assert machine.context["previous_state"] == "a"
    assert machine.context["event_data"]["payload"] == {"n": 1}


def test_the_start_event_may_lead_away_before_the_initial_actions_run(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: start}
        actions:
          a: [{type: add_to_list, list_key: trace, value: a}]
          b: [{type: add_to_list, list_key: trace, value: b}]
    """)

    journal.wait_for("unhandled")  # add_to_list answers `success`, which nothing takes

    assert machine.state == "b"
    assert machine.context["trace"] == ["b"]


def test_actions_run_once_per_entry_and_the_first_taken_event_cuts_the_list(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: cut}
          - {from: b, to: a, event: back}
        actions:
          a:
            - {type: add_to_list, list_key: trace, value: 1}
            - {type: set_context, key: x, value: 1, success: cut}
            - {type: add_to_list, list_key: trace, value: 2}
    """)

    machine.wait_for("b", 30)
    assert machine.context["trace"] == [1]
    machine.send("back")
    journal.wait_path("b", "a", "b")

    assert machine.context["trace"] == [1, 1]
    assert [u["event"] for u in journal.of("unhandled")] == ["success", "success"]


def test_transition_actions_run_before_those_of_the_state_entered(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - from: a
            to: b
            event: go
            actions: [{type: add_to_list, params: {list_key: trace, value: "on the way to {current_state}"}}]
          - {from: b, to: c, event: done}
        actions:
          b: [{type: add_to_list, list_key: trace, value: entry, success: done}]
    """)

    machine.send("go")
    machine.wait_for("c", 30)

    assert machine.context["trace"] == ["on the way to b", "entry"]


def test_an_exact_transition_wins_over_a_wildcard(start: Start) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - {from: "*", to: anywhere, event: go}
          - {from: a, to: exact, event: go}
    """)

    machine.send("go")

    machine.wait_for("exact", 30)


def test_an_internal_transition_runs_its_actions_without_entering_again(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: a, event: poke, internal: true, actions: [{type: add_to_list, list_key: t, value: poked}]}
          - {from: a, to: b, event: go}
        actions:
          a: [{type: add_to_list, list_key: t, value: entered}]
    """)

    machine.send("poke")
    machine.send("go")
    machine.wait_for("b", 30)

    assert machine.context["t"] == ["entered", "poked"]


def test_a_self_transition_enters_again_and_its_own_action_cannot_make_it_spin(start: Start, journal: Journal) -> None:
    started = time.monotonic()
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: a, event: again}
        actions:
          a: [{type: add_to_list, list_key: t, value: 1, success: again}]
    """)

    journal.wait_for("state_change", 4)

    assert time.monotonic() - started >= 4 * 0.05
    assert len(machine.context["t"]) >= 4


def test_a_paced_move_waits_for_the_actions_of_an_internal_transition(
    start: Start, journal: Journal, action: WriteAction
) -> None:
    gate = gate_in(action)
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: a, event: again}
          - {from: a, to: a, event: poke, internal: true, actions: [{type: gate}]}
        actions: {a: [{type: set_context, key: x, value: 1, success: again}]}
    """)
    machine.send("poke")
    gate.entered.wait(30)

    gate.opened.set()
    gate.left.wait(30)
    journal.wait_for("state_change", 3, event_trigger="again")

    assert machine.context["from_gate"] is True


def test_an_event_nothing_takes_is_on_record_and_changes_nothing(start: Start, journal: Journal) -> None:
    machine = start(TWO_STATES)

    machine.send("nonsense")

    note = journal.wait_for("unhandled")[0]
    assert (note["event"], note["state"]) == ("nonsense", "a")
    assert machine.live.unhandled == 1


def test_on_unhandled_error_makes_it_an_error_of_the_machine(start: Start, journal: Journal) -> None:
    machine = start("on_unhandled: error\n" + TWO_STATES.replace("\n    ", "\n"))

    machine.send("nonsense")

    journal.wait_for("machine_failed")
    assert machine.status == "failed"
    machine.send("go")
    machine.wait_for("b", 30)
    assert machine.status == "running"


def test_a_context_map_copies_fields_of_the_event_but_no_engine_key(start: Start) -> None:
    machine = start("""
        initial_state: a
        events:
          go: {context_map: {who: payload.user.name}}
        transitions: [{from: a, to: b, event: go}]
    """)

    machine.send("go", {"user": {"name": "Ada"}, "machine_name": "evil"})
    machine.wait_for("b", 30)

    assert machine.context["who"] == "Ada"
    assert machine.context["machine_name"] == "m"


# Timers


def test_a_timeout_fires_once_its_time_is_over(start: Start) -> None:
    started = time.monotonic()
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: timeout(.2)}]
    """)

    machine.wait_for("b", 30)

    assert time.monotonic() - started >= 0.2


def test_a_timeout_cancels_the_action_that_runs_and_its_whole_process_group(start: Start, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    machine = start(f"""
        initial_state: a
        transitions:
          - {{from: a, to: b, event: timeout(1)}}
          - {{from: b, to: c, event: job_done}}
        actions:
          a: [{{type: bash, command: "sleep 60 & echo $! $$ > {pids}; wait"}}]
    """)

    started = time.monotonic()
    machine.wait_for("b", 30)

    assert time.monotonic() - started < 200
    for pid in pids.read_text().split():
        until(lambda pid=pid: not alive(int(pid)))
    assert machine.state == "b"  # the cancelled action's own event was thrown away


def test_an_unhandled_event_does_not_stop_a_timer(start: Start) -> None:
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: timeout(.2)}]
    """)

    machine.send("nonsense")

    machine.wait_for("b", 30)


def test_a_wildcard_timeout_is_not_armed_in_its_own_target(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions:
          - {from: "*", to: idle, event: timeout(.05)}
          - {from: idle, to: b, event: timeout(.3)}
    """)

    machine.wait_for("b", 30)

    journal.wait_path("idle", "b")


# Interrupts


def test_a_wildcard_stop_acts_at_once_while_an_action_sleeps(start: Start) -> None:
    machine = start("""
        initial_state: a
        transitions: [{from: "*", to: stopped, event: stop}]
        actions: {a: [{type: bash, command: sleep 60, timeout: 90}]}
    """)
    started = time.monotonic()

    machine.send("stop")

    assert machine.wait(30) == "success"
    assert time.monotonic() - started < 2


def test_ordinary_events_wait_in_order_for_the_action_to_end(
    start: Start, journal: Journal, action: WriteAction
) -> None:
    gate = gate_in(action)
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: ready}
          - {from: b, to: c, event: one}
          - {from: c, to: d, event: two}
        actions: {a: [{type: gate, success: ready}]}
    """)
    gate.entered.wait(30)

    machine.send("one")
    machine.send("two")
    gate.opened.set()
    machine.wait_for("d", 30)

    journal.wait_path("b", "c", "d")


def test_a_transition_marked_interrupt_acts_at_once(start: Start, action: WriteAction) -> None:
    gate = gate_in(action)
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: now, interrupt: true}]
        actions: {a: [{type: gate}]}
    """)
    gate.entered.wait(30)

    machine.send("now")

    machine.wait_for("b", 30)
    gate.opened.set()


def test_a_cancelled_action_cannot_write_into_the_context_any_more(start: Start, action: WriteAction) -> None:
    gate = gate_in(action)
    machine = start("""
        initial_state: a
        transitions: [{from: "*", to: b, event: now}]
        actions: {a: [{type: gate}]}
    """)
    gate.entered.wait(30)
    machine.send("now")
    machine.wait_for("b", 30)

    gate.opened.set()
    gate.left.wait(30)

    assert "from_gate" not in machine.context


# Failures


def test_a_raising_action_sets_last_error_and_yields_its_error_event(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: oops}]
        actions: {a: [{type: sleep, duration: never, error: oops}]}
    """)

    machine.wait_for("b", 30)

    assert "sleep" in machine.context["last_error"]
    assert machine.context["last_error_action"] == "sleep"
    assert journal.wait_for("error")[0]["action"] == "sleep"


def test_an_error_nothing_takes_is_tried_again_and_then_marks_the_machine_failed(
    start: Start, journal: Journal, runtime: Runtime
) -> None:
    machine = start("""
        initial_state: a
        on_error: {tries: 2, delay: 0.01}
        transitions: [{from: a, to: b, event: go}]
        actions: {a: [{type: bash, command: exit 3}]}
    """)

    failed = journal.wait_for("machine_failed")[0]
    row = machines.get(runtime.db, "m")
    assert row is not None
    assert row.status == "failed"
    assert len(journal.of("error")) == 3
    assert failed["state"] == "a"
    assert "exit 3" in failed["error_message"]
    assert machine.last_error == failed["error_message"]
    machine.send("go")
    machine.wait_for("b", 30)


UNSURE = """
    initial_state: a
    on_error: {{tries: {tries}, delay: {delay}}}
    transitions:
      - {{from: a, to: b, event: job_done}}
      - {{from: a, to: b, event: leave}}
      - {{from: b, to: c, event: next}}
      - {{from: c, to: d, event: more}}
    actions: {{a: [{{type: bash, command: "test -e {flag}"}}]}}
"""


def test_what_the_next_state_takes_waits_while_actions_are_to_be_tried_again(
    start: Start, journal: Journal, tmp_path: Path
) -> None:
    machine = start(UNSURE.format(tries=9, delay=0.1, flag=tmp_path / "flag"))
    journal.wait_for("error")

    machine.send("next")
    (tmp_path / "flag").touch()

    machine.wait_for("c", 30)
    assert journal.of("unhandled") == []


def test_an_event_that_leaves_the_state_is_taken_at_once_and_earlier_ones_come_next(
    start: Start, journal: Journal, tmp_path: Path
) -> None:
    machine = start(UNSURE.format(tries=9, delay=100, flag=tmp_path / "flag"))
    journal.wait_for("error")

    for event in ("next", "leave", "more"):
        machine.send(event)

    machine.wait_for("d", 30)


def test_what_waited_in_vain_is_ignored_when_the_tries_are_spent(
    start: Start, journal: Journal, runtime: Runtime, tmp_path: Path
) -> None:
    machine = start(UNSURE.format(tries=1, delay=0.1, flag=tmp_path / "flag"))
    journal.wait_for("error")

    machine.send("next")

    journal.wait_for("unhandled")
    assert machine.status == "failed"
    assert [row.status for row in mailbox.list_(runtime.db)] == ["ignored"]


def test_events_that_wait_for_a_retry_stay_in_the_mailbox_of_a_machine_that_stops(
    start: Start, journal: Journal, runtime: Runtime, tmp_path: Path
) -> None:
    machine = start(UNSURE.format(tries=9, delay=100, flag=tmp_path / "flag"))
    journal.wait_for("error")
    machine.send("next")

    machine.stop()

    assert [row.status for row in mailbox.list_(runtime.db)] == ["pending"]


def test_an_unknown_action_is_an_error_that_names_near_ones(start: Start) -> None:
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: error}]
        actions: {a: [{type: bahs}]}
    """)

    machine.wait_for("b", 30)

    assert "'bash'" in machine.context["last_error"]


@pytest.mark.parametrize("result", ["5", "['x']", "True"])
def test_a_result_that_is_no_event_name_is_an_error(start: Start, action: WriteAction, result: str) -> None:
    action(
        "odd",
        f"""
        from statemachine_engine.actions import BaseAction
        class OddAction(BaseAction):
            def execute(self, context):
                return {result}
    """,
    )
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: error}]
        actions: {a: [{type: odd}]}
    """)

    machine.wait_for("b", 30)

    assert "returned" in machine.context["last_error"]


def test_params_stand_in_for_placeholders_of_their_own_action(start: Start, tmp_path: Path) -> None:
    machine = start(
        f"""
        initial_state: a
        transitions: [{{from: a, to: b, event: job_done}}]
        actions:
          a:
            - type: bash
              command: "printf '%s %s' {{output_file}} {{width}}x{{machine_name}} > {tmp_path}/out"
              params: {{output_file: "/tmp/{{job_id}}_resized.png", width: "800", machine_name: evil}}
    """,
        job_id="j1",
    )

    machine.wait_for("b", 30)

    assert (tmp_path / "out").read_text() == "/tmp/j1_resized.png 800xm"


# Watches and repeats


def test_a_watch_that_finds_nothing_waits_without_a_row_and_runs_again_for_a_job(
    start: Start, journal: Journal, runtime: Runtime
) -> None:
    machine = start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: waiting, event: no_jobs}
          - {from: waiting, to: working, event: new_job}
        actions:
          waiting: [{type: log, message: ready}, {type: check_database_queue, job_type: t}, {type: sleep, duration: 1}]
    """)
    journal.wait_for("activity_log", message="ready")
    until(lambda: runtime.resources.wait_board.keys("jobs"))
    before = len(journal.envelopes)

    runtime.resources.recorder.flush()
    assert len(journal.envelopes) == before
    JobQueue(runtime).add("t", {"x": 1})
    machine.wait_for("working", 30)

    assert machine.context["x"] == 1
    assert machine.context["job_id"] == machine.context["id"]
    journal.wait_path("working")


def test_an_empty_event_that_leads_elsewhere_is_taken(start: Start) -> None:
    machine = start("""
        initial_state: waiting
        transitions: [{from: waiting, to: bored, event: no_jobs}]
        actions: {waiting: [{type: check_database_queue}]}
    """)

    machine.wait_for("bored", 30)


def test_two_queues_in_one_state_are_both_watched(start: Start, runtime: Runtime) -> None:
    machine = start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: waiting, event: no_jobs}
          - {from: waiting, to: working, event: new_job}
        actions:
          waiting: [{type: check_database_queue, job_type: one}, {type: check_database_queue, job_type: two}]
    """)
    until(lambda: len(runtime.resources.wait_board.keys("jobs")) == 2)

    JobQueue(runtime).add("two")

    machine.wait_for("working", 30)
    assert machine.context["job_type"] == "two"


def test_a_repeatable_action_runs_again_while_the_state_lasts(start: Start) -> None:
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: go}]
        actions: {a: [{type: add_to_list, list_key: t, value: 1, repeatable: true, every: 0.02}]}
    """)

    until(lambda: len(machine.context.get("t", [])) >= 3)

    machine.send("go")
    machine.wait_for("b", 30)


# Ends


def test_a_final_state_runs_its_actions_once_and_ends_the_machine(start: Start, journal: Journal) -> None:
    machine = start("""
        initial_state: a
        final: {success: [good], failure: [bad]}
        transitions: [{from: a, to: bad, event: go}, {from: a, to: good, event: well}]
        actions: {bad: [{type: log, message: the end}]}
    """)

    machine.send("go")

    assert machine.wait(30) == "failure"
    assert len(journal.wait_for("activity_log", message="the end")) == 1
    assert journal.wait_for("machine_terminated")[0]["outcome"] == "failure"


def test_events_for_a_machine_that_ended_wait_for_its_next_start(start: Start, runtime: Runtime) -> None:
    machine = start(TWO_STATES)
    machine.send("stop")
    machine.wait(30)

    machine.send("go", {"late": True})
    again = start(TWO_STATES)

    again.wait_for("b", 30)
    assert again.context["event_data"]["payload"] == {"late": True}


# Mail


def test_events_stored_before_the_start_arrive_in_order(start: Start, runtime: Runtime, journal: Journal) -> None:
    for number in range(50):
        mailbox.post(runtime.db, "m", "go" if number % 2 == 0 else "back", {"n": number})

    start(TWO_STATES)

    journal.wait_path(*["b", "a"] * 25)
    until(lambda: not mailbox.unread(runtime.db, "m"))


def test_more_events_than_fit_into_memory_all_arrive_in_order(
    start: Start, runtime: Runtime, journal: Journal, action: WriteAction
) -> None:
    gate = gate_in(action)
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: ready}
          - {from: b, to: b, event: n, actions: [{type: add_to_list, list_key: got, value: "{event_data.payload}"}]}
        actions: {a: [{type: gate, success: ready}]}
    """)
    gate.entered.wait(30)

    for number in range(2500):
        machine.send("n", number)
    gate.opened.set()
    journal.wait(lambda j: len(j.of("state_change")) == 2501, 60)

    until(lambda: len(machine.context["got"]) == 2500)
    assert machine.context["got"] == list(range(2500))


def test_a_second_delivery_of_the_same_row_is_dropped(start: Start, runtime: Runtime, journal: Journal) -> None:
    machine = start(TWO_STATES)
    event = mailbox.post(runtime.db, "m", "go")

    machine.deliver_stored(event)
    machine.deliver_stored(event)
    machine.send("back")
    journal.wait_path("b", "a")

    assert not journal.of("unhandled")


# Async actions


def test_async_actions_that_block_do_not_delay_another_machine(start: Start, action: WriteAction) -> None:
    action(
        "meet",
        """
        import threading
        from statemachine_engine.actions import BaseAction
        barrier = threading.Barrier(2, timeout=5)
        class MeetAction(BaseAction):
            async def execute(self, context):
                barrier.wait()  # blocks this machine's loop until the other machine is here too
                return "met"
    """,
    )
    text = """
        initial_state: a
        transitions: [{from: a, to: b, event: met}]
        actions: {a: [{type: meet}]}
    """

    machines = [start(text, name) for name in ("one", "two")]

    for machine in machines:
        machine.wait_for("b", 6)


def test_a_task_left_behind_by_an_async_action_goes_on_running(start: Start, action: WriteAction) -> None:
    action(
        "later",
        """
        import asyncio
        from statemachine_engine.actions import BaseAction
        class LaterAction(BaseAction):
            async def execute(self, context):
                async def later():
                    await asyncio.sleep(0.05)
                    self.services.send("m", "later")
                self.task = asyncio.create_task(later())
                return "left"
    """,
    )
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: left}
          - {from: b, to: c, event: later}
        actions: {a: [{type: later}]}
    """)

    machine.wait_for("c", 30)


# Crashes


def test_a_crashed_actor_is_replaced_with_what_waited_for_it_and_the_machine_goes_on(
    start: Start, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.crashes_expected = True  # type: ignore[attr-defined]
    machine = start(TWO_STATES)
    machine.send("go")
    machine.wait_for("b", 30)

    machine.tell(object())  # no message that an actor knows
    machine.send("go")  # behind it in the inbox of the one that dies

    until(lambda: [row.status for row in mailbox.list_(runtime.db)] == ["processed"] * 2)
    assert (machine.state, machine.status) == ("b", "running")
    until(lambda: ("actor_crashed", 1, 0.0) in problems.counts(runtime.db))


def test_a_crashed_actor_for_which_the_system_gives_no_thread_is_replaced_when_it_does(
    start: Start, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.crashes_expected = True  # type: ignore[attr-defined]
    machine = start(TWO_STATES)
    machine.send("go")
    machine.wait_for("b", 30)

    threading.stack_size(1 << 46)  # more than there are addresses
    try:
        machine.tell(object())
        until(lambda: "m: cannot be restarted yet: can't start new thread" in caplog.text)
    finally:
        threading.stack_size(0)

    machine.wait_for("a", 30)
    machine.send("go")
    machine.wait_for("b", 30)


def test_an_actor_that_keeps_crashing_is_given_up(start: Start, runtime: Runtime, journal: Journal) -> None:
    runtime.crashes_expected = True  # type: ignore[attr-defined]
    machine = start(TWO_STATES)

    def ended_after_another_crash() -> bool:
        machine.tell(object())
        return machine.live.ended.is_set()

    until(ended_after_another_crash)

    assert machine.wait(30) == "failure"

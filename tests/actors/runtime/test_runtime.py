"""A runtime as a whole: names, jobs across machines, standing by, stopping in order."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from statemachine_engine import ConfigError, JobQueue, Machine, Runtime, WaitTimeout
from statemachine_engine.actors.metrics.counters import Counters
from statemachine_engine.actors.runtime.runtime import NotStarted
from statemachine_engine.actors.sockets import unix_socket
from statemachine_engine.actors.sockets.datagrams import MalformedMessage
from statemachine_engine.actors.sockets.messages import Notification
from statemachine_engine.actors.sockets.notifier import Notifier
from statemachine_engine.storage import audit, jobs, machines, mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import MachineTaken
from tests.support.gate import gate_in
from tests.support.journal import Journal
from tests.support.processes import alive
from tests.support.until import until

Start = Callable[..., Machine]
WriteAction = Callable[[str, str], None]

WORKER = """
    initial_state: waiting
    transitions:
      - {from: waiting, to: waiting, event: no_jobs}
      - {from: waiting, to: working, event: new_job}
      - {from: working, to: waiting, event: done}
      - {from: working, to: waiting, event: error}
    actions:
      waiting: [{type: check_database_queue, job_type: t}]
      working: [{type: WORK}]
"""

MOVE = {
    "initial_state": "a",
    "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "*", "to": "stopped", "event": "stop"}],
}


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime with a file store and control sockets in a folder of its own."""
    with _with_sockets(tmp_path) as running:
        yield running


def test_a_job_is_completed_when_its_machine_asks_for_the_next_one(start: Start, runtime: Runtime) -> None:
    start(WORKER.replace("{type: WORK}", "{type: log, message: working, success: done}"))
    queue = JobQueue(runtime)

    ids = [queue.add("t", {"n": n}).job_id for n in range(3)]

    assert [queue.wait(job_id, 5).status for job_id in ids] == ["completed"] * 3


def test_a_job_whose_action_failed_has_failed_with_the_reason_and_the_worker_goes_on(
    start: Start, runtime: Runtime, journal: Journal
) -> None:
    start(WORKER.replace("{type: WORK}", "{type: sleep, duration: '{n}', success: done}"))
    queue = JobQueue(runtime)

    bad, good = queue.add("t", {"n": "never"}), queue.add("t", {"n": 0})

    failed = queue.wait(bad.job_id, 5)
    assert failed.status == "failed"
    assert "never" in str(failed.error_message)
    assert queue.wait(good.job_id, 5).status == "completed"
    assert journal.wait_for("job_failed")[0]["job_id"] == bad.job_id
    assert journal.wait_for("job_completed")[0]["job_id"] == good.job_id
    assert len(journal.of("job_started")) == 2


def test_stopping_waits_for_the_current_job_and_settles_it(tmp_path: Path, action: WriteAction) -> None:
    threads = gate_in(action)
    runtime = Runtime(tmp_path / "x.db", sockets=False, actions_dir=tmp_path / "actions", grace_s=10).start()
    queue = JobQueue(tmp_path / "x.db")
    _worker(runtime, {"type": "gate", "success": "done"})
    job = queue.add("t")
    later = queue.add("t")
    threads.entered.wait(30)

    stopper = threading.Thread(target=runtime.stop)
    stopper.start()
    until(lambda: runtime.machine("w").dependencies.job_holder.closed)
    threads.opened.set()
    stopper.join(30)

    assert queue.get(job.job_id).status == "completed"  # type: ignore[union-attr]
    assert queue.get(later.job_id).status == "pending"  # type: ignore[union-attr]
    queue.close()


def test_a_job_cut_off_by_the_grace_goes_back_with_its_attempt(tmp_path: Path, action: WriteAction) -> None:
    threads = gate_in(action)
    runtime = Runtime(tmp_path / "x.db", sockets=False, actions_dir=tmp_path / "actions").start()
    _worker(runtime, {"type": "gate", "success": "done"})
    queue = JobQueue(tmp_path / "x.db")
    job_id = queue.add("t").job_id
    threads.entered.wait(30)

    runtime.stop(grace_s=0)
    threads.opened.set()

    job = queue.get(job_id)
    assert job is not None
    assert (job.status, job.attempts) == ("pending", 0)
    queue.close()


def test_a_job_claimed_by_an_action_that_was_cut_off_is_done_again(
    start: Start, runtime: Runtime, action: WriteAction
) -> None:
    threads = gate_in(action)
    machine = _worker(runtime, {"type": "gate", "success": "done"}, interrupt="cut")
    queue = JobQueue(runtime)
    job_id = queue.add("t").job_id
    threads.entered.wait(30)

    machine.send("cut")
    machine.wait(30)
    threads.opened.set()

    job = queue.get(job_id)
    assert job is not None
    assert job.status == "pending"


def test_a_command_that_ignores_the_end_is_killed_before_stop_returns(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    runtime = Runtime("sqlite:///:memory:", sockets=False).start()
    command = f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.1; done"
    runtime.add({**MOVE, "actions": {"a": [{"type": "bash", "command": command}]}}, "m")
    until(lambda: pid.exists() and pid.read_text().strip())

    runtime.stop(grace_s=0)

    assert not alive(int(pid.read_text()))
    assert runtime.left_behind == []


def test_a_runtime_in_which_nothing_ran_says_nothing_about_jobs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Database.open(tmp_path / "x.db") as db:
        runtime = Runtime(db, sockets=False).start()
        with db.write():
            db.execute("DROP TABLE jobs")

        runtime.stop()

    assert "jobs cannot be released" not in caplog.text


def test_in_a_hurry_an_action_that_hears_of_no_cancellation_is_not_waited_for(
    start: Start, runtime: Runtime, action: WriteAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statemachine_engine.actors.runtime.runtime.CUT_OFF_S", 60.0)
    gate = gate_in(action)
    start("{initial_state: a, transitions: [{from: a, to: b, event: done}], actions: {a: [{type: gate}]}}")
    gate.entered.wait(30)

    runtime.hurry()
    runtime.stop()

    assert not gate.left.is_set()
    assert runtime.left_behind == ["m"]
    gate.opened.set()


def test_an_expired_lease_is_rescued_and_done_by_another_runtime(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "x.db")
    job_id = queue.add("t").job_id
    jobs.claim(queue.db, owner="dead/1/1/x", lease_s=0.1)

    with Runtime(tmp_path / "x.db", sockets=False) as runtime:
        _worker(runtime, {"type": "log", "message": "hi", "success": "done"})
        job = queue.wait(job_id, 15)

    assert (job.status, job.attempts) == ("completed", 2)
    queue.close()


def test_a_second_machine_of_a_name_is_refused_with_pid_and_host(runtime: Runtime) -> None:
    runtime.add(MOVE, "m")

    with pytest.raises(MachineTaken, match=socket.gethostname()):
        runtime.add(MOVE, "m")


def test_a_standby_takes_over_when_the_first_is_gone(tmp_path: Path) -> None:
    with Runtime(tmp_path / "x.db", sockets=False) as first:
        first.add(MOVE, "m")
        with Runtime(tmp_path / "x.db", sockets=False, standby=True) as second:
            machine = second.add(MOVE, "m")
            assert machine.status == "standby"
            first.stop()
            until(lambda: machine.status == "running")
            machine.send("go")
            machine.wait_for("b", 30)


def test_a_machine_can_start_another_that_ends_with_it(start: Start, runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text("initial_state: a\ntransitions: [{from: a, to: b, event: go}]\n")
    parent = start(
        f"""
        initial_state: a
        transitions: [{{from: a, to: b, event: success}}, {{from: "*", to: stopped, event: stop}}]
        actions:
          a: [{{type: start_fsm, yaml_path: {tmp_path}/child.yaml, machine_name: kid, context_vars: [x]}}]
    """,
        x=7,
    )
    parent.wait_for("b", 30)
    child = runtime.machine("kid")
    assert child.context["x"] == 7

    parent.send("stop")

    parent.wait(30)
    child.wait(30)


def test_a_machine_can_start_another_in_a_process_of_its_own(sockets: Runtime, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(
        "initial_state: a\n"
        "transitions: [{from: a, to: completed, event: sent}]\n"
        "actions: {a: [{type: send_event, target_machine: p, event_type: hello, payload: {x: '{x}'}, success: sent}]}\n"
    )
    parent = sockets.add(
        {
            "initial_state": "a",
            "transitions": [{"from": "a", "to": "b", "event": "success"}, {"from": "b", "to": "c", "event": "hello"}],
            "actions": {
                "a": [
                    {
                        "type": "start_fsm",
                        "yaml_path": str(tmp_path / "child.yaml"),
                        "machine_name": "kid",
                        "isolation": "process",
                        "context_vars": ["x"],
                        "store_pid": True,
                    }
                ]
            },
        },
        "p",
        {"x": 7},
    )

    parent.wait_for("c", 20)

    assert parent.context["event_data"]["payload"] == {"x": 7}
    assert parent.context["event_data"]["source"] == "kid"


def test_events_reach_machines_of_other_runtimes_through_their_socket(tmp_path: Path) -> None:
    with _with_sockets(tmp_path) as one, _with_sockets(tmp_path) as two:
        receiver = two.add(MOVE, "receiver")
        sender = one.add(
            {
                "initial_state": "a",
                "transitions": [{"from": "a", "to": "b", "event": "event_sent"}],
                "actions": {"a": [{"type": "send_event", "target_machine": "receiver", "event_type": "go"}]},
            },
            "sender",
        )

        receiver.wait_for("b", 30)
        sender.wait_for("b", 30)
        until(lambda: not mailbox.unread(one.db, "receiver"))


def test_an_event_without_notification_is_found_within_two_seconds(tmp_path: Path) -> None:
    with _with_sockets(tmp_path) as runtime:
        machine = runtime.add(MOVE, "m")
        other = JobQueue(tmp_path / "x.db")
        mailbox.post(other.db, "m", "go")
        machine.wait_for("b", 30)
        other.close()


def test_control_sockets_are_for_their_owner_alone_and_go_with_the_machine(sockets: Runtime, tmp_path: Path) -> None:
    machine = sockets.add(MOVE, "m")
    path = tmp_path / "c-m.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    machine.send("stop")
    machine.wait(30)

    assert not path.exists()
    row = machines.get(sockets.db, "m")
    assert row is not None
    assert (row.status, row.running) == ("ended", False)


def test_a_datagram_without_a_row_has_one_when_it_was_taken(sockets: Runtime, tmp_path: Path) -> None:
    machine = sockets.add(MOVE, "m")

    assert unix_socket.send_message(tmp_path / "c-m.sock", {"type": "go", "payload": {"n": 1}, "source": "s"})

    machine.wait_for("b", 30)
    (row,) = until(lambda: mailbox.list_(sockets.db))
    assert (row.event_type, row.payload, row.source_machine, row.status) == ("go", {"n": 1}, "s", "processed")


def test_what_the_machines_did_is_in_the_store_after_the_end(tmp_path: Path) -> None:
    with _with_sockets(tmp_path) as runtime:
        machine = runtime.add(MOVE, "m")
        machine.send("go")
        machine.wait_for("b", 30)
    with JobQueue(tmp_path / "x.db") as queue:
        changes = audit.transitions(queue.db, "m")
        row = machines.get(queue.db, "m")

    assert [(c.from_state, c.to_state, c.event) for c in changes] == [("a", "b", "go")]
    assert row is not None
    assert row.current_state == "b"


def test_wait_returns_when_all_machines_have_ended(runtime: Runtime) -> None:
    for name in ("one", "two"):
        runtime.add(MOVE, name).send("stop")

    assert runtime.wait(30) == {"one": "success", "two": "success"}


def test_stop_is_idempotent_and_safe_before_start() -> None:
    runtime = Runtime("sqlite:///:memory:", sockets=False)
    runtime.stop()
    runtime.start()
    runtime.stop()
    runtime.stop()

    with pytest.raises(NotStarted):
        runtime.add(MOVE)


def test_a_bad_definition_is_refused_with_all_problems(runtime: Runtime) -> None:
    with pytest.raises(ConfigError):
        runtime.add({"initial_state": 5, "transitions": "x"})
    assert runtime.machines() == []


def test_an_unknown_action_is_reported_once_at_the_start_with_its_place(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "m.yaml").write_text("initial_state: a\nactions:\n  a:\n    - {type: bsah, command: ls}\n")

    for name in ("first", "second"):
        runtime.add(tmp_path / "m.yaml", name)

    (logged,) = (record.getMessage() for record in caplog.records if "warning: " in record.getMessage())
    assert logged.startswith(f"{tmp_path}/m.yaml:4:7: warning: Could not load action 'bsah'")
    assert "did you mean 'bash'?" in logged


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 200])
def test_a_name_that_no_socket_can_have_is_refused(runtime: Runtime, name: str) -> None:
    with pytest.raises(ConfigError, match="machine name"):
        runtime.add(MOVE, name)


@pytest.mark.parametrize("event", ["", 5, None, "a\nb"])
def test_what_is_no_name_of_an_event_is_not_sent(runtime: Runtime, event: Any) -> None:
    machine = runtime.add(MOVE, "m")

    with pytest.raises(MalformedMessage):
        machine.send(event)

    assert mailbox.list_(runtime.db) == []


def test_waiting_says_where_the_machine_is_instead(runtime: Runtime) -> None:
    machine = runtime.add(MOVE, "m")

    with pytest.raises(WaitTimeout, match="m is in state a, not b"):
        machine.wait_for("b", 0.01)


def test_no_thread_is_left_after_stop(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with _with_sockets(tmp_path) as runtime:
        for number in range(5):
            runtime.add(MOVE, f"m{number}")

    until(lambda: not [t for t in set(threading.enumerate()) - before if not t.name.startswith("sm-action")])


def test_a_file_may_name_its_own_folder_of_actions(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "greet_action.py").write_text(
        "from statemachine_engine.actions import BaseAction\n"
        "class GreetAction(BaseAction):\n"
        "    def execute(self, context):\n"
        "        return 'greeted'\n"
    )
    (tmp_path / "m.yaml").write_text(
        "actions_root: mine\n"
        "initial_state: a\n"
        "transitions: [{from: a, to: b, event: greeted}]\n"
        "actions: {a: [{type: greet}]}\n"
    )
    with Runtime("sqlite:///:memory:", sockets=False) as without_option:
        without_option.add(tmp_path / "m.yaml").wait_for("b", 30)


def test_runtimes_on_postgresql_hear_each_other_without_sockets(postgres_url: str) -> None:
    with (
        Runtime(postgres_url, sockets=False) as one,
        Runtime(postgres_url, sockets=False) as two,
        JobQueue(postgres_url) as queue,
    ):
        received: SimpleQueue[Notification] = SimpleQueue()
        listener = Notifier(queue.db, Counters(), received.put)
        listener.start()
        machine, worker = two.add(MOVE, "m"), _worker(one, {"type": "log", "message": "hi", "success": "done"})
        machine.wait_for("a", 30)
        worker.wait_for("waiting", 30)
        until(lambda: _listeners(one.db) == 3)

        mailbox.post(one.db, "m", "go")
        assert received.get(timeout=30) == Notification("mail", 1, ("m",))
        machine.wait_for("b", 30)
        job = queue.add("t")
        assert received.get(timeout=30) == Notification("jobs", 1, ("t", None))
        assert queue.wait(job.job_id, 5).status == "completed"
        assert received.get(timeout=30) == Notification("done", 1, (job.job_id,))
        listener.stop()


# Helpers


def _listeners(db: Database) -> int:
    """Return the number of connections that listen for notifications of this schema."""
    with db.read():
        channel = db.execute("SELECT current_schema()").fetchone()[0]
        sql = "SELECT count(*) FROM pg_stat_activity WHERE query = ?"
        return int(db.execute(sql, (f'LISTEN "statemachine_{channel}"',)).fetchone()[0])


def _worker(runtime: Runtime, work: dict[str, Any], interrupt: str = "stop") -> Machine:
    return runtime.add(
        {
            "initial_state": "waiting",
            "transitions": [
                {"from": "waiting", "to": "waiting", "event": "no_jobs"},
                {"from": "waiting", "to": "working", "event": "new_job"},
                {"from": "working", "to": "waiting", "event": "done"},
                {"from": "*", "to": "stopped", "event": interrupt},
            ],
            "actions": {"waiting": [{"type": "check_database_queue", "job_type": "t"}], "working": [work]},
        },
        "w",
    )


def _with_sockets(folder: Path) -> Runtime:
    return Runtime(folder / "x.db", control_prefix=str(folder / "c"), event_socket=str(folder / "e.sock"))

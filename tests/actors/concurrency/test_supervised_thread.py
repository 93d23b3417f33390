"""Threads that are started again: how often, and what outlasts that in each of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine import Machine, Runtime
from statemachine_engine.actors.concurrency.supervised_thread import RESTARTS, SupervisedThread
from statemachine_engine.actors.sockets import datagrams, unix_socket
from statemachine_engine.actors.sockets.listener import Listener
from statemachine_engine.storage import audit, machines, mailbox, problems
from statemachine_engine.storage.engine.database import Database
from tests.support.crash import Crash, crash
from tests.support.journal import Journal
from tests.support.until import until

MOVE = {
    "initial_state": "a",
    "transitions": [{"from": "a", "to": "b", "event": "go"}, {"from": "*", "to": "stopped", "event": "stop"}],
}

Start = Callable[..., Machine]


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Runtime]:
    control, event = str(tmp_path / "c"), str(tmp_path / "e.sock")
    with Runtime(tmp_path / "x.db", control_prefix=control, event_socket=event) as running:
        yield running


# The thread


def test_work_that_crashes_is_begun_again_with_its_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    done, crashed = threading.Event(), threading.Event()
    crashes = [ValueError("no tea"), SystemExit(3)]

    def work() -> None:
        if crashes:
            raise crashes.pop()
        done.set()

    thread = SupervisedThread("tea", work, crashed=crashed.set, given_up=lambda: None)
    thread.start()

    assert done.wait(30)
    thread.join(30)
    assert thread.crashes == 2
    assert crashed.is_set()
    assert "thread tea crashed" in caplog.text
    assert "ValueError: no tea" in caplog.text


def test_work_that_crashes_again_and_again_is_given_up() -> None:
    begun, given_up = [], threading.Event()

    def work() -> None:
        begun.append(1)
        raise Crash

    thread = SupervisedThread("tea", work, given_up=given_up.set)
    thread.start()

    assert given_up.wait(30)
    thread.join(30)
    assert len(begun) == 1 + RESTARTS


def test_crashes_that_lie_far_apart_are_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("statemachine_engine.actors.concurrency.supervised_thread.WINDOW_S", 0.0)
    left, done = [Crash] * (3 * RESTARTS), threading.Event()

    def work() -> None:
        if left:
            raise left.pop()
        done.set()

    thread = SupervisedThread("tea", work, given_up=lambda: None)
    thread.start()

    assert done.wait(30)
    assert thread.crashes == 3 * RESTARTS


# Ours


def test_a_recorder_s_crash_loses_nothing_that_was_recorded(
    runtime: Runtime, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    machine = start("{initial_state: a, transitions: [{from: a, to: a, event: go}]}")
    runtime.resources.recorder.flush()

    crash("sm-recorder")
    sent = [machine.send("go") for _ in range(20)]

    until(lambda: {row.status for row in mailbox.list_(runtime.db)} == {"processed"})
    assert runtime.resources.recorder.flush()
    until(lambda: "thread sm-recorder crashed" in caplog.text)
    until(lambda: ("recorder_crashed", 1, 0.0) in problems.counts(runtime.db))
    changes = [event for event in audit.since(runtime.db, 0, 1000) if event.type == "state_change"]
    assert len(changes) == len(sent)


def test_a_timer_s_delay_outlasts_a_crash(runtime: Runtime) -> None:
    due = threading.Event()
    runtime.resources.timers.after(0.05, due.set)

    crash("sm-timers")

    assert due.wait(30)
    until(lambda: ("timers_crashed", 1, 0.0) in problems.counts(runtime.db))


def test_a_crash_of_maintenance_does_not_end_it(runtime: Runtime) -> None:
    crash("sm-maintenance")

    until(lambda: ("keeper_crashed", 1, 0.0) in problems.counts(runtime.db))  # which maintenance itself stores


def test_after_a_crash_of_the_notifier_notifications_still_arrive(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statemachine_engine.actors.runtime.maintenance.LOOK_S", 60.0)
    with Runtime(postgres_url, sockets=False) as runtime, Database.open(postgres_url) as elsewhere:
        machine = runtime.add(MOVE, "m")

        crash("sm-notifier")
        mailbox.post(elsewhere, "m", "go")  # heard by nobody else so soon

        machine.wait_for("b", 30)
        runtime.maintenance.look(time.monotonic())
        assert ("notifier_crashed", 1, 0.0) in problems.counts(elsewhere)


def test_a_listener_s_crash_loses_no_event(sockets: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    machine = sockets.add(MOVE, "m")

    crash("sm-listen-m")
    post(sockets, "m", "go")  # what the thread has in hand when it crashes is still in the mailbox
    machine.wait_for("b", 30)
    until(lambda: "thread sm-listen-m crashed" in caplog.text)
    until(lambda: ("listener_crashed", 1, 0.0) in problems.counts(sockets.db))
    post(sockets, "m", "stop")

    assert machine.wait(30) == "success"


def test_a_machine_whose_listener_is_given_up_goes_on_by_its_mailbox_and_says_so(sockets: Runtime) -> None:
    journal = Journal()
    sockets.subscribe(journal)
    machine = sockets.add(MOVE, "m")
    path = machine_listener(machine).path

    keep_crashing("sm-listen-m", lambda: unix_socket.send_message(path, {"type": "none"}))

    (error,) = journal.wait_for("error")
    assert "control socket is no longer read" in error["error_message"]
    assert machine.last_error == error["error_message"]
    assert not path.exists()
    until(lambda: machines.get(sockets.db, "m").control_socket is None)  # type: ignore[union-attr]
    mailbox.post(sockets.db, "m", "go")
    machine.wait_for("b", 30)
    assert machine.status == "running"


@pytest.mark.parametrize("part", ["recorder", "timers", "maintenance"])
def test_a_runtime_whose_parts_are_given_up_stops(start: Start, runtime: Runtime, part: str) -> None:
    machine = start("{initial_state: a, transitions: [{from: a, to: b, event: go}]}")

    keep_crashing(f"sm-{part}", lambda: (machine.send("none"), runtime.resources.timers.after(0, lambda: None)))

    runtime.wait(30)
    assert runtime.broken == f"its {part} crashed again and again"
    runtime.stop()
    assert machine.wait(0) is None


# Control sockets


@pytest.mark.parametrize("replacement", [None, "file", "socket"])
def test_a_control_socket_that_is_gone_is_bound_again(
    sockets: Runtime, replacement: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    machine = sockets.add(MOVE, "m")
    path = machine_listener(machine).path

    path.unlink()
    if replacement == "socket":
        unix_socket.bind(path).close()

    until(lambda: unix_socket.send_message(path, {"type": "go"}))
    machine.wait_for("b", 30)
    assert f"m: its control socket had disappeared; {path} is bound again" in caplog.text


def post(runtime: Runtime, name: str, type: str) -> None:
    """Post an event as another process does."""
    event = mailbox.post(runtime.db, name, type)
    assert unix_socket.send_message(
        unix_socket.control_path(runtime.resources.control_prefix, name), datagrams.datagram_of(event)
    )


def machine_listener(machine: Machine) -> Listener:
    assert machine.listener is not None
    return machine.listener


def keep_crashing(name: str, wake: Callable[[], Any]) -> None:
    """Crash the thread until it is given up; `wake` has it take a step."""

    def is_gone() -> bool:
        if name in [thread.name for thread in threading.enumerate()]:
            crash(name)
            wake()
            return False
        return True

    until(is_gone)

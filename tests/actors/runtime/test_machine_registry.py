"""Waiting for what becomes of the machines, from any thread and across signals."""

from __future__ import annotations

import signal
import threading

from statemachine_engine.actors.runtime.machine_registry import MachineRegistry


def test_what_is_waited_for_is_looked_at_when_something_happened() -> None:
    machine_registry, looks, seen = MachineRegistry(), [], threading.Event()

    def third_look() -> bool:
        looks.append(1)
        seen.set()
        return len(looks) == 3

    waiter = threading.Thread(target=machine_registry.wait_until, args=(third_look, None))
    waiter.start()
    assert seen.wait(30)
    machine_registry.notify()
    machine_registry.notify()
    waiter.join(30)

    assert len(looks) == 3


def test_each_that_waits_hears_of_it_and_one_that_waited_long_enough_goes_on() -> None:
    machine_registry, over = MachineRegistry(), threading.Event()
    results: list[bool] = []
    waiters = [
        threading.Thread(target=lambda: results.append(machine_registry.wait_until(over.is_set, None)))
        for _ in range(3)
    ]
    for waiter in waiters:
        waiter.start()

    assert not machine_registry.wait_until(over.is_set, 0.01)
    over.set()
    machine_registry.notify()
    for waiter in waiters:
        waiter.join(30)

    assert results == [True] * 3


def test_a_signal_handler_may_tell_it_between_the_look_and_the_wait() -> None:
    machine_registry, due = MachineRegistry(), []

    def handle(*_: object) -> None:
        due.append(1)
        machine_registry.notify()

    def look() -> bool:
        found = bool(due)
        if not found:
            signal.raise_signal(signal.SIGALRM)
        return found

    before = signal.signal(signal.SIGALRM, handle)
    try:
        assert machine_registry.wait_until(look, 30)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert due == [1]

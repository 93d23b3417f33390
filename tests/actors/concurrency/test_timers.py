"""The timer thread: calls back when due, in order, and forgets what was cancelled."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import pytest

from statemachine_engine.actors.concurrency.timers import SPARSE, Timers


@pytest.fixture
def timers() -> Iterator[Timers]:
    timers = Timers()
    timers.start()
    yield timers
    timers.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "sm-timers"]


def test_it_calls_back_not_before_the_delay_is_over(timers: Timers) -> None:
    due, begun_s = threading.Event(), time.monotonic()
    timers.after(0.05, due.set)
    assert due.wait(30)
    assert time.monotonic() - begun_s >= 0.05


@pytest.mark.parametrize("delay_s", [0.0, -1.0])
def test_no_delay_is_due_at_once(timers: Timers, delay_s: float) -> None:
    due = threading.Event()
    timers.after(delay_s, due.set)
    assert due.wait(30)


def test_timers_fire_in_the_order_in_which_they_are_due(timers: Timers) -> None:
    fired, last = [], threading.Event()
    timers.after(0.06, last.set)
    for delay_s in (0.03, 0.01, 0.02):
        timers.after(delay_s, lambda delay_s=delay_s: fired.append(delay_s))  # type: ignore[misc]
    assert last.wait(30)
    assert fired == [0.01, 0.02, 0.03]


def test_timers_due_together_fire_in_the_order_in_which_they_were_set() -> None:
    timers, fired, last = Timers(), [], threading.Event()
    for number in range(100):
        timers.after(0, lambda number=number: fired.append(number))  # type: ignore[misc]
    timers.after(0.001, last.set)
    timers.start()
    assert last.wait(30)
    assert fired == sorted(fired)
    timers.stop()


def test_a_sooner_timer_is_not_kept_waiting_by_a_later_one(timers: Timers) -> None:
    due = threading.Event()
    timers.after(3600, lambda: None)
    timers.after(0.01, due.set)
    assert due.wait(30)


def test_a_cancelled_timer_does_not_call_back(timers: Timers) -> None:
    fired, last = [], threading.Event()
    timer = timers.after(0.01, lambda: fired.append(1))
    timers.after(0.02, last.set)
    timer.cancel()
    timer.cancel()
    assert last.wait(30)
    assert not fired
    assert timer.cancelled


def test_cancelling_after_it_fired_is_harmless(timers: Timers) -> None:
    fired = threading.Event()
    timer = timers.after(0, fired.set)
    assert fired.wait(30)
    timer.cancel()


def test_a_callback_may_set_and_cancel_timers(timers: Timers) -> None:
    fired = threading.Event()
    other = timers.after(3600, lambda: None)
    timers.after(0, lambda: (other.cancel(), timers.after(0, fired.set)))  # type: ignore[arg-type]
    assert fired.wait(30)
    assert other.cancelled


def test_a_callback_that_fails_stops_nothing(timers: Timers, caplog: pytest.LogCaptureFixture) -> None:
    due = threading.Event()
    timers.after(0, lambda: [][0])
    timers.after(0.001, due.set)
    assert due.wait(30)
    assert "a timer's callback failed" in caplog.text


def test_a_delay_without_end_never_fires_and_breaks_nothing(timers: Timers) -> None:
    due = threading.Event()
    timers.after(math.inf, lambda: [][0])
    timers.after(1e9, lambda: [][0])
    timers.after(0, due.set)
    assert due.wait(30)


def test_long_timers_that_are_cancelled_do_not_fill_the_memory(timers: Timers) -> None:
    kept = [timers.after(3600, lambda: None) for _ in range(10)]
    for _ in range(20 * SPARSE):
        timers.after(3600, lambda: None).cancel()
    assert len(timers._heap) <= SPARSE + 1
    assert sum(not timer.cancelled for _, _, timer in timers._heap) == len(kept)


def test_many_threads_may_set_and_cancel_at_once(timers: Timers) -> None:
    fired: list[int] = []

    def work(number: int) -> None:
        for count in range(200):
            timers.after(0.001, lambda: fired.append(number))
            timers.after(3600, lambda: fired.append(-1)).cancel()
            timers.after(0.002 * (count % 3), lambda: fired.append(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = threading.Event()
    timers.after(0.02, last.set)
    assert last.wait(30)
    assert sorted(fired) == [number for number in range(4) for _ in range(400)]


def test_stop_forgets_what_is_under_way(timers: Timers) -> None:
    fired = []
    timers.after(3600, lambda: fired.append(1))
    timers.stop()
    timers.stop()
    timers.after(0, lambda: fired.append(2))
    assert not fired


def test_stop_is_safe_before_start_and_in_a_callback(timers: Timers) -> None:
    Timers().stop()
    stopped = threading.Event()
    timers.after(0, lambda: (timers.stop(), stopped.set()))  # type: ignore[arg-type]
    assert stopped.wait(30)

"""The pool of threads that run actions, when the system gives no more of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from statemachine_engine.actors.machine.worker_pool import WorkerPool
from statemachine_engine.actors.metrics.counters import Counters


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def workers(counters: Counters) -> Iterator[WorkerPool]:
    with WorkerPool(counters) as workers:
        yield workers


@pytest.fixture
def no_threads() -> Iterator[None]:
    """The system starts no thread, until the stack's size is 0 again."""
    threading.stack_size(1 << 46)  # more than there are addresses
    yield
    threading.stack_size(0)


def test_what_finds_no_thread_waits_for_one_that_is_free_and_the_shortage_is_counted(
    workers: WorkerPool, counters: Counters, no_threads: None, caplog: pytest.LogCaptureFixture
) -> None:
    free, done = threading.Event(), threading.Event()
    assert workers.take(free.wait, 5) is not None  # by the one that is there from the start

    assert workers.take(done.set) is None

    assert "no more threads can be started: can't start new thread; actions wait for one that is free" in caplog.text
    assert not done.is_set()
    free.set()
    assert done.wait(30)
    threading.stack_size(0)
    assert workers.take(free.wait) is not None
    assert "no more threads can be started: over after" in caplog.text
    ((kind, times, seconds),) = counters.take().problems
    assert (kind, times) == ("threads_short", 1)
    assert seconds > 0

"""The board of waiting actions: none misses a notification."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.actors.concurrency.wait_board import Key, Wait, WaitBoard, concerns


class Waiters:
    """Waits on a board and notes which actions were notified."""

    def __init__(self) -> None:
        self.board = WaitBoard()
        self.notified: list[str] = []

    def park(self, name: str, topic: str = "jobs", key: Key = ()) -> Wait:
        wait = Wait(topic, key, lambda: self.notified.append(name))
        assert self.board.park(wait, self.board.version(topic))
        return wait


@pytest.fixture
def waiters() -> Waiters:
    return Waiters()


def test_a_notification_reaches_an_action_that_waits_once(waiters: Waiters) -> None:
    waiters.park("a")
    assert waiters.board.notify("jobs") == 1
    assert waiters.board.notify("jobs") == 0
    assert waiters.notified == ["a"]


def test_a_notification_of_another_topic_reaches_no_action(waiters: Waiters) -> None:
    waiters.park("a", "jobs")
    assert waiters.board.notify("done") == 0


def test_at_most_count_actions_are_notified_the_longest_waiting_first(waiters: Waiters) -> None:
    for name in "abcd":
        waiters.park(name)
    assert waiters.board.notify("jobs", count=3) == 3
    assert waiters.notified == ["a", "b", "c"]


def test_only_actions_that_a_notification_concerns_are_counted(waiters: Waiters) -> None:
    waiters.park("audio", key=("audio", None))
    waiters.park("video", key=("video", None))
    assert waiters.board.notify("jobs", ("video", None), count=1) == 1
    assert waiters.notified == ["video"]


def test_an_exact_notification_reaches_only_actions_with_this_very_key(waiters: Waiters) -> None:
    waiters.park("cpu", key=("video", "cpu"))
    waiters.park("any", key=("video", None))
    assert waiters.board.notify("jobs", ("video", None), count=1, exact=True) == 1
    assert waiters.notified == ["any"]


def test_an_action_that_left_is_not_notified(waiters: Waiters) -> None:
    wait = waiters.park("a")
    waiters.board.leave(wait)
    waiters.board.leave(wait)
    waiters.board.leave(Wait("unheard of", (), lambda: None))
    assert waiters.board.notify("jobs") == 0


def test_an_action_that_looked_before_a_notification_cannot_wait_after_it(waiters: Waiters) -> None:
    version = waiters.board.version("done")
    waiters.board.notify("done", ("some job",))
    assert not waiters.board.park(Wait("done", (), lambda: None), version)
    assert not waiters.board.keys("done")


def test_the_keys_that_are_waited_for_are_known(waiters: Waiters) -> None:
    waiters.park("a", key=("video", None))
    waiters.park("b", key=("video", None))
    waiters.park("c", "done")
    assert waiters.board.keys("jobs") == {("video", None)}
    assert waiters.board.keys("machine") == set()


def test_an_action_may_wait_again_while_it_is_notified(waiters: Waiters) -> None:
    def again() -> None:
        waiters.notified.append("a")
        waiters.park("a")

    waiters.board.park(Wait("jobs", (), again), 0)
    assert waiters.board.notify("jobs") == 1
    assert waiters.board.notify("jobs") == 1


@pytest.mark.parametrize(
    ("watched", "notified", "concerned"),
    [
        (("video", "gpu"), ("video", "gpu"), True),
        (("video", "gpu"), ("video", None), True),
        (("video", None), ("video", "gpu"), True),
        (("video", "gpu"), ("video", "cpu"), False),
        (("video", None), ("audio", None), False),
        ((None, None), ("audio", "gpu"), True),
        (("video", None), (), True),
        ((), ("video", None), True),
        (("video",), ("video", "gpu"), True),
    ],
)
def test_a_job_concerns_the_workers_that_may_take_it(watched: Key, notified: Key, concerned: bool) -> None:
    assert concerns("jobs", watched, notified) is concerned


@pytest.mark.parametrize("topic", ["done", "events", "machine"])
def test_other_notifications_concern_actions_with_the_same_key_or_none(topic: str) -> None:
    assert concerns(topic, ("a",), ("a",))
    assert concerns(topic, (), ("a",))
    assert concerns(topic, ("a",), ())
    assert not concerns(topic, ("a",), ("b",))


@given(st.lists(st.sampled_from(["look", "park", "notify"]), max_size=30))
def test_no_notification_after_the_look_is_missed(steps: list[str]) -> None:
    board, notified, parked = WaitBoard(), False, False
    version = board.version("jobs")

    def wake() -> None:
        nonlocal parked
        parked = False

    for step in steps:
        if step == "look":
            version, notified = board.version("jobs"), False
        elif step == "notify":
            board.notify("jobs")
            notified = True
        else:
            parked = board.park(Wait("jobs", (), wake), version)
            assert parked is not notified
        assert not (notified and parked)


def test_under_many_threads_no_job_is_left_while_a_worker_sleeps() -> None:
    """Workers wait when there is no work; producers add work and notify one worker each. All work must get done."""
    board, lock, total = WaitBoard(), threading.Lock(), 4 * 300
    stock, done, finished = 0, 0, threading.Event()

    def take() -> bool:
        nonlocal stock, done
        with lock:
            if not stock:
                return False
            stock, done = stock - 1, done + 1
            if done == total:
                finished.set()
            return True

    def produce() -> None:
        nonlocal stock
        for _ in range(total // 4):
            with lock:
                stock += 1
            board.notify("jobs", ("video", None), 1)

    def work(number: int) -> None:
        while not finished.is_set():
            version, awake = board.version("jobs"), threading.Event()
            if not take() and board.park(Wait("jobs", ("video", None), awake.set), version):
                while not awake.wait(0.05):
                    if finished.is_set():
                        return

    run_all([lambda number=number: work(number) for number in range(8)] + [produce] * 4)
    assert done == total


def test_no_notification_of_another_thread_is_lost_between_look_and_wait() -> None:
    for _ in range(500):
        board, awake, flag = WaitBoard(), threading.Event(), []
        barrier = threading.Barrier(2)

        def notify(board: WaitBoard = board, flag: list[int] = flag, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            flag.append(1)
            board.notify("done", ("j",))

        thread = threading.Thread(target=notify)
        thread.start()
        barrier.wait()
        for _ in range(random.randrange(20)):
            version = board.version("done")
        version = board.version("done")
        if not flag and board.park(Wait("done", ("j",), awake.set), version):
            assert awake.wait(30)
        thread.join()


def run_all(targets: list[Any]) -> None:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "somebody sleeps for ever"

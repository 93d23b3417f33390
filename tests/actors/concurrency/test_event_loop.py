"""The event loop of a machine: coroutines, tasks that they leave behind, cancellation and end."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from statemachine_engine.actors.concurrency import event_loop
from statemachine_engine.actors.concurrency.cancel_token import Cancelled, CancelToken
from statemachine_engine.actors.concurrency.event_loop import CancelledFromWithin, EventLoop
from statemachine_engine.actors.machine.leaked_action import position
from tests.support.until import until


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """An event loop that is closed at the end, with its thread."""
    loop = EventLoop("m")
    yield loop
    loop.close()
    until(lambda: not loop_threads())


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sm-loop-m"]


async def answer(value: object = 42) -> object:
    await asyncio.sleep(0)
    return value


class Background:
    """A task that a run leaves behind."""

    def __init__(self) -> None:
        self.beats = 0
        self.started, self.ended = threading.Event(), threading.Event()
        self.release: asyncio.Event
        self.loop: asyncio.AbstractEventLoop

    async def leave_behind(self) -> asyncio.Task[None]:
        self.release, self.loop = asyncio.Event(), asyncio.get_running_loop()
        self.task = asyncio.create_task(self._work())
        return self.task

    async def _work(self) -> None:
        try:
            self.started.set()
            while not self.release.is_set():
                self.beats += 1
                await asyncio.sleep(0.001)
        finally:
            self.ended.set()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.release.set)


def test_the_result_of_a_coroutine_is_returned(loop: EventLoop) -> None:
    assert loop.run(answer(), CancelToken()) == 42


def test_the_error_of_a_coroutine_is_raised(loop: EventLoop) -> None:
    async def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        loop.run(fail(), CancelToken())
    assert loop.run(answer(), CancelToken()) == 42


def test_any_awaitable_can_be_run(loop: EventLoop) -> None:
    class Odd:
        def __await__(self) -> Iterator[None]:
            yield from answer().__await__()

    assert loop.run(Odd(), CancelToken()) is None


def test_all_runs_share_one_event_loop(loop: EventLoop) -> None:
    async def mine() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert loop.run(mine(), CancelToken()) is loop.run(mine(), CancelToken())


def test_a_task_left_behind_goes_on_between_runs_and_during_them(loop: EventLoop) -> None:
    background = Background()
    loop.run(background.leave_behind(), CancelToken())

    until(lambda: background.beats > 3)
    for _ in range(50):
        before = background.beats
        assert loop.run(answer(), CancelToken()) == 42
        until(lambda before=before: background.beats > before)  # type: ignore[misc]
    assert not background.ended.is_set()


def test_setting_the_token_cancels_the_coroutine(loop: EventLoop) -> None:
    token, waiting = CancelToken(), threading.Event()

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    canceller = threading.Thread(target=lambda: waiting.wait(30) and token.cancel())
    canceller.start()
    with pytest.raises(Cancelled):
        loop.run(forever(), token)
    canceller.join(30)


def test_a_token_that_is_set_already_keeps_the_coroutine_from_starting(loop: EventLoop) -> None:
    token, begun = CancelToken(), []
    token.cancel()

    async def begin() -> None:
        begun.append(1)

    with pytest.raises(Cancelled):
        loop.run(begin(), token)
    assert not begun


def test_a_coroutine_that_cancels_itself_has_failed(loop: EventLoop) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledFromWithin, match="not by the machine"):
        loop.run(give_up(), CancelToken())


def test_a_coroutine_that_swallows_the_cancellation_runs_until_it_ends() -> None:
    loop, token, release = EventLoop("m"), CancelToken(), threading.Event()
    waiting, swallowed = threading.Event(), threading.Event()

    async def stubborn() -> str:
        waiting.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                swallowed.set()
        return "done"

    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(loop.run(stubborn(), token)))
    thread.start()
    waiting.wait(30)
    token.cancel()
    assert swallowed.wait(30)

    loop.close()
    release.set()
    thread.join(30)
    assert results == ["done"]


def test_the_loop_and_its_tasks_are_kept_after_a_cancelled_coroutine_that_ends(loop: EventLoop) -> None:
    background, token, waiting = Background(), CancelToken(), threading.Event()
    loop.run(background.leave_behind(), CancelToken())

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    thread = threading.Thread(target=lambda: pytest.raises(Cancelled, loop.run, forever(), token))
    thread.start()
    waiting.wait(30)
    token.cancel()
    assert loop.run(answer(), CancelToken()) == 42
    thread.join(30)
    assert not background.ended.is_set()


def test_a_new_loop_is_used_after_a_cancelled_coroutine_that_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "GRACE_S", 0.05)
    loop, token, waiting, release = EventLoop("m"), CancelToken(), threading.Event(), threading.Event()
    opened: list[asyncio.AbstractEventLoop] = []

    async def blocking() -> None:
        opened.append(asyncio.get_running_loop())
        waiting.set()
        release.wait(30)

    thread = threading.Thread(target=lambda: pytest.raises(Cancelled, loop.run, forever(blocking), token))
    thread.start()
    waiting.wait(30)
    token.cancel()
    assert loop.run(answer(), CancelToken()) == 42
    loop.close()
    release.set()
    thread.join(30)
    until(opened[0].is_closed)


async def forever(first: Callable[[], Awaitable[None]]) -> None:
    await first()
    await asyncio.Event().wait()


def test_close_ends_tasks_that_were_left_behind(loop: EventLoop) -> None:
    background = Background()
    loop.run(background.leave_behind(), CancelToken())
    background.started.wait(30)

    loop.close()

    assert background.ended.wait(30)
    until(lambda: not loop_threads())
    until(background.task.cancelled)
    until(background.loop.is_closed)
    loop.close()


def test_close_ends_a_run_under_way_and_its_tasks() -> None:
    loop, background, waiting = EventLoop("m"), Background(), threading.Event()

    async def forever() -> None:
        await background.leave_behind()
        waiting.set()
        await asyncio.Event().wait()

    def run() -> None:
        with pytest.raises(Cancelled):
            loop.run(forever(), CancelToken())

    thread = threading.Thread(target=run)
    thread.start()
    waiting.wait(30)
    loop.close()
    thread.join(30)

    assert not thread.is_alive()
    until(background.loop.is_closed)
    assert background.ended.wait(30)


def test_a_task_that_swallows_the_cancellation_does_not_hold_up_the_end(
    loop: EventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave_behind() -> asyncio.AbstractEventLoop:
        asyncio.create_task(stubborn())  # noqa: RUF006
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    inner = loop.run(leave_behind(), CancelToken())
    loop.close()
    until(inner.is_closed)


def test_close_at_any_moment_of_a_run_leaves_no_loop_open() -> None:
    for number in range(300):
        loop, opened, ready = EventLoop("m"), [], threading.Barrier(2)

        async def work(opened: list[asyncio.AbstractEventLoop] = opened, number: int = number) -> None:
            opened.append(asyncio.get_running_loop())
            asyncio.create_task(asyncio.sleep(0))  # noqa: RUF006
            for _ in range(number % 10):
                await asyncio.sleep(0)

        def run(loop: EventLoop = loop, ready: threading.Barrier = ready) -> None:
            ready.wait()
            try:
                loop.run(work(), CancelToken())
            except Cancelled:
                return

        thread = threading.Thread(target=run)
        thread.start()
        ready.wait()
        loop.close()
        thread.join(30)
        until(lambda opened=opened: all(inner.is_closed() for inner in opened))  # type: ignore[misc]


def test_close_before_the_first_run_does_nothing() -> None:
    loop = EventLoop("m")
    loop.close()
    loop.close()


def test_a_closed_loop_runs_nothing_any_more() -> None:
    loop = EventLoop("m")
    loop.close()
    with pytest.raises(Cancelled):
        loop.run(answer(), CancelToken())


def test_asynchronous_generators_are_ended_with_the_loop() -> None:
    loop, ended = EventLoop("m"), []

    async def numbers() -> object:  # type: ignore[misc]
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    kept = numbers()

    async def first() -> object:
        return await anext(kept)  # type: ignore[call-overload]

    assert loop.run(first(), CancelToken()) == 1
    loop.close()
    until(lambda: ended == [True])


def test_a_task_that_exits_is_logged_and_the_loop_goes_on(loop: EventLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def leave_behind() -> None:
        asyncio.get_running_loop().call_soon(sys.exit)

    loop.run(leave_behind(), CancelToken())
    assert loop.run(answer(), CancelToken()) == 42
    assert "a task in thread sm-loop-m failed" in caplog.text


def test_the_place_where_a_coroutine_blocks_can_be_named(loop: EventLoop) -> None:
    release, idents = threading.Event(), list[int]()

    async def block() -> None:
        release.wait(30)

    thread = threading.Thread(target=lambda: loop.run(block(), CancelToken(), idents.append))
    thread.start()
    until(lambda: idents and "(block)" in position(idents[0]))
    release.set()
    thread.join(30)
    until(lambda: position(idents[0]) == "an await that does not end")

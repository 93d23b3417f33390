"""A machine's event loop: who drives it, what it leaves behind, how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from statemachine_engine.actors.concurrency import event_loop
from statemachine_engine.actors.concurrency.cancel_token import Cancelled, CancelToken
from statemachine_engine.actors.concurrency.event_loop import CancelledFromWithin, MachineLoop
from tests.support.until import until


@pytest.fixture
def loop() -> Iterator[MachineLoop]:
    """A loop that is closed, and left by all its threads, at the end."""
    loop = MachineLoop("m")
    yield loop
    loop.close()
    until(lambda: not keepers())


def keepers() -> list[threading.Thread]:
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


def test_a_coroutine_yields_its_result(loop: MachineLoop) -> None:
    assert loop.run(answer(), CancelToken()) == 42
    assert not loop.running


def test_what_a_coroutine_raises_comes_out(loop: MachineLoop) -> None:
    async def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        loop.run(fail(), CancelToken())
    assert loop.run(answer(), CancelToken()) == 42


def test_any_awaitable_will_do(loop: MachineLoop) -> None:
    class Odd:
        def __await__(self) -> Iterator[None]:
            yield from answer().__await__()

    assert loop.run(Odd(), CancelToken()) is None


def test_all_runs_share_one_event_loop(loop: MachineLoop) -> None:
    async def mine() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert loop.run(mine(), CancelToken()) is loop.run(mine(), CancelToken())


def test_a_task_left_behind_goes_on_between_runs_and_during_them(loop: MachineLoop) -> None:
    background = Background()
    loop.run(background.leave_behind(), CancelToken())

    until(lambda: background.beats > 3)
    for _ in range(50):
        before = background.beats
        assert loop.run(answer(), CancelToken()) == 42
        until(lambda before=before: background.beats > before)  # type: ignore[misc]
    assert not background.ended.is_set()


def test_the_keeper_leaves_when_the_last_task_has_ended(loop: MachineLoop) -> None:
    background = Background()
    loop.run(background.leave_behind(), CancelToken())
    background.started.wait(30)

    background.end()

    assert background.ended.wait(30)
    until(lambda: not keepers())
    assert loop.run(answer(), CancelToken()) == 42


def test_taking_over_at_any_moment_never_disturbs_a_run(loop: MachineLoop) -> None:
    """The tasks end at about the time of the next run, so that it meets the keeper in all its stages."""

    async def leave(number: int) -> int:
        for delay in range(number % 7):
            asyncio.get_running_loop().call_later(delay / 100_000, lambda: None)
        asyncio.create_task(asyncio.sleep((number % 5) / 20_000))  # noqa: RUF006
        return number

    for number in range(2000):
        assert loop.run(leave(number), CancelToken()) == number


def test_many_threads_that_run_at_once_take_turns(loop: MachineLoop) -> None:
    start, results = threading.Barrier(8), []

    def work(number: int) -> None:
        start.wait()
        results.extend(loop.run(answer(number), CancelToken()) for _ in range(50))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(map(str, results)) == sorted(str(number) for number in range(8) for _ in range(50))


def test_a_token_that_is_set_ends_the_wait(loop: MachineLoop) -> None:
    token, waiting = CancelToken(), threading.Event()

    async def forever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    canceller = threading.Thread(target=lambda: waiting.wait(30) and token.cancel())
    canceller.start()
    with pytest.raises(Cancelled):
        loop.run(forever(), token)
    canceller.join(30)


def test_a_token_set_before_keeps_the_coroutine_from_starting(loop: MachineLoop) -> None:
    token, begun = CancelToken(), []
    token.cancel()

    async def begin() -> None:
        begun.append(1)

    with pytest.raises(Cancelled):
        loop.run(begin(), token)
    assert not begun


def test_a_coroutine_that_cancels_itself_has_failed(loop: MachineLoop) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CancelledFromWithin, match="not by the machine"):
        loop.run(give_up(), CancelToken())


def test_a_coroutine_that_swallows_the_cancellation_keeps_the_loop_until_it_ends() -> None:
    loop, token, release = MachineLoop("m"), CancelToken(), threading.Event()
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
    assert loop.running

    loop.close()
    release.set()
    thread.join(30)
    assert results == ["done"]


def test_who_comes_after_one_that_lets_go_keeps_the_loop_and_its_tasks(loop: MachineLoop) -> None:
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


def test_who_comes_after_one_that_does_not_let_go_gets_another_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "GRACE_S", 0.05)
    loop, token, waiting, release = MachineLoop("m"), CancelToken(), threading.Event(), threading.Event()
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
    assert opened[0].is_closed()


async def forever(first: Callable[[], Awaitable[None]]) -> None:
    await first()
    await asyncio.Event().wait()


def test_who_waits_for_its_turn_does_not_wait_past_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "GRACE_S", 0.02)
    loop, waiting, release = MachineLoop("m"), threading.Event(), threading.Event()

    async def blocking() -> None:
        waiting.set()
        release.wait(30)

    thread = threading.Thread(target=loop.run, args=(blocking(), CancelToken()))
    thread.start()
    waiting.wait(30)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        loop.run(answer(), token)
    release.set()
    thread.join(30)
    loop.close()


def test_close_ends_tasks_that_were_left_behind(loop: MachineLoop) -> None:
    background = Background()
    loop.run(background.leave_behind(), CancelToken())
    background.started.wait(30)

    loop.close()

    assert background.ended.wait(30)
    until(lambda: not keepers())
    assert background.task.cancelled()
    assert background.loop.is_closed()
    loop.close()


def test_close_ends_a_run_under_way_and_its_tasks() -> None:
    loop, background, waiting = MachineLoop("m"), Background(), threading.Event()

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
    assert background.loop.is_closed()
    assert background.ended.is_set()


def test_a_task_that_swallows_the_cancellation_does_not_hold_up_the_end(
    loop: MachineLoop, caplog: pytest.LogCaptureFixture
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
        loop, opened, ready = MachineLoop("m"), [], threading.Barrier(2)

        async def work(opened: list[asyncio.AbstractEventLoop] = opened, number: int = number) -> None:
            opened.append(asyncio.get_running_loop())
            asyncio.create_task(asyncio.sleep(0))  # noqa: RUF006
            for _ in range(number % 10):
                await asyncio.sleep(0)

        def run(loop: MachineLoop = loop, ready: threading.Barrier = ready) -> None:
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
    loop = MachineLoop("m")
    loop.close()
    loop.close()


def test_a_closed_loop_runs_nothing_any_more() -> None:
    loop = MachineLoop("m")
    loop.close()
    with pytest.raises(Cancelled):
        loop.run(answer(), CancelToken())


def test_asynchronous_generators_are_ended_with_the_loop() -> None:
    loop, ended = MachineLoop("m"), []

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
    assert ended == [True]

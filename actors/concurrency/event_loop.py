"""One machine's own event loop: driven by whichever worker thread runs its actions, and in between while tasks live."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import MachineError
from .cancel_token import Cancelled, CancelToken

T = TypeVar("T")

#: seconds that a coroutine has to end in after it was cancelled
GRACE_S = 1.0


class CancelledFromWithin(MachineError):
    """An action's coroutine was cancelled, but not by the machine."""


class MachineLoop:
    """Runs coroutines to their end; tasks that they leave behind go on running until they end or `close`.

    All on one event loop, unless a coroutine that was cancelled does not let go of it: it may keep that one, the next
    run gets another.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._driven = _DrivenLoop(name)
        self._closed = False

    @property
    def running(self) -> bool:
        """Whether a coroutine is being run right now."""
        return self._driven.turn.locked()

    def run(self, awaitable: Awaitable[T], cancel: CancelToken) -> T:
        """The coroutine's result; Cancelled when the token was set, or the loop closed, before it ended."""
        driven = self._driven
        while not driven.turn.acquire(timeout=GRACE_S):
            if self._closed or cancel.cancelled:
                _discard(awaitable)
                raise Cancelled
            driven = self._instead_of(driven)
        try:
            return driven.run(awaitable, cancel)
        finally:
            driven.turn.release()

    def close(self) -> None:
        """Cancel what is left and close the loop as soon as nothing runs on it; idempotent."""
        with self._lock:
            self._closed = True
            self._driven.close()

    def _instead_of(self, held: _DrivenLoop) -> _DrivenLoop:
        with self._lock:
            if self._driven is held and held.is_cancelled and not self._closed:
                held.close()
                self._driven = _DrivenLoop(self._name)
            return self._driven


class _DrivenLoop:
    """An event loop and who drives it: the thread in `run`, or between runs a keeper, while there are tasks.

    `close` may come from any thread; whoever drives the loop then, closes it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        #: held by the thread in `run`
        self.turn = threading.Lock()
        self._lock = threading.Lock()  # of what follows
        self._cancel: CancelToken | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._maintenance: threading.Thread | None = None
        self._end_of_keeping: asyncio.Future[None] | None = None
        self._running = False
        self._closing = False

    @property
    def is_cancelled(self) -> bool:
        """Whether the run that goes on should have ended."""
        return self._cancel is not None and self._cancel.cancelled

    def run(self, awaitable: Awaitable[T], cancel: CancelToken) -> T:
        self._cancel = cancel
        loop = self._take_over()
        try:
            if cancel.cancelled or self._closing:
                _discard(awaitable)
                raise Cancelled
            return self._drive(loop, awaitable, cancel)
        finally:
            self._hand_back(loop)

    def close(self) -> None:
        with self._lock:
            self._closing = True
            loop, idle = self._loop, not self._running and self._maintenance is None
            if idle:
                self._loop = None
            task, end_of_keeping = self._task, self._end_of_keeping
        if loop is None:
            return
        if idle:
            _finish(loop)
        elif task is not None:
            _call(loop, task.cancel)
        elif end_of_keeping is not None:
            _call(loop, lambda: _resolve(end_of_keeping))

    def _take_over(self) -> asyncio.AbstractEventLoop:
        """Become the thread that drives the loop."""
        with self._lock:
            self._running = True
            loop = self._loop = self._loop or asyncio.new_event_loop()
            maintenance, self._maintenance = self._maintenance, None
            end_of_keeping, self._end_of_keeping = self._end_of_keeping, None
        if maintenance is not None and end_of_keeping is not None:
            _call(loop, lambda: _resolve(end_of_keeping))
            maintenance.join()
        return loop

    def _drive(self, loop: asyncio.AbstractEventLoop, awaitable: Awaitable[T], cancel: CancelToken) -> T:
        task = loop.create_task(_awaited(awaitable))
        with self._lock:
            self._task = task
            if self._closing:
                loop.call_soon(task.cancel)  # not before its first step, or what it awaits is never awaited
        forget = cancel.on_cancel(lambda: _call(loop, task.cancel))
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            if cancel.cancelled or self._closing:
                raise Cancelled from None
            raise CancelledFromWithin("its coroutine was cancelled, but not by the machine") from None
        finally:
            forget()
            with self._lock:
                self._task = None

    def _hand_back(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._running = False
            if self._closing:
                self._loop = None
            elif asyncio.all_tasks(loop):
                end = self._end_of_keeping = loop.create_future()
                self._maintenance = threading.Thread(
                    target=self._keep, args=(loop, end), name=f"sm-loop-{self._name}", daemon=True
                )
                self._maintenance.start()
            closing = self._closing
        if closing:
            _finish(loop)

    def _keep(self, loop: asyncio.AbstractEventLoop, end: asyncio.Future[None]) -> None:
        """Drive the tasks that were left behind until they end, a new run takes the loop over, or it is closed."""
        waiting = loop.create_task(_until_idle(end))
        try:
            loop.run_until_complete(waiting)
        finally:
            waiting.cancel()
            with self._lock:
                closing = self._closing and self._maintenance is threading.current_thread()
                if self._maintenance is threading.current_thread():
                    self._maintenance = self._end_of_keeping = None
                if closing:
                    self._loop = None
            if closing:
                _finish(loop)


# Helpers


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _until_idle(end: asyncio.Future[None]) -> None:
    """Until no other task is left, or `end` has come."""
    this = asyncio.current_task()
    while not end.done() and (others := asyncio.all_tasks() - {this}):
        await asyncio.wait({*others, end}, return_when=asyncio.FIRST_COMPLETED)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all tasks, give them GRACE_S to end in, and close the loop; in the thread that drives it."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _discard(awaitable: Awaitable[object]) -> None:
    """Say that it is not to be awaited, or Python warns of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # closed meanwhile: nothing is left to be told
        loop.call_soon_threadsafe(callback)

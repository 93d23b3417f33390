"""One machine's own event loop: driven by whichever worker thread runs its actions, and in between while tasks live."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable
from typing import TypeVar

from .cancel import Cancelled, CancelToken

T = TypeVar("T")


class MachineLoop:
    """Runs coroutines to their end; tasks that they leave behind go on running until they end or `close`.

    One thread at a time calls `run`; `abandon` and `close` may come from any.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: threading.Thread | None = None
        self._lock = threading.Lock()
        self._running = False
        self._closing = False

    @property
    def running(self) -> bool:
        """Whether a coroutine is being run right now."""
        return self._running

    def run(self, awaitable: Awaitable[T], cancel: CancelToken) -> T:
        """The coroutine's result; Cancelled when the token was set before it ended."""
        self._take_over()
        loop = self._loop = self._loop or asyncio.new_event_loop()
        task = loop.create_task(_awaited(awaitable))
        forget = cancel.on_cancel(lambda: _call(loop, task.cancel))
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise Cancelled from None
        finally:
            forget()
            self._hand_back(loop)

    def close(self) -> None:
        """Cancel what is left and close the loop as soon as nothing runs on it; idempotent."""
        with self._lock:
            self._closing = True
            loop, idle = self._loop, not self._running and self._keeper is None
        if loop is None:
            return
        if idle:
            self._finish(loop)
        else:
            _call(loop, lambda: _cancel_all(loop))

    def _take_over(self) -> None:
        """Become the thread that drives the loop."""
        with self._lock:
            self._running, keeper, loop = True, self._keeper, self._loop
        if keeper is not None and loop is not None:
            _call(loop, loop.stop)
            keeper.join()

    def _hand_back(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._running = False
            closing = self._closing
            self._keeper = None
            if not closing and asyncio.all_tasks(loop):
                self._keeper = threading.Thread(
                    target=self._keep, args=(loop,), name=f"sm-loop-{self._name}", daemon=True
                )
                self._keeper.start()
        if closing:
            self._finish(loop)

    def _keep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Drive the tasks that were left behind until they end, or a new run takes the loop over."""
        pending = asyncio.all_tasks(loop)
        while pending and not self._running:
            waiter = loop.create_task(_all_of(pending))
            with contextlib.suppress(RuntimeError):  # loop.stop() ends run_until_complete before its future is done
                loop.run_until_complete(waiter)
            waiter.cancel()
            pending = {task for task in asyncio.all_tasks(loop) if task is not waiter}
            if self._closing:
                break
        with self._lock:
            taken_over = self._running
            if not taken_over:
                self._keeper = None
        if self._closing and not taken_over:
            self._finish(loop)

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._loop is not loop:
                return
            self._loop = None
        _cancel_all(loop)
        pending = asyncio.all_tasks(loop)
        if pending:
            loop.run_until_complete(asyncio.wait(pending, timeout=1.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


# Helpers


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _all_of(tasks: set[asyncio.Task[object]]) -> None:
    await asyncio.wait(tasks)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _call(loop: asyncio.AbstractEventLoop, callback: object) -> None:
    with contextlib.suppress(RuntimeError):  # closed meanwhile: nothing is left to be told
        loop.call_soon_threadsafe(callback)  # type: ignore[arg-type]

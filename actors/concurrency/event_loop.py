"""The event loop of a machine's async actions, in a thread that the first of them starts."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future, wait
from typing import TypeVar

from ..errors import MachineError
from .cancel_token import Cancelled, CancelToken

log = logging.getLogger(__name__)

T = TypeVar("T")

#: seconds that coroutines have to end after they were cancelled
GRACE_S = 1.0


class CancelledFromWithin(MachineError):
    """An action's coroutine was cancelled, but not by the machine."""


class EventLoop:
    """Runs the coroutines of one machine; tasks that they leave behind go on until they end or `close` is called.

    All coroutines share one loop, except after one that was cancelled and does not end within GRACE_S: as it may block
    its loop, the next coroutine gets a new one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        self._closed = False

    def run(self, awaitable: Awaitable[T], cancel: CancelToken, started: Callable[[int], None] = lambda _: None) -> T:
        """Return the coroutine's result; called in a worker thread, which waits for it.

        `started` is called with the identifier of the loop's thread. Raises Cancelled if the token is set or the loop
        closed before the coroutine has ended.
        """
        thread = self._usable_thread()
        with self._lock:
            if thread is None or self._closed or cancel.cancelled:
                if inspect.iscoroutine(awaitable):
                    awaitable.close()  # or Python warns that it was never awaited
                raise Cancelled
            future = thread.submit(awaitable, cancel)
        started(thread.ident)
        try:
            result, error = future.result()
        except CancelledError:
            raise Cancelled from None
        if isinstance(error, asyncio.CancelledError):
            if cancel.cancelled or self._closed:
                raise Cancelled from None
            raise CancelledFromWithin("its coroutine was cancelled, but not by the machine") from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def close(self) -> None:
        """Cancel all coroutines and tasks, and end the thread without waiting for it; idempotent."""
        with self._lock:
            self._closed = True
            if self._thread is not None:
                self._thread.stop()

    def _usable_thread(self) -> _LoopThread | None:
        """Return the thread, after the last coroutine has ended on it; a new one if that one holds it."""
        thread = self._thread
        if thread is not None and not thread.is_free(GRACE_S):
            thread.stop()
            thread = None
        with self._lock:
            if thread is None and not self._closed:
                thread = _LoopThread(self._name)
            self._thread = thread
            return thread


class _LoopThread:
    """A thread that runs an event loop until it is stopped."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._stopping = False
        self._last: Future[tuple[object, BaseException | None]] | None = None
        self._thread = threading.Thread(target=self._run, name=f"sm-loop-{name}", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._loop.close()
            raise

    @property
    def ident(self) -> int:
        return self._thread.ident or 0

    def is_free(self, timeout_s: float) -> bool:
        """Wait until the last coroutine has ended; False after the time-out."""
        return self._last is None or not wait([self._last], timeout_s).not_done

    def submit(self, awaitable: Awaitable[T], cancel: CancelToken) -> Future[tuple[T | None, BaseException | None]]:
        future = asyncio.run_coroutine_threadsafe(self._outcome(awaitable, cancel), self._loop)
        self._last = future  # type: ignore[assignment]
        return future

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(RuntimeError):  # it is closed already
            self._loop.call_soon_threadsafe(self._loop.stop)

    async def _outcome(self, awaitable: Awaitable[T], cancel: CancelToken) -> tuple[T | None, BaseException | None]:
        """Return result and error; an error is not raised here, since SystemExit would end the loop."""
        task = asyncio.current_task()
        assert task is not None
        forget = cancel.on_cancel(lambda: self._cancel(task))
        try:
            return await awaitable, None
        except BaseException as error:  # noqa: BLE001 - it is the action's failure
            return None, error
        finally:
            forget()

    def _cancel(self, task: asyncio.Task[object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(task.cancel)

    def _run(self) -> None:
        loop = self._loop
        try:
            while not self._stopping:
                try:
                    loop.run_forever()
                except BaseException:  # a task that was left behind has called sys.exit()
                    log.exception("a task in thread %s failed", self._thread.name)
            loop.run_until_complete(asyncio.sleep(0))  # a task that is cancelled before its first step awaits nothing
            if tasks := asyncio.all_tasks(loop):
                for task in tasks:
                    task.cancel()
                loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_S))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            if self._last is not None:
                self._last.cancel()  # its worker thread would wait for ever
            loop.close()

"""Delays: one thread calls back when they are over, and sleeps until the next one is due."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

from .supervised_thread import SupervisedThread

log = logging.getLogger(__name__)

#: number of delays at which cancelled ones are removed
SPARSE = 256


class Timer:
    """A delay that is not over."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Do not call back; idempotent, also after the call."""
        self._callback = None

    def fire(self) -> None:
        """Call back unless cancelled; called in the timer thread."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    @property
    def cancelled(self) -> bool:
        """True if it was cancelled or has called back."""
        return self._callback is None


class Timers:
    """Delays on the monotonic clock, so that setting the wall clock changes none of them.

    They are kept in a crash of the thread: `crashed` is called at each, `given_up` after too many.
    """

    def __init__(
        self, *, crashed: Callable[[], None] = lambda: None, given_up: Callable[[], None] = lambda: None
    ) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._ready = threading.Condition()
        self._stopped = False
        #: the timer that was taken off the heap and has not called back
        self._due: Timer | None = None
        self._thread = SupervisedThread("sm-timers", self._run, crashed=crashed, given_up=given_up)
        self._crowded = SPARSE

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def __len__(self) -> int:
        """Return the number of delays, including some that were cancelled."""
        return len(self._heap)

    def after(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Call back in `delay_s` seconds, in the timer thread; the callback should only send a message."""
        timer = Timer(callback)
        due = time.monotonic() + delay_s
        with self._ready:
            heapq.heappush(self._heap, (due, next(self._order), timer))
            if len(self._heap) > self._crowded:
                self._forget_cancelled()
            if self._heap[0][2] is timer:
                self._ready.notify()
        return timer

    def stop(self) -> None:
        """Drop all delays and end the thread; idempotent, also before `start`."""
        with self._ready:
            self._stopped = True
            self._heap.clear()
            self._ready.notify()
        self._thread.join(5.0)

    def _forget_cancelled(self) -> None:
        """Remove cancelled delays, so that long ones do not fill the memory until they are due."""
        self._heap = [entry for entry in self._heap if not entry[2].cancelled]
        heapq.heapify(self._heap)
        self._crowded = max(SPARSE, 2 * len(self._heap))

    def _run(self) -> None:
        while (timer := self._due or self._next()) is not None:
            try:
                timer.fire()
            except Exception:
                log.exception("a timer's callback failed")
            self._due = None

    def _next(self) -> Timer | None:
        """Wait for the next timer that is due; None after `stop`."""
        with self._ready:
            while not self._stopped:
                while self._heap and self._heap[0][2].cancelled:
                    heapq.heappop(self._heap)
                if not self._heap:
                    self._ready.wait()
                    continue
                delay_s = self._heap[0][0] - time.monotonic()
                if delay_s <= 0:
                    self._due = self._heap[0][2]
                    heapq.heappop(self._heap)
                    return self._due
                self._ready.wait(min(delay_s, threading.TIMEOUT_MAX))
            return None

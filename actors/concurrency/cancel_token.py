"""The token through which a running action learns that its result is no longer wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Cancelled(BaseException):
    """The action was cancelled; its result is thrown away.

    A BaseException, so that a user's `except Exception` does not swallow it.
    """


class CancelToken:
    """One per run of a state's actions; set once, from any thread.

    Callbacks run in the thread that cancels, so they must be short: signal a process, wake a loop.
    """

    __slots__ = ("_callbacks", "_event", "_sleepers", "cancelled", "heard")

    _lock = threading.Lock()  # shared: it is held for a few instructions and spares an object per run

    def __init__(self) -> None:
        self.cancelled = False
        #: the action was told of it, by callback or while it slept; what was not told cannot be expected to end
        self.heard = False
        self._callbacks: list[Callable[[], None]] = []
        self._event: threading.Event | None = None
        self._sleepers = 0

    @property
    def listened(self) -> bool:
        """Whether the action would be told just now."""
        return bool(self._callbacks) or self._sleepers > 0

    def cancel(self) -> None:
        """Cancel; idempotent."""
        with self._lock:
            if self.cancelled:
                return
            self.cancelled = True
            self.heard = self.listened
            callbacks, self._callbacks = self._callbacks, []
            if self._event is not None:
                self._event.set()
        for callback in callbacks:
            _call(callback)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when cancelled (at once if that has happened); returns what takes it back."""
        with self._lock:
            if not self.cancelled:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        _call(callback)
        return lambda: None

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled once the token is set."""
        if self.cancelled:
            raise Cancelled

    def wait(self, timeout_s: float | None) -> bool:
        """Sleep up to `timeout_s` seconds, less when cancelled; True when cancelled."""
        with self._lock:
            if self.cancelled:
                return True
            event = self._event = self._event or threading.Event()
            self._sleepers += 1
        try:
            return event.wait(timeout_s)
        finally:
            with self._lock:
                self._sleepers -= 1

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # it may be a user's, and this may be the actor's thread
        log.exception("a callback of a cancelled action failed")

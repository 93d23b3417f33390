"""The token that tells a running action that its result is no longer wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Cancelled(BaseException):
    """The action was cancelled, and its result is dropped.

    It is a BaseException, so that `except Exception` in a user's code does not catch it.
    """


class CancelToken:
    """The token of one run of actions; it is set once, from any thread.

    Callbacks run in the thread that cancels, so they must be short, such as a signal to a process.
    """

    __slots__ = ("_callbacks", "_event", "_sleepers", "cancelled", "heard")

    _lock = threading.Lock()  # one for all tokens, since it is held only for a few instructions

    def __init__(self) -> None:
        self.cancelled = False
        #: the action was told, by a callback or while it slept; only then it can be expected to end
        self.heard = False
        self._callbacks: list[Callable[[], None]] = []
        self._event: threading.Event | None = None
        self._sleepers = 0

    @property
    def listened(self) -> bool:
        """True if the action would be told at present."""
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
        """Call `callback` when the token is set, at once if it is; return a function that removes the callback."""
        with self._lock:
            if not self.cancelled:
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        _call(callback)
        return lambda: None

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled if the token is set."""
        if self.cancelled:
            raise Cancelled

    def wait(self, timeout_s: float | None) -> bool:
        """Sleep for `timeout_s` seconds, or until the token is set; return True if it is set."""
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
    except Exception:  # it may belong to a user's action, and this may be the actor's thread
        log.exception("a callback of a cancelled action failed")

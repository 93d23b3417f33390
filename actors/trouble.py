"""A trouble that lasts: said when it begins, at most once a minute while it goes on, and once when it is over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

#: seconds between two lines about the same trouble
QUIET_S = 60.0


class Rarely:
    """Paces lines about what happens again and again; not thread-safe by itself."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def due(self) -> bool:
        """Whether there was no line for QUIET_S; the one that is written now is the last for as long."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + QUIET_S
        return True


class Trouble:
    """Thread-safe: what several threads meet is one trouble."""

    def __init__(self, what: str, meanwhile: Callable[[], str], kept: Callable[[], str] = str) -> None:
        """`what` is wrong; what goes on `meanwhile`, and what was `kept` when it is over, are asked at that moment."""
        self._what, self._meanwhile, self._kept = what, meanwhile, kept
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._rarely = Rarely()
        self._said = False

    @property
    def lasts(self) -> bool:
        """Whether it is there."""
        return self._since_s is not None

    def met(self, error: object) -> None:
        """It is there, or still there; `error` says where and what to do."""
        now_s = time.monotonic()
        with self._lock:
            if self._since_s is None:
                self._since_s = now_s
            if not self._rarely.due():
                return
            self._said = True
            for_s = now_s - self._since_s
        since = f" (for {for_s:.0f} s now)" if for_s >= 1 else ""
        log.error("%s%s: %s; %s", self._what, since, error, self._meanwhile())

    def over(self) -> None:
        """It is over, if there was any."""
        if self._since_s is None:
            return
        with self._lock:
            since_s, self._since_s = self._since_s, None
            said, self._said = self._said, False
        if said and since_s is not None:
            after = f"over after {time.monotonic() - since_s:.1f} s"
            log.warning("%s: %s", self._what, "; ".join(filter(None, (after, self._kept()))))

"""Threads that are started again when they die of what nobody foresaw, unless that happens too often."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

#: what crashes is started again so many times within so many seconds
RESTARTS, WINDOW_S = 3, 60.0


class Intensity:
    """How often something has crashed, and whether it may start again: Erlang's restart intensity."""

    def __init__(self) -> None:
        #: crashes so far
        self.crashes = 0
        self._recent: deque[float] = deque(maxlen=RESTARTS + 1)

    def crashed(self) -> bool:
        """It has crashed once more; whether it may be started again."""
        self.crashes += 1
        now_s = time.monotonic()
        self._recent.append(now_s)
        return len(self._recent) <= RESTARTS or now_s - self._recent[0] >= WINDOW_S


class SupervisedThread:
    """Does its work until that returns; where the work raises, that is logged and the work begun again.

    `crashed` is called each time. Work that crashes more than RESTARTS times in WINDOW_S is given up: `given_up` is
    called, as the thread's last act.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        crashed: Callable[[], None] = lambda: None,
        given_up: Callable[[], None],
    ) -> None:
        self.name = name
        self._work = work
        self._crashed, self._given_up = crashed, given_up
        self._intensity = Intensity()
        self._thread: threading.Thread | None = None

    @property
    def crashes(self) -> int:
        """How often its work has crashed."""
        return self._intensity.crashes

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread."""
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        thread.start()
        self._thread = thread  # not before: join() in another thread could not wait for it yet

    def join(self, timeout_s: float) -> None:
        """Wait for its end, at most so long; returns at once before its start, and in the thread itself."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                self._work()
            except BaseException:
                log.exception("thread %s crashed", self.name)
                self._crashed()
            else:
                return
            if not self._intensity.crashed():
                log.critical("thread %s crashed more than %d times in %g s; given up", self.name, RESTARTS, WINDOW_S)
                self._given_up()
                return

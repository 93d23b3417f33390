"""Threads whose work is restarted after a crash, unless it crashes too often."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

#: most restarts within a window of seconds
RESTARTS, WINDOW_S = 3, 60.0


class Intensity:
    """The number of crashes, and the decision about a restart: the restart intensity of Erlang/OTP."""

    def __init__(self) -> None:
        #: number of crashes
        self.crashes = 0
        self._recent: deque[float] = deque(maxlen=RESTARTS + 1)

    def crashed(self) -> bool:
        """Count a crash; return True if a restart is allowed."""
        self.crashes += 1
        now_s = time.monotonic()
        self._recent.append(now_s)
        return len(self._recent) <= RESTARTS or now_s - self._recent[0] >= WINDOW_S


class SupervisedThread:
    """Does its work until that returns; if the work raises, the error is logged and the work restarted.

    `crashed` is called at each crash. Work that crashes more than RESTARTS times in WINDOW_S is given up: the thread
    calls `given_up` and ends.
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
        """The number of crashes."""
        return self._intensity.crashes

    @property
    def started(self) -> bool:
        """True once `start` was called."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread."""
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        thread.start()
        self._thread = thread  # after its start, since join() fails before

    def join(self, timeout_s: float) -> None:
        """Wait for its end for `timeout_s` at most; return at once before its start, and in the thread itself."""
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

"""The threads that run actions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..metrics.outage import Outage

if TYPE_CHECKING:
    from ..metrics.counters import Counters

#: most worker threads; each is started when all others are busy, and reused
WORKERS = 4096


class WorkerPool(ThreadPoolExecutor):
    """A thread pool in which work waits for a free thread if the system refuses to start another."""

    def __init__(self, counters: Counters) -> None:
        super().__init__(WORKERS, thread_name_prefix="sm-action")
        self._short = Outage(
            counters,
            "threads_short",
            "no more threads can be started",
            lambda: "actions wait for one that is free; raise the limit of processes (ulimit -u) or of memory",
        )
        self.submit(int).result()  # one thread exists from the start, so that waiting work is done in any case

    def take(self, work: Callable[..., None], *args: object) -> Future[None] | None:
        """Do the work in a thread; None if it waits for a free one."""
        try:
            future = self.submit(work, *args)
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            self._short.met(error)  # the work is in the queue all the same
            return None
        self._short.over()
        return future

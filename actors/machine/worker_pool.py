"""The threads that run actions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..metrics.outage import Outage

if TYPE_CHECKING:
    from ..metrics.counters import Counters

#: worker threads at most; they are made one by one as actions block, and reused
WORKERS = 4096


class WorkerPool(ThreadPoolExecutor):
    """A pool in which work waits for a thread that is free where the system gives no more of them."""

    def __init__(self, counters: Counters) -> None:
        super().__init__(WORKERS, thread_name_prefix="sm-action")
        self._short = Outage(
            counters,
            "threads_short",
            "no more threads can be started",
            lambda: "actions wait for one that is free; raise the limit of processes (ulimit -u) or of memory",
        )
        self.submit(int).result()  # one is there from the start, so that what waits has something to wait for

    def take(self, work: Callable[..., None], *args: object) -> Future[None] | None:
        """Do this in a thread; None where it waits for one that is free."""
        try:
            future = self.submit(work, *args)
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            self._short.met(error)  # and it stands in the queue all the same
            return None
        self._short.over()
        return future

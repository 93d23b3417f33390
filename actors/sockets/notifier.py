"""The thread that receives notifications of other hosts through PostgreSQL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...storage.errors import StorageError
from ..concurrency.supervised_thread import SupervisedThread
from ..metrics.outage import Outage
from . import datagrams
from .messages import Notification

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..metrics.counters import Counters

log = logging.getLogger(__name__)

#: seconds of one wait; stopping takes no longer
WAIT_S = 1.0

DEAF = "notifications from other hosts are not received any more; each machine still looks once a second"


class Notifier:
    """Passes PostgreSQL's notifications on; with SQLite no thread is started."""

    def __init__(self, db: Database, counters: Counters, on_notification: Callable[[Notification], None]) -> None:
        """`on_notification` is called in the notifier's thread."""
        self._db = db
        self._on_notification = on_notification
        self._stopping = threading.Event()
        self._outage = Outage(
            counters,
            "hosts_unheard",
            "cannot receive notifications from other hosts",
            lambda: "each machine still looks once a second; the connection is tried again",
        )
        self._thread = SupervisedThread(
            "sm-notifier",
            self._run,
            crashed=lambda: counters.add("notifier_crashed"),
            given_up=lambda: log.error(DEAF),
        )

    def start(self) -> None:
        """Start the thread if the store is PostgreSQL."""
        if self._db.is_postgres:
            self._thread.start()

    def stop(self) -> None:
        """End the thread; idempotent, and allowed before start."""
        self._stopping.set()
        self._thread.join(5 * WAIT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                texts = self._db.wait_notification(WAIT_S)
                self._outage.over()
                for text in texts:
                    self._take(text)
            except StorageError as error:
                self._outage.met(error)
                self._stopping.wait(WAIT_S)

    def _take(self, text: str) -> None:
        try:
            message = datagrams.decode(text.encode(), self._db.clock.now())
        except datagrams.MalformedMessage as error:
            log.warning("refused a notification: %s", error)
            return
        if isinstance(message, Notification):
            self._on_notification(message)

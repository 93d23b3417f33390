"""The thread that hears what other hosts say through PostgreSQL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..storage.errors import StorageError
from . import wire
from .messages import Bell
from .threads import SupervisedThread
from .trouble import Trouble

if TYPE_CHECKING:
    from ..storage.database import Database
    from .tally import Tally

log = logging.getLogger(__name__)

#: seconds of one wait; stopping takes no longer
WAIT_S = 1.0

DEAF = "other hosts are not heard any more; the look once a second goes on"


class Notifier:
    """Hands every bell of the store on; on SQLite there are none, and no thread is started."""

    def __init__(self, db: Database, tally: Tally, rung: Callable[[Bell], None]) -> None:
        self._db = db
        self._rung = rung
        self._stopping = threading.Event()
        self._deaf = Trouble(
            tally,
            "hosts_unheard",
            "cannot hear other hosts",
            lambda: "the look once a second goes on; it is tried again",
        )
        self._thread = SupervisedThread(
            "sm-notifier",
            self._run,
            crashed=lambda: tally.add("notifier_crashed"),
            given_up=lambda: log.error(DEAF),
        )

    def start(self) -> None:
        """Start the thread where there is something to hear."""
        if self._db.is_postgres:
            self._thread.start()

    def stop(self) -> None:
        """End the thread; idempotent, and safe before start."""
        self._stopping.set()
        self._thread.join(5 * WAIT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                texts = self._db.wait_notification(WAIT_S)
                self._deaf.over()
                for text in texts:
                    self._take(text)
            except StorageError as error:
                self._deaf.met(error)
                self._stopping.wait(WAIT_S)

    def _take(self, text: str) -> None:
        try:
            message = wire.decode(text.encode(), self._db.clock.now())
        except wire.MalformedMessage as error:
            log.warning("refused a notification: %s", error)
            return
        if isinstance(message, Bell):
            self._rung(message)

"""The audit writer: one thread that stores what all machines of a process did, in batches, and then publishes it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from ..storage import audit
from ..storage.audit import Note, Record
from ..storage.errors import StorageError, ValueRefused
from .trouble import Trouble

if TYPE_CHECKING:
    from ..storage.database import Database
    from .publisher import Publisher

log = logging.getLogger(__name__)

#: records in one transaction; what came meanwhile is in the next
BATCH = 1000

#: so soon after the last batch, a batch of few items waits so long for company: each costs a commit whatever its size,
#: and every commit keeps jobs from the store's one writer; what happens to an idle machine never waits
BUSY_S, LINGER_S, FEW = 0.005, 0.002, 100

#: writes that wait in memory, each of one step of a machine, before the machines stand still until it is half as many
MOST_WAITING = 50_000

#: seconds between tries while the store takes nothing
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)

Subscriber = Callable[[dict[str, Any]], None]


class Recorder:
    """Takes records from any thread without ever blocking it.

    Order is kept. A batch is published after its commit, so an id that a reader is told of can be read.
    """

    def __init__(self, db: Database, publisher: Publisher) -> None:
        self._db = db
        self._publisher = publisher
        self._inbox: queue.SimpleQueue[Sequence[Record] | threading.Event] = queue.SimpleQueue()
        self._subscribers: list[Subscriber] = []
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._given_up = False
        self._failing = 0
        #: what goes wrong with the store, whoever of the process meets it
        self.outage = Trouble("the store takes nothing", self._meanwhile, self._kept)
        #: open unless too much waits to be stored; machines take no message while it is closed
        self.room = threading.Event()
        self.room.set()
        self._stored_s = 0.0
        #: records that the store does not take, or took nothing of until the end
        self.lost = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="sm-recorder", daemon=True)
        self._thread.start()

    def record(self, *records: Record) -> None:
        """Store these in one transaction; from any thread, returns at once."""
        self._inbox.put(records)
        if self._inbox.qsize() > MOST_WAITING:
            self.room.clear()

    def store_answers(self) -> None:
        """Somebody could write: the outage is over, unless our own records are still refused."""
        if not self._failing:
            self.outage.over()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each envelope after its commit, in the recorder's thread; returns what ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything recorded so far is stored; False when that took longer."""
        barrier = threading.Event()
        self._inbox.put(barrier)
        return barrier.wait(timeout_s)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what is left and end the thread; idempotent, and safe before start."""
        if self._thread is None:
            return
        if not self.flush(timeout_s):
            log.error("the store took nothing for %s s", timeout_s)
        self._stopping.set()
        self._inbox.put(())
        self._thread.join(timeout_s)
        self._thread = None
        self._publisher.close()

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._inbox.empty()):
            records, barriers = self._batch()
            if records:
                self._store(records)
            for barrier in barriers:
                barrier.set()
            if not self.room.is_set() and self._inbox.qsize() < MOST_WAITING // 2:
                self.room.set()
        if self.lost:
            log.error("%d records of the audit log are lost", self.lost)

    def _batch(self) -> tuple[list[Record], list[threading.Event]]:
        """Wait for something, then take all that is there, up to BATCH."""
        records: list[Record] = []
        barriers: list[threading.Event] = []
        item = self._inbox.get()
        if not isinstance(item, threading.Event):
            self._linger()
        while True:
            if isinstance(item, threading.Event):
                barriers.append(item)
            else:
                records.extend(item)
            if len(records) >= BATCH:
                return records, barriers
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return records, barriers

    def _linger(self) -> None:
        if time.monotonic() - self._stored_s < BUSY_S and self._inbox.qsize() < FEW:
            self._stopping.wait(LINGER_S)

    def _store(self, records: list[Record]) -> None:
        """Write the batch, trying again while the store is locked, full or away."""
        for delay_s in chain(RETRY_S, repeat(RETRY_S[-1])):
            if self._given_up:
                self.lost += len(records)
                return
            try:
                ids = audit.write(self._db, records)
            except StorageError as error:
                if isinstance(error, ValueRefused):
                    self._store_what_can_be(records, error)
                    return
                self._failing = len(records)
                self.outage.met(error)
                self._given_up = self._stopping.wait(delay_s)
            except Exception as error:  # noqa: BLE001 - text that cannot be made of a user's value, and the like
                self._store_what_can_be(records, error)
                return
            else:
                self._stored_s = time.monotonic()
                self.outage.over()
                self._failing = 0
                self._tell([note for note in records if isinstance(note, Note)], ids)
                return

    def _store_what_can_be(self, records: list[Record], error: Exception) -> None:
        """One record of the batch cannot be stored: halve it until that one stands alone, and leave it out."""
        if len(records) == 1:
            self.lost += 1
            log.error("%s cannot be stored: %s", type(records[0]).__name__, error)
            return
        middle = len(records) // 2
        self._store(records[:middle])
        self._store(records[middle:])

    def _meanwhile(self) -> str:
        still = "" if self.room.is_set() else ", and the machines stand still until it is less"
        return f"{self._waiting} writes wait in memory{still}; it is tried again"

    def _kept(self) -> str:
        return f"the {self._waiting} writes that waited are stored now" if self._waiting else ""

    @property
    def _waiting(self) -> int:
        return self._failing + self._inbox.qsize()

    def _tell(self, notes: list[Note], ids: list[int]) -> None:
        if not self._subscribers and not self._publisher.has_reader:
            self._publisher.dropped += len(notes)
            return
        envelopes = [envelope(note, row_id) for note, row_id in zip(notes, ids, strict=True)]
        self._publisher.publish(envelopes)
        for subscriber in tuple(self._subscribers):
            for sent in envelopes:
                try:
                    subscriber(sent)
                except Exception:
                    log.exception("a subscriber failed on %s", sent["type"])


def envelope(note: Note, row_id: int) -> dict[str, Any]:
    """What the event socket carries; `type` and `event_type` are the same, for readers of either older engine."""
    return {
        "machine_name": note.machine,
        "type": note.type,
        "event_type": note.type,
        "payload": note.payload,
        "id": row_id,
        "timestamp": note.timestamp,
    }

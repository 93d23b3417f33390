"""The audit writer: one thread that stores what all machines of a process did, in batches, and then publishes it."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from ...storage import audit
from ...storage.audit import Note, Record
from ...storage.errors import CommitInDoubt, StorageError, ValueRefused
from ...storage.hidden import masked_in
from ..concurrency.supervised_thread import SupervisedThread
from ..metrics.outage import Outage

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..metrics.counters import Counters
    from .publisher import Publisher

log = logging.getLogger(__name__)

#: calls of `record` whose records share one transaction; what came meanwhile is in the next
BATCH = 400

#: so soon after the last batch, a batch of few items waits so long for company: each costs a commit whatever its size,
#: and every commit keeps jobs from the store's one writer; what happens to an idle machine never waits
BUSY_S, LINGER_S, FEW = 0.005, 0.002, 100

#: writes that wait in memory, each of one step of a machine, before the machines stand still until it is half as many
MOST_WAITING = 50_000

#: seconds between tries while the store takes nothing
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)

NO_MEMORY = "the system gives no more memory"

#: seconds within which each try of its thread ends, else it hangs: no lock of SQLite is waited for that long
STANDS_S = 60.0

Subscriber = Callable[[dict[str, Any]], None]


class Recorder:
    """Takes records from any thread without ever blocking it.

    Order is kept. A batch is published after its commit, so an id that a reader is told of can be read. A crash of its
    thread loses nothing; `given_up` is called when it crashes again and again.
    """

    def __init__(
        self, db: Database, publisher: Publisher, counters: Counters, given_up: Callable[[], None] = lambda: None
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._counters = counters
        self._inbox: queue.SimpleQueue[Sequence[Record] | threading.Event] = queue.SimpleQueue()
        #: out of the inbox, as it came
        self._taken: list[Sequence[Record] | threading.Event] = []
        #: what of it is to be stored, and who waits until all of it is
        self._owed: list[Record] = []
        self._barriers: list[threading.Event] = []
        self._subscribers: list[Subscriber] = []
        self._thread = SupervisedThread(
            "sm-recorder", self._run, crashed=lambda: counters.add("recorder_crashed"), given_up=self._abandon
        )
        self._tell_given_up = given_up
        self._stopping = threading.Event()
        self._stopped = False
        self._given_up = False
        self._failing = 0
        #: what goes wrong with the store, whoever of the process meets it
        self.outage = Outage(counters, None, "the store takes nothing", self._meanwhile, self._kept)
        #: open unless too much waits to be stored; machines take no message while it is closed
        self.room = threading.Event()
        self.room.set()
        self._abandoned = False
        self._stored_s = 0.0
        #: when it last tried something, in monotonic seconds; None while there is nothing to do
        self._turned_s: float | None = None
        #: records that the store does not take, or took nothing of until the end
        self.lost = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, *records: Record) -> None:
        """Store these in one transaction; from any thread, returns at once."""
        self._inbox.put(records)
        if self._inbox.qsize() > MOST_WAITING:
            self.room.clear()

    @property
    def waiting(self) -> int:
        """Writes that wait in memory."""
        return self._failing + self._inbox.qsize()

    @property
    def moves(self) -> bool:
        """Whether its thread makes progress, if only by trying again what the store does not take."""
        return not self._abandoned and time.monotonic() - (self._turned_s or math.inf) < STANDS_S

    def store_answers(self, began_s: float) -> None:
        """A write that was begun then went well: the outage is over, unless our own records are still refused."""
        if not self._failing:
            self.outage.over(began_s)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each envelope after its commit, in the recorder's thread; returns what ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything recorded so far is stored; False when that took longer, or will never be."""
        barrier = threading.Event()
        self._inbox.put(barrier)
        return not self._abandoned and barrier.wait(timeout_s)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what is left and end the thread; idempotent, and safe before start."""
        if not self._thread.started or self._stopped:
            return
        if not self.flush(timeout_s):
            log.error("the store took nothing for %s s", timeout_s)
        self._stopping.set()
        self._inbox.put(())
        self._thread.join(timeout_s)
        self._stopped = True
        self._publisher.close()

    def _run(self) -> None:
        self._settle()  # what a crash has left
        while not (self._stopping.is_set() and self._inbox.empty()):
            self._take()
            self._settle()
        if self.lost:
            log.error("%d records of the audit log are lost", self.lost)

    def _take(self) -> None:
        """Wait for something, then take all that is there, up to BATCH.

        `extend` moves an item from the inbox into the list within one step of the interpreter: no exception, wherever
        it comes from, finds it in neither.
        """
        items = iter(self._inbox.get, None)
        self._taken.extend(islice(items, 1))
        if not isinstance(self._taken[0], threading.Event):
            self._linger()
        self._taken.extend(islice(items, min(self._inbox.qsize(), BATCH)))

    def _linger(self) -> None:
        if time.monotonic() - self._stored_s < BUSY_S and self._inbox.qsize() < FEW:
            self._stopping.wait(LINGER_S)

    def _settle(self) -> None:
        """Store what was taken, and tell those who wait for it."""
        if self._taken:
            barriers = [item for item in self._taken if isinstance(item, threading.Event)]
            owed = [*chain.from_iterable(item for item in self._taken if not isinstance(item, threading.Event))]
            self._owed, self._barriers, self._taken = owed, barriers, []
        self._store()
        self._turned_s = None
        for barrier in self._barriers:
            barrier.set()
        self._barriers = []
        if not self.room.is_set() and self._inbox.qsize() < MOST_WAITING // 2:
            self.room.set()
            self._counters.add("memory_full")

    def _store(self) -> None:
        """Store what is owed; where something cannot be, by halves, until one record stands alone and is left out."""
        size = len(self._owed)
        while self._owed:
            records = self._owed[:size]
            try:
                ids = self._written(records)
            except Exception as error:  # noqa: BLE001 - text that cannot be made of a user's value, and the like
                if len(records) > 1:
                    size = len(records) // 2
                    continue
                self.lost += 1
                self._counters.add("record_lost")
                log.error("%s cannot be stored: %s", type(records[0]).__name__, error)
                ids, size = [], len(self._owed)
            del self._owed[: len(records)]
            if ids:
                self._tell([note for note in records if isinstance(note, Note)], ids)

    def _written(self, records: list[Record]) -> list[int]:
        """Write them, trying again while the store or the system takes nothing; the ids of the notes."""
        doubtful: Sequence[int] = ()
        for delay_s in chain(RETRY_S, repeat(RETRY_S[-1])):
            if self._given_up:
                break
            began_s = self._turned_s = time.monotonic()
            try:
                written = bool(doubtful) and audit.is_written(self._db, records, doubtful)
                ids = list(doubtful) if written else audit.write(self._db, records)
            except ValueRefused:
                raise
            except (StorageError, MemoryError) as error:
                doubtful = error.note_ids if isinstance(error, CommitInDoubt) else doubtful
                self._failing = len(records)
                self.outage.met(NO_MEMORY if isinstance(error, MemoryError) else error, began_s)
                self._given_up = self._stopping.wait(delay_s)
            else:
                self._stored_s = time.monotonic()
                self.outage.over(began_s)
                self._failing = 0
                return ids
        self.lost += len(records)
        return []

    def _meanwhile(self) -> str:
        still = "" if self.room.is_set() else ", and the machines stand still until it is less"
        return f"{self.waiting} writes wait in memory{still}; it is tried again"

    def _kept(self) -> str:
        return f"the {self.waiting} writes that waited are stored now" if self.waiting else ""

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
                except BaseException:
                    log.exception("a subscriber failed on %s", sent["type"])

    def _abandon(self) -> None:
        """The thread is no more: what is not stored is lost, and its events will be handled again at the next start."""
        self._abandoned = True
        self._tell_given_up()


def envelope(note: Note, row_id: int) -> dict[str, Any]:
    """What the event socket carries; `type` and `event_type` are the same, for readers of either older engine."""
    return {
        "machine_name": note.machine,
        "type": note.type,
        "event_type": note.type,
        "payload": masked_in(note.payload),
        "id": row_id,
        "timestamp": note.timestamp,
    }

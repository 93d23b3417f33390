"""The thread that writes the records of all machines of a process in batches, and publishes them after the commit."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from ...storage import audit
from ...storage.audit import Event, Note, Record, StateRow
from ...storage.errors import CommitInDoubt, StorageError, ValueRefused
from ...storage.masking import masked_in
from ..concurrency.supervised_thread import SupervisedThread
from ..metrics.outage import Outage

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..concurrency.wait_board import WaitBoard
    from ..metrics.counters import Counters
    from .publisher import Publisher

log = logging.getLogger(__name__)

#: calls of `record` whose records share one transaction at most
BATCH = 400

#: group commit: less than BUSY_S after the last commit, wait LINGER_S if fewer than FEW items are queued. Each commit
#: keeps jobs from the store's one writer, whatever its size. An idle machine's record is never delayed.
BUSY_S, LINGER_S, FEW = 0.005, 0.002, 100

#: waiting writes, one for each step of a machine, at which machines pause until half of them are stored
MOST_WAITING = 50_000

#: seconds between attempts while the store fails
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)

NO_MEMORY = "the system gives no more memory"

#: seconds within which each attempt of the thread ends unless it hangs: SQLite's lock is waited for 5 s only
HANGS_S = 60.0

Subscriber = Callable[[dict[str, Any]], None]


class Recorder:
    """Takes records from any thread without blocking it, and writes them in order.

    A batch is published after its commit, so that readers find each published id in the store; then the actions that
    wait for the states of machines are notified. A crash of the thread loses nothing; `given_up` is called when it has
    crashed too often.
    """

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        counters: Counters,
        given_up: Callable[[], None] = lambda: None,
        wait_board: WaitBoard | None = None,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._counters = counters
        self._wait_board = wait_board
        self._inbox: queue.SimpleQueue[Sequence[Record] | threading.Event] = queue.SimpleQueue()
        #: items taken from the inbox and not sorted yet
        self._taken: list[Sequence[Record] | threading.Event] = []
        #: records to write now, and the events that `flush` waits for
        self._unwritten: list[Record] = []
        self._barriers: list[threading.Event] = []
        self._subscribers: list[Subscriber] = []
        self._thread = SupervisedThread(
            "sm-recorder", self._run, crashed=lambda: counters.add("recorder_crashed"), given_up=self._abandon
        )
        self._on_given_up = given_up
        self._stopping = threading.Event()
        self._stopped = False
        self._given_up = False
        self._failing = 0
        #: the outage of the store, reported by every part of the process that meets it
        self.outage = Outage(counters, None, "the store takes nothing", self._meanwhile, self._kept)
        #: cleared while too many records wait; machines take no message meanwhile
        self.room = threading.Event()
        self.room.set()
        self._abandoned = False
        self._stored_s = 0.0
        #: monotonic time of the last attempt to write; None while there is nothing to write
        self._tried_s: float | None = None
        #: number of records that could not be stored
        self.lost = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def record(self, *records: Record) -> None:
        """Queue these records, which are stored in one transaction; from any thread."""
        self._inbox.put(records)
        if self._inbox.qsize() > MOST_WAITING:
            self.room.clear()

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        """Queue a row of the audit log, stamped with the time; from any thread."""
        self.record(stamped_note(machine, type, payload, self._db.clock.now()))

    @property
    def waiting(self) -> int:
        """Return the number of writes that wait in memory."""
        return self._failing + self._inbox.qsize()

    @property
    def moves(self) -> bool:
        """Return True while the thread makes progress, which includes repeated attempts during an outage."""
        return not self._abandoned and time.monotonic() - (self._tried_s or math.inf) < HANGS_S

    def store_answers(self, began_s: float) -> None:
        """End the outage after another part's write that began at `began_s`, unless our own writes still fail."""
        if not self._failing:
            self.outage.over(began_s)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each envelope after its commit, in the recorder's thread; return what ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber) if subscriber in self._subscribers else None

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything recorded so far is stored; return False after `timeout_s` or without a thread."""
        barrier = threading.Event()
        self._inbox.put(barrier)
        return not self._abandoned and barrier.wait(timeout_s)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what is left and end the thread; idempotent, and allowed before start."""
        if not self._thread.started or self._stopped:
            return
        if not self.flush(timeout_s):
            log.error("the store could not be written for %s s", timeout_s)
        self._stopping.set()
        self._inbox.put(())
        self._thread.join(timeout_s)
        self._stopped = True
        self._publisher.close()

    def _run(self) -> None:
        self._write_taken()  # what a crash left
        while not (self._stopping.is_set() and self._inbox.empty()):
            self._take()
            self._write_taken()
        if self.lost:
            log.error("%d records of the audit log are lost", self.lost)

    def _take(self) -> None:
        """Wait for an item, then take all that are queued, at most BATCH.

        `extend` moves each item from the inbox into the list within one step of the interpreter, so that an exception
        at any moment loses none.
        """
        items = iter(self._inbox.get, None)
        self._taken.extend(islice(items, 1))
        if not isinstance(self._taken[0], threading.Event):
            self._linger()
        self._taken.extend(islice(items, min(self._inbox.qsize(), BATCH)))

    def _linger(self) -> None:
        if time.monotonic() - self._stored_s < BUSY_S and self._inbox.qsize() < FEW:
            self._stopping.wait(LINGER_S)

    def _write_taken(self) -> None:
        """Write what was taken, then wake those who wait in `flush`."""
        if self._taken:
            barriers = [item for item in self._taken if isinstance(item, threading.Event)]
            records = [*chain.from_iterable(item for item in self._taken if not isinstance(item, threading.Event))]
            self._unwritten, self._barriers, self._taken = records, barriers, []
        self._store()
        self._tried_s = None
        for barrier in self._barriers:
            barrier.set()
        self._barriers = []
        if not self.room.is_set() and self._inbox.qsize() < MOST_WAITING // 2:
            self.room.set()
            self._counters.add("memory_full")

    def _store(self) -> None:
        """Write the records; halve a batch that is refused, until the one refused record is found and left out."""
        size = len(self._unwritten)
        while self._unwritten:
            records = self._unwritten[:size]
            try:
                ids = self._written(records)
            except Exception as error:  # noqa: BLE001 - for example a user's value that cannot become text
                if len(records) > 1:
                    size = len(records) // 2
                    continue
                self.lost += 1
                self._counters.add("record_lost")
                log.error("%s cannot be stored: %s", type(records[0]).__name__, error)
                ids, size = [], len(self._unwritten)
            del self._unwritten[: len(records)]
            if ids:
                self._publish([note for note in records if isinstance(note, Note)], ids)
            if self._wait_board is not None and self._wait_board.is_watched("machine"):
                for machine in {row.machine for row in records if isinstance(row, StateRow)}:
                    self._wait_board.notify("machine", (machine,))

    def _written(self, records: list[Record]) -> list[int]:
        """Write the records, again and again during an outage; return the ids of the notes."""
        doubtful: Sequence[int] = ()
        for delay_s in chain(RETRY_S, repeat(RETRY_S[-1])):
            if self._given_up:
                break
            began_s = self._tried_s = time.monotonic()
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
        paused = "" if self.room.is_set() else ", and the machines pause until fewer do"
        return f"{self.waiting} writes wait in memory{paused}; it is tried again"

    def _kept(self) -> str:
        return f"the {self.waiting} writes that waited are stored now" if self.waiting else ""

    def _publish(self, notes: list[Note], ids: list[int]) -> None:
        if not self._subscribers and not self._publisher.has_reader:
            self._publisher.dropped += len(notes)
            return
        envelopes = [
            Event(row_id, note.machine, note.type, masked_in(note.payload), note.timestamp).envelope()
            for note, row_id in zip(notes, ids, strict=True)
        ]
        self._publisher.publish(envelopes)
        for subscriber in tuple(self._subscribers):
            for envelope in envelopes:
                try:
                    subscriber(envelope)
                except BaseException:
                    log.exception("a subscriber failed on %s", envelope["type"])

    def _abandon(self) -> None:
        """Note that the thread was given up; the events of lost records are handled again at the next start."""
        self._abandoned = True
        self._on_given_up()


def stamped_note(machine: str, type: str, payload: Mapping[str, Any], now_s: float) -> Note:
    """Return a row of the audit log whose payload also contains its time."""
    return Note(machine, type, {**payload, "timestamp": now_s}, now_s)

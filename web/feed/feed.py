"""The one thread that reads the audit log as it grows, for everybody who follows it."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator

from ...actors.audit.event_socket import EventSocket
from ...actors.audit.tail import BATCH, RECONNECT_S, AuditTail
from ...actors.sockets import unix_socket
from ...storage import audit
from ...storage.audit import Event
from ...storage.engine.database import Database
from ...storage.errors import StorageError
from ...storage.jobs import queries
from .backlog import Backlog, entry_of
from .board import Board
from .store import Store

log = logging.getLogger(__name__)

#: how far it looks back at its start, in seconds and events
LOOK_BACK_S, LOOK_BACK = 3600.0, 20_000

#: seconds between two rounds while events stream, and more for each client: a round costs each of them the same,
#: however many events it brings, so 200 clients are served every 50 ms and one every 10
ROUND_S, ROUND_PER_CLIENT_S = 0.01, 0.0002
#: the same while nobody follows
ROUND_ALONE_S = 0.1

JOB_TYPES = ("job_started", "job_completed", "job_failed")
CHUNK = 5000

#: seconds until it is tried again after an error that waiting may not mend
AGAIN_S = 2.0
STOP_S = 5.0


class Feed:
    """Keeps backlog and board up to date, and wakes the clients."""

    def __init__(self, store: Store, event_socket: str | None) -> None:
        self.backlog = Backlog()
        self.board = Board()
        #: what keeps the database from being read; None if nothing does
        self.trouble: str | None = None
        self.last_event_s: float | None = None
        #: no more events will come
        self.stopped = threading.Event()
        #: the past has been looked at
        self.ready = threading.Event()
        self._store = store
        self._bell_path = unix_socket.event_socket(event_socket)
        self._bell: EventSocket | None = None
        self._lock = threading.Lock()
        self._clients: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._next_round_s = 0.0
        #: there are events that clients have not been woken for
        self._unheard = False

    @property
    def clients(self) -> int:
        """How many follow."""
        return len(self._clients)

    @property
    def has_bell(self) -> bool:
        """Whether the event socket is ours."""
        return self._bell is not None and self._bell.rings

    def start(self) -> None:
        """Start the thread, unless it runs; never before a process forks."""
        with self._lock:
            if self._thread is None and not self.stopped.is_set():
                self._bell = EventSocket(self._bell_path)
                self._thread = threading.Thread(target=self._run, name="sm-feed", daemon=True)
                self._thread.start()

    def stop_soon(self) -> None:
        """Ask the thread to end; from any thread or signal handler."""
        if self._bell is not None:
            self._bell.stop()

    def stop(self) -> None:
        """End the thread, and tell the clients; idempotent, and safe before start."""
        self.stop_soon()
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._end()

    @contextlib.contextmanager
    def following(self, notify: Callable[[], None]) -> Iterator[None]:
        """Within it, `notify` is called whenever there are events, and at the end of the feed; it must not wait."""
        with self._lock:
            self._clients.append(notify)
        try:
            yield
        finally:
            with self._lock:
                self._clients.remove(notify)

    # Helpers

    def _run(self) -> None:
        assert self._bell is not None
        try:
            while not self._bell.stopped:
                self._follow(self._bell)
        finally:
            self._bell.close()
            self._end()

    def _follow(self, bell: EventSocket) -> None:
        """Until the end, or until something that must not happen; pages start anew then, and go on."""
        try:
            with contextlib.closing(self._open(bell)) as tail:
                for events in tail.batches(bell, until_s=math.inf, trouble=self._hear):
                    self._take(events)
        except StorageError as error:
            self._hear(str(error))
            bell.wait(AGAIN_S)
        except Exception:
            log.exception("the feed stumbled and begins anew")
            bell.wait(AGAIN_S)

    def _take(self, events: list[Event]) -> None:
        """Publish what one look found; clients are woken once a round, however far behind the log we are."""
        is_behind = len(events) == BATCH
        if events:
            self._publish(events)
            self._unheard = True
        if not is_behind and not self.trouble:
            self.ready.set()
        if self._unheard and not (is_behind and time.monotonic() < self._next_round_s):
            round_s = ROUND_S + ROUND_PER_CLIENT_S * self.clients if self.clients else ROUND_ALONE_S
            self._next_round_s = time.monotonic() + round_s
            self._unheard = False
            self._wake()
            if not is_behind:
                time.sleep(round_s)

    def _open(self, bell: EventSocket) -> AuditTail:
        """From some way back, as soon as the database can be read; from now if we are stopped before."""
        after: int | None = None
        while after is None and not bell.stopped:
            try:
                after = self._look_back(self._store.db)
            except StorageError as error:
                self._hear(str(error))
                bell.wait(RECONNECT_S)
        self.backlog.begin(after or 0)
        return AuditTail(self._store.url, after=after)

    def _look_back(self, db: Database) -> int:
        """The id after which to begin."""
        after = max(audit.last_before(db, db.now() - LOOK_BACK_S), audit.newest_id(db) - LOOK_BACK, 0)
        self._remember_jobs(db, after)
        return after

    def _remember_jobs(self, db: Database, before_id: int) -> None:
        """Who began the jobs that have been worked on since before the time that we look back to."""
        began_s = queries.oldest_start(db)
        after_id = before_id if began_s is None else audit.last_before(db, began_s)
        while after_id < before_id and (events := audit.since(db, after_id, CHUNK, types=JOB_TYPES)):
            after_id = events[-1].id
            self.board.take((event for event in events if event.id <= before_id), count=False)

    def _publish(self, events: list[Event]) -> None:
        if events[0].id <= self.backlog.end.id:  # the log was emptied, and its ids begin anew
            self.backlog.begin(events[0].id - 1)
        self.backlog.add([entry_of(event) for event in events])
        self.board.take(events, count=self.ready.is_set())
        self.last_event_s = events[-1].timestamp

    def _hear(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            log.warning("the database cannot be read: %s", trouble) if trouble else log.info("reading again")
        self.trouble = trouble

    def _wake(self) -> None:
        with self._lock:
            clients = list(self._clients)
        for notify in clients:
            notify()

    def _end(self) -> None:
        self.stopped.set()
        self.ready.set()
        self._wake()

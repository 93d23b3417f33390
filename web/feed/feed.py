"""The one thread that reads the audit log as it grows, for all clients."""

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

#: seconds and events that it reads back at its start
LOOK_BACK_S, LOOK_BACK = 3600.0, 20_000

#: seconds between two rounds while events come, and the addition for each client. A round costs the same for any
#: number of events, so one client is notified every 10 ms, and 200 clients every 50 ms
ROUND_S, ROUND_PER_CLIENT_S = 0.01, 0.0002
#: seconds between two rounds without clients
ROUND_ALONE_S = 0.1

JOB_TYPES = ("job_started", "job_completed", "job_failed")
CHUNK = 5000

#: seconds until the next try after an error
AGAIN_S = 2.0
STOP_S = 5.0


class Feed:
    """Keeps backlog and board up to date, and notifies the clients."""

    def __init__(self, store: Store, event_socket: str | None) -> None:
        self.backlog = Backlog()
        self.board = Board()
        #: why the database cannot be read; None if it can
        self.problem: str | None = None
        self.last_event_s: float | None = None
        #: set when no more events will come
        self.stopped = threading.Event()
        #: set when the past has been read
        self.ready = threading.Event()
        self._store = store
        self._socket_path = unix_socket.event_socket(event_socket)
        self._event_socket: EventSocket | None = None
        self._lock = threading.Lock()
        self._clients: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._next_round_s = 0.0
        #: there are events of which clients have not been notified
        self._unannounced = False

    @property
    def clients(self) -> int:
        """The number of clients."""
        return len(self._clients)

    @property
    def has_event_socket(self) -> bool:
        """True if this process has bound the event socket."""
        return self._event_socket is not None and self._event_socket.bound

    def start(self) -> None:
        """Start the thread if it does not run; never before a process forks."""
        with self._lock:
            if self._thread is None and not self.stopped.is_set():
                self._event_socket = EventSocket(self._socket_path)
                self._thread = threading.Thread(target=self._run, name="sm-feed", daemon=True)
                self._thread.start()

    def stop_soon(self) -> None:
        """Ask the thread to end; from any thread or signal handler."""
        if self._event_socket is not None:
            self._event_socket.stop()

    def stop(self) -> None:
        """End the thread and notify the clients; idempotent, and safe before start."""
        self.stop_soon()
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._end()

    @contextlib.contextmanager
    def following(self, notify: Callable[[], None]) -> Iterator[None]:
        """Call `notify` when there are events and at the end of the feed, within the block; it must not wait."""
        with self._lock:
            self._clients.append(notify)
        try:
            yield
        finally:
            with self._lock:
                self._clients.remove(notify)

    # Helpers

    def _run(self) -> None:
        assert self._event_socket is not None
        try:
            while not self._event_socket.stopped:
                self._follow(self._event_socket)
        finally:
            self._event_socket.close()
            self._end()

    def _follow(self, event_socket: EventSocket) -> None:
        """Follow the log until the end or an error; pages resynchronise after an unexpected one."""
        try:
            with contextlib.closing(self._open(event_socket)) as tail:
                for events in tail.follow(event_socket, until_s=math.inf, on_outage=self._report):
                    self._take(events)
        except StorageError as error:
            self._report(str(error))
            event_socket.wait(AGAIN_S)
        except Exception:
            log.exception("the feed failed and starts again")
            event_socket.wait(AGAIN_S)

    def _take(self, events: list[Event]) -> None:
        """Publish the events of one read; notify clients once a round, however far behind the log we are."""
        is_behind = len(events) == BATCH
        if events:
            self._publish(events)
            self._unannounced = True
        if not is_behind and not self.problem:
            self.ready.set()
        if self._unannounced and not (is_behind and time.monotonic() < self._next_round_s):
            round_s = ROUND_S + ROUND_PER_CLIENT_S * self.clients if self.clients else ROUND_ALONE_S
            self._next_round_s = time.monotonic() + round_s
            self._unannounced = False
            self._notify_clients()
            if not is_behind:
                time.sleep(round_s)

    def _open(self, event_socket: EventSocket) -> AuditTail:
        """Open the log some way back, once the database can be read; at the present if stopped before."""
        after: int | None = None
        while after is None and not event_socket.stopped:
            try:
                after = self._look_back(self._store.db)
            except StorageError as error:
                self._report(str(error))
                event_socket.wait(RECONNECT_S)
        self.backlog.begin(after or 0)
        return AuditTail(self._store.url, after=after)

    def _look_back(self, db: Database) -> int:
        """Return the id after which to begin."""
        after = max(audit.last_before(db, db.now() - LOOK_BACK_S), audit.newest_id(db) - LOOK_BACK, 0)
        self._remember_jobs(db, after)
        return after

    def _remember_jobs(self, db: Database, before_id: int) -> None:
        """Read who started the jobs in progress that began before the time that is read back."""
        began_s = queries.oldest_start(db)
        after_id = before_id if began_s is None else audit.last_before(db, began_s)
        while after_id < before_id and (events := audit.since(db, after_id, CHUNK, types=JOB_TYPES)):
            after_id = events[-1].id
            self.board.take((event for event in events if event.id <= before_id), count=False)

    def _publish(self, events: list[Event]) -> None:
        if events[0].id <= self.backlog.end.id:  # the log was emptied, and ids start again
            self.backlog.begin(events[0].id - 1)
        self.backlog.add([entry_of(event) for event in events])
        self.board.take(events, count=self.ready.is_set())
        self.last_event_s = events[-1].timestamp

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            log.warning("the database cannot be read: %s", problem) if problem else log.info("reading again")
        self.problem = problem

    def _notify_clients(self) -> None:
        with self._lock:
            clients = list(self._clients)
        for notify in clients:
            notify()

    def _end(self) -> None:
        self.stopped.set()
        self.ready.set()
        self._notify_clients()

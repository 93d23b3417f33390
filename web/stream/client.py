"""One WebSocket client: its own thread answers and catches up, the feed's thread passes on new events."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from ..query import MAX_ID
from .follower import Follower
from .frames import message, text_frame, websocket_frames
from .pipe import Pipe

if TYPE_CHECKING:
    from simple_websocket import Server

    from ..monitor import Monitor

PING_S = 20.0
#: seconds that the first client waits until the feed has read the past
READY_S = 10.0


class Client:
    """Follows the feed until the client or the server leaves.

    Most clients are up to date and read at once. The feed's thread writes to these itself and never waits: waking
    hundreds of threads for each event would cost much more. A slow client is left to its own thread.
    """

    def __init__(self, ws: Server, pipe: Pipe, monitor: Monitor, since: int | None) -> None:
        self._ws = ws
        self._pipe = pipe
        self._monitor = monitor
        self._feed = monitor.feed
        self._since = since
        #: held by the thread that sends to the client
        self._lock = threading.Lock()
        self._follower: Follower | None = None

    def serve(self) -> None:
        """Serve the client in its own thread. Raises OSError when the client is gone or reads nothing.

        simple_websocket sets `ws.event` for messages and when the client has gone; the feed sets it for events.
        So one wait covers all of them.
        """
        self._feed.ready.wait(READY_S)
        with self._lock:
            self._follower = follower = Follower(self._monitor, self._since)
            self._pipe.send(text_frame(follower.initial()))
        ping_at_s = time.monotonic() + PING_S
        while self._goes_on():
            with self._lock:
                self._move_on(follower)
            self._ws.event.wait(max(0.0, ping_at_s - time.monotonic()))
            self._ws.event.clear()
            with self._lock:
                for text in self._received():
                    self._answer(text, follower)
            if time.monotonic() >= ping_at_s:
                self._pipe.send(text_frame(message("ping", timestamp=self._monitor.now())))
                ping_at_s = time.monotonic() + PING_S

    def notify(self) -> None:
        """Learn in the feed's thread of new events or of the end."""
        if self._feed.stopped.is_set() or not self._handed_over():
            self._ws.event.set()

    # Helpers

    def _goes_on(self) -> bool:
        return bool(self._ws.connected) and not self._feed.stopped.is_set()

    def _handed_over(self) -> bool:
        """Return True if the client has all events, so that its own thread need not run."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            piece = self._follower.newest() if self._follower else None
            if self._follower is None or piece is None or not self._pipe.offer(piece.encoded(websocket_frames)):
                return False
            self._follower.has(piece)
            return not self._pipe.is_full and self._follower.is_up_to_date
        finally:
            self._lock.release()

    def _move_on(self, follower: Follower) -> None:
        self._pipe.send(b"")  # the rest of what the feed's thread sent
        for piece in follower.pieces():
            self._pipe.send(text_frame(piece) if isinstance(piece, bytes) else piece.encoded(websocket_frames))
            if not self._goes_on():
                return

    def _received(self) -> Iterator[str]:
        """Yield messages that have come. Receiving may clear `ws.event`, so read the feed afterwards."""
        while self._ws.connected and (text := self._ws.receive(timeout=0)) is not None:
            if isinstance(text, str):
                yield text

    def _answer(self, text: str, follower: Follower) -> None:
        """Answer the words of older clients and `{"since": id}`; ignore anything else, as older engines did."""
        word = text.strip()
        if word == "refresh":
            self._pipe.send(text_frame(follower.refreshed()))
        elif word == "ping":
            self._pipe.send(text_frame(message("pong")))
        elif word.startswith("{"):
            with contextlib.suppress(ValueError, RecursionError):
                since = cast(dict[str, Any], json.loads(word)).get("since")
                if isinstance(since, int) and not isinstance(since, bool) and 0 <= since <= MAX_ID:
                    follower.resume(since)

"""Messages of the stream: JSON texts as WebSocket frames or as server-sent events."""

from __future__ import annotations

from collections.abc import Iterable

from ...storage.payload import dumps
from ..feed.backlog import Entry


def text_frame(text: bytes) -> bytes:
    """Return an unmasked WebSocket frame (RFC 6455, 5.2); it is the same for every client, so it is made once."""
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + text
    return b"\x81\x7f" + size.to_bytes(8, "big") + text


def message(type: str, **fields: object) -> bytes:
    """Return the JSON of a message that is not an event."""
    return dumps({"type": type, **fields}).encode()


def websocket_frames(entries: Iterable[Entry]) -> bytes:
    """Return one frame for each event."""
    return b"".join(text_frame(entry.text) for entry in entries)


def sse_events(entries: Iterable[Entry]) -> bytes:
    """Return events for EventSource, whose ids come back as Last-Event-ID."""
    return b"".join(b"id: %d\ndata: %s\n\n" % entry for entry in entries)


def sse_message(text: bytes) -> bytes:
    """Return a message that does not change EventSource's last id."""
    return b"data: %s\n\n" % text

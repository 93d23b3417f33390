"""The messages between machines: an event, and the notification that something has changed."""

from __future__ import annotations

from typing import Any, NamedTuple


class EventMessage(NamedTuple):
    """An event on its way to a machine."""

    type: str
    payload: Any
    job_id: str | None
    source: str | None
    #: epoch seconds
    timestamp: float
    #: id of its mailbox row; None for a datagram without a row
    event_id: int | None = None
    #: id of the previous mailbox row for the same machine
    after: int | None = None


class Notification(NamedTuple):
    """A hint that something has happened that waiting actions may be watching for."""

    #: jobs, done, events, machine or mail
    topic: str
    #: number of new things; at most as many waiting actions are notified
    news: int
    #: limits it: (job type, machine type), or a machine's name; empty for everything
    key: tuple[str | None, ...]


#: the event that begins a machine
START = EventMessage("start", {}, None, None, 0.0)


def event_data(event: EventMessage) -> dict[str, Any]:
    """Return the value that `{event_data...}` placeholders refer to."""
    return {
        "type": event.type,
        "event_name": event.type,
        "payload": event.payload,
        "job_id": event.job_id,
        "source": event.source,
        "timestamp": event.timestamp,
    }

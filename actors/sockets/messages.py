"""What travels between machines: an event, and the notification that something has changed."""

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
    #: mailbox row; None for a datagram that nobody stored
    event_id: int | None = None
    #: the newest row for the same machine before this one
    after: int | None = None


class Notification(NamedTuple):
    """Something that parked machines may be watching for has happened."""

    #: jobs, done, events, machine or mail
    topic: str
    #: so many new things there are, and so many machines are woken
    news: int
    #: narrows it: (job type, machine type), or a machine's name; empty for all
    key: tuple[str | None, ...]


#: the event that begins a machine
START = EventMessage("start", {}, None, None, 0.0)


def event_data(event: EventMessage) -> dict[str, Any]:
    """What `{event_data...}` refers to."""
    return {
        "type": event.type,
        "event_name": event.type,
        "payload": event.payload,
        "job_id": event.job_id,
        "source": event.source,
        "timestamp": event.timestamp,
    }

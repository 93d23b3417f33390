"""What stands in inboxes: small immutable records, no dicts."""

from __future__ import annotations

from typing import NamedTuple


class Begin(NamedTuple):
    """Enter the initial state; the first message of every machine."""


class Unread(NamedTuple):
    """There are rows in the mailbox that no datagram announced."""


class TimerFired(NamedTuple):
    """A `timeout(N)` of the state entry `entry` is due."""

    entry: int
    event: str


class Woken(NamedTuple):
    """A parked action of the state entry `entry` should be run again."""

    entry: int
    #: its place in the list
    action: int


class Resume(NamedTuple):
    """A delay that the machine gave itself is over: a paced self-transition or a retry."""

    entry: int
    #: which of them
    delay: int


class ContextDue(NamedTuple):
    """The context may be put on show again."""


class JobGone(NamedTuple):
    """The machine's job was taken from it: cancelled, removed, put back into the queue, or another's by now."""

    job_id: str
    attempt: int
    #: what became of it, for people
    reason: str


class JobOverdue(NamedTuple):
    """The machine's attempt at its job has taken longer than it may."""

    job_id: str
    attempt: int


class Halt(NamedTuple):
    """End as soon as the current job allows it (`drain`), or now."""

    drain: bool

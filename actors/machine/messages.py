"""The messages of an actor's inbox, apart from events."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .action_run import ActionRun


class Begin(NamedTuple):
    """Enter the initial state; the first message of every machine."""


class Unread(NamedTuple):
    """The mailbox has rows that no datagram announced."""


class TimerFired(NamedTuple):
    """The `timeout(N)` of a state visit is due."""

    visit: int
    event: str


class RerunDue(NamedTuple):
    """A waiting action of a state visit should run again."""

    visit: int
    #: index of the action in the list
    action: int


class DelayOver(NamedTuple):
    """A delay is over that the machine gave itself in a state visit: a paced self-transition or a retry."""

    visit: int
    #: number of the delay
    delay: int


class ActionsDone(NamedTuple):
    """A worker thread has ended a run, or paused it."""

    run: ActionRun


class PauseOver(NamedTuple):
    """A paused run may go on."""

    run: ActionRun


class ContextDue(NamedTuple):
    """The context may be published again."""


class JobGone(NamedTuple):
    """The machine's job was taken from it: cancelled, removed, put back into the queue, or claimed by another."""

    job_id: str
    attempt: int
    #: what has happened to the job, for people
    reason: str


class Halt(NamedTuple):
    """End as soon as the current job allows it (`drain`), or now."""

    drain: bool

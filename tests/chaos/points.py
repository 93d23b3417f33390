"""The points at which a process is killed, each with what would go wrong there if the engine were careless."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """A moment of a function; see `crashing.py`."""

    moment: str
    place: str
    danger: str
    #: what has to be there for it to be reached: see `crashes.py`
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.moment} {self.place}"


POINTS = (
    # A job: claimed, worked on, ended
    Point("before", "storage.jobs:claim", "nothing has happened yet: the job must still be there"),
    Point("commit", "storage.jobs:claim", "the claim is not in the store: nobody may think that the job is taken"),
    Point("committed", "storage.jobs:claim", "the job is taken by a process that will never know: its lease must end"),
    Point("before", "actors.machine.action_run:ActionExecutor.perform", "the state is stored, no action has begun"),
    Point("after", "actors.machine.action_run:ActionExecutor.perform", "the work is done, and nothing says so"),
    Point("before", "storage.jobs:complete", "the work is done, the job is not: it is done again, and counts once"),
    Point("commit", "storage.jobs:complete", "a job must not be half completed, nor its attempt ended without it"),
    Point("committed", "storage.jobs:complete", "completed, and the machine does not know: it must not be done again"),
    Point("commit", "storage.jobs:fail", "a failure that is not in the store: the job must not be lost with it"),
    Point("committed", "storage.jobs:fail", "failed, and the machine does not know: it must not be tried again"),
    Point("commit", "storage.jobs:retry", "a job that was cut off is still the dead process's", "cut"),
    Point("committed", "storage.jobs:retry", "it waits again, and its machine does not know", "cut"),
    Point("commit", "storage.jobs:rescue", "the rescuer dies as well: the next one must find the job", "expired"),
    Point("committed", "storage.jobs:rescue", "rescued, and no worker was notified", "expired"),
    Point("commit", "storage.jobs:adopt", "a resuming machine dies before it has its job again", "held"),
    Point("committed", "storage.jobs:adopt", "it has its job again, and dies before it goes on", "held"),
    Point("before", "storage.jobs:renew", "a lease that is not renewed", "long"),
    Point("committed", "storage.jobs:renew", "renewed by a process that is gone: it must end all the same", "long"),
    Point("commit", "storage.jobs:enqueue", "the order's job is not in yet: the order must come again"),
    Point("committed", "storage.jobs:enqueue", "its job is in: the order that comes again must not add another"),
    # An event: posted, notified, taken, recorded
    Point("commit", "storage.mailbox:post_many", "its sender gets no answer: all or none of it is stored", "post"),
    Point("committed", "storage.mailbox:post_many", "in the mailbox, and nobody was notified", "post"),
    Point("before", "actors.sockets.unix_socket:send", "in the mailbox, the datagram not sent", "post"),
    Point("after", "actors.sockets.unix_socket:send", "sent, and the sender is gone", "post"),
    Point("before", "actors.machine.mailbox_reader:MailboxReader.accept", "read from the socket, then lost with it"),
    Point("after", "actors.machine.mailbox_reader:MailboxReader.fetch", "read from the mailbox, not taken"),
    Point("after", "actors.machine.interpreter:step", "the transition is chosen, and not on record"),
    Point("before", "actors.audit.recorder:Recorder.record", "on its way to the writer's thread"),
    Point("before", "storage.audit:write", "in the writer's hands: event, move, state and snapshot go together or not"),
    Point("commit", "storage.audit:write", "written, not committed: the event must come again"),
    Point("committed", "storage.audit:write", "committed: the event must not come again, and its action must run"),
    Point("after", "storage.audit:write", "on record, and not published: whoever follows must find it by its id"),
    Point("commit", "storage.mailbox:expire", "an event whose time is over stays, and is never delivered", "stale"),
    # A machine: started, alive, ended
    Point("commit", "storage.engine.migrations:bring_up_to_date", "the next start must not find half a schema", "new"),
    Point("commit", "storage.machines:acquire", "the name is not taken: the next start must get it"),
    Point("committed", "storage.machines:acquire", "the name is taken by a dead process: the next start must get it"),
    Point("after", "actors.sockets.unix_socket:bind", "nobody listens at the socket file: the next start replaces it"),
    Point("committed", "storage.machines:heartbeat", "alive on paper for half a minute more, and dead", "long"),
    Point("before", "storage.jobs:release", "stopping, and killed while it holds the job", "end"),
    Point("committed", "storage.machines:release", "signed off, and killed before it has ended", "end"),
    # By the clock, and in bulk
    Point("commit", "storage.schedules:claim", "a firing claimed and not carried out: it must come again", "due"),
    Point("committed", "storage.schedules:claim", "fired: it must not fire again", "due"),
    Point("commit", "storage.jobs.bulk:add", "a part of the file is in, this part is not", "bulk"),
    Point("committed", "storage.jobs.bulk:add", "in as well: the next run must add the rest, nothing twice", "bulk"),
)  # fmt: skip

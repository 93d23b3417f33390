"""What machines ask of the process they live in: to hear, to tell, to wake, to start others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage import jobs
from ...storage.audit import Note
from ...storage.clock import epoch_or_zero
from ...storage.errors import StorageError
from ..machine.messages import JobGone, JobOverdue, Unread
from ..sockets import notifications
from ..sockets.messages import Notification

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs import Job
    from ...storage.mailbox import MailboxMessage
    from ..concurrency.timers import Timer
    from ..machine.dependencies import ProcessResources
    from .machine import Machine
    from .machine_registry import MachineRegistry

log = logging.getLogger(__name__)

#: starts a machine: file, name, context, actions folder, and the job that it takes over
Start = Callable[[Path, str, Mapping[str, Any], "Path | None", "Job | None"], "Machine"]


class Router:
    """The Hub and JobBells protocols of one process."""

    def __init__(
        self,
        resources: ProcessResources,
        machine_registry: MachineRegistry,
        *,
        event_socket: str,
        start: Start,
        lease_taken: Callable[[float], None],
    ) -> None:
        self.db: Database = resources.db
        self.incarnation = resources.incarnation
        self.control_prefix = resources.control_prefix
        self.lease_taken = lease_taken
        self._resources = resources
        self._machine_registry = machine_registry
        self._event_socket = event_socket
        self._start = start

    def names(self) -> list[str]:
        """The machines that live in this process."""
        return self._machine_registry.names()

    def hand(self, letter: MailboxMessage) -> bool:
        """Give a stored event to a machine of this process; False when it does not run here."""
        machine = self._machine_registry.get(letter.target)
        return machine is not None and machine.hand(letter)

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        """Write a row of the audit log and tell the event socket."""
        now_s = self.db.clock.now()
        self._resources.recorder.record(Note(machine, type, {**payload, "timestamp": now_s}, now_s))

    def wake(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Re-run parked actions that watch for this, here, and for new jobs in other processes too.

        What else other processes watch for they find by their look once a second.
        """
        woken = self._resources.wait_board.notify(topic, key, count if topic == "jobs" else None)
        if topic == "jobs" and woken < count:
            notifications.bell(self.db, topic, count=count - woken, key=key, skip_incarnation=self.incarnation)

    def pass_on(self, job_type: str | None, machine_type: str | None) -> None:
        """A worker found a job where it looked: the next one that waits there may find another.

        So many jobs wake many workers, one after another, and one job does not wake a thousand.
        """
        self._resources.wait_board.pass_on("jobs", (job_type, machine_type))

    def rung(self, bell: Notification) -> None:
        """Another process rang: there is something to watch for, or (of a topic of its own) mail for machines."""
        if bell.topic == "mail":
            for machine in self._machine_registry.live():
                if not bell.key or machine.name in bell.key:
                    machine.tell(Unread())
            return
        self._resources.wait_board.notify(bell.topic, bell.key, bell.news if bell.topic == "jobs" else None)
        if bell.topic == "done":
            self._may_be_lost(bell.key)

    def limit(self, machine: str, job: Job) -> Timer:
        """Tell the machine when its attempt at the job has taken as long as it may, counted from the claim."""
        overdue = JobOverdue(job.job_id, job.attempts)
        left_s = epoch_or_zero(job.started_at) + (job.time_limit_s or 0.0) - self.db.now()
        return self._resources.timers.after(max(0.0, left_s), lambda: self._tell(machine, overdue))

    def job_failed(self, job: Job) -> None:
        """A job failed for good because its worker was gone: say so in the name of the machine that had it."""
        payload = {"job_id": job.job_id, "job_type": job.job_type, "error_message": job.error_message}
        self.publish(job.machine or "keeper", "job_failed", payload)

    def look_after_jobs(self) -> None:
        """Tell each machine whose job was taken from it, by an operator or because its lease had run out."""
        holding = [
            (machine, job)
            for machine in self._machine_registry.live()
            if (job := machine.dependencies.job_holder.current) is not None
        ]
        held = jobs.held_by(self.db, self.incarnation) if holding else {}
        for machine, job in holding:
            if held.get(job.job_id) != (machine.name, job.attempts):
                machine.tell(JobGone(job.job_id, job.attempts, _fate(job.job_id, jobs.get(self.db, job.job_id))))

    def spawn(
        self,
        parent: str,
        path: Path,
        name: str,
        context: Mapping[str, Any],
        *,
        isolation: str,
        detached: bool,
        actions_dir: Path | None,
        additional_args: tuple[str, ...],
    ) -> int | str:
        """Start another machine for a machine; its name, or the child process's id."""
        if isolation == "process":
            options = [*self._options(actions_dir), *additional_args]
            return self._resources.children.start(parent, path, name, context, options=options, detached=detached)
        owner = self._machine_registry.get(parent)
        assert owner is not None  # it is running the action that asks
        job_holder = owner.dependencies.job_holder
        job = job_holder.hand_over(_job_id(context))
        try:
            child = self._start(path, name, context, actions_dir, job)
        except BaseException:
            if job is not None:
                job_holder.adopt(job)
            raise
        if not detached:
            owner.children.append(child)
        return name

    def _may_be_lost(self, key: tuple[str | None, ...]) -> None:
        """Somebody ended this job, or (without a key) any; whose it was learns of it at once."""
        current = (machine.dependencies.job_holder.current for machine in self._machine_registry.live())
        if any(job is not None and (not key or job.job_id in key) for job in current):
            try:
                self.look_after_jobs()
            except StorageError as error:
                log.debug("the keeper's next look tells it: %s", error)

    def _tell(self, name: str, message: JobOverdue) -> None:
        machine = self._machine_registry.get(name)
        if machine is not None:
            machine.tell(message)

    def _options(self, actions_dir: Path | None) -> Iterator[str]:
        """The options by which a child process shares our store and sockets."""
        yield from ("--db", self.db.url, "--control-socket-prefix", self.control_prefix)
        yield from ("--event-socket-path", self._event_socket)
        if actions_dir is not None:
            yield from ("--actions-dir", str(actions_dir))


def _fate(job_id: str, job: Job | None) -> str:
    """What became of a job that a machine of ours had."""
    if job is None:
        return f"Job {job_id} was removed"
    if job.status == "processing":
        return f"Job {job_id} is worked on by {job.machine or 'another worker'} by now"
    waits = job.status in ("pending", "scheduled")
    return f"Job {job_id} was {'put back into the queue' if waits else job.status} by somebody else"


def _job_id(context: Mapping[str, Any]) -> str | None:
    job = context.get("current_job")
    found = context.get("job_id") or context.get("id") or (job.get("id") if isinstance(job, Mapping) else None)
    return str(found) if found is not None else None

"""The paths between the machines of a process, and from them to other processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...storage import jobs
from ...storage.errors import StorageError
from ..actions.services import Services
from ..concurrency.cancel_token import CancelToken
from ..machine.messages import JobGone, Unread
from ..sockets import delivery, notifications
from ..sockets.messages import Notification

if TYPE_CHECKING:
    from ...storage.jobs import Job
    from ...storage.mailbox import MailboxMessage
    from ..jobs.job_holder import JobHolder
    from ..machine.dependencies import ProcessResources
    from .machine import Machine
    from .machine_registry import MachineRegistry

log = logging.getLogger(__name__)

Start = Callable[[Path, str, Mapping[str, Any], "Path | None", "Job | None"], "Machine"]
"""Starts a machine: file, name, context, actions folder, and the job that it adopts."""


class Router:
    """Delivers events, notifies waiting actions and starts machines; from any thread."""

    def __init__(
        self, resources: ProcessResources, machine_registry: MachineRegistry, *, event_socket: str, start: Start
    ) -> None:
        self._resources, self._db = resources, resources.db
        self._machine_registry = machine_registry
        self._event_socket = event_socket
        self._start = start

    def services(self, machine: str, job_holder: JobHolder, base_dir: Path, actions_dir: Path | None) -> Services:
        """Return the services of a new run of a machine's actions."""
        return Services(
            self._db, machine, CancelToken(), job_holder, base_dir,
            self._resources.recorder.publish, self.notify, self.deliver, self.spawn, actions_dir,
        )  # fmt: skip

    def deliver(self, event: MailboxMessage, timeout_s: float) -> bool:
        """Deliver a stored event to its machine, here or in another process of this host.

        Return False if nobody took it within `timeout_s` seconds; then it waits in the mailbox.
        """
        machine = self._machine_registry.get(event.target)
        if machine is not None and machine.deliver_stored(event):
            return True
        try:
            return delivery.deliver(self._db, event, timeout_s)
        except StorageError as error:
            log.warning("event %d waits in the mailbox of %s: %s", event.id, event.target, error)
            return False

    def notify(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        """Notify the actions here that wait for this; for jobs that nobody here waits for, notify other processes.

        For other topics, other processes rely on their look once a second.
        """
        notified = self._resources.wait_board.notify(topic, key, count if topic == "jobs" else None)
        if topic == "jobs" and notified < count:
            own = self._resources.incarnation
            notifications.notify(self._db, topic, count=count - notified, key=key, skip_incarnation=own)

    def on_notification(self, notification: Notification) -> None:
        """Take a notification of another process: notify waiting actions, or have machines read their mailboxes."""
        topic, key = notification.topic, notification.key
        if topic == "mail":
            for machine in self._machine_registry.live():
                if not key or machine.name in key:
                    machine.tell(Unread())
            return
        self._resources.wait_board.notify(topic, key, notification.news if topic == "jobs" else None)
        if topic == "done" and any(not key or job.job_id in key for _, job in self._current_jobs()):
            try:
                self.tell_lost_jobs()
            except StorageError as error:
                log.debug("lost jobs are noticed at the next look of the maintenance thread: %s", error)

    def tell_lost_jobs(self) -> None:
        """Tell each machine whose job was taken from it, by an operator or because its lease had expired."""
        current = list(self._current_jobs())
        held = jobs.held_by(self._db, self._resources.incarnation) if current else {}
        for machine, job in current:
            if held.get(job.job_id) != (machine.name, job.attempts):
                reason = _loss(job.job_id, jobs.get(self._db, job.job_id))
                machine.tell(JobGone(job.job_id, job.attempts, reason))

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
        """Start another machine for a machine; return its name, or the id of its process."""
        if isolation == "process":
            options = [*self._options(actions_dir), *additional_args]
            return self._resources.children.start(parent, path, name, context, options=options, detached=detached)
        owner = self._machine_registry.get(parent)
        assert owner is not None  # it runs the action that asks
        job_holder = owner.dependencies.job_holder
        job = job_holder.detach(_job_id(context))
        try:
            child = self._start(path, name, context, actions_dir, job)
        except BaseException:
            if job is not None:
                job_holder.adopt(job)
            raise
        if not detached:
            owner.children.append(child)
        return name

    def _current_jobs(self) -> Iterator[tuple[Machine, Job]]:
        for machine in self._machine_registry.live():
            if (job := machine.dependencies.job_holder.current) is not None:
                yield machine, job

    def _options(self, actions_dir: Path | None) -> Iterator[str]:
        """Yield the options by which a child process shares our store and sockets."""
        yield from ("--db", self._db.url, "--control-socket-prefix", self._resources.control_prefix)
        yield from ("--event-socket-path", self._event_socket)
        if actions_dir is not None:
            yield from ("--actions-dir", str(actions_dir))


def _loss(job_id: str, job: Job | None) -> str:
    """Describe what happened to a job that a machine held."""
    if job is None:
        return f"Job {job_id} was removed"
    if job.status == "processing":
        return f"Job {job_id} is now worked on by {job.machine or 'another worker'}"
    waits = job.status in ("pending", "scheduled")
    return f"Job {job_id} was {'put back into the queue' if waits else job.status} by somebody else"


def _job_id(context: Mapping[str, Any]) -> str | None:
    job = context.get("current_job")
    found = context.get("job_id") or context.get("id") or (job.get("id") if isinstance(job, Mapping) else None)
    return str(found) if found is not None else None

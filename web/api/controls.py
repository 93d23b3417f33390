"""Writes of the page; each adds a row of type `control` to the audit log."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from ...actors.processes.incarnation import started_at
from ...actors.processes.liveness import is_here
from ...actors.sockets import datagrams, delivery, notifications, unix_socket
from ...storage import audit, jobs
from ...storage.errors import StorageError
from ...storage.jobs.job import new_id
from ..answers import Refused, reply
from ..auth import who
from ..monitor import the_monitor
from ..query import LARGEST, TEN_YEARS_S, Body, checked_text
from .jobs import shown
from .machines import known

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.jobs.job import Job
    from ...storage.machines import MachineRow

MOST_AT_ONCE = 1000
ACTIONS: dict[str, Callable[[Database, str], Job]] = {"retry": jobs.retry, "cancel": jobs.cancel}

blueprint = Blueprint("controls", __name__, url_prefix="/api")


@blueprint.post("/machines/<name>/events")
def send_event(name: str) -> Response:
    """Store an event for the machine, and notify it."""
    body = Body("type", "payload", "job_id")
    type, job_id = _event_name(body.text("type", needed=True)), body.text("job_id")
    row, _ = known(name)
    sent = _send(row, delivery.Event(type, body.value.get("payload"), job_id, "ui"))
    _record("send_event", name, type=type, event_id=sent["event_id"])
    return reply({"machine_name": name, "type": type, **sent}, 202)


@blueprint.post("/machines/<name>/stop")
def stop(name: str) -> Response:
    """Send `stop` if the machine takes it; with {"process": true} end its process in order."""
    body = Body("process")
    row, machine = known(name)
    if not machine["running"]:
        raise Refused(409, f"{name} does not run")
    if body.value.get("process") is True:
        _end_process(row)
        _record("stop_process", name, pid=row.pid)
        return reply({"machine_name": name, "pid": row.pid, "signal": "SIGTERM"}, 202)
    definition = the_monitor().library.definition_of(row)
    if definition is not None and definition.find(row.current_state or "", "stop") is None:
        raise Refused(
            409, f"{name} takes no event 'stop' in state {row.current_state!r}",
            f'send {{"process": true}} to end its process {row.pid} with all machines in it',
        )  # fmt: skip
    sent = _send(row, delivery.Event("stop", None, None, "ui"))
    _record("stop", name, event_id=sent["event_id"])
    return reply({"machine_name": name, "type": "stop", **sent}, 202)


@blueprint.post("/jobs")
def add_job() -> Response:
    """Add a job and notify waiting machines; add nothing while an unfinished job has its unique key."""
    body = Body(
        "job_id", "job_type", "machine_type", "payload", "priority", "delay_s", "max_attempts", "source_job_id",
        "unique_key", "time_limit_s", "backoff_s",
    )  # fmt: skip
    priority, db = body.number("priority", low=-LARGEST, high=LARGEST), the_monitor().store.db
    job_id = body.text("job_id") or new_id()
    options: dict[str, Any] = {key: body.text(key) for key in ("machine_type", "source_job_id", "unique_key")}
    for key in ("time_limit_s", "backoff_s"):
        options[key] = body.number(key, low=0, high=TEN_YEARS_S, whole=False)
    job = jobs.enqueue(
        db, job_id, body.text("job_type", needed=True) or "", data=body.value.get("payload"),
        priority=5 if priority is None else priority, max_attempts=body.number("max_attempts", low=1, high=LARGEST),
        delay_s=body.number("delay_s", low=0, high=TEN_YEARS_S, whole=False) or 0.0, **options,
    )  # fmt: skip
    if job.job_id != job_id:
        return reply(shown(job))
    notifications.notify(db, "jobs", key=(job.job_type, job.machine_type))
    _record("add_job", job.job_id, job_type=job.job_type)
    return reply(shown(job), 201)


@blueprint.post("/jobs/<path:job_id>/<any(retry, cancel):action>")
def change_job(job_id: str, action: str) -> Response:
    """Retry or cancel a job."""
    Body()
    job = _change(action, job_id)
    _record(f"{action}_job", job_id)
    return reply(shown(job))


@blueprint.post("/jobs/bulk")
def change_jobs() -> Response:
    """Retry or cancel many jobs; the answer has the result of each."""
    body = Body("action", "ids")
    action, ids = body.text("action", needed=True), body.value.get("ids")
    if action not in ACTIONS:
        raise Refused(400, f"action must be one of {', '.join(ACTIONS)}")
    if not isinstance(ids, list) or not ids or len(ids) > MOST_AT_ONCE:
        raise Refused(400, f"ids must be a list of 1 to {MOST_AT_ONCE} job ids")
    for job_id in ids:
        if not isinstance(job_id, str) or not checked_text(job_id, "ids"):
            raise Refused(400, "ids must be texts that are not empty")
    items = [_changed(action, job_id) for job_id in dict.fromkeys(ids)]
    done = [item["job_id"] for item in items if item["ok"]]
    _record(f"{action}_jobs", f"{len(done)} jobs", ids=done)
    return reply({"items": items, "total": len(items), "done": len(done)})


# Helpers


def _record(action: str, target: str, **more: Any) -> None:
    """Add a row: who did what, to what, from which address."""
    monitor = the_monitor()
    db = monitor.store.db
    payload = {"action": action, "target": target, "by": who(), "address": request.remote_addr, "timestamp": db.now()}
    row = audit.write_note(db, "monitor", "control", {**payload, **more})
    unix_socket.send_message(unix_socket.event_socket(monitor.settings.event_socket), row.envelope(), 0.2)


def _send(row: MachineRow, event: delivery.Event) -> dict[str, Any]:
    settings = the_monitor().settings
    (sent,) = delivery.send(
        the_monitor().store.db,
        [row.machine_name],
        event,
        prefix=unix_socket.control_prefix(settings.control_prefix),
        event_socket=unix_socket.event_socket(settings.event_socket),
    )
    return {"event_id": sent.event.id, "running": bool(sent.running), "delivered": sent.delivered}


def _event_name(text: str | None) -> str:
    if not text or len(text) > datagrams.MAX_NAME or not text.isprintable():
        raise Refused(400, f"type must be printable and have at most {datagrams.MAX_NAME} characters")
    return text


def _end_process(row: MachineRow) -> None:
    """Send SIGTERM to the process that holds the machine, if it is still that process."""
    if not is_here(row) or row.pid is None:
        raise Refused(409, f"{row.machine_name} runs on host {row.host}; stop it there")
    start = (row.incarnation or "").split("/")[-2:-1]
    if not start or str(started_at(row.pid)) != start[0]:
        raise Refused(409, f"process {row.pid} is not known to be the one of {row.machine_name}")
    try:
        os.kill(row.pid, signal.SIGTERM)
    except OSError as error:
        raise Refused(409, f"process {row.pid} cannot be stopped: {error.strerror}") from error


def _change(action: str, job_id: str) -> Job:
    """Retry or cancel a job, and notify the machines that wait for it."""
    db = the_monitor().store.db
    job = ACTIONS[action](db, job_id)
    if action == "retry":
        notifications.notify(db, "jobs", key=(job.job_type, job.machine_type))
    notifications.notify(db, "done", key=(job_id,))
    return job


def _changed(action: str, job_id: str) -> dict[str, Any]:
    try:
        job = _change(action, job_id)
    except StorageError as error:
        return {"job_id": job_id, "ok": False, "error": str(error)}
    return {"job_id": job_id, "ok": True, "status": job.status}

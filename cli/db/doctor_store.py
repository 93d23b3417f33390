"""Checks of `statemachine-db doctor` in the database: versions, locks, leases, machines, schedules."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..output import moment
from .doctor_files import Result, open_by

if TYPE_CHECKING:
    from ...storage.engine.database import Database

#: a lease expired for longer than this has no runtime that would rescue the job
RESCUE_S = 15.0
#: a running machine reads its events much sooner
UNREAD_S = 60.0
OVERDUE_S = 120.0
#: larger files are not checked for damage
LARGEST_CHECKED = 512 * 2**20


def versions(db: Database) -> Iterator[Result]:
    """Check the schema, and name the versions of the engine, of Python and of the database."""
    from importlib.metadata import version

    from ...storage import health
    from ...storage.engine import migrations

    programs = f"statemachine-engine {version('statemachine-engine')}, Python {platform.python_version()}"
    waiting = migrations.pending(db)
    if waiting and not db.tables():
        remedy = "any other command, such as statemachine-db status, makes them; check that this is the right file"
        yield "warning", f"{db} has no tables yet", remedy
    elif waiting:
        message = f"{db} was made by an older engine; {len(waiting)} changes to its tables are pending"
        remedy = "keep a copy; any other command, such as statemachine-db status, makes them"
        yield "warning", message, remedy
    else:
        yield "ok", f"{programs}, {health.server_version(db)}, schema {migrations.LATEST} of {db}", ""


def locks(db: Database) -> Iterator[Result]:
    """Check that nothing blocks writers, and that the file is not damaged."""
    from ...storage import health

    if problem := health.takes_writes(db):
        holders = (open_by(db.path) if db.path else "") or "another process"
        yield "error", f"nothing can be written: {problem}", f"end the process that holds the lock: {holders}"
    for pid, seconds in health.idle_transactions(db):
        message = f"a transaction of the server's process {pid} has done nothing for {seconds:.0f} s"
        yield "warning", message, f"SELECT pg_terminate_backend({pid});"
    if db.path is not None and db.path.stat().st_size < LARGEST_CHECKED:
        for fault in health.damage(db):
            remedy = f"stop all machines, then: sqlite3 {db.path} .recover | sqlite3 repaired.db"
            yield "error", f"the file is damaged: {fault}", remedy
    yield "ok", "none is held for long", ""


def leases(db: Database) -> Iterator[Result]:
    """Find jobs that are held by nobody alive."""
    from ...storage import health

    without, expired = health.held(db, expired_for_s=RESCUE_S)
    if without:
        message = f"{without} jobs were left in processing by an older engine or by hand"
        yield "warning", message, "statemachine-db reset-processing puts them back into the queue"
    if expired:
        message = f"{expired} jobs are held by workers that are gone, and no runtime takes them back"
        yield "warning", message, "start a machine, or: statemachine-db release --status processing"
    yield "ok", "every job that is held is worked on", ""


def machines(db: Database) -> Iterator[Result]:
    """Find machines that died or failed, and jobs that no machine is there to take."""
    from ...storage import jobs
    from .machines import machine_rows

    rows = machine_rows(db)
    running = [row for row in rows if row["running"]]
    for row in rows:
        yield from _of_machine(row)
    waiting = jobs.counts(db)["pending"]
    if waiting and not running:
        yield "warning", f"{waiting} jobs wait, and no machine runs", "statemachine CONFIG"
    yield "ok", f"{len(running)} of {len(rows)} run, none has died or failed", ""


def events(db: Database) -> Iterator[Result]:
    """Find events that no machine reads."""
    from ...storage import health
    from .machines import machine_rows

    running = {row["machine_name"] for row in machine_rows(db) if row["running"]}
    unread = health.unread(db, older_than_s=UNREAD_S)
    for waiting in unread:
        events = f"{waiting.count} events wait for {waiting.machine} since {waiting.oldest}"
        if waiting.machine in running:
            remedy = "it is busy or stuck: look at its log, and restart it if nothing moves"
        else:
            remedy = f"start it; statemachine-db process-events {waiting.machine} shows them; they expire by themselves"
            events += ", which does not run"
        yield "warning", events, remedy
    yield "ok", "none has waited for long", ""


def control_sockets(db: Database) -> Iterator[Result]:
    """Find running machines of this host on whose socket nobody listens."""
    from ...actors.processes.liveness import is_here, is_running
    from ...actors.sockets.unix_socket import is_listening
    from ...storage import machines as registry

    for row in registry.list_(db):
        if not row.control_socket or not is_here(row) or not is_running(row, db.now()):
            continue
        if not is_listening(Path(row.control_socket)):
            message = f"{row.machine_name} runs, but nobody listens at {row.control_socket}: events reach it late"
            yield "error", message, f"restart {row.machine_name} (pid {row.pid})"


def schedules(db: Database) -> Iterator[Result]:
    """Find schedules that are overdue."""
    from ...storage import schedules as stored

    rows = stored.list_(db)
    overdue = [row for row in rows if row.next_at is not None and row.next_at < db.now() - OVERDUE_S]
    for row in overdue:
        message = f"{row.schedule_id} was due at {moment(row.next_at)} UTC, and no machine that has it runs"
        remedy = f"start {row.machine_name}, or: statemachine-db schedules --forget {row.schedule_id}"
        yield "warning", message, remedy
    if rows:
        yield "ok", f"{len(rows)} known, none overdue", ""


# Helpers


def _of_machine(row: dict[str, Any]) -> Iterator[Result]:
    name = row["machine_name"]
    if row["status"] == "dead":
        message = f"{name} died in state {row['current_state']}: its process {row['pid']} is gone"
        yield "error", message, f"start it again: statemachine {row['config_type'] or name}.yaml"
    elif row["status"] == "failed":
        remedy = f"statemachine-db error-history --machine {name} shows why; repair that, and start it again"
        yield "error", f"{name} has failed in state {row['current_state']}", remedy


#: name and function of each check that needs current tables, in the order of the output
CHECKS: tuple[tuple[str, Callable[[Database], Iterator[Result]]], ...] = (
    ("locks", locks), ("leases", leases), ("machines", machines), ("events", events), ("sockets", control_sockets),
    ("schedules", schedules),
)  # fmt: skip

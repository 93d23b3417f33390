"""`statemachine-db doctor`: checks an installation, and prints what is wrong and how to repair it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from ..options import db_given, output_options, socket_options
from ..output import show_json
from ..program import FAILED
from .doctor_files import Result, Severity

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ...storage.errors import StorageError

SIGNS = {"ok": "✅", "warning": "⚠️ ", "error": "❌"}


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one check."""

    check: str
    """Name of the check: versions, store, disk, permissions, locks, leases, machines, sockets, schedules, events."""
    severity: Severity
    message: str
    remedy: str = ""
    """What to do about it; empty if nothing is wrong."""


@click.command("doctor")
@socket_options
@output_options
@click.pass_context
def doctor(ctx: click.Context, /, event_socket_path: str | None, control_socket_prefix: str | None, fmt: str) -> None:
    """Check the installation and print what is wrong.

    It checks versions, disk, permissions, locks, leases, machines, sockets, events and schedules, and changes nothing.
    The exit code is 1 if something is wrong.

    \b
    Example:
      statemachine-db doctor
      statemachine-db doctor --format json
    """
    from ...actors.sockets import unix_socket

    prefix, events = unix_socket.control_prefix(control_socket_prefix), unix_socket.event_socket(event_socket_path)
    findings = list(_findings(prefix, events))
    wrong = [finding for finding in findings if finding.severity != "ok"]
    if fmt == "json":
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{SIGNS[finding.severity]} {finding.check}: {finding.message}")
            if finding.remedy:
                click.echo(f"     → {finding.remedy}")
        click.echo(f"{len(wrong)} of {len(findings)} need attention" if wrong else "All is well")
    ctx.exit(FAILED if wrong else 0)


# Helpers


def findings_of(check: str, results: Iterable[Result]) -> list[DoctorFinding]:
    """Return what a check found wrong; only if there is nothing, return what it found right."""
    found = [DoctorFinding(check, *result) for result in results]
    return [finding for finding in found if finding.severity != "ok"] or found


def _findings(prefix: str, event_socket: str) -> Iterator[DoctorFinding]:
    from ...storage.engine.database import Database
    from ...storage.errors import StorageError
    from . import doctor_files

    try:
        db = Database(db_given())
    except StorageError as error:
        yield DoctorFinding("store", "error", str(error), "write --db as a path, sqlite:///… or postgresql://…")
        return
    try:
        yield from _of_the_store(db)
    except StorageError as error:
        yield DoctorFinding("store", "error", str(error), _remedy(db, error))
    except PermissionError as error:
        yield DoctorFinding("permissions", "error", str(error), "run as a user with access to the folder, or give --db")
    finally:
        db.close()
    yield from findings_of("sockets", doctor_files.sockets(prefix, event_socket))


def _remedy(db: Database, error: StorageError) -> str:
    from ...storage.errors import StoreDamaged

    if db.is_postgres:
        return "check that the server runs, and that name and password are right"
    if isinstance(error, StoreDamaged):
        return f"put a backup in its place, or: sqlite3 {db.path} .recover"
    return "repair this first; the other checks need the database"


def _of_the_store(db: Database) -> Iterator[DoctorFinding]:
    from ...storage.errors import StoreTooNew
    from . import doctor_files, doctor_store

    if db.path is not None:
        if not db.path.is_file():
            remedy = "go to the project's folder, give --db, or set STATEMACHINE_DB; add-job makes a new one"
            yield DoctorFinding("store", "error", f"there is no database {db.path}", remedy)
            return
        yield from findings_of("disk", doctor_files.disk(db.path))
        found = findings_of("permissions", doctor_files.permissions(db.path))
        yield from found
        if any(finding.severity == "error" for finding in found):
            return  # it cannot be opened
    try:
        found = findings_of("versions", doctor_store.versions(db))
    except StoreTooNew as error:
        yield DoctorFinding("versions", "error", str(error), "pip install --upgrade statemachine-engine")
        return
    yield from found
    if any(finding.severity != "ok" for finding in found):
        return  # the tables are of another version
    for name, check in doctor_store.CHECKS:
        yield from findings_of(name, check(db))

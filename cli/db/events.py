"""`statemachine-db` commands about events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..options import JsonValue, Name, database, db_option, list_options, socket_options
from ..output import Column, cut, json_text, moment, show
from ..program import NOT_RUNNING, Failure

if TYPE_CHECKING:
    from ...actors.sockets.delivery import Delivery
    from ...storage.engine.database import Database
    from ...storage.mailbox import MailboxRow

STATUSES = ("pending", "processed", "ignored", "expired")

LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("Target", "target_machine"),
    ("Type", "event_type"),
    ("Job ID", "job_id"),
    ("Status", "status"),
    ("Created", "created_at"),
    ("Payload", lambda row: cut(row["payload"], 30)),
]


@click.command("send-event")
@click.option("--target", type=Name(), required=True, help="Machine, 'all', a glob such as 'worker_*', or 'ui'.")
@click.option("--type", "event_type", type=Name(), required=True, help="Name of the event.")
@click.option("--source", type=Name(), help="Name of the sender, for the monitor. [default: cli]")
@click.option("--job-id", type=Name(), help="Job that the event is about.")
@click.option(
    "--payload", type=JsonValue("payload"), help="Data of the event: any JSON; @FILE reads it, @- from stdin."
)
@click.option("--require-running", is_flag=True, help="Exit 3 if a target does not run; the event is stored anyway.")
@socket_options
@db_option
@click.pass_context
def send_event(
    ctx: click.Context, target: str, event_type: str, source: str | None, job_id: str | None, payload: Any,
    require_running: bool, event_socket_path: str | None, control_socket_prefix: str | None,
) -> None:  # fmt: skip
    """Send an event to machines or to the monitor page.

    The event is stored first: a machine that does not run gets it at its next start, within 24 hours.

    \b
    Example:
      statemachine-db send-event --target worker1 --type custom_event --job-id job123 --payload '{"data": "value"}'
      statemachine-db send-event --target ui --type activity_log --payload '{"message": "Task completed"}'
    """
    from ...actors.sockets import unix_socket
    from ...actors.sockets.delivery import Event, send, targets_of

    event = Event(event_type, payload, job_id, source)
    prefix = unix_socket.control_prefix(control_socket_prefix)
    event_socket = unix_socket.event_socket(event_socket_path)
    with database(create=True, durable=True) as db:
        targets = targets_of(db, target) or _no_target(db, target)
        deliveries = send(db, targets, event, prefix=prefix, event_socket=event_socket)
    if any(delivery.shown for delivery in deliveries):
        click.echo("📡 Sent to WebSocket server for real-time UI update")
    for delivery in deliveries:
        _print(delivery)
    if require_running and not all(delivery.running is not False for delivery in deliveries):
        ctx.exit(NOT_RUNNING)


@click.command("list-events")
@click.option("--target", metavar="MACHINE", help="Only events for this machine.")
@click.option("--status", "wanted", type=click.Choice(STATUSES), help="Only events in this status.")
@list_options(20)
def list_events(target: str | None, wanted: str | None, limit: int, fmt: str) -> None:
    """List events, newest first.

    \b
    Example:
      statemachine-db list-events --target my_worker --limit 10
    """
    from ...storage import mailbox

    with database() as db:
        rows = mailbox.list_(db, target=target, status=wanted, limit=limit)
    show([event_row(row) for row in rows], LIST_COLUMNS, fmt=fmt, empty="No events found")


@click.command("process-events")
@click.argument("machine", type=Name())
@list_options(100)
def process_events(machine: str, limit: int, fmt: str) -> None:
    """Show the pending events of a machine.

    Nothing is changed: the machine itself takes its events.

    \b
    Example:
      statemachine-db process-events my_worker
    """
    from ...storage import mailbox

    with database() as db:
        rows = mailbox.list_(db, target=machine, status="pending", limit=limit)
    if fmt == "table" and rows:
        click.echo(f"Pending events for machine '{machine}':")
    show([event_row(row) for row in rows], LIST_COLUMNS, fmt=fmt, empty=f"No pending events for machine '{machine}'")


# Helpers


def event_row(row: MailboxRow) -> dict[str, Any]:
    """Return an event as the JSON output shows it: times are UTC text, the payload is a value."""
    return {**row.as_dict(), "expires_at": moment(row.expires_at)}


def _no_target(db: Database, target: str) -> list[str]:
    from ...storage import machines

    known = ", ".join(row.machine_name for row in machines.list_(db)) or "none"
    raise Failure(f"No machine matches --target {target}: nothing was sent (known machines: {known})")


def _print(delivery: Delivery) -> None:
    message = delivery.event
    if delivery.delivered:
        click.echo(f"📡 Sent to {message.target} control socket")
    elif delivery.running:
        click.echo(f"📥 {message.target} is running and will read it from the database")
    elif delivery.running is False:
        click.echo(f"📥 {message.target} is not running: the event is stored and delivered at its next start")
    click.echo("✅ Event stored for later!" if delivery.running is False else "✅ Event sent successfully!")
    click.echo(f"   Event ID: {message.id}\n   Target: {message.target}\n   Type: {message.type}")
    if message.job_id is not None:
        click.echo(f"   Job ID: {message.job_id}")
    if message.payload is not None:
        click.echo(f"   Payload: {json_text(message.payload)}")

"""The tables as peewee models, for listings; hot statements are written by hand."""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, DoubleField, IntegerField, Model, TextField

from .database import Database


class JobRow(Model):
    """Table `jobs`."""

    id = AutoField()
    job_id = TextField(unique=True)
    job_type = TextField()
    machine_type = TextField(null=True)
    source_job_id = TextField(null=True)
    data = TextField(null=True)
    result = TextField(null=True)
    priority = IntegerField(default=5)
    status = TextField(default="pending")
    created_at = TextField(null=True)
    started_at = TextField(null=True)
    completed_at = TextField(null=True)
    error_message = TextField(null=True)
    metadata = TextField(null=True)
    attempts = IntegerField(default=0)
    max_attempts = IntegerField(null=True)
    due_at = DoubleField(default=0)
    owner = TextField(null=True)
    lease_s = DoubleField(null=True)
    lease_until = DoubleField(null=True)
    unique_key = TextField(null=True)
    machine = TextField(null=True)
    time_limit_s = DoubleField(null=True)
    backoff_s = DoubleField(null=True)

    class Meta:
        table_name = "jobs"


class EventRow(Model):
    """Table `machine_events`: every machine's mailbox."""

    id = AutoField()
    source_machine = TextField(null=True)
    target_machine = TextField()
    event_type = TextField()
    job_id = TextField(null=True)
    payload = TextField(null=True)
    status = TextField(default="pending")
    created_at = TextField(null=True)
    processed_at = TextField(null=True)
    expires_at = DoubleField(null=True)

    class Meta:
        table_name = "machine_events"


class StateRow(Model):
    """Table `machine_state`."""

    machine_name = TextField(primary_key=True)
    current_state = TextField(null=True)
    last_activity = DoubleField(null=True)
    pid = IntegerField(null=True)
    metadata = TextField(null=True)
    config_type = TextField(null=True)
    host = TextField(null=True)
    incarnation = TextField(null=True)
    alive_until = DoubleField(null=True)
    control_socket = TextField(null=True)
    status = TextField(default="ended")
    definition_hash = TextField(null=True)
    started_at = DoubleField(null=True)

    class Meta:
        table_name = "machine_state"


class NoteRow(Model):
    """Table `realtime_events`: the audit log."""

    id = AutoField()
    machine_name = TextField(null=True)
    event_type = TextField()
    payload = TextField(null=True)
    created_at = TextField(null=True)
    consumed = IntegerField(default=0)
    consumed_at = TextField(null=True)

    class Meta:
        table_name = "realtime_events"


def has_status(column: TextField, status: str) -> Any:
    """Return the condition with the status as a literal: SQLite uses no partial index for a parameter."""
    return column == (SQL(f"'{status}'") if status.isalpha() else status)


def fetch(db: Database, query: Any) -> list[tuple[Any, ...]]:
    """Run a select that peewee composed on the database's own connections. Return the rows."""
    sql, params = query.sql()
    with db.read():
        return db.execute(sql, params).fetchall()

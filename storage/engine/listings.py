"""Listings, whose statements peewee composes; hot statements are written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from peewee import SQL, Table

from .database import Database


def fetch(
    db: Database,
    table: str,
    columns: Sequence[str],
    matching: Mapping[str, str | None],
    *,
    since: str | None = None,
    newest_first: bool = True,
    limit: int | None = None,
) -> list[tuple[Any, ...]]:
    """Return the rows of a table in order of their ids, on the database's own connections.

    `matching` gives the value that a column must have, None for any; `since` is the earliest `created_at`.
    """
    rows: Any = Table(table, ("id", "created_at", *columns))
    query = rows.select(*(getattr(rows, name) for name in columns))
    for name, value in matching.items():
        if value is not None:
            # a status is a literal, because SQLite uses no partial index for a parameter
            is_literal = name == "status" and value.isalpha()
            query = query.where(getattr(rows, name) == (SQL(f"'{value}'") if is_literal else value))
    if since is not None:
        query = query.where(rows.created_at >= since)
    sql, params = query.order_by(rows.id.desc() if newest_first else rows.id).limit(limit).sql()
    with db.read():
        return db.execute(sql, params).fetchall()

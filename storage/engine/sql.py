"""Pieces of SQL."""

from __future__ import annotations

from collections.abc import Sequence, Sized


def one_of(column: str, values: Sized) -> str:
    """Return the condition that a column has one of the values, each a parameter; with no values it is never true."""
    return f"{column} IN ({', '.join('?' * len(values))})"


def and_one_of(column: str, values: Sized | None) -> str:
    """Return `one_of` as a further condition; nothing for None, which allows every value."""
    return "" if values is None else f" AND {one_of(column, values)}"


def upsert(table: str, columns: Sequence[str], **changes: str) -> str:
    """Return the statement that inserts a row, or replaces the one with the same first column, the table's key.

    `changes` are expressions for columns of a replaced row that do not simply get the new value.
    """
    sets = ", ".join(f"{column} = {changes.get(column, f'excluded.{column}')}" for column in columns[1:])
    values = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) ON CONFLICT ({columns[0]}) DO UPDATE SET {sets}"
    )

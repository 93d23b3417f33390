"""Pieces of SQL."""

from __future__ import annotations

from collections.abc import Sized


def one_of(column: str, values: Sized) -> str:
    """Return the condition that a column has one of the values, each a parameter; with no values it is never true."""
    return f"{column} IN ({', '.join('?' * len(values))})"

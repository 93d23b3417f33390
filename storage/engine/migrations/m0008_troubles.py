"""Counters of problems, added up by all processes of the store."""

from __future__ import annotations

from ..connections import Connections

TABLES = ("troubles",)

TROUBLES = """
CREATE TABLE troubles (
    kind TEXT PRIMARY KEY,
    times BIGINT NOT NULL,
    seconds {double} NOT NULL
)"""


def apply(db: Connections) -> None:
    """Create the table."""
    db.execute(TROUBLES.format(double=db.dialect.double))

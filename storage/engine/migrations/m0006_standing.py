"""The result that the job of a resuming machine gets if no action settles it."""

from __future__ import annotations

from ..connections import Connections


def apply(db: Connections) -> None:
    """Add the columns."""
    db.execute("ALTER TABLE machine_snapshots ADD COLUMN failure TEXT")
    db.execute("ALTER TABLE machine_snapshots ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0")

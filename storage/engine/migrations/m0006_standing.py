"""What is to become of the job that a machine resumes with, if nobody settles it."""

from __future__ import annotations

from ..connections import Connections


def apply(db: Connections) -> None:
    """Add the columns."""
    db.execute("ALTER TABLE machine_snapshots ADD COLUMN failure TEXT")
    db.execute("ALTER TABLE machine_snapshots ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0")

"""The wait between the attempts at a job."""

from __future__ import annotations

from ..connections import Connections
from . import adopt


def apply(db: Connections) -> None:
    """Add the column, unless the user of an older engine has added it."""
    if db.is_postgres or "backoff_s" not in adopt.columns(db, "jobs"):
        db.execute(f"ALTER TABLE jobs ADD COLUMN backoff_s {db.dialect.double}")

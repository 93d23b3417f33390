"""What a transaction tells the runtimes of other hosts when it commits.

PostgreSQL carries it (NOTIFY); on SQLite all runtimes are on one host, and the sender rings their sockets.
"""

from __future__ import annotations

from collections.abc import Sequence

from .engine.connections import Connections
from .payload import dumps

#: bytes; PostgreSQL's notifications hold less than 8,000
MOST = 7_900


def ring(db: Connections, topic: str, key: Sequence[str | None] = (), count: int = 1) -> None:
    """Inside write(): at the commit, say that there is news about `topic`; without a key it is about everything."""
    if not db.is_postgres:
        return
    text = dumps({"bell": topic, "count": count, "key": list(key)})
    if len(text) > MOST:
        text = dumps({"bell": topic, "count": count, "key": []})
    db.notify(text)

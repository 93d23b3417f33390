"""Notifications from a transaction to the runtimes of other hosts.

PostgreSQL carries them (NOTIFY). On SQLite all runtimes are on one host, and the sender notifies their sockets instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from .engine.connections import Connections
from .payload import dumps

#: bytes; PostgreSQL's notifications hold less than 8,000
MAX_BYTES = 7_900


def notify(db: Connections, topic: str, key: Sequence[str | None] = (), count: int = 1) -> None:
    """Inside write(), announce at commit that something about `topic` has changed; without a key, anything."""
    if not db.is_postgres:
        return
    text = dumps({"bell": topic, "count": count, "key": list(key)})
    if len(text) > MAX_BYTES:
        text = dumps({"bell": topic, "count": count, "key": []})
    db.notify(text)

"""Notifications to the runtimes on this host.

`statemachine-db add-job` loads this module, so that it imports nothing that is slow to load.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import datagrams
from .unix_socket import send

if TYPE_CHECKING:
    from ...storage.engine.database import Database


def notify(
    db: Database,
    topic: str,
    *,
    count: int = 1,
    key: Iterable[str | None] = (),
    timeout_s: float = 0.2,
    skip_incarnation: str | None = None,
) -> None:
    """Send a notification to every runtime on this host; PostgreSQL itself notifies other hosts.

    A notification may get lost: each runtime also looks once a second.
    """
    from ...storage import machines

    message = datagrams.encode({"bell": topic, "count": count, "key": list(key)})
    for incarnation, path in machines.control_sockets(db, socket.gethostname()).items():
        if incarnation != skip_incarnation:
            send(path, message, timeout_s)

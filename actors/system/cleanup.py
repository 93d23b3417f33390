"""Cleans up after a killed worker process, in the parent."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from ...storage import machines
from ...storage.engine.database import Database
from ...storage.errors import StorageError
from ..sockets import unix_socket

log = logging.getLogger(__name__)


def clear(names: Collection[str], pid: int | None, env: Mapping[str, str]) -> bool:
    """Remove the control sockets of its machines, and mark them failed in the registry.

    Returns False if the database could not be written.
    """
    for name in names:
        path = unix_socket.control_path(env["STATEMACHINE_CONTROL_PREFIX"], name)
        if path.is_socket() and not unix_socket.is_listening(path):
            path.unlink(missing_ok=True)
    try:
        with Database.open(env["STATEMACHINE_DB"], create=False) as db, db.write():
            for name in names:
                row = machines.get(db, name)
                if row is not None and row.incarnation and row.pid == pid:
                    machines.release(db, name, row.incarnation, status="failed")
    except StorageError as error:
        log.error("the registry cannot record that machines failed: %s", error)
        return False
    return True

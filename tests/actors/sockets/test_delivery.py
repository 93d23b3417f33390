"""Events from a command are stored, then delivered; one for a machine of another store is processed by that."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine_engine import Runtime
from statemachine_engine.actors.sockets import datagrams, delivery, unix_socket
from statemachine_engine.storage import machines, mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.machines import MachineRow
from tests.support.factories import acquire
from tests.support.until import until

SINK = {"initial_state": "a", "transitions": [{"from": "a", "to": "a", "event": "n"}]}


@pytest.fixture
def prefix() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sm-") as folder:
        yield f"{folder}/control"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "store.db") as database:
        yield database


def send(db: Database, prefix: str) -> delivery.Delivery:
    """Send one event to the machine m."""
    (sent,) = delivery.send(db, ["m"], delivery.Event("n", {"k": 1}), prefix=prefix, event_socket=f"{prefix}-none")
    return sent


def test_an_event_for_a_machine_of_another_store_goes_to_it_and_is_done_with_here(db: Database, prefix: str) -> None:
    with unix_socket.bind(unix_socket.control_path(prefix, "m")) as listening:
        sent = send(db, prefix)

        heard = datagrams.decode(listening.recv(datagrams.MAX_DATAGRAM), 0.0)

    assert (sent.delivered, heard.event_id) == (True, None)  # type: ignore[union-attr]
    assert [row.status for row in mailbox.list_(db)] == ["processed"]


def test_what_the_socket_of_a_killed_machine_takes_while_it_dies_is_not_done_with(db: Database, prefix: str) -> None:
    path = unix_socket.control_path(prefix, "m")
    gone = subprocess.run(["sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    host = socket.gethostname()
    acquire(db, "m", f"{host}/{gone}/1/x", pid=int(gone), host=host, control_socket=str(path))
    with unix_socket.bind(path):
        sent = send(db, prefix)

    assert not sent.delivered
    assert [row.status for row in mailbox.list_(db)] == ["pending"]


def test_a_machine_that_starts_during_a_delivery_takes_the_event_once_from_its_mailbox(
    db: Database, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Runtime(db, control_prefix=prefix) as runtime:
        looks: list[MachineRow | None] = []
        get = machines.get

        def get_and_start(db: Database, name: str) -> MachineRow | None:
            """Start the machine right after the first lookup, which finds none."""
            looks.append(get(db, name))
            if len(looks) == 1:
                runtime.add(SINK, "m")
            return looks[-1]

        monkeypatch.setattr(machines, "get", get_and_start)
        send(db, prefix)

        until(lambda: [row.status for row in mailbox.list_(db)] == ["processed"])
        runtime.resources.recorder.flush()
    with db.read():
        changes = db.execute("SELECT count(*) FROM realtime_events WHERE event_type = 'state_change'").fetchone()[0]
    assert looks[0] is None
    assert changes == 1


def test_a_socket_that_is_bound_later_gets_no_earlier_datagram(prefix: str) -> None:
    path = unix_socket.control_path(prefix, "m")
    first = unix_socket.bind(path)

    def replaced() -> bool:
        first.close()
        path.unlink()
        later.append(unix_socket.bind(path))
        return True

    later: list[socket.socket] = []
    assert not unix_socket.send(path, b"{}", 1.0, only_if=replaced)
    later[0].setblocking(False)
    with pytest.raises(BlockingIOError), later[0]:
        later[0].recv(10)

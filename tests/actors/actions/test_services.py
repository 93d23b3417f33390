"""The services of an action: sending, notifying, starting machines."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from statemachine_engine.actors.actions.services import Sent, Services
from statemachine_engine.actors.concurrency.cancel_token import CancelToken
from statemachine_engine.actors.jobs.job_holder import JobHolder
from statemachine_engine.actors.sockets import datagrams, delivery, unix_socket
from statemachine_engine.actors.sockets.messages import EventMessage
from statemachine_engine.storage import machines, mailbox
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import PayloadTooLarge
from statemachine_engine.storage.mailbox import MailboxMessage
from tests.support.factories import acquire

HERE = socket.gethostname()


class Neighbours:
    """A process in which one machine, `near`, lives beside the sender."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.handed: list[MailboxMessage] = []
        self.published: list[tuple[str, str, Mapping[str, Any]]] = []
        self.notified: list[tuple[str, tuple[str | None, ...], int]] = []
        self.spawned: list[tuple[Path, Path | None]] = []

    def deliver(self, event: MailboxMessage, timeout_s: float) -> bool:
        if event.target != "near":
            return delivery.deliver(self.db, event, timeout_s)
        self.handed.append(event)
        return True

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        self.published.append((machine, type, payload))

    def notify(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        self.notified.append((topic, key, count))

    def spawn(self, parent: str, path: Path, name: str, context: Mapping[str, Any], **options: Any) -> str:
        self.spawned.append((path, options["actions_dir"]))
        return name


@pytest.fixture
def router(db: Database) -> Neighbours:
    return Neighbours(db)


@pytest.fixture
def services(router: Neighbours, tmp_path: Path) -> Services:
    return Services(
        router.db, "sender", CancelToken(), cast(JobHolder, None), tmp_path,
        router.publish, router.notify, router.deliver, router.spawn, tmp_path / "own",
    )  # fmt: skip


def test_an_event_is_stored_before_a_neighbour_gets_it(services: Services, router: Neighbours, db: Database) -> None:
    sent = services.send("near", "go", {"a": 1}, "j")
    (event,) = mailbox.unread(db, "near")
    assert sent == Sent(1, 1, (event.id,))
    assert [handed.id for handed in router.handed] == [event.id]
    assert (event.type, event.payload, event.job_id, event.source) == ("go", {"a": 1}, "j", "sender")


@pytest.mark.leaves_sockets
def test_a_machine_of_another_process_gets_events_through_its_socket(
    services: Services, db: Database, tmp_path: Path
) -> None:
    acquire(db, "far", "others", host=HERE, control_socket=str(tmp_path / "far.sock"))
    with unix_socket.bind(tmp_path / "far.sock") as sock:
        sent = services.send("far", "go", [1])
        message = datagrams.decode(sock.recv(datagrams.MAX_DATAGRAM), 0.0)
    assert sent.delivered == 1
    assert message == EventMessage("go", [1], None, "sender", 0.0, sent.event_ids[0], None)


@pytest.mark.parametrize("holder", ["none", "ended", "gone", "elsewhere", "without a socket"])
def test_an_event_that_reaches_nobody_waits_in_the_mailbox(
    services: Services, db: Database, tmp_path: Path, holder: str
) -> None:
    if holder != "none":
        path = None if holder == "without a socket" else str(tmp_path / "s")
        acquire(db, "far", "others", host="elsewhere" if holder == "elsewhere" else HERE, control_socket=path)
    if holder == "ended":
        machines.release(db, "far", "others")
    sent = services.send("far", "go")
    assert (sent.count, sent.delivered) == (1, 0)
    assert len(mailbox.unread(db, "far")) == 1


def test_all_and_globs_reach_each_other_known_machine_once(
    services: Services, router: Neighbours, db: Database
) -> None:
    for name in ("worker-1", "worker-2", "boss", "near", "sender"):
        acquire(db, name, "others")
    assert services.send("worker-[12]", "go").count == 2
    assert services.send("all", "go").count == 4
    assert services.send("nobody-*", "go") == Sent(0, 0, ())
    assert [len(mailbox.unread(db, name)) for name in ("worker-1", "boss", "near", "sender")] == [2, 1, 1, 0]


@pytest.mark.parametrize("payload", [{"a": 1}, [1], "text", None])
def test_the_page_gets_its_events_as_publications(services: Services, router: Neighbours, payload: Any) -> None:
    assert services.send("ui", "progress", payload).delivered == 1
    assert router.published == [("sender", "progress", payload if isinstance(payload, dict) else {"payload": payload})]


def test_an_event_that_cannot_be_stored_is_not_sent(services: Services, router: Neighbours) -> None:
    with pytest.raises(PayloadTooLarge):
        services.send("near", "go", "x" * (17 * 1024 * 1024))
    assert router.handed == []


@pytest.mark.leaves_sockets
def test_many_machines_that_do_not_read_hold_a_sender_up_for_two_seconds_in_all(
    services: Services, db: Database, tmp_path: Path
) -> None:
    sockets = []
    for number in range(4):
        path = tmp_path / f"{number}.sock"
        acquire(db, f"deaf-{number}", "others", host=HERE, control_socket=str(path))
        sockets.append(unix_socket.bind(path))
        while unix_socket.send_message(path, {"type": "x"}, 0.0):
            pass
    begun_s = time.monotonic()
    assert services.send("deaf-*", "go").delivered == 0
    assert time.monotonic() - begun_s < 6
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(("key", "sent"), [(None, ()), ("j", ("j",)), (("video", None), ("video", None)), (5, ("5",))])
def test_a_notification_s_key_is_a_tuple_of_names(
    services: Services, router: Neighbours, key: Any, sent: tuple[Any, ...]
) -> None:
    services.notify("jobs", key, 3)
    assert router.notified == [("jobs", sent, 3)]


def test_a_machine_s_file_is_looked_for_here_and_beside_the_own_one(
    services: Services, router: Neighbours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "child.yaml").touch()
    for path in ("child.yaml", "missing.yaml", "/abs/x.yaml", "~/x.yaml"):
        services.spawn(Path(path), "c", {})
    (here / "child.yaml").touch()
    services.spawn(Path("child.yaml"), "c", {}, actions_dir=Path("theirs"))
    assert router.spawned == [
        (tmp_path / "child.yaml", tmp_path / "own"),
        (Path("missing.yaml"), tmp_path / "own"),
        (Path("/abs/x.yaml"), tmp_path / "own"),
        (Path("~/x.yaml").expanduser(), tmp_path / "own"),
        (Path("child.yaml"), Path("theirs")),
    ]

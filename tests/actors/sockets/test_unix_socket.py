"""Datagrams: what is a message and what is not, where sockets stand, how long a sender waits."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine_engine.actors.sockets import datagrams, notifications, unix_socket
from statemachine_engine.actors.sockets.messages import EventMessage, Notification
from statemachine_engine.storage import mailbox
from statemachine_engine.storage.engine.database import Database
from tests.support.factories import acquire
from tests.support.sockets import MALFORMED, made

#: its tests bind sockets themselves
pytestmark = pytest.mark.leaves_sockets

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(datagrams.MalformedMessage) as refusal:
        datagrams.decode(data, 0.0)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 200


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(datagrams.MalformedMessage):
        assert isinstance(datagrams.decode(data, 0.0), EventMessage | Notification)


@given(st.builds(dict, type=st.just("x"), payload=JSON, job_id=st.sampled_from([None, "j"]), event_id=st.just(7)))
def test_what_is_encoded_comes_out_of_decoding(message: dict[str, Any]) -> None:
    decoded = datagrams.decode(datagrams.encode(message), 5.0)

    assert isinstance(decoded, EventMessage)
    payload = message["payload"]
    if not isinstance(payload, str):
        assert decoded.payload == ({} if payload is None else payload)
    assert (decoded.type, decoded.job_id, decoded.event_id, decoded.timestamp) == (
        "x", message["job_id"], message["event_id"], 5.0,
    )  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), {"a": object()}, {(1, 2): 3}, "\ud800", {1: {2}}, [[float("inf")]]])
def test_anything_at_all_can_be_encoded(value: object) -> None:
    datagrams.decode(datagrams.encode({"type": "x", "payload": value}), 0.0)


def test_a_payload_that_contains_itself_can_be_encoded() -> None:
    payload: dict[str, Any] = {}
    payload["self"] = payload
    datagrams.decode(datagrams.encode({"type": "x", "payload": payload}), 0.0)


@pytest.mark.parametrize(
    ("sent", "received"),
    [("null", {}), ('"{\\"a\\": 1}"', {"a": 1}), ('"[1, 2]"', [1, 2]), ('"{not json}"', "{not json}"), ('"5"', "5")],
)
def test_a_payload_in_json_within_a_string_is_read_as_older_senders_mean_it(sent: str, received: object) -> None:
    message = datagrams.decode(b'{"type": "x", "payload": %s}' % sent.encode(), 0.0)
    assert isinstance(message, EventMessage)
    assert message.payload == received


def test_a_numeric_job_id_becomes_text() -> None:
    message = datagrams.decode(b'{"type": "x", "job_id": 17}', 0.0)
    assert isinstance(message, EventMessage)
    assert message.job_id == "17"


def test_a_notification_has_a_topic_a_count_and_a_key() -> None:
    assert datagrams.decode(b'{"bell": "jobs", "count": 3, "key": ["video", null]}', 0.0) == Notification(
        "jobs", 3, ("video", None)
    )
    assert datagrams.decode(b'{"bell": "done"}', 0.0) == Notification("done", 1, ())


def test_an_event_s_datagram_names_its_row_and_the_one_before(db: Database) -> None:
    mailbox.post(db, "m", "first")
    event = mailbox.post(db, "m", "x", {"a": 1}, job_id="j", source="s")

    message = datagrams.decode(datagrams.encode(datagrams.datagram_of(event)), 9.0)

    assert message == EventMessage("x", {"a": 1}, "j", "s", 9.0, event.id, event.after)
    assert event.after is not None


@pytest.mark.parametrize("size", [0, 100 * 1024, datagrams.MAX_DATAGRAM - 40])
def test_a_datagram_of_up_to_128_kib_passes(tmp_path: Path, size: int) -> None:
    with unix_socket.bind(tmp_path / "s") as sock:
        assert unix_socket.send_message(tmp_path / "s", {"type": "x", "payload": "y" * size})
        message = datagrams.decode(sock.recv(datagrams.MAX_DATAGRAM + 1), 0.0)
    assert isinstance(message, EventMessage)
    assert message.payload == "y" * size


def test_a_larger_one_is_not_sent(tmp_path: Path) -> None:
    with unix_socket.bind(tmp_path / "s"):
        assert not unix_socket.send_message(tmp_path / "s", {"type": "x", "payload": "y" * datagrams.MAX_DATAGRAM})


@pytest.mark.parametrize("kind", ["absent", "dead", "file", "folder", "too long", "stream"])
def test_sending_where_nobody_listens_returns_false(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("x" * 200 if kind == "too long" else "s")
    with made(path, kind):
        assert not unix_socket.send_message(path, {"type": "x"})


def test_a_process_that_is_stopped_holds_a_sender_up_for_two_seconds_at_most(tmp_path: Path) -> None:
    path = tmp_path / "s"
    program = "import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]);"
    command = [sys.executable, "-c", program + "print(1, flush=True); time.sleep(60)", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        while unix_socket.send_message(path, {"type": "x"}, 0.0):
            pass  # its queue fills up

        begun_s = time.monotonic()
        assert not unix_socket.send_message(path, {"type": "x"})
        assert time.monotonic() - begun_s < 10
        process.kill()


def test_a_socket_belongs_to_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with unix_socket.bind(tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_dead_socket_s_file_is_replaced(tmp_path: Path) -> None:
    with made(tmp_path / "s", "dead"), unix_socket.bind(tmp_path / "s"):
        assert unix_socket.is_listening(tmp_path / "s")


@pytest.mark.parametrize("kind", ["live", "stream", "file", "folder"])
def test_an_occupied_path_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    with made(path, kind):
        before = path.stat().st_ino
        with pytest.raises(OSError, match="in use") as refusal:
            unix_socket.bind(path)
        assert refusal.value.errno == errno.EADDRINUSE
        assert path.stat().st_ino == before


def test_a_folder_that_is_missing_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing/s"):
        unix_socket.bind(tmp_path / "missing" / "s")


def test_a_path_too_long_for_a_socket_is_refused_with_the_remedy() -> None:
    assert len(str(unix_socket.control_path("/tmp/c", "n" * 95))) == unix_socket.MAX_PATH
    with pytest.raises(unix_socket.SocketPathTooLong, match="shorten the machine name or the prefix"):
        unix_socket.control_path("/tmp/c", "ü" * 50)


def test_paths_come_from_the_caller_the_environment_or_the_older_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATEMACHINE_CONTROL_PREFIX", raising=False)
    monkeypatch.delenv("STATEMACHINE_EVENT_SOCKET", raising=False)
    assert unix_socket.control_prefix() == "/tmp/statemachine-control"
    assert unix_socket.event_socket() == "/tmp/statemachine-events.sock"
    monkeypatch.setenv("STATEMACHINE_CONTROL_PREFIX", "/run/c")
    monkeypatch.setenv("STATEMACHINE_EVENT_SOCKET", "/run/e")
    assert (unix_socket.control_prefix(), unix_socket.event_socket()) == ("/run/c", "/run/e")
    assert (unix_socket.control_prefix("/x"), unix_socket.event_socket("/y")) == ("/x", "/y")


def test_a_notification_reaches_each_other_live_runtime_of_this_host_once(db: Database, tmp_path: Path) -> None:
    here = socket.gethostname()
    acquire(db, "a1", "run-1", host=here, control_socket=str(tmp_path / "a1"))
    acquire(db, "a2", "run-1", host=here, control_socket=str(tmp_path / "a2"))
    acquire(db, "mine", "run-2", host=here, control_socket=str(tmp_path / "mine"))
    acquire(db, "far", "run-3", host="elsewhere", control_socket=str(tmp_path / "far"))
    acquire(db, "silent", "run-4", host=here)
    acquire(db, "gone", "run-5", host=here, control_socket=str(tmp_path / "gone"))
    sockets = {name: unix_socket.bind(tmp_path / name) for name in ("a1", "a2", "mine", "far")}

    notifications.notify(db, "jobs", count=2, key=("video", None), skip_incarnation="run-2")

    heard = {name: [datagrams.decode(data, 0.0) for data in waiting(sock)] for name, sock in sockets.items()}
    assert heard == {"a1": [Notification("jobs", 2, ("video", None))], "a2": [], "mine": [], "far": []}
    for sock in sockets.values():
        sock.close()


def test_datagrams_of_many_senders_all_arrive(tmp_path: Path) -> None:
    received: list[Any] = []
    with unix_socket.bind(tmp_path / "s") as sock:

        def send(number: int) -> None:
            for count in range(50):
                assert unix_socket.send_message(tmp_path / "s", {"type": "x", "payload": [number, count]})

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while len(received) < 200:
            message = datagrams.decode(sock.recv(datagrams.MAX_DATAGRAM), 0.0)
            assert isinstance(message, EventMessage)
            received.append(message.payload)
        for thread in threads:
            thread.join()
    for number in range(4):
        assert [count for sender, count in received if sender == number] == list(range(50))


# Helpers


def waiting(sock: socket.socket) -> list[bytes]:
    """Return the datagrams in a socket's queue."""
    sock.setblocking(False)
    found = []
    while True:
        try:
            found.append(sock.recv(datagrams.MAX_DATAGRAM))
        except BlockingIOError:
            return found

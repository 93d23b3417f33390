"""Messages to clients, byte by byte."""

from __future__ import annotations

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from statemachine_engine.web.feed.backlog import Entry
from statemachine_engine.web.stream.frames import message, sse_events, sse_message, text_frame, websocket_frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_frame_is_read_by_a_client_as_it_was_meant(size: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(text_frame(b"x" * size))

    (event,) = [event for event in client.events() if isinstance(event, TextMessage)]
    assert event.data == "x" * size
    assert event.message_finished


def test_many_events_are_many_frames_in_one_piece() -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(websocket_frames([Entry(1, b"one"), Entry(2, b"two")]))

    assert [event.data for event in client.events() if isinstance(event, TextMessage)] == ["one", "two"]


def test_server_sent_events_carry_the_id_of_what_has_one() -> None:
    assert sse_events([Entry(7, b"{}"), Entry(9, b"[]")]) == b"id: 7\ndata: {}\n\nid: 9\ndata: []\n\n"
    assert sse_message(b"{}") == b"data: {}\n\n"


def test_a_message_is_one_line_of_json_whatever_is_in_it() -> None:
    assert message("ping", timestamp=1.5) == b'{"type":"ping","timestamp":1.5}'
    assert b"\n" not in message("x", text="a\nb\r\n\u2028")

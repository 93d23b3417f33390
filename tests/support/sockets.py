"""Make what may stand at a socket's path, and datagrams that may arrive there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statemachine_engine.actors.sockets import datagrams

MALFORMED = {
    "empty": b"",
    "no JSON": b"wake_up",
    "cut off": b'{"type": "x"',
    "two messages": b'{"type": "x"} {"type": "y"}',
    "a list": b'["x"]',
    "a number": b"1",
    "null": b"null",
    "not UTF-8": b'{"type": "\xff"}',
    "UTF-16": '{"type": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"type": "x"}',
    "a NUL byte": b'{"type": "x"}\0',
    "no type": b"{}",
    "type null": b'{"type": null}',
    "type a number": b'{"type": 1}',
    "type a list": b'{"type": ["x"]}',
    "type empty": b'{"type": ""}',
    "type too long": json.dumps({"type": "x" * 257}).encode(),
    "type with a line break": b'{"type": "a\\nb"}',
    "type with a NUL": b'{"type": "a\\u0000"}',
    "type with a lone surrogate": b'{"type": "\\ud800"}',
    "an encoded surrogate": b'{"type": "x", "payload": "\xed\xa0\x80"}',
    "job_id a list": b'{"type": "x", "job_id": []}',
    "job_id a boolean": b'{"type": "x", "job_id": true}',
    "job_id a fraction": b'{"type": "x", "job_id": 1.5}',
    "job_id with a lone surrogate": b'{"type": "x", "job_id": "\\udfff"}',
    "job_id with a NUL": b'{"type": "x", "job_id": "\\u0000"}',
    "source an object": b'{"type": "x", "source": {}}',
    "source with a lone surrogate": b'{"type": "x", "source": "\\udfff"}',
    "event_id a string": b'{"type": "x", "event_id": "1"}',
    "event_id zero": b'{"type": "x", "event_id": 0}',
    "event_id negative": b'{"type": "x", "event_id": -1}',
    "event_id a fraction": b'{"type": "x", "event_id": 1.0}',
    "event_id a boolean": b'{"type": "x", "event_id": true}',
    "event_id beyond 64 bits": b'{"type": "x", "event_id": 9223372036854775808}',
    "after a list": b'{"type": "x", "after": [1]}',
    "a number of 5000 digits": b'{"type": "x", "payload": ' + b"9" * 5000 + b"}",
    "NaN": b'{"type": "x", "payload": NaN}',
    "Infinity": b'{"type": "x", "payload": [-Infinity]}',
    "a key twice": b'{"type": "x", "type": "y"}',
    "a key twice inside": b'{"type": "x", "payload": {"a": 1, "a": 2}}',
    "nested too deeply": b'{"type": "x", "payload": ' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "larger than 128 KiB": json.dumps({"type": "x", "payload": "y" * datagrams.MAX_DATAGRAM}).encode(),
    "a notification without a topic": b'{"bell": null}',
    "a notification for nothing known": b'{"bell": "doom"}',
    "a notification for minus one": b'{"bell": "jobs", "count": -1}',
    "a notification for too many": b'{"bell": "jobs", "count": 1e3}',
    "a notification beyond 64 bits": b'{"bell": "jobs", "count": 99999999999999999999}',
    "a notification with a key of no list": b'{"bell": "jobs", "key": "video"}',
}


@contextmanager
def made(path: Path, kind: str) -> Iterator[None]:
    """Make something of this kind at a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM) as sock:
        if kind in ("live", "dead", "stream"):
            sock.bind(str(path))
        if kind == "stream":
            sock.listen()
        if kind == "dead":
            sock.close()
        if kind == "file":
            path.write_text("somebody's")
        if kind == "folder":
            path.mkdir()
        yield

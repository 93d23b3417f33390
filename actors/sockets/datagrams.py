"""The datagrams between processes of one host: their format and limits.

The format is that of the older engines (`{"type", "payload", "job_id"}`). `event_id` and `after` name mailbox rows, so
that a machine can tell which events it has seen and which it missed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...storage.names import name_fault
from ...storage.payload import dumps
from ...storage.strictjson import TooDeep, parse
from ..errors import MachineError
from .messages import EventMessage, Notification

if TYPE_CHECKING:
    from ...storage.mailbox import MailboxMessage

#: bytes; a larger message is not sent, and its receiver reads the mailbox row
MAX_DATAGRAM = 128 * 1024

#: characters
MAX_NAME = 256

#: topics of notifications: what waiting actions watch, and `mail` for events that no datagram announced
TOPICS = ("jobs", "done", "events", "machine", "mail")


class MalformedMessage(MachineError):
    """A datagram that is not a message; the text says why."""


class Stranger(MalformedMessage):
    """A datagram from another user, whatever it contains."""


#: one encoder for all messages: making one for each would take a third of the time
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False).encode


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the message as JSON bytes; values that JSON does not know are written as the store writes them."""
    try:
        text = _json(message)
    except (ValueError, TypeError, RecursionError):
        text = dumps(message)
    return text.encode("utf-8", "replace")


def decode(data: bytes, now_s: float) -> EventMessage | Notification:
    """Return the message in a datagram that arrived at `now_s`. Raises MalformedMessage."""
    if len(data) > MAX_DATAGRAM:
        raise MalformedMessage(f"larger than {MAX_DATAGRAM} bytes")
    try:
        message = parse(data.decode("utf-8"), around=1)
    except TooDeep as error:
        raise MalformedMessage(str(error)) from None
    except ValueError as error:
        raise MalformedMessage(f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise MalformedMessage(f"a JSON object is expected, not {type(message).__name__}")
    if "bell" in message:
        return _notification(message)
    job_id = message.get("job_id")
    return EventMessage(
        event_name(message.get("type")),
        _payload(message.get("payload")),
        None if job_id is None else _text(job_id, "job_id"),
        None if message.get("source") is None else _text(message["source"], "source"),
        now_s,
        _row_id(message.get("event_id"), "event_id"),
        _row_id(message.get("after"), "after"),
    )


def event_name(value: object) -> str:
    """Return the value if it can be the name of an event. Raises MalformedMessage."""
    if not isinstance(value, str) or not value.strip():
        raise MalformedMessage('"type" must be the name of an event')
    if len(value) > MAX_NAME or not value.isprintable():
        raise MalformedMessage(f'"type" must be printable and have at most {MAX_NAME} characters')
    return value


def datagram_of(event: MailboxMessage) -> dict[str, Any]:
    """Return the message that announces a mailbox row."""
    return {
        "type": event.type,
        "payload": event.payload,
        "job_id": event.job_id,
        "source": event.source,
        "event_id": event.id,
        "after": event.after,
    }


# Helpers


def _payload(value: Any) -> Any:
    """Return {} for None, and parse a string that holds a JSON object or list: senders of older engines rely on it."""
    if value is None:
        return {}
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            return parse(value)
    return value


def _text(value: object, key: str) -> str:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        text = str(value)
        fault = name_fault(text)
        if fault is None:
            return text
        raise MalformedMessage(f'"{key}" {fault}')
    raise MalformedMessage(f'"{key}" must be a string')


def _row_id(value: object, key: str) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63):
        return value
    raise MalformedMessage(f'"{key}" must be the id of a mailbox row')


def _notification(message: dict[str, Any]) -> Notification:
    topic, count, key = message["bell"], message.get("count", 1), message.get("key", [])
    if topic not in TOPICS or not isinstance(count, int) or not 0 < count < 2**31 or not isinstance(key, list):
        expected = f'{{"bell": {"|".join(TOPICS)}, "count": number, "key": [...]}}'
        raise MalformedMessage(f"a notification must have the form {expected}")
    return Notification(topic, count, tuple(part if isinstance(part, str) else None for part in key))

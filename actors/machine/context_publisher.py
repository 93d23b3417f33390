"""Stores a machine's context for the monitor: soon after it has changed, once a second at most."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...storage.contexts import ContextRow
from ...storage.masking import masked, masked_in
from ..definition.reserved_keys import JOB_KEYS
from .checkpoint import LEFT_OUT
from .messages import ContextDue

if TYPE_CHECKING:
    from ...storage.audit import Record
    from .dependencies import ProcessResources

#: seconds between two looks at the context of a machine
EVERY_S = 1.0

#: characters of JSON that are kept of one value, and of all values
MOST_OF_ONE, MOST = 8 * 1024, 64 * 1024

OWN = frozenset((*LEFT_OUT, JOB_KEYS))

_encode = json.JSONEncoder(
    separators=(",", ":")
).iterencode  # piece by piece, since only the beginning of a large value is needed


class ContextPublisher:
    """Publishes the context of one machine; used in the actor's thread.

    A change that comes too soon after the last look is published when ContextDue arrives, which `tell` puts into the
    actor's inbox. So the stored context is never older than EVERY_S, and a machine that does nothing gets no message.
    """

    def __init__(self, machine: str, resources: ProcessResources, tell: Callable[[Any], None]) -> None:
        self._machine = machine
        self._resources = resources
        self._tell = tell
        self._is_waiting = False
        self._next_s = 0.0
        self._shown = 0

    def look(self, context: Mapping[str, Any]) -> tuple[Record, ...]:
        """Return the record to store if the context has changed; no other thread may change its keys."""
        if self._is_waiting:
            return ()
        wait_s = self._next_s - time.monotonic()
        if wait_s <= 0:
            return self.last_look(context)
        self._is_waiting = True
        self._resources.timers.after(wait_s, lambda: self._tell(ContextDue()))
        return ()

    def due(self) -> None:
        """End the wait that `look` has begun."""
        self._is_waiting = False

    def last_look(self, context: Mapping[str, Any]) -> tuple[Record, ...]:
        """Do the same as `look`, without waiting."""
        self._next_s = time.monotonic() + EVERY_S
        text = shown(context)
        before, self._shown = self._shown, hash(text)
        return () if before == self._shown else (ContextRow(self._machine, text, self._resources.db.clock.now()),)


def shown(context: Mapping[str, Any]) -> str:
    """Return the text of a ContextRow: the values that are JSON, long ones cut."""
    values: list[str] = []
    cut: list[str] = []
    left_out, room = 0, MOST
    for key, value in context.items():
        if key in OWN:
            continue
        item = _item(key, value, cut) if room > 0 else None
        if item is None:
            left_out += 1
        else:
            values.append(item)
            room -= len(item)
    return f'{{"values":{{{",".join(values)}}},"cut":{json.dumps(cut)},"left_out":{left_out}}}'


# Helpers


def _item(key: Any, value: Any, cut: list[str]) -> str | None:
    """Return a key and its value as a member of a JSON object; None if the value is not JSON."""
    if not isinstance(key, str) or len(key) > MOST_OF_ONE:
        return None
    text = masked(value)[:MOST_OF_ONE] if isinstance(value, str) else _beginning(value)
    if text is None:
        return None
    name = masked(key)
    is_cut = len(value) > MOST_OF_ONE if isinstance(value, str) else len(text) > MOST_OF_ONE
    if is_cut:
        cut.append(name)
    if is_cut or isinstance(value, str):
        text = json.dumps(text[:MOST_OF_ONE])
    return f"{json.dumps(name)}:{text}"


def _beginning(value: Any) -> str | None:
    """Return the JSON of a value, or its beginning if that is longer than MOST_OF_ONE; None if it is not JSON."""
    pieces: list[str] = []
    size = 0
    try:
        for piece in _encode(masked_in(value)):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_OF_ONE:
                break
    except (TypeError, ValueError, RuntimeError):  # the last: an action that was cancelled still changes it
        return None
    return "".join(pieces)

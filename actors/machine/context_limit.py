"""The limit of a machine's context: an action that puts in more fails, and what it put there is taken out again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ...storage.masking import masked
from ..definition.reserved_keys import JOB_KEYS, RESERVED
from ..errors import MachineError

#: characters of JSON; what events and jobs bring does not count, since it has limits of its own
MOST = 16 * 1024 * 1024

#: seconds between two measurements of the whole context, and the same as a multiple of the time that the last one took
EVERY_S, REST = 1.0, 10

REMEDY = "write large results into a file and keep its path, or set what is done with to null"

_OWN_KEYS = frozenset((*RESERVED, JOB_KEYS))
_GROWING = frozenset((list, dict))
_encoded = json.JSONEncoder(skipkeys=True, ensure_ascii=False, default=repr).encode


class ContextFull(MachineError):
    """The results of an action do not fit into the context."""

    problem_kind = "context_full"


class Before(NamedTuple):
    """The context as it was before an action."""

    values: Mapping[str, Any]
    #: key, value and length of the lists and mappings, which an action may extend in place
    growing: Sequence[tuple[str, Any, int]]
    #: characters of JSON, exact if they were over MOST
    size: float


class ContextLimit:
    """The limit for one machine; used by the thread that runs its action.

    New values, and what lists and mappings of the context have grown by, are measured after each action. What an action
    adds deep within a value is noticed when the whole context is measured, and cannot be taken out again.
    """

    def __init__(self) -> None:
        #: size at the last measurement, plus what was added since
        self._size: float = math.inf
        self._next_s = 0.0

    def before(self, context: dict[str, Any], *, puts_back: bool) -> Before:
        """Return what `after` needs to undo an action.

        Raises ContextFull if the context is too large already, unless everything that the action does can be undone
        (`puts_back`).
        """
        if self._size > MOST:
            sizes = _sizes(context, context)
            self._size = sum(sizes.values())
            if self._size > MOST and not puts_back:
                raise ContextFull(f"it is not run, for the context holds {_described(sizes)}; {REMEDY}")
        growing = [(key, value, len(value)) for key, value in context.items() if type(value) in _GROWING]
        return Before(dict(context), growing, self._size)

    def after(self, context: dict[str, Any], before: Before) -> None:
        """Measure what an action, failed or not, has added; if it is too much, undo it and raise ContextFull.

        An action that takes something out of a list is accepted, since that cannot be undone.
        """
        self._size += _added(context, before)
        began_s = time.monotonic()
        if self._size <= MOST and began_s < self._next_s:
            return
        sizes = _sizes(context, context)
        self._size = sum(sizes.values())
        now_s = time.monotonic()
        self._next_s = now_s + max(EVERY_S, REST * (now_s - began_s))
        makes_room = any(len(value) < length for _, value, length in before.growing)
        if self._size > max(MOST, before.size) and not makes_room:
            _undo(context, before)
            self._size = size_of(context)
            left = "is not kept" if self._size <= MOST else "deep within its values cannot be taken out again"
            raise ContextFull(
                f"the context would hold {_described(sizes)}: what this action put there {left}; {REMEDY}"
            )


def size_of(context: Mapping[str, Any]) -> int:
    """Return the number of characters that the context has as JSON, without what events and jobs have brought."""
    return sum(_sizes(context, context).values())


# Helpers


def _sizes(context: Mapping[str, Any], keys: Collection[str]) -> dict[str, int]:
    job = context.get("current_job")
    data = job.get("data") if isinstance(job, dict) else None
    brought = data if isinstance(data, dict) else {}
    return {
        key: _length(key) + _length(context[key])
        for key in tuple(keys)
        if key not in _OWN_KEYS and brought.get(key, _OWN_KEYS) is not context[key]
    }


def _length(value: Any) -> int:
    """Return the length of a value's JSON; values that JSON does not know count as their repr() or not at all."""
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    try:
        return len(_encoded(value))
    except Exception:  # noqa: BLE001 - a circle, a repr() that fails, or an action that was cut off still changes it
        return 0


def _added(context: Mapping[str, Any], before: Before) -> int:
    """Return the size of new values, and of what lists and mappings have grown by."""
    values = before.values
    new = [key for key, value in context.items() if key not in values or values[key] is not value]
    added = sum(_sizes(context, new).values()) if new else 0
    for key, value, length in before.growing:
        is_kept = context.get(key) is value
        if is_kept and len(value) > length:
            newest = reversed(value.items() if isinstance(value, dict) else value)
            added += _length(list(islice(newest, len(value) - length)))
    return added


def _undo(context: dict[str, Any], before: Before) -> None:
    """Restore the keys that an action has set, and cut the lists and mappings that have grown."""
    values = before.values
    for key in [key for key in _sizes(context, context) if context[key] is not values.get(key, _OWN_KEYS)]:
        if key in values:
            context[key] = values[key]
        else:
            del context[key]
    for key, value, length in before.growing:
        is_kept = context.get(key) is value
        if is_kept and isinstance(value, list):
            del value[length:]
        elif is_kept:
            for added in list(value)[length:]:
                del value[added]


def _described(sizes: Mapping[str, int]) -> str:
    largest = max(sizes, key=lambda key: sizes[key])
    name = masked(str(largest))[:100]
    return f"{_mib(sum(sizes.values()))}, {_mib(sizes[largest])} of it in {name}, and may hold {_mib(MOST)}"


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"

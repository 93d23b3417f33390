"""How much a machine's context may hold: what an action puts in beyond that is taken out, and the action fails."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from .errors import MachineError
from .jobcontext import JOB_KEYS, RESERVED

#: about the characters of its JSON; values that an event or a job brings and the engine's own keys do not count
MOST = 16 * 1024 * 1024

#: seconds between two measurements of the whole as long as it fits, or so many times what the last one took
EVERY_S, REST = 1.0, 10

#: what each value counts beside its text
ITEM = 8

OURS = frozenset((*RESERVED, JOB_KEYS))
PLAIN = (int, float, bool, type(None))
REMEDY = "write large results into a file and keep its path, or set what is done with to null"


class ContextFull(MachineError):
    """An action's results do not fit into the context any more."""

    trouble = "context_full"


class ContextRoom:
    """One machine's; used by the thread that runs its action.

    Texts count at once; what else was added, be it deep within a value, counts when the whole is measured.
    """

    def __init__(self) -> None:
        #: at the last measurement, and the texts that came since
        self._size = 0
        self._next_s = 0.0
        # While it is over its bound: what it had before the action, and how many items its lists and mappings had
        self._had: int | None = None
        self._lengths: dict[str, int] = {}

    def before(self, context: dict[str, Any], *, puts_back: bool) -> dict[str, Any]:
        """What is there before an action, for `after`.

        Not `puts_back`: an action that may add to a value where it stands, which cannot always be undone. ContextFull,
        if so much has got in that way that it must not go on.
        """
        self._had = None
        if self._size > MOST:
            self._size = self._had = size_of(context)
            self._lengths = {key: len(value) for key, value in _put(context) if isinstance(value, (list, dict))}
            if self._had > 2 * MOST and not puts_back:
                raise ContextFull(f"it is not run, for the context holds {_shown(context)}; {REMEDY}")
        return dict(context)

    def after(self, context: dict[str, Any], before: Mapping[str, Any], stored: int | None) -> None:
        """An action has ended, well or not; ContextFull if it has added to what does not fit.

        `stored` is how many characters of text it has put there; None where it does not say.
        """
        self._size += _texts(context, before) if stored is None else stored
        began_s = time.monotonic()
        if self._size > MOST or began_s >= self._next_s:
            self._size = size_of(context)
            now_s = time.monotonic()
            self._next_s = now_s + max(EVERY_S, REST * (now_s - began_s))
            if self._size > MOST:
                self._refuse(context, before)

    # Helpers

    def _refuse(self, context: dict[str, Any], before: Mapping[str, Any]) -> None:
        """Undo what the action has done, if it has made the context larger."""
        if self._size <= (size_of(before) if self._had is None else self._had):
            return
        said = f"the context would hold {_shown(context)}, and may hold {_mib(MOST)}"
        for key in [key for key, value in _put(context) if value is not before.get(key, OURS)]:
            if key in before:
                context[key] = before[key]
            else:
                del context[key]
        for key, length in self._lengths.items() if self._had is not None else ():
            _cut(context.get(key), length)
        self._size = size_of(context)
        raise ContextFull(f"{said}: what this action put there is not kept; {REMEDY}")


def size_of(context: Mapping[str, Any]) -> int:
    """About the characters of the JSON of what actions have put there."""
    return _size([value for _, value in _put(context)])


def _put(context: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What is there beside the engine's own keys and those of the job."""
    job = context.get("current_job")
    data = job.get("data") if isinstance(job, dict) else None
    brought = data if isinstance(data, dict) else {}
    items = tuple(context.items())
    return [(key, value) for key, value in items if key not in OURS and value is not brought.get(key, OURS)]


def _size(value: Any) -> int:
    """Each list and mapping once, however often it is in there; objects of other kinds without what they refer to."""
    total, seen, stack = 0, set[int](), [value]
    while stack:
        item = stack.pop()
        total += ITEM
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, (dict, list, tuple, set, frozenset, deque)):
            if id(item) not in seen:
                seen.add(id(item))
                stack.extend(tuple(item))
                stack.extend(tuple(item.values()) if isinstance(item, dict) else ())
        elif not isinstance(item, PLAIN):
            total += sys.getsizeof(item)
    return total


def _texts(context: Mapping[str, Any], before: Mapping[str, Any]) -> int:
    return sum([len(text) for key, text in context.items() if type(text) is str and before.get(key) is not text])


def _cut(value: Any, length: int) -> None:
    """Take the newest items out of what a list or mapping has grown by."""
    if isinstance(value, list):
        del value[length:]
    while isinstance(value, dict) and len(value) > length:
        value.popitem()


def _shown(context: Mapping[str, Any]) -> str:
    key, value = max(_put(context), key=lambda item: _size(item[1]))
    return f"{_mib(size_of(context))}, {_mib(_size(value))} of it in {key}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"

"""How much a machine's context may hold: what an action puts in beyond that is taken out, and the action fails."""

from __future__ import annotations

import gc
import math
import resource
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from ...storage.hidden import masked
from ..definition.reserved_keys import JOB_KEYS, RESERVED
from ..errors import MachineError

#: about the characters of its JSON (in memory up to ten times that); what events and jobs bring does not count
MOST = 16 * 1024 * 1024

#: seconds between two measurements of the whole as long as it fits, or so many times what the last one took
EVERY_S, REST = 1.0, 10

#: bytes by which the process has grown since then, and which make the next one due at once
GROWN = 16 * 1024 * 1024

#: what each value counts beside its text, and each list or mapping beside its items
ITEM = 8

OURS = frozenset((*RESERVED, JOB_KEYS))
REMEDY = "write large results into a file and keep its path, or set what is done with to null"

CONTAINERS = (dict, list, tuple, set, frozenset, deque)
GROWING = frozenset((list, dict))

#: parts of a program, of which all refer to each other
OPAQUE = (type, ModuleType, FunctionType)

#: what values of these types count beside ITEM; many of a kind at once, for a list may have millions
PLAIN: Mapping[type, Callable[[Sequence[Any]], int]] = {
    **dict.fromkeys((str, bytes, bytearray), lambda texts: sum(map(len, texts))),
    int: lambda numbers: sum(map(int.bit_length, numbers)) // 8,
    **dict.fromkeys((float, bool, type(None)), lambda _: 0),
}


class ContextFull(MachineError):
    """An action's results do not fit into the context any more."""

    problem_kind = "context_full"


class Before(NamedTuple):
    """What there was before an action."""

    values: Mapping[str, Any]
    #: the lists and mappings among them, which may grow where they stand, with their keys and lengths
    growing: Sequence[tuple[str, Any, int]]
    #: the action only sets keys and adds to lists, all of which can be undone
    puts_back: bool


class ContextLimit:
    """One machine's; used by the thread that runs its action.

    New values, and what lists and mappings have grown by, count at once; what was added deep within a value counts when
    the whole is measured. No measurement goes on beyond the bound: none takes long.
    """

    def __init__(self) -> None:
        #: at the last measurement, and what came since
        self._size: float = math.inf
        self._next_s = 0.0
        self._next_peak = 0

    def before(self, context: dict[str, Any], *, puts_back: bool) -> Before:
        """What is there before an action, for `after`.

        Not `puts_back`: an action of which not everything can be undone. ContextFull, if there is no room for it.
        """
        if self._size > MOST:
            self._size = size_of(context)
            if self._size > MOST and not puts_back:
                raise ContextFull(f"it is not run, for the context holds {_shown(context)}; {REMEDY}")
        growing = [(key, value, len(value)) for key, value in context.items() if type(value) in GROWING]
        return Before(dict(context), growing, puts_back)

    def after(self, context: dict[str, Any], before: Before) -> None:
        """An action has ended, well or not; ContextFull if it has added to what does not fit."""
        added = _added(context, before)
        self._size += added
        began_s = time.monotonic()
        has_grown = not before.puts_back and _peak() >= self._next_peak
        if self._size > MOST or began_s >= self._next_s or has_grown:
            self._size = size_of(context)
            now_s = time.monotonic()
            self._next_s = now_s + max(EVERY_S, REST * (now_s - began_s))
            self._next_peak = _peak() + GROWN
            if self._size > MOST and not (before.puts_back and _makes_room(context, before, added)):
                self._refuse(context, before)

    def _refuse(self, context: dict[str, Any], before: Before) -> None:
        """Undo what the action has done, as far as that can be."""
        shown = _shown(context)
        for key in [key for key, value in _put(context, context) if value is not before.values.get(key, OURS)]:
            if key in before.values:
                context[key] = before.values[key]
            else:
                del context[key]
        for key, value, length in before.growing:
            if context.get(key) is value:
                _cut(value, length)
        self._size = size_of(context)
        left = "is not kept" if self._size <= MOST else "deep within its values cannot be taken out again"
        raise ContextFull(f"the context would hold {shown}: what this action put there {left}; {REMEDY}")


def size_of(context: Mapping[str, Any]) -> int:
    """About the characters of the JSON of what actions have put there; at least, where it is over MOST."""
    return _size([item for pair in _put(context, context) for item in pair])


# Helpers


def _put(context: Mapping[str, Any], keys: Iterable[str]) -> list[tuple[str, Any]]:
    """What there is under these keys, but for the engine's own and those of the job."""
    job = context.get("current_job")
    data = job.get("data") if isinstance(job, dict) else None
    brought = data if isinstance(data, dict) else {}
    found = [(key, context.get(key)) for key in tuple(keys) if key not in OURS]
    return [(key, value) for key, value in found if value is not brought.get(key, OURS)]


def _added(context: Mapping[str, Any], before: Before) -> int:
    """The size of new values with their keys, and of what lists and mappings have grown by."""
    values = before.values
    new = [key for key, value in context.items() if key not in values or values[key] is not value]
    texts, others = 0, list[Any]()
    for key, value in _put(context, new) if new else ():
        texts += 2 * ITEM + len(key) + (len(value) if type(value) is str else -ITEM)
        if type(value) is not str:
            others.append(value)
    for key, value, length in before.growing:
        if (grown := len(value) - length) > 0 and context.get(key) is values[key]:
            others += islice(reversed(value.items() if type(value) is dict else value), grown)
    return texts + (_size(others) if others else 0)


def _makes_room(context: Mapping[str, Any], before: Before, added: int) -> bool:
    """The action has taken out as much as it has put in, or shortened a list."""
    gone = [key for key, value in before.values.items() if context.get(key, OURS) is not value]
    taken = _size([item for pair in _put(before.values, gone) for item in pair])
    return added <= taken or any(len(value) < length for _, value, length in before.growing)


def _size(values: Sequence[Any], seen: set[int] | None = None) -> int:
    """Of these and all within them, each list, mapping and object once; no further than to where it is over MOST.

    Many of a kind at once: a list may have millions. An object of another kind counts with its attributes, but without
    those of objects of yet other kinds in these: it may be a client or a connection, from which a whole program can be
    reached.
    """
    total, seen = ITEM * len(values), set() if seen is None else seen
    stack: list[tuple[Sequence[Any], type | None]] = [(values, None)]
    while stack and total <= MOST:
        values, owner = stack.pop()
        for kind, some in _by_kind(values):
            if kind in PLAIN:
                total += PLAIN[kind](some)
            elif not issubclass(kind, OPAQUE):
                fresh = {id(item): item for item in some if id(item) not in seen}
                seen.update(fresh)
                total += _own(kind, fresh.values())
                if total > MOST:
                    return total
                if issubclass(kind, CONTAINERS):
                    stack += [(part, owner) for part in _within(kind, fresh.values())]
                elif owner in (None, kind):
                    stack.append((gc.get_referents(*fresh.values()), kind))
    return total


def _by_kind(items: Sequence[Any]) -> Collection[tuple[type, Sequence[Any]]]:
    kinds = set(map(type, items))
    if len(kinds) == 1:
        return ((kinds.pop(), items),)
    found = defaultdict[type, list[Any]](list)
    for item in items:
        found[type(item)].append(item)
    return found.items()


def _own(kind: type, some: Collection[Any]) -> int:
    """What they count without what is in their items."""
    if not issubclass(kind, CONTAINERS):
        return sum(map(sys.getsizeof, some))
    return ITEM * (len(some) + sum(map(len, some)) * (2 if issubclass(kind, dict) else 1))


def _within(kind: type, some: Collection[Any]) -> Iterator[Sequence[Any]]:
    """Their items, in tuples, since an action that was cut off may work on them still."""
    yield tuple(chain.from_iterable(some))
    if issubclass(kind, dict):
        yield tuple(chain.from_iterable([mapping.values() for mapping in some]))


def _cut(value: Any, length: int) -> None:
    """Take the newest items out of what a list or mapping has grown by."""
    if isinstance(value, list):
        del value[length:]
    while isinstance(value, dict) and len(value) > length:
        value.popitem()


def _peak() -> int:
    """Bytes that the process has had at most: what only comes and goes makes no measurement due."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _shown(context: Mapping[str, Any]) -> str:
    """How much it holds, as far as that is looked at, and which key has most of that."""
    seen, total, most, largest = set[int](), 0, 0, ""
    for key, value in _put(context, context):
        size = _size((key, value), seen)
        total += size
        if size > most:
            most, largest = size, masked(str(key))[:100]
        if total > 4 * MOST:
            break
    return f"at least {_mib(total)}, {_mib(most)} of it in {largest}, and may hold {_mib(MOST)}"


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"

"""Where parked machines wait for something to happen: a job, an event, another machine, a finished job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

Key = tuple[str | None, ...]

#: machine, state entry, index of the action
Place = tuple[str, int, int]


class Wait(NamedTuple):
    """One parked action."""

    topic: str
    key: Key
    #: has the action run again
    wake: Callable[[], None]


class WaitBoard:
    """All parked actions of a process, by topic.

    A watcher that looked before something happened and parks after it must not sleep through it: it takes the
    topic's `version` before it looks, and parking fails when that has moved on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[str, dict[Place, Wait]] = {}
        self._versions: dict[str, int] = {}

    def version(self, topic: str) -> int:
        """How often the topic has been rung since somebody first took an interest in it."""
        with self._lock:
            return self._versions.setdefault(topic, 0)

    def park(self, watch: Wait, place: Place, version: int) -> bool:
        """Wait for the topic; False, and not parked, when it was rung since `version`."""
        with self._lock:
            if self._versions.setdefault(watch.topic, 0) != version:
                return False
            self._watches.setdefault(watch.topic, {})[place] = watch
            return True

    def leave(self, topic: str, place: Place) -> None:
        """No longer wait there; harmless for a watch that was woken."""
        with self._lock:
            self._watches.get(topic, {}).pop(place, None)

    def notify(self, topic: str, key: Key = (), count: int | None = None, *, exact: bool = False) -> int:
        """Wake those who wait for it, the longest waiting first, at most `count`; how many were woken.

        `exact`: only those who wait for this very key.
        """
        if topic not in self._versions:
            return 0  # each transition rings, and mostly nobody has ever looked
        with self._lock:
            self._versions[topic] += 1
        return self._wake(topic, key, count, exact)

    def pass_on(self, topic: str, key: Key) -> None:
        """Wake the one that has waited longest for this very key: it is no news for those who look just now."""
        self._wake(topic, key, 1, True)

    def keys(self, topic: str) -> set[Key]:
        """What is waited for under a topic."""
        with self._lock:
            return {watch.key for watch in self._watches.get(topic, {}).values()}

    def _wake(self, topic: str, key: Key, count: int | None, exact: bool) -> int:
        with self._lock:
            watches = self._watches.get(topic, {})
            concerned = (
                place
                for place, watch in watches.items()
                if watch.key == key or (not exact and concerns(topic, watch.key, key))
            )
            due = list(islice(concerned, count))
            woken = [watches.pop(place) for place in due]
        for watch in woken:
            watch.wake()
        return len(woken)


def concerns(topic: str, watched: Key, rung: Key) -> bool:
    """Whether a bell for `rung` may end the wait for `watched`; an empty key is about everything.

    A job of a type concerns workers of that type and of none; where both name a machine type they must agree
    (semantics, "Store").
    """
    if not watched or not rung:
        return True
    if topic == "jobs":
        return all(None in pair or pair[0] == pair[1] for pair in zip(watched, rung, strict=False))
    return watched == rung

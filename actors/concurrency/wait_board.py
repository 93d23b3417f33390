"""Actions that wait for a notification: of a job, an event, another machine or a finished job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

Key = tuple[str | None, ...]


class Wait(NamedTuple):
    """One action that waits."""

    topic: str
    key: Key
    #: makes the action run again
    notify: Callable[[], None]


class WaitBoard:
    """All waiting actions of a process, by topic.

    An action must not miss a notification between its look and its wait. So it takes the topic's `version` before it
    looks, and `park` fails if the version has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: the waits of each topic, the longest waiting first
        self._waits: dict[str, dict[Wait, None]] = {}
        self._versions: dict[str, int] = {}

    def version(self, topic: str) -> int:
        """Return the number of notifications of a topic, counted from the first call of this method for it."""
        with self._lock:
            return self._versions.setdefault(topic, 0)

    def is_watched(self, topic: str) -> bool:
        """Return True if an action has ever looked at the topic; until then, notifications of it have no effect."""
        return topic in self._versions

    def park(self, wait: Wait, version: int) -> bool:
        """Wait for the topic; False, without waiting, if it was notified since `version`."""
        with self._lock:
            if self._versions.setdefault(wait.topic, 0) != version:
                return False
            self._waits.setdefault(wait.topic, {})[wait] = None
            return True

    def leave(self, wait: Wait) -> None:
        """Stop waiting; harmless for an action that was notified."""
        with self._lock:
            self._waits.get(wait.topic, {}).pop(wait, None)

    def notify(self, topic: str, key: Key = (), count: int | None = None, *, exact: bool = False) -> int:
        """Notify at most `count` actions that wait for the topic, the longest waiting first; return their number.

        With `exact`, only those that wait for this very key.
        """
        if not self.is_watched(topic):
            return 0
        with self._lock:
            self._versions[topic] += 1
        return self._notify(topic, key, count, exact)

    def pass_on(self, topic: str, key: Key) -> None:
        """Notify the action that has waited longest for this very key; the topic's version does not change."""
        self._notify(topic, key, 1, True)

    def keys(self, topic: str) -> set[Key]:
        """Return the keys of a topic for which actions wait."""
        with self._lock:
            return {wait.key for wait in self._waits.get(topic, {})}

    def _notify(self, topic: str, key: Key, count: int | None, exact: bool) -> int:
        with self._lock:
            waits = self._waits.get(topic, {})
            concerned = (wait for wait in waits if wait.key == key or (not exact and concerns(topic, wait.key, key)))
            chosen = list(islice(concerned, count))
            for wait in chosen:
                del waits[wait]
        for wait in chosen:
            wait.notify()
        return len(chosen)


def concerns(topic: str, watched: Key, notified: Key) -> bool:
    """Return True if a notification for the key `notified` concerns the key `watched`; an empty key means everything.

    A job of a type concerns workers of that type and workers without a type. If both name a machine type, these must be
    equal.
    """
    if not watched or not notified:
        return True
    if topic == "jobs":
        return all(None in pair or pair[0] == pair[1] for pair in zip(watched, notified, strict=False))
    return watched == notified

"""A problem that lasts: logged when it begins, once a minute while it lasts, and when it is over; and counted."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...storage.errors import StoreUnavailable

if TYPE_CHECKING:
    from ...storage.problem_kinds import ProblemKind
    from .counters import Counters

log = logging.getLogger(__name__)

#: seconds between two lines about the same outage
QUIET_S = 60.0


class RateLimit:
    """Limits how often a repeated event is logged; not thread-safe."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def due(self) -> bool:
        """Return True if a line may be logged now; then the next one may follow after QUIET_S."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + QUIET_S
        return True


class Outage:
    """One kind of outage of the process; thread-safe, since several threads meet the same outage."""

    def __init__(
        self,
        counters: Counters,
        kind: ProblemKind | None,
        what: str,
        meanwhile: Callable[[], str],
        kept: Callable[[], str] = str,
    ) -> None:
        """Log the outage as `what`, with the texts of `meanwhile` while it lasts, and of `kept` when it is over.

        `kind` is the kind of problem that is counted; None for the store, whose errors have their own kinds.
        """
        self._counters, self._kind = counters, kind
        self._what, self._meanwhile, self._kept = what, meanwhile, kept
        self._lock = threading.Lock()
        self._since_s: float | None = None
        self._met_s = self._over_s = 0.0
        #: the kind when the outage was last met, and the time at which that was counted
        self._lasting: ProblemKind | None = None
        self._counted_s = 0.0
        self._rate_limit = RateLimit()
        self._logged = False

    @property
    def lasts(self) -> bool:
        """True while the outage lasts."""
        return self._since_s is not None

    def met(self, error: object, began_s: float | None = None) -> None:
        """Note that the outage has begun or goes on; `error` says where, and what to do.

        `began_s` is the monotonic time at which the failed attempt began; a new outage lasts since then.
        """
        now_s = self._met_s = time.monotonic()
        with self._lock:
            if self._since_s is None:
                self._since_s = now_s if began_s is None else max(began_s, self._over_s)
                self._count(self._since_s, self._kind_of(error))
            self._count(now_s, self._kind_of(error))
            if not self._rate_limit.due():
                return
            self._logged = True
            for_s = now_s - self._since_s
        since = f" (for {for_s:.0f} s now)" if for_s >= 1 else ""
        log.error("%s%s: %s; %s", self._what, since, error, self._meanwhile())

    def over(self, began_s: float = math.inf) -> None:
        """Note that the outage, if there was one, is over.

        `began_s` is the monotonic time at which the successful attempt began; an outage that was met since goes on.
        """
        if self._since_s is None:
            return
        now_s = time.monotonic()
        with self._lock:
            if self._since_s is None or began_s < self._met_s:
                return
            since_s, self._since_s = self._since_s, None
            self._over_s = now_s
            logged, self._logged = self._logged, False
            self._count(now_s, None)
        if logged:
            after = f"over after {now_s - since_s:.1f} s"
            log.warning("%s: %s", self._what, "; ".join(filter(None, (after, self._kept()))))

    def _kind_of(self, error: object) -> ProblemKind:
        return self._kind or (error.problem_kind if isinstance(error, StoreUnavailable) else "database_failed")

    def _count(self, now_s: float, kind: ProblemKind | None) -> None:
        """Add the time since the last count to the kind that lasted, and count a new kind."""
        if self._lasting is not None:
            self._counters.lasted(self._lasting, now_s - self._counted_s)
        if kind is not None and kind != self._lasting:
            self._counters.add(kind)
        self._lasting, self._counted_s = kind, now_s

"""Cron expressions in a time zone, with daylight saving time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

FIELDS = "minute, hour, day of month, month, day of week"


class Cron:
    """An expression of five fields, or a shorthand such as @daily, in a time zone.

    Daylight saving time is handled as in Debian's cron. An expression with a fixed hour fires right after the hour that
    is skipped in spring, and once in the hour that comes twice in autumn. An expression with `*` as minute or hour
    follows elapsed time.
    """

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        """Parse the expression. Raise ValueError if it or the time zone is wrong."""
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        self.zone = zone_of(timezone)
        self._fields = _fields(self.expression)
        if self.after(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) is None:  # a leap year
            raise ValueError("there is no such day")

    def after(self, moment: float) -> float | None:
        """Return the first firing later than `moment` (epoch seconds); None if there is none in fifty years."""
        return next(self.firings(moment), None)

    def firings(self, moment: float) -> Iterator[float]:
        """Yield all firings later than `moment`, in order."""
        last = moment
        for firing in CronSim(self._fields, datetime.fromtimestamp(moment, self.zone)):
            at = firing.timestamp()
            if at > last:  # two firings of the skipped hour may move to the same moment
                last = at
                yield at

    def __str__(self) -> str:
        return f"{self.expression} {self.timezone}"


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of this name. Raise ValueError with a similar name if it is unknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    known = available_timezones()
    if not known:
        raise ValueError("this host has no time zones: install the package tzdata, of the system or from pip")
    from difflib import get_close_matches

    similar = get_close_matches(name, known, n=1)
    raise ValueError(f"did you mean {similar[0]}?" if similar else "write a name such as Europe/Helsinki, or UTC")


def _fields(expression: str) -> str:
    if expression.startswith("@"):
        if expression.lower() in SHORTHANDS:
            return SHORTHANDS[expression.lower()]
        raise ValueError(f"shorthands are {', '.join(SHORTHANDS)}")
    if len(expression.split()) != 5:
        raise ValueError(f"it has {len(expression.split())} fields, not five")
    try:
        CronSim(expression, datetime(2024, 1, 1))
    except CronSimError as error:
        raise ValueError(f"the {str(error).removeprefix('Bad ').replace('-', ' ')} is wrong") from None
    return expression

"""Runs one of the commands, and kills its own process with SIGKILL at a named point: `crashing.py POINT COMMAND ...`.

The real code runs; a function is wrapped from outside, so that no product code knows of it. POINT is
`MOMENT module:function HIT`, such as `committed storage.jobs:claim 3`: at the third time. A name that is gone is an
error.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from statemachine_engine.storage.engine.postgres import PostgresDialect
from statemachine_engine.storage.engine.sqlite import SqliteDialect

#: before the function; after it; before the COMMIT of the transaction that it worked in; after that COMMIT
MOMENTS = ("before", "after", "commit", "committed")

#: command -> the module whose main() it is
COMMANDS = {"statemachine": "run", "statemachine-db": "db.main"}

_thread = threading.local()
_lock = threading.Lock()


def arm(moment: str, place: str, hit: int) -> None:
    """Have the process killed when the moment comes for the `hit`-th time."""
    assert moment in MOMENTS, moment
    left = [hit]

    def strike() -> None:
        with _lock:
            left[0] -= 1
            if left[0] == 0:
                print(f"crashing at {moment} {place}", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

    owner, name = _found(place)
    if moment in ("before", "after"):
        _wrap(owner, name, **{moment: strike})
        return
    _wrap(owner, name, before=lambda: _thread.__dict__.update(inside=True, armed=True), after=_leave)
    for dialect in (SqliteDialect, PostgresDialect):
        _wrap(dialect, "begin", before=_begin)
        _wrap(dialect, "commit", **{"before" if moment == "commit" else "after": lambda: _if_armed(strike)})


def _leave() -> None:
    _thread.inside = False


def _begin() -> None:
    """Disarm the thread: a transaction that begins after the function has returned is another one."""
    if not getattr(_thread, "inside", False):
        _thread.armed = False


def _if_armed(strike: Callable[[], None]) -> None:
    if getattr(_thread, "armed", False):
        _thread.armed = False
        strike()


def _found(place: str) -> tuple[Any, str]:
    """Return the object that holds the function, and its name there."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(f"statemachine_engine.{module}")
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    assert callable(getattr(owner, name)), place
    return owner, name


def _wrap(
    owner: Any, name: str, *, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> None:
    function = getattr(owner, name)

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        before()
        result = function(*args, **kwargs)
        after()
        return result

    setattr(owner, name, wrapped)


def main() -> None:
    moment, place, hit = sys.argv[1].split()
    sys.argv = sys.argv[2:]
    arm(moment, place, int(hit))
    importlib.import_module(f"statemachine_engine.cli.{COMMANDS[sys.argv[0]]}").main()


if __name__ == "__main__":
    main()

"""A real exception raised in one of our threads while it waits."""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback

from .until import until

#: functions in which our threads wait: elsewhere the exception could strike while a lock is held, as none of ours does
WAITING = ("_take", "receive", "wait", "_readable")


class Crash(BaseException):
    """Nothing that anybody expects."""


def crash(name: str) -> None:
    """Raise Crash in the thread of this name; it comes as soon as that takes its next step in Python."""
    thread = until(lambda: next((thread for thread in threading.enumerate() if thread.name == name), None))
    assert thread.ident is not None
    ident = thread.ident
    if until(lambda: not thread.is_alive() or _waits(ident)) and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Crash))


def _waits(ident: int) -> bool:
    """But not for a thread that it starts: until that runs, Python may take one for the other."""
    frame = sys._current_frames().get(ident)
    names = [] if frame is None else [within.f_code.co_name for within, _ in traceback.walk_stack(frame)]
    return bool(names) and names[0] in WAITING and "start" not in names

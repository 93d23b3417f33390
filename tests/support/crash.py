"""A real exception raised in one of our threads while it waits."""

from __future__ import annotations

import ctypes
import sys
import threading

from .until import until

#: functions in which our threads wait: elsewhere the exception could strike while a lock is held, as none of ours does
WAITING = ("_take", "receive", "wait")


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
    frame = sys._current_frames().get(ident)
    return frame is not None and frame.f_code.co_name in WAITING

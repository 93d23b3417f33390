"""Signals that end a process, handed to a thread of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ending_signals(handle: Callable[[int], Any]) -> Iterator[None]:
    """`handle` is called for each SIGINT, SIGTERM and SIGHUP, in order; what the parent had us ignore stays ignored.

    Python runs a signal's handler in the main thread between two steps of it. One that arrives just before that thread
    begins to wait for a lock would be noticed only when the wait is over, which may be never; the byte that Python
    writes for it at once is not held up.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    wanted = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in wanted}
    outer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_carry, args=(reader, wanted, handle), name="sm-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(outer)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        thread.join(1)


def _carry(reader: int, wanted: list[signal.Signals], handle: Callable[[int], Any]) -> None:
    try:
        while numbers := os.read(reader, 64):
            for number in numbers:
                if number in wanted:
                    handle(number)
    finally:
        os.close(reader)

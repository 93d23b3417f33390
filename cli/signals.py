"""Signals that end a process, or ask what it is at, handed to a thread of their own."""

from __future__ import annotations

import faulthandler
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_signals(handle: Callable[[int], Any], report: Callable[[], Iterable[str]] = tuple) -> Iterator[None]:
    """`handle` is called for each SIGINT, SIGTERM and SIGHUP, in order; what the parent had us ignore stays ignored.

    So is a SIGHUP that is not the first: of a terminal that is closed, the kernel tells us, and the shell as well.
    SIGUSR1 writes all threads into the log, after what `report` has to say. SIGUSR2 writes them to stderr from within
    the interpreter, also where that is held up by a call into C and runs no Python any more.

    Python runs a signal's handler in the main thread between two steps of it. One that arrives just before that thread
    begins to wait for a lock would be noticed only when the wait is over, which may be never; the byte that Python
    writes for it at once is not held up.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    wanted = [s for s in (*END, signal.SIGUSR1) if signal.getsignal(s) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: None) for number in wanted}
    outer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_carry, args=(reader, wanted, handle, report), name="sm-signals", daemon=True)
    thread.start()
    stacks = _unwaiting_stderr()
    faulthandler.register(signal.SIGUSR2, stacks)
    try:
        yield
    finally:
        signal.set_wakeup_fd(outer)
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.unregister(signal.SIGUSR2)
        os.close(stacks)
        os.close(writer)
        thread.join(1)


def _unwaiting_stderr() -> int:
    """A descriptor of its own for stderr; a pipe or terminal that takes nothing refuses it what would not fit.

    Who writes to it has the interpreter stand still meanwhile, and with it whatever a further signal is to bring about.
    Files take all; the socket of a journal cannot be opened a second time.
    """
    own = sys.stderr.fileno()
    kind = os.fstat(own).st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{own}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(own)


def _carry(
    reader: int, wanted: list[signal.Signals], handle: Callable[[int], Any], report: Callable[[], Iterable[str]]
) -> None:
    is_ending = False
    try:
        while numbers := os.read(reader, 64):
            for number in numbers:
                if number == signal.SIGUSR1:
                    _dump(report)
                elif number in wanted and not (is_ending and number == signal.SIGHUP):
                    is_ending = True
                    handle(number)
    finally:
        os.close(reader)


def _dump(report: Callable[[], Iterable[str]]) -> None:
    from ..actors.runtime import thread_dump

    thread_dump.write(report)

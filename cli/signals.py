"""Hands signals that end or inspect a process to a thread of their own."""

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
    """Call `handle` in a separate thread for each SIGINT, SIGTERM and SIGHUP, within the block.

    Signals that the parent had ignored stay ignored. A SIGHUP after another ending signal is ignored: when a terminal
    closes, both the kernel and the shell send one. SIGUSR1 logs the lines of `report` and the stacks of all threads.
    SIGUSR2 writes the stacks to stderr from within the interpreter, which works also while a C call blocks it.

    Python runs signal handlers in the main thread between two instructions. A signal that arrives just before that
    thread waits for a lock would be handled only after the wait. The wakeup descriptor is written at once.
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
    """Return a new descriptor for stderr that never blocks if it is a pipe or a terminal.

    A blocking write would hold the interpreter, and no further signal could be handled. Files never block; the
    socket of a journal cannot be opened a second time, so it is only duplicated.
    """
    own = (sys.__stderr__ or sys.stderr).fileno()  # a caller may have replaced sys.stderr by a buffer
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

"""The format of the log: further lines of an entry are indented, so that no text can forge an entry."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...storage.names import escaped
from ..definition.secrets import SecretFilter
from .log_writer import LogWriter

log = logging.getLogger(__name__)

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


class LogLine(logging.Formatter):
    """Formats messages that may contain any text of machines and senders of events."""

    def __init__(self, fmt: str | None = FORMAT, datefmt: str | None = None) -> None:
        super().__init__(fmt, datefmt)

    def format(self, record: logging.LogRecord) -> str:
        first, *below = super().format(record).split("\n")
        return "\n".join([escaped(first), *(f"    {escaped(line)}" for line in below)])


@contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """Write the program's log to stderr, without secrets; all lines are written when the block is left.

    Warnings are logged too, and the tracebacks of threads that a user's code has started.
    """
    handler = LogWriter(2, sys.stderr.encoding)
    handler.setFormatter(LogLine())
    handler.addFilter(SecretFilter())
    logging.basicConfig(level=level, handlers=[handler])
    before, threading.excepthook = threading.excepthook, _log_crash
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        threading.excepthook = before
        handler.flush()


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_type is not SystemExit and crash.exc_value is not None:
        name = crash.thread.name if crash.thread is not None else "?"
        log.error("thread %s failed", name, exc_info=crash.exc_value)

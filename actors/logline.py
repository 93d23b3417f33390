"""Log lines that nobody can forge: of an entry with more than one, the further ones stand indented."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..storage.names import escaped
from .logwriter import LogWriter
from .secret import SecretFilter

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


class LogLine(logging.Formatter):
    """A formatter for whatever text machines and their senders put into messages."""

    def __init__(self, fmt: str | None = FORMAT, datefmt: str | None = None) -> None:
        super().__init__(fmt, datefmt)

    def format(self, record: logging.LogRecord) -> str:
        first, *below = super().format(record).split("\n")
        return "\n".join([escaped(first), *(f"    {escaped(line)}" for line in below)])


@contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """What the program's loggers have to say, no secret among it, and all of it before the block is left."""
    handler = LogWriter(2, sys.stderr.encoding)
    handler.setFormatter(LogLine())
    handler.addFilter(SecretFilter())
    logging.basicConfig(level=level, handlers=[handler])
    try:
        yield
    finally:
        handler.flush()

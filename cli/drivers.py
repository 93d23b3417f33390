"""Keeps peewee from loading database drivers that a command does not need.

Listings use peewee to compose SQL and never connect through it. Loading psycopg takes 230 of the 300 ms that peewee
needs, longer than a listing runs. Only our own commands do this: elsewhere a user's code may need the drivers.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DRIVERS = ("psycopg", "psycopg2", "psycopg2cffi", "pymysql")


@contextmanager
def without_drivers() -> Iterator[None]:
    """Hide drivers that are not loaded yet from imports of this thread, within the block."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _Hidden:
    """An import finder; it does not inherit from MetaPathFinder, which takes 9 ms to import."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in DRIVERS and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is hidden from this command", name=name)

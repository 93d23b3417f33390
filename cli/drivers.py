"""Keeps peewee from loading the database drivers that it looks for, where a command has no use for them.

It composes the SQL of listings and never connects; psycopg, where it is installed, is 230 of the 300 ms that peewee
takes to load, more than a listing takes to run. Only for our commands' processes: in others a user's own code may want
both.
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
    """For as long as the block lasts, imports of this thread find no driver that is not loaded already."""
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _Hidden:
    """Of the shape of a MetaPathFinder; that class itself is 9 ms away."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in DRIVERS and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)

"""Keeps peewee from loading database drivers that a command does not need.

Listings use peewee to compose SQL and never connect through it. Loading psycopg takes 230 of the 300 ms that peewee
needs, longer than a listing runs. Only our own commands do this: elsewhere a user's code may need the drivers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

DRIVERS = ("psycopg", "psycopg2", "psycopg2cffi", "pymysql")


@contextmanager
def without_drivers() -> Iterator[None]:
    """Hide drivers that are not loaded yet from imports within the block; a None makes Python report them missing."""
    modules = cast(dict[str, Any], sys.modules)
    hidden = [name for name in DRIVERS if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]

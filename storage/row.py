"""The base of rows as callers get them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class Row:
    """A dataclass that can be written as JSON."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

"""The version that is installed."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """As the package's metadata says it."""
    try:
        return metadata.version("statemachine-engine")
    except metadata.PackageNotFoundError:
        return "0"

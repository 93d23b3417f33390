"""The older engines' import path of the built-in actions, such as `BashAction`, for subclasses."""

from __future__ import annotations

from ..actors.actions.base import BaseAction
from ..actors.actions.registry import builtin, builtin_types


def __getattr__(name: str) -> type[BaseAction]:
    for action_type in builtin_types():
        if name.lower() == f"{action_type}_action".replace("_", ""):
            return builtin(action_type)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The older engines' import path of the action base class."""

from ..actors.actions.base import BaseAction

__all__ = ["BaseAction"]

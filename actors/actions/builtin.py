"""The base class of the built-in actions: it reads their configuration and stores their results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..definition.model import parse_duration
from ..definition.reserved_keys import RESERVED
from ..errors import ActionError
from ..jobs.job_context import current_job_id
from .base import BaseAction, Context

#: a value that still is a placeholder, because there was no value for it
LONE_PLACEHOLDER = re.compile(r"\{[^{}]+\}")
_YES = ("true", "1", "yes", "on")


class BuiltinAction(BaseAction):
    """An action that comes with the engine."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # True for all of our own; what a user's subclass does in addition must not be repeated.
        ours = cls.__module__.rpartition(".")[0] == __package__
        cls.waits_for_store = cls.puts_back = ours
        cls.fills = not ours or bool(cls.stores or cls.sets)

    def event(self, key: str, default: str) -> str:
        """Return the event name that a key gives, or the default if it is missing or empty."""
        return str(self.config.get(key) or default)

    def empty_event(self) -> str | None:
        """Return the event of a watch that found nothing: `empty:`, or its default."""
        if self.watch is None or not isinstance(self.events, Mapping) or "empty" not in self.events:
            return None
        return self.event("empty", str(self.events["empty"]))

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a yes/no value; the texts "true", "1", "yes" and "on" mean yes, since variables may be text."""
        value = self.config.get(key, default)
        return value.strip().lower() in _YES if isinstance(value, str) else bool(value)

    def text(self, key: str) -> str | None:
        """Return a key's value as text; None if it is missing or empty."""
        value = self.config.get(key)
        return None if value is None or value == "" else str(value)

    def names(self, key: str) -> list[str]:
        """Return a value that is one name, or a list of names, as a list."""
        value = self.config.get(key)
        return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]

    def whole(self, key: str, default: int | None = None) -> int | None:
        """Return a whole number, which may be written as text. Raises ActionError."""
        value = self.config.get(key)
        try:
            return default if value is None else int(str(value))
        except ValueError as error:
            raise ActionError(f"'{key}' has to be a whole number, not {value!r}") from error

    def duration_s(self, key: str, default_s: float) -> float:
        """Return a duration in seconds, given as a number or as text such as `1m30s`. Raises ActionError."""
        try:
            return parse_duration(self.config.get(key, default_s))
        except ValueError as error:
            raise ActionError(f"'{key}': {error}") from error

    def wait_s(self, key: str) -> float | None:
        """Return an optional duration in seconds; None if it is missing. Raises ActionError."""
        return None if self.config.get(key) is None else self.duration_s(key, 0)

    def job_id(self, context: Mapping[str, Any]) -> str:
        """Return the id in `job_id:`, or that of the current job. Raises ActionError."""
        job_id = current_job_id(context) if self.text("job_id") is None else str(self.required("job_id"))
        if job_id is None:
            raise ActionError("there is no current job, and no 'job_id' is given")
        return job_id

    def store(self, context: Context, key: str, default: str, value: Any) -> None:
        """Put a value into the context under the name that a key gives. Raises ActionError for a reserved name."""
        name = self.text(key) or default
        if name in RESERVED:
            raise ActionError(f"'{key}': {name} is reserved for the engine")
        context[name] = value

    def required(self, key: str) -> Any:
        """Return the value of a required key. Raises ActionError if it is missing."""
        value = self.config.get(key)
        if value is None or value == "":
            raise ActionError(f"'{key}' is required")
        if isinstance(value, str) and LONE_PLACEHOLDER.fullmatch(value):
            raise ActionError(f"'{key}': there is no value for {value}")
        return value


def shortened(text: str, most: int) -> str:
    """Return the text; if it is longer than `most`, its first characters and its length."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"

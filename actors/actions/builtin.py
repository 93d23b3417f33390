"""What the built-in actions share: reading their configuration and storing results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..definition.model import parse_duration
from ..definition.reserved_keys import RESERVED
from ..errors import ActionError
from ..jobs.job_context import current_job_id
from .base import BaseAction, Context

#: a value that consists of a placeholder still: there was nothing to fill it with
LONE_PLACEHOLDER = re.compile(r"\{[^{}]+\}")
_YES = ("true", "1", "yes", "on")


class BuiltinAction(BaseAction):
    """An action that comes with the engine."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # All of ours; what a user's subclass does beside may not be repeated.
        ours = cls.__module__.rpartition(".")[0] == __package__
        cls.waits_for_store = cls.puts_back = ours
        cls.fills = not ours or bool(cls.stores or cls.sets)

    def event(self, key: str, default: str) -> str:
        """The event name that the configuration gives for an outcome; a missing or empty one is the default."""
        return str(self.config.get(key) or default)

    def flag(self, key: str, default: bool = False) -> bool:
        """A yes/no value; texts such as "true", "1", "yes" and "on" count, since variables may arrive as text."""
        value = self.config.get(key, default)
        return value.strip().lower() in _YES if isinstance(value, str) else bool(value)

    def text(self, key: str) -> str | None:
        """A key's value as text; None where it is missing or empty."""
        value = self.config.get(key)
        return None if value is None or value == "" else str(value)

    def names(self, key: str) -> list[str]:
        """A value that is one name or a list of them."""
        value = self.config.get(key)
        return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]

    def whole(self, key: str, default: int | None = None) -> int | None:
        """A whole number, which may be written as text. Raises ActionError."""
        value = self.config.get(key)
        try:
            return default if value is None else int(str(value))
        except ValueError as error:
            raise ActionError(f"'{key}' has to be a whole number, not {value!r}") from error

    def duration_s(self, key: str, default_s: float) -> float:
        """A duration: seconds, or a text such as `1m30s`. Raises ActionError."""
        try:
            return parse_duration(self.config.get(key, default_s))
        except ValueError as error:
            raise ActionError(f"'{key}': {error}") from error

    def wait_s(self, key: str) -> float | None:
        """A duration that need not be given: None where it is not. Raises ActionError."""
        return None if self.config.get(key) is None else self.duration_s(key, 0)

    def job_id(self, context: Mapping[str, Any]) -> str:
        """The id that `job_id:` gives, else the current job's. Raises ActionError."""
        job_id = current_job_id(context) if self.text("job_id") is None else str(self.required("job_id"))
        if job_id is None:
            raise ActionError("there is no current job, and no 'job_id' is given")
        return job_id

    def store(self, context: Context, key: str, default: str, value: Any) -> None:
        """Puts a value into the context under the name that a key of the configuration gives. Raises ActionError."""
        name = self.text(key) or default
        if name in RESERVED:
            raise ActionError(f"'{key}': {name} is the engine's own")
        context[name] = value

    def required(self, key: str) -> Any:
        """The value of a key that has to be there. Raises ActionError."""
        value = self.config.get(key)
        if value is None or value == "":
            raise ActionError(f"'{key}' is required")
        if isinstance(value, str) and LONE_PLACEHOLDER.fullmatch(value):
            raise ActionError(f"'{key}': there is no value for {value}")
        return value


def shortened(text: str, most: int) -> str:
    """The text, or its first `most` characters and how long it is."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"

"""The `set_context` action: sets a value in the context."""

from __future__ import annotations

from ..errors import ActionError
from .base import Context
from .builtin import BuiltinAction


class SetContextAction(BuiltinAction):
    """Sets the value, which may be null, and causes `success`."""

    instant = True
    keys = {
        "key": "the context key",
        "value": "what to set it to, of any type",
        "success": "event afterwards (success)",
    }
    events = {"success": "success"}
    required_keys = ("key", "value")
    stores = {"key": ""}

    def execute(self, context: Context) -> str | None:
        self.required("key")
        if "value" not in self.config:
            raise ActionError("'value' is required")
        self.store(context, "key", "", self.config["value"])
        return self.event("success", "success")

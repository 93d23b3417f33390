"""The `add_to_list` action: appends to a list in the context."""

from __future__ import annotations

from ..errors import ActionError
from .base import Context
from .builtin import BuiltinAction


class AddToListAction(BuiltinAction):
    """Appends the value, to a new list if there is none, and causes `success`."""

    instant = True
    keys = {
        "list_key": "context key of the list (items)",
        "value": "what to append, of any type",
        "success": "event afterwards (success)",
    }
    events = {"success": "success"}
    required_keys = ("value",)
    stores = {"list_key": "items"}

    def execute(self, context: Context) -> str | None:
        if "value" not in self.config:
            raise ActionError("'value' is required")
        key = self.text("list_key") or "items"
        items = context.get(key) or []
        if not isinstance(items, list):
            raise ActionError(f"'{key}' is no list but {type(items).__name__}")
        self.store(context, "list_key", "items", [*items, self.config["value"]])
        return self.event("success", "success")

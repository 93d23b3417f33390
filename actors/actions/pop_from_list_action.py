"""The `pop_from_list` action: takes the first item of a list in the context."""

from __future__ import annotations

from collections.abc import Mapping

from ..jobs.job_context import put_job
from .base import Context
from .builtin import BuiltinAction


class PopFromListAction(BuiltinAction):
    """Stores the item and causes `item_popped`; `list_empty` if the list is empty or missing."""

    instant = True
    keys = {
        "list_key": "context key of the list (items)",
        "store_as": "context key for the item (item); current_job makes it the job in the context",
        "success": "event when there was an item (item_popped)",
        "empty": "event when there was none (list_empty)",
    }
    events = {"success": "item_popped", "empty": "list_empty"}
    stores = {"list_key": "items", "store_as": "item"}

    def execute(self, context: Context) -> str | None:
        key = self.text("list_key") or "items"
        items = context.get(key)
        if not isinstance(items, list) or not items:
            return self.event("empty", "list_empty")
        # A new list, since another variable may refer to the old one.
        item, context[key] = items[0], items[1:]
        if self.text("store_as") == "current_job" and isinstance(item, Mapping):
            put_job(context, item)
        else:
            self.store(context, "store_as", "item", item)
        return self.event("success", "item_popped")

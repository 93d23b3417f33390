"""The `log` action: a line for people, in the program's log and in the page's activity log."""

from __future__ import annotations

import logging

from ..placeholders.interpolation import text_of
from .base import Context
from .builtin import BuiltinAction, shortened

#: characters of a message, so that a large event fills neither the log nor the page
LONGEST = 20_000

_PYTHON_LEVELS = {
    "info": logging.INFO,
    "success": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "debug": logging.DEBUG,
    "critical": logging.CRITICAL,
}


class LogAction(BuiltinAction):
    """Logs a line, and causes no event unless `success:` names one."""

    instant = True
    keys = {
        "message": "the text",
        "level": "info (default), success, warning, error, debug or critical",
        "success": "event to fire afterwards (default: none)",
    }
    events = {"success": ""}
    value_kinds = {"level": tuple(_PYTHON_LEVELS)}

    def execute(self, context: Context) -> str | None:
        message = shortened(text_of(self.config.get("message", "No message")), LONGEST)
        level = str(self.config.get("level") or "info").lower()
        machine = self.get_machine_name(context)
        self.logger.log(_PYTHON_LEVELS.get(level, logging.INFO), "[%s] Action log: %s", machine, message)
        self.services.publish("activity_log", {"message": message, "level": level, "machine": machine})
        return self.event("success", "") or None

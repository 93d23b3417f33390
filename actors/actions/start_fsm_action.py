"""The `start_fsm` action: starts another machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ..errors import ActionError
from ..placeholders.interpolation import MISSING, resolve
from .base import Context
from .builtin import BuiltinAction

_ISOLATIONS = ("thread", "process")


class StartFsmAction(BuiltinAction):
    """Starts a machine in this runtime, or in a process of its own, and causes `success`.

    It ends with the machine that started it unless `detached: true`.
    """

    keys = {
        "yaml_path": "the machine's file",
        "machine_name": "its name",
        "context_vars": "what it gets of this context: `x`, `a.b.c` (as c) or `a.b as x`",
        "isolation": "thread (default) or process",
        "detached": "it goes on when this machine ends",
        "actions_dir": "its actions directory (default: this machine's)",
        "additional_args": "further options of the statemachine command, for a process",
        "store_pid": "appends the process id, or the name of a thread, to spawned_pids",
        "success": "event afterwards (success)",
    }
    events = {"success": "success"}
    value_kinds = {"isolation": ("thread", "process")}
    required_keys = ("yaml_path", "machine_name")
    sets = ("spawned_pids",)

    def execute(self, context: Context) -> str | None:
        started = self.services.spawn(
            Path(str(self.required("yaml_path"))),
            str(self.required("machine_name")),
            self._context_for_it(context),
            isolation=self._isolation(),
            detached=self.flag("detached"),
            actions_dir=Path(folder).expanduser() if (folder := self.text("actions_dir")) else None,
            additional_args=self._additional_args(),
        )
        if self.flag("store_pid"):
            context["spawned_pids"] = [*(context.get("spawned_pids") or []), started]
        return self.event("success", "success")

    def _isolation(self) -> str:
        isolation = self.text("isolation") or "thread"
        if isolation not in _ISOLATIONS:
            raise ActionError(f"'isolation' is {' or '.join(_ISOLATIONS)}, not '{isolation}'")
        return isolation

    def _additional_args(self) -> tuple[str, ...]:
        args = self.config.get("additional_args") or ()
        return tuple(shlex.split(args)) if isinstance(args, str) else tuple(str(arg) for arg in args)

    def _context_for_it(self, context: Context) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for spec in self.names("context_vars"):
            path, _, alias = (part.strip() for part in spec.partition(" as "))
            value = resolve(path, context)
            if value is MISSING:
                self.logger.warning("[%s] start_fsm: there is no '%s'", self.get_machine_name(context), path)
            else:
                values[alias or path.rpartition(".")[2]] = value
        return values

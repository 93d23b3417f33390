"""The seed engine's way to run one machine from a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statemachine_engine.actors.definition.loader import load
from statemachine_engine.actors.definition.model import Definition
from statemachine_engine.actors.runtime.runtime import Runtime


class StateMachineEngine:
    """One machine in a coroutine: `await load_config(path)`, then `await execute_state_machine()` until it has ended.

    The database, sockets and actions are those of the `statemachine` command started in the same folder.
    """

    def __init__(
        self, machine_name: str | None = None, actions_root: str | Path | None = None, *, db: str | Path | None = None
    ) -> None:
        self.machine_name = machine_name
        self.actions_root = actions_root
        self.current_state: str | None = None
        self._db = db
        self._definition: Definition | None = None

    async def load_config(self, yaml_path: str | Path) -> None:
        """Read the machine's file. Raise ConfigError with everything that is wrong with it."""
        self._definition = load(Path(yaml_path), machine_name=self.machine_name)
        self.machine_name = self._definition.machine_name
        self.current_state = self._definition.initial_state

    async def execute_state_machine(self, initial_context: Mapping[str, Any] | None = None) -> None:
        """Run the machine to its end; cancelling the coroutine stops it in order."""
        if self._definition is None:
            msg = "call load_config() first"
            raise RuntimeError(msg)
        runtime = Runtime(self._db, actions_dir=self.actions_root).start()
        try:
            machine = runtime.add(self._definition, self.machine_name, initial_context)
            while not machine.live.ended.is_set():
                await asyncio.to_thread(machine.live.ended.wait, 1.0)
                self.current_state = machine.state
        finally:
            await asyncio.to_thread(runtime.stop)

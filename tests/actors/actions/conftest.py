"""Actions run one by one, bound to the services of a real runtime over a store in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.actors.actions.registry import builtin
from statemachine_engine.actors.actions.services import Services
from statemachine_engine.actors.jobs.job_holder import JobHolder
from statemachine_engine.actors.runtime.runtime import Runtime
from statemachine_engine.storage.engine.database import Database

MACHINE = "tester"


@dataclass
class Bench:
    """Makes and executes built-in actions; `context` is the machine's."""

    services: Services
    context: dict[str, Any]

    @property
    def db(self) -> Database:
        return self.services.db

    def make(self, action_type: str, **config: Any) -> Any:
        action = builtin(action_type)(config)
        action.bind(self.services)
        return action

    def run(self, action_type: str, **config: Any) -> Any:
        return self.make(action_type, **config).execute(self.context)


@pytest.fixture
def bench(runtime: Runtime, tmp_path: Path) -> Bench:
    router, resources = runtime.router, runtime.resources
    job_holder = JobHolder(
        MACHINE, runtime.db, resources.incarnation,
        timers=resources.timers, wait_board=resources.wait_board, tell=lambda _: None,
        publish=resources.recorder.publish, notify=router.notify, lease_taken=runtime.maintenance.lease_taken,
    )  # fmt: skip
    services = router.services(MACHINE, job_holder, tmp_path, None)
    return Bench(services, {"machine_name": MACHINE, "current_state": "working"})


@pytest.fixture
def published(runtime: Runtime) -> Callable[[str], list[dict[str, Any]]]:
    """The payloads of what was published so far, by type."""
    events: list[dict[str, Any]] = []
    runtime.subscribe(events.append)
    return lambda type: [event["payload"] for event in events if event["type"] == type]

"""The objects that the actor of a machine uses: its own ones, and those that all machines of a process share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...storage.engine.database import Database
    from ..actions.services import Services
    from ..audit.recorder import Recorder
    from ..concurrency.timers import Timers
    from ..concurrency.wait_board import WaitBoard
    from ..definition.model import Outcome
    from ..jobs.job_holder import JobHolder
    from ..metrics.counters import Counters
    from ..processes.children import Children
    from .action_run import ActionExecutor, ActionRun
    from .status import MachineStatus
    from .worker_pool import WorkerPool


@dataclass(frozen=True, slots=True, eq=False)
class ProcessResources:
    """The objects that all machines of a process share."""

    db: Database
    #: identifies this run of the process
    incarnation: str
    #: prefix of the paths of control sockets
    control_prefix: str
    recorder: Recorder
    timers: Timers
    wait_board: WaitBoard
    worker_pool: WorkerPool
    children: Children
    counters: Counters
    #: runs of actions that worker threads are executing
    running_actions: dict[Future[None], ActionRun] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class MachineDependencies:
    """The objects that the runtime gives to the actor of one machine."""

    resources: ProcessResources
    status: MachineStatus
    job_holder: JobHolder
    action_executor: ActionExecutor
    #: returns the services of one run, with a new cancel token
    services: Callable[[], Services]
    #: stores the machine's status in the registry: running or failed
    report_status: Callable[[str], None]
    #: tells the runtime that the machine has ended
    ended: Callable[[Outcome | None], None]
    #: tells the runtime that the actor has crashed
    crashed: Callable[[], None]
    #: open while the inbox is short; the listener waits for it
    gate: threading.Event = field(default_factory=threading.Event)

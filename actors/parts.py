"""What a machine's actor is made of and leans on: its own parts, and those of the runtime that it shares."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..storage.clock import Clock
    from ..storage.database import Database
    from .definition import Outcome
    from .jobdesk import JobDesk
    from .recorder import Recorder
    from .run import Performer
    from .services import Services
    from .timers import Timers
    from .view import View
    from .watches import WatchBoard


@dataclass(slots=True, eq=False)
class Parts:
    """Handed to the actor by its runtime."""

    # Its own
    view: View
    desk: JobDesk
    performer: Performer
    #: makes the services of one run, with a cancel token of its own
    services: Callable[[], Services]
    #: tells the registry how the machine fares: running or failed
    fares: Callable[[str], None]
    #: tells the runtime that the machine is over
    ended: Callable[[Outcome | None], None]
    #: tells the runtime that the actor died of a bug
    crashed: Callable[[], None]

    # The runtime's
    db: Database
    clock: Clock
    incarnation: str
    recorder: Recorder
    timers: Timers
    board: WatchBoard
    executor: Executor

    #: open while the actor keeps up with its inbox; the listener waits for it
    gate: threading.Event = field(default_factory=threading.Event)

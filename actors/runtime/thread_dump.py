"""The stacks of all threads of this process, written into the log on SIGUSR1."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine
    from .runtime import Runtime

log = logging.getLogger(__name__)


def write(report: Callable[[], Iterable[str]] = tuple) -> None:
    """Log the report's lines and all threads with their stacks, as one entry."""
    try:
        text = "\n".join([*report(), *_threads()])
    except Exception:
        log.exception("the threads cannot be listed")
        return
    log.warning("SIGUSR1: state of this process\n%s", text)


def report_of(runtime: Runtime) -> Iterator[str]:
    """Yield a line for each machine that has not ended, and what waits in the process."""
    recorder, timers = runtime.resources.recorder, runtime.resources.timers
    yield f"{recorder.waiting} writes wait to be stored, {len(timers)} delays are under way"
    yield f"{len(runtime.resources.running_actions)} runs of actions in worker threads"
    for machine in runtime.machines():
        if not machine.live.ended.is_set():
            yield _line(machine)


def _line(machine: Machine) -> str:
    job = machine.dependencies.job_holder.current
    parts = (
        f"machine {machine.name}: {machine.status} in state {machine.state}",
        f"{machine.inbox_size} messages in its inbox",
        f"job {job.job_id}" if job is not None else "no job",
        f"stuck: {machine.stuck}" if machine.stuck else "",
    )
    return ", ".join(part for part in parts if part)


def _threads() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    for ident, frame in sorted(sys._current_frames().items(), key=lambda item: names.get(item[0], "")):
        if ident != own:
            yield f"thread {names.get(ident, ident)}:"
            yield "".join(traceback.format_stack(frame)).rstrip()

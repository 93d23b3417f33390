"""Report of a cancelled action that goes on: a thread cannot be ended, but the place where it stands can be named."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from types import FrameType

from ..concurrency import event_loop
from . import action_run

log = logging.getLogger(__name__)

#: seconds after the cancellation; in that time a command's process group has been killed
PATIENCE_S = 3.0

#: files of the callers of an action: the worker thread's and the event loop's
_CALLERS = (action_run.__file__, event_loop.__file__)


def report(run: action_run.ActionRun) -> None:
    """Log which action of a cancelled run goes on and where it stands, once; do nothing if the run has ended."""
    thread = run.thread
    if thread is None or run.reported_leaked:
        return
    run.reported_leaked = True
    log.warning(
        "%s: action %s in state %s was cancelled and goes on; it is at %s; its result will be thrown away",
        run.services.machine, run.action.type, run.state, position(thread),
    )  # fmt: skip


def position(thread: int) -> str:
    """Return the line of the action at which a thread stands, and the innermost line that it has called."""
    frames = [frame for frame in _frames(thread) if not _is_machinery(frame)]
    if not frames:
        return "an await that does not end"
    inner, outer = _place(frames[0]), _place(frames[-1])
    return inner if inner == outer else f"{outer}, in {inner}"


def _frames(thread: int) -> Iterator[FrameType]:
    """Yield the frames of a thread from the innermost outwards, up to the one that called the action."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename not in _CALLERS:
        yield frame
        frame = frame.f_back


def _is_machinery(frame: FrameType) -> bool:
    """Return True for a frame that drives coroutines."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("asyncio", "selectors")


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} ({code.co_name})"

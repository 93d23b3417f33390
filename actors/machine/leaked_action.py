"""A cancelled action that goes on: a thread cannot be ended, but where it stands can be told."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .action_run import ActionRun

log = logging.getLogger(__name__)

#: seconds after the cancellation; by then a command's process group has been killed
PATIENCE_S = 3.0

_ACTORS = Path(__file__).parents[1]


def tell(run: ActionRun) -> None:
    """Say once which action of a cancelled run goes on, and where it is; nothing where it has ended."""
    thread = run.thread
    if thread is None or run.told:
        return
    run.told = True
    log.warning(
        "%s: action %s in state %s was cancelled and goes on; it is at %s; its result will be thrown away",
        run.services.machine, run.action.type, run.state, position(thread),
    )  # fmt: skip


def position(thread: int) -> str:
    """Where a thread is: in which line of the action, and in which of what that calls."""
    frames = [frame for frame in _frames(thread) if not _is_machinery(frame)]
    if not frames:
        return "an await that does not end"
    inner, outer = _place(frames[0]), _place(frames[-1])
    return inner if inner == outer else f"{outer}, in {inner}"


def _frames(thread: int) -> Iterator[FrameType]:
    """From the innermost outwards, up to what called the action."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename != str(_ACTORS / "machine" / "action_run.py"):
        yield frame
        frame = frame.f_back


def _is_machinery(frame: FrameType) -> bool:
    """What drives a coroutine."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("asyncio", "selectors") or frame.f_code.co_filename == str(
        _ACTORS / "concurrency" / "event_loop.py"
    )


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} ({code.co_name})"

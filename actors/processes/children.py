"""The machines that a machine starts in processes of their own."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...storage.masking import masked
from ..errors import CommandNotStarted
from .child_process import STATEMACHINE, ChildProcess, how_it_ended

log = logging.getLogger(__name__)

#: seconds that a child has to stop before it is killed
GRACE_S = 12.0


class Children:
    """The child processes of a runtime; those that are not detached end with it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[ChildProcess, str] = {}

    def start(
        self, parent: str, path: Path, name: str, context: Mapping[str, Any], *, options: list[str], detached: bool
    ) -> int:
        """Run `statemachine path --machine-name name` with this interpreter and return its process id.

        Its output goes where ours goes. Context values that contain a secret are left out, because `ps` shows them.
        Raises CommandNotStarted.
        """
        command = [*STATEMACHINE, str(path), "--machine-name", name, *options]
        shown = {key: value for key, value in context.items() if not _has_secret(value)}
        if shown:
            command += ["--initial-context", json.dumps(shown, default=str)]
        child = ChildProcess(f"machine {name}", command, report=self._ended)
        with self._lock:
            if (problem := child.start()) is not None:
                raise CommandNotStarted(problem)
            if not detached:
                self._running[child] = parent
        return child.pid or 0

    def stop(self, parent: str | None = None) -> None:
        """Ask the children of a machine to stop; without `parent` ask all, and kill those that run after GRACE_S."""
        with self._lock:
            ending = [child for child, owner in self._running.items() if parent in (None, owner)]
        for child in ending:
            child.terminate()
        deadline_s = time.monotonic() + GRACE_S
        for child in ending if parent is None else ():
            if not child.wait(max(0.0, deadline_s - time.monotonic())):
                child.kill()

    def _ended(self, child: ChildProcess, code: Any) -> None:
        with self._lock:
            self._running.pop(child, None)
        level = logging.INFO if code == 0 else logging.WARNING
        log.log(level, "%s (pid %s) %s", child.label, child.pid, how_it_ended(code))


def _has_secret(value: Any) -> bool:
    text = json.dumps(value, default=str)
    return masked(text) != text

"""The shell commands that a system runs when it starts and stops."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..processes.child_process import how_it_ended

log = logging.getLogger(__name__)

#: seconds that one command may take
HOOK_S = 60.0


def run_hook(name: str, commands: Iterable[str], *, folder: Path, env: Mapping[str, str]) -> bool:
    """Run the commands of a hook one after another until one fails; return True if all succeeded."""
    return all(_run(name, command, folder, env) for command in commands)


def _run(name: str, command: str, folder: Path, env: Mapping[str, str]) -> bool:
    log.info("%s: %s", name, command)
    shell = ["/bin/sh", "-c", command]
    try:
        code = subprocess.run(
            shell, cwd=folder, env=env, stdin=subprocess.DEVNULL, timeout=HOOK_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        log.error("%s: not done after %g s: %s", name, HOOK_S, command)
        return False
    if code:
        log.error("%s %s: %s", name, how_it_ended(code), command)
    return code == 0

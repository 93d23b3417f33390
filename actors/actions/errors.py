"""The errors of loading actions."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from ..errors import ActionError, MachineError


class ActionLoadError(MachineError):
    """The error of an action file that yields no action class."""

    def __init__(self, action_type: str, reason: str, *, file: Path, line: int | None = None) -> None:
        self.action_type = action_type
        self.reason = reason
        self.file = file
        self.line = line
        place = f"{file}:{line}" if line else str(file)
        super().__init__(f"Could not load action '{action_type}': {reason} ({place})")


class UnknownAction(ActionLoadError):
    """The error of an action name that no file and no built-in action has."""

    def __init__(self, action_type: str, known: Iterable[str], folders: Iterable[Path]) -> None:
        self.action_type = action_type
        self.near = tuple(get_close_matches(action_type, sorted(known), n=3))
        self.reason = _unknown(action_type, self.near, tuple(folders))
        MachineError.__init__(self, f"Could not load action '{action_type}': {self.reason}")


def _unknown(action_type: str, near: tuple[str, ...], folders: tuple[Path, ...]) -> str:
    places = " and ".join([*(str(folder) for folder in folders), "the built-ins"])
    hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return f"no file {action_type}_action.py in {places}{hint}"


class HttpUnreachable(ActionError, ConnectionError):
    """The server of an HTTP request cannot be reached, or broke the connection off."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where} cannot be reached: {reason}")


class HttpTooLate(ActionError, TimeoutError):
    """An HTTP request was not answered within its time."""

    def __init__(self, where: str, timeout_s: float) -> None:
        super().__init__(f"{where} did not answer within {timeout_s:g} s")

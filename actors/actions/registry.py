"""Find the class of an action type, first in the user's actions directory, then among the built-in actions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from ..errors import Problem
from .base import BaseAction
from .custom import CustomFile, class_in
from .errors import UnknownAction

if TYPE_CHECKING:
    from ..definition.model import Definition

_SUFFIX = "_action.py"
#: folders that are searched at most, so that `actions_root: /` does not walk the whole disk
MOST_FOLDERS = 1000
_logger = logging.getLogger(__name__)


class ActionRegistry:
    """The action classes by type name, for one or more actions directories; thread-safe.

    A returned class does not change: an edited file counts from the next `find`, so for the next execution.
    """

    def __init__(self, *folders: Path | str) -> None:
        self.folders = tuple(Path(folder).expanduser().resolve() for folder in folders)
        self._lock = RLock()
        self._files: dict[str, CustomFile] = {}
        self._seen: dict[Path, int | None] = {}
        for folder in reversed(self.folders):
            if sys.path[:1] != [str(folder.parent)]:
                sys.path.insert(0, str(folder.parent))
        self._scan()

    def find(self, action_type: str) -> type[BaseAction]:
        """Return the class of an action type. Raises UnknownAction, or ActionLoadError with the import error."""
        if self.folders:
            with self._lock:
                if any(_changed_at(folder) != changed_at for folder, changed_at in self._seen.items()):
                    self._scan()
                if action_type in self._files:
                    return self._files[action_type].load()
        if action_type in builtin_types():
            return builtin(action_type)
        raise UnknownAction(action_type, self.types(), self.folders)

    def types(self) -> list[str]:
        """Return the sorted names of all custom and built-in actions."""
        with self._lock:
            return sorted({*self._files, *builtin_types()})

    def missing(self, definition: Definition) -> list[Problem]:
        """Return a warning for each action of the machine that does not exist; its file may still be added in time."""
        known = set(self.types())
        lists = [*(s.actions for s in definition.states.values()), *(t.actions for t in definition.transitions)]
        return [
            Problem(
                str(UnknownAction(spec.type, known, self.folders)), spec.mark.file, spec.mark.line, spec.mark.column,
                severity="warning",
            )
            for spec in chain.from_iterable(lists)
            if spec.type not in known and spec.mark is not None
        ]  # fmt: skip

    def keys_of(self, action_type: str) -> Mapping[str, str] | None:
        """Return the keys of a built-in action with their meaning; None for a custom or unknown one."""
        with self._lock:
            return None if action_type in self._files else keys_of(action_type)

    def _scan(self) -> None:
        seen: dict[Path, int | None] = {}
        found: dict[str, Path] = {}
        for root in self.folders:
            for path in _action_files(root, seen):
                name = path.name.removesuffix(_SUFFIX)
                if found.setdefault(name, path) is not path:
                    text = "Two files define the action '%s': %s is used, %s is not"
                    _logger.warning(text, name, found[name], path)
        known = self._files
        self._seen = seen
        self._files = {
            name: known[name] if name in known and known[name].path == path else CustomFile(name, path)
            for name, path in found.items()
        }


@cache
def builtin_types() -> frozenset[str]:
    """Return the names of the built-in actions without importing them."""
    here = Path(__file__).parent
    return frozenset(path.name.removesuffix(_SUFFIX) for path in here.glob(f"*{_SUFFIX}"))


@cache
def builtin(action_type: str) -> type[BaseAction]:
    """Return the class of a built-in action, which is imported on first use. Raises UnknownAction."""
    if action_type not in builtin_types():
        raise UnknownAction(action_type, builtin_types(), ())
    module = import_module(f".{action_type}_action", __package__)
    return class_in(module, action_type, Path(__file__).parent / f"{action_type}{_SUFFIX}")


def keys_of(action_type: str) -> Mapping[str, str] | None:
    """Return the keys of a built-in action with their meaning; None for any other action."""
    return builtin(action_type).keys if action_type in builtin_types() else None


def _action_files(folder: Path, seen: dict[Path, int | None], above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the action files of a folder and of its subfolders, sorted; put each folder's change time into `seen`."""
    real = folder.resolve()
    if real in above or folder in seen:
        return
    if len(seen) >= MOST_FOLDERS:
        _logger.warning("actions are not searched in %s and the folders after it: the limit is %d", folder, len(seen))
        return
    seen[folder] = _changed_at(folder)
    entries = _entries(folder)
    yield from (path for path in entries if path.name.endswith(_SUFFIX) and path.name != _SUFFIX and path.is_file())
    for path in entries:
        if path.is_dir() and not path.name.startswith((".", "__")):
            yield from _action_files(path, seen, above | {real})


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []  # the folder is missing or unreadable


def _changed_at(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None

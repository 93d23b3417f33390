"""Definitions and diagrams of machines, read from where the runtimes found them, or from the project's folder."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..actors.definition.loader import load
from ..actors.drawing import files
from ..actors.drawing.diagrams import DiagramSet
from ..actors.drawing.mermaid import mermaid
from ..actors.errors import MachineError

if TYPE_CHECKING:
    from ..actors.definition.model import Definition
    from ..storage.machines import MachineRow

log = logging.getLogger(__name__)

#: seconds after which a file is checked again
LOOK_AGAIN_S = 1.0
#: seconds until the project's folder is searched again for a configuration without a known path
SEARCH_AGAIN_S = 30.0
#: files and seconds after which such a search stops, because the folder may be a home directory
MOST_FILES, LONGEST_SEARCH_S = 2000, 1.0
SKIPPED = frozenset({"venv", "node_modules", "__pycache__", "site-packages"})
BLOCK = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


class Library:
    """Reads each file once, and again when it changes."""

    def __init__(self, project_root: Path) -> None:
        self.root = project_root
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[float, int | None, Definition | None]] = {}
        self._found: dict[str, tuple[float, Path | None]] = {}

    def definition_of(self, row: MachineRow) -> Definition | None:
        """Return the machine's definition; None if its file is gone or wrong."""
        metadata = row.metadata if isinstance(row.metadata, dict) else {}
        given = metadata.get("config_path")
        path = Path(given) if isinstance(given, str) and given else None
        if path is None or not path.is_file():
            path = self._search(row.config_type or row.machine_name)
        return None if path is None else self._definition(path)

    def group_of(self, row: MachineRow) -> str | None:
        """Return the group of the machine's current state."""
        definition = self.definition_of(row)
        state = definition.states.get(row.current_state or "") if definition else None
        return state.group if state else None

    def page_diagram(self, name: str, row: MachineRow | None) -> str | None:
        """Return the whole machine as Mermaid, from its Markdown page or drawn from its definition."""
        folder = self._folder(name, row)
        pages = [*(folder.glob("*_fsm.md") if folder else ())]
        if "/" not in name:
            pages.append(self.root / "docs" / f"{name}_fsm.md")
        for page in pages:
            if (text := _text(page)) and (block := BLOCK.search(text)):
                return block[1].strip()
        diagram_set = self._diagram_set(name, row)
        return mermaid(diagram_set.flow()).strip() if diagram_set else None

    def drawings(self, name: str, row: MachineRow | None) -> dict[str, str] | None:
        """Return the names and contents of the machine's `.mermaid` files and metadata.json."""
        folder = self._folder(name, row)
        if folder is not None and (metadata := _text(folder / files.METADATA)) is not None:
            found = {path.name: _text(path) or "" for path in folder.glob("*.mermaid")}
            return {**found, files.METADATA: metadata}
        diagram_set = self._diagram_set(name, row)
        return files.drawings(diagram_set) if diagram_set else None

    # Helpers

    def _folder(self, name: str, row: MachineRow | None) -> Path | None:
        root = self.root / "docs" / "fsm-diagrams"
        return files.find_folder(root, name, row.config_type if row else None) if root.is_dir() else None

    def _diagram_set(self, name: str, row: MachineRow | None) -> DiagramSet | None:
        definition = self.definition_of(row) if row else None
        if definition is None:
            path = self._search(name)
            definition = self._definition(path) if path else None
        return DiagramSet(definition) if definition else None

    def _search(self, name: str) -> Path | None:
        """Return the configuration below the project's folder whose file name or machine_name is `name`."""
        now_s = time.monotonic()
        with self._lock:
            searched_s, path = self._found.get(name, (float("-inf"), None))
            if now_s - searched_s <= SEARCH_AGAIN_S:
                return path
            if len(self._found) > MOST_FILES:
                self._found.clear()
            self._found[name] = (now_s, path)  # other threads do not wait for the search
        path = self._search_files(name, now_s + LONGEST_SEARCH_S)
        with self._lock:
            self._found[name] = (now_s, path)
        return path

    def _search_files(self, name: str, until_s: float) -> Path | None:
        paths = self._configurations(until_s)
        for path in paths:
            if path.stem == name:
                return path
        for path in paths:
            definition = self._definition(path)
            if definition is not None and definition.machine_name == name:
                return path
            if time.monotonic() > until_s:
                break
        return None

    def _configurations(self, until_s: float) -> list[Path]:
        paths: list[Path] = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
            paths += [Path(folder, name) for name in sorted(names) if name.endswith((".yaml", ".yml"))]
            if len(paths) > MOST_FILES or time.monotonic() > until_s:
                break
        return paths[:MOST_FILES]

    def _definition(self, path: Path) -> Definition | None:
        now_s = time.monotonic()
        with self._lock:
            looked_s, known_ns, definition = self._read.get(path, (float("-inf"), None, None))
        if now_s - looked_s < LOOK_AGAIN_S:
            return definition
        try:
            fresh = path.stat().st_mtime_ns
        except OSError:
            fresh = None
        if fresh != known_ns:
            definition = _load(path) if fresh is not None else None
        with self._lock:
            self._read[path] = (now_s, fresh, definition)
        return definition


def diagrams_of(drawings: dict[str, str]) -> dict[str, Any]:
    """Return the content of metadata.json; {} if it is no object."""
    try:
        metadata = json.loads(drawings[files.METADATA])
    except (KeyError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


# Helpers


def _load(path: Path) -> Definition | None:
    try:
        return load(path)
    except (MachineError, OSError, ValueError) as error:
        log.debug("%s is no machine: %s", path, error)
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None

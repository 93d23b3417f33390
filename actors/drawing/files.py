"""Name the files of a machine's diagrams, make their content, and find the files of an earlier run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .diagrams import DiagramSet
from .mermaid import mermaid

METADATA = "metadata.json"


def folder_name(machine_name: str) -> str:
    """Return the machine's folder below docs/fsm-diagrams: its name, with a prefix for `.` and `..`."""
    return f"_{machine_name}" if machine_name in (".", "..") else machine_name


def page_name(machine_name: str) -> str:
    """Return the name of the Markdown file in the machine's folder."""
    return f"{folder_name(machine_name)}_fsm.md"


def drawings(diagrams: DiagramSet) -> dict[str, str]:
    """Return the `.mermaid` files and metadata.json as a mapping from name to content."""
    files = {"main.mermaid": mermaid(diagrams.main())}
    for name, group_id in diagrams.group_ids.items():
        files[f"{group_id}.mermaid"] = mermaid(diagrams.group(name))
    files[METADATA] = json.dumps(diagrams.metadata(), indent=2, ensure_ascii=False) + "\n"
    return files


def leftovers(folder: Path, files: dict[str, str]) -> list[Path]:
    """Return the `.mermaid` files that an earlier run's metadata.json names and this run does not write."""
    diagrams = _metadata(folder).get("diagrams")
    entries = diagrams.values() if isinstance(diagrams, dict) else ()
    listed = {entry.get("file") for entry in entries if isinstance(entry, dict)}
    names = sorted(name for name in listed if isinstance(name, str) and name not in files)
    ours = [folder / name for name in names if name.endswith(".mermaid") and "/" not in name]
    return [path for path in ours if path.is_file()]


def find_folder(root: Path, machine_name: str, config_type: str | None = None) -> Path | None:
    """Return the folder with a machine's diagrams, or None.

    In this order: the folder of its own name; the first folder of its configuration, for machines that run under
    another name (start_fsm, --machine-name); the folder with the longest prefix of its name, as in the older engines
    (`telephony` for `telephony-CA1`).
    """
    own = root / folder_name(machine_name)
    if "/" not in machine_name and (own / METADATA).is_file():
        return own
    folders = sorted(path.parent for path in root.glob(f"*/{METADATA}"))
    for folder in folders:
        if config_type is not None and _metadata(folder).get("config_type") == config_type:
            return folder
    prefixes = [folder for folder in folders if machine_name.startswith(folder.name)]
    return max(prefixes, key=lambda folder: len(folder.name), default=None)


# Helpers


def _metadata(folder: Path) -> dict[str, Any]:
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}

"""Which files a machine's diagrams make up, and which of an older run they replace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .diagrams import DiagramSet
from .markdown import markdown
from .mermaid import mermaid

METADATA = "metadata.json"


def folder_name(machine_name: str) -> str:
    """The machine's folder below docs/fsm-diagrams: its name, unless that means a folder already."""
    return f"_{machine_name}" if machine_name in (".", "..") else machine_name


def page_name(machine_name: str) -> str:
    """The Markdown file in its folder."""
    return f"{folder_name(machine_name)}_fsm.md"


def page(atlas: DiagramSet, generated_from: str) -> str:
    """The content of that file."""
    return markdown(atlas, generated_from)


def drawings(atlas: DiagramSet) -> dict[str, str]:
    """Name -> content of the `.mermaid` files and of metadata.json."""
    files = {"main.mermaid": mermaid(atlas.main())}
    for name, group_id in atlas.group_ids.items():
        files[f"{group_id}.mermaid"] = mermaid(atlas.group(name))
    files[METADATA] = json.dumps(atlas.metadata(), indent=2, ensure_ascii=False) + "\n"
    return files


def leftovers(folder: Path, files: dict[str, str]) -> list[Path]:
    """The `.mermaid` files that an earlier run's metadata.json names and this one has no use for."""
    listed = {entry.get("file") for entry in _entries(_metadata(folder))}
    names = sorted(name for name in listed if isinstance(name, str) and name not in files)
    return [folder / name for name in names if _is_ours(name) and (folder / name).is_file()]


def find_folder(root: Path, machine_name: str, config_type: str | None = None) -> Path | None:
    """The folder with a machine's diagrams: its own, that of its configuration, or the longest prefix of its name.

    The second serves machines that run under another name than their configuration's, such as those of start_fsm and
    --machine-name; of several such folders the first by name. The third is what the older engines did (`telephony` for
    `telephony-CA1`).
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


def _entries(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    diagrams = metadata.get("diagrams")
    yield from (entry for entry in (diagrams.values() if isinstance(diagrams, dict) else ()) if isinstance(entry, dict))


def _is_ours(name: str) -> bool:
    return name.endswith(".mermaid") and "/" not in name

"""Mermaid and Graphviz themselves, run in Node: what they make of the diagrams that we write.

`npm install` puts them into a cache folder once for each machine and version; tests that need them are skipped where
that fails, and fail under CI.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest

PROGRAM = Path(__file__).parent / "mermaid"
INSTALL_S, READ_S = 300, 300

Kind = Literal["mermaid", "dot"]
Depth = Literal["parse", "structure", "render"]


@dataclass(frozen=True)
class Reading:
    """The result of a reader; `error` is its message."""

    error: str | None
    labels: dict[str, str]
    """Node id -> label."""
    edges: list[tuple[str, str, str]]
    parents: dict[str, str | None]


def read(texts: Iterable[str], kind: Kind = "mermaid", depth: Depth = "structure") -> list[Reading]:
    """Read all texts in one Node process.

    "parse" only says what is wrong, "structure" gives nodes and edges, "render" goes on to an SVG without real sizes.
    """
    wanted = json.dumps([{"kind": kind, "text": text, "depth": depth} for text in texts])
    done = subprocess.run(
        ["node", str(PROGRAM / "check.mjs"), str(_modules())],
        input=wanted, capture_output=True, text=True, encoding="utf-8", timeout=READ_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [_reading(answer) for answer in json.loads(done.stdout)]


def complaints(texts: Iterable[str], kind: Kind = "mermaid", depth: Depth = "parse") -> list[str]:
    """Return the texts that a reader refuses, each with its message."""
    texts = list(dict.fromkeys(texts))
    readings = read(texts, kind, depth)
    return [f"{r.error}\n{text}" for r, text in zip(readings, texts, strict=True) if r.error is not None]


# Helpers


def _reading(answer: dict[str, Any]) -> Reading:
    nodes = answer.get("nodes", [])
    return Reading(
        answer.get("error"),
        {node["id"]: node["label"] for node in nodes},
        [(source, target, label) for source, target, label in answer.get("edges", [])],
        {node["id"]: node["parent"] for node in nodes},
    )


def _modules() -> Path:
    """Return the folder with node_modules in it. Skip the test where it cannot be installed."""
    folder, problem = _installed()
    if problem and os.environ.get("CI"):
        pytest.fail(f"CI needs Node with Mermaid and Graphviz: {problem}")
    if problem:
        pytest.skip(f"no Mermaid: {problem}")
    return folder


@cache
def _installed() -> tuple[Path, str]:
    """(folder, why it cannot be used). The tests' processes wait for the one that installs."""
    manifest = (PROGRAM / "package.json").read_bytes()
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache_home / "statemachine-engine-tests" / f"readers-{sha256(manifest).hexdigest()[:12]}"
    if not (shutil.which("node") and shutil.which("npm")):
        return folder, "node and npm are not on PATH (Debian: apt-get install nodejs npm)"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "ready").exists():
            return folder, ""
        (folder / "package.json").write_bytes(manifest)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode != 0:
            return folder, f"npm install: {done.stderr.strip()[-500:]}"
        (folder / "ready").touch()
    return folder, ""

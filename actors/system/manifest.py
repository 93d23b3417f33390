"""The manifest of a system: its machines, their order, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...storage.engine.database import URL_VARIABLE, resolve_url
from ..definition.loader import load
from ..definition.model import Mark
from ..errors import ConfigError, Problem

Policy = Literal["on-failure", "always", "never"]


@dataclass(frozen=True, slots=True)
class Restart:
    """The reaction to a machine that fails, or whose process dies."""

    policy: Policy = "on-failure"
    delay_s: float = 0.25
    max_delay_s: float = 30.0
    crashes: int = 5
    within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of a system."""

    name: str
    config: Path
    context: Mapping[str, Any] = field(default_factory=dict, hash=False)
    actions_dir: Path | None = None
    depends_on: tuple[str, ...] = ()
    """Names of members."""
    auto: bool = True
    """It starts with the system."""
    restart: Restart = Restart()
    mark: Mark = Mark("")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A whole system; all paths are absolute."""

    source: Path
    project: str
    db: str | None
    logs_dir: Path
    processes: int
    ports: Mapping[str, int]
    grace_s: float
    hooks: Mapping[str, tuple[str, ...]]
    members: tuple[Member, ...]
    """In the order in which they can start."""
    warnings: tuple[Problem, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the manifest, where relative paths begin and the machines run."""
        return self.source.parent

    def named(self, name: str) -> list[Member]:
        """Return the member of this name, or all instances of it."""
        exact = [member for member in self.members if member.name == name]
        return exact or [member for member in self.members if base_of(member.name) == name]

    @property
    def placement(self) -> dict[str, int]:
        """The number of each machine's process, from 1; machines are distributed in turn."""
        return {member.name: place % self.processes + 1 for place, member in enumerate(self.members)}

    def db_url(self, given: str | None, environ: Mapping[str, str]) -> str:
        """Return the database as a URL with an absolute path.

        The order is: `given`, the manifest, the environment, the default path.
        """
        if given or (not self.db and environ.get(URL_VARIABLE)):
            return _absolute(given or environ[URL_VARIABLE], Path.cwd())
        return _absolute(self.db or "data/pipeline.db", self.folder)


def check_configs(manifest: Manifest) -> list[Problem]:
    """Load every machine's file and return the warnings. Raises ConfigError with the problems of all files."""
    from ..actions.registry import ActionRegistry

    problems: list[Problem] = []
    warnings: list[Problem] = []
    for config, actions_dir in dict.fromkeys((member.config, member.actions_dir) for member in manifest.members):
        try:
            registry = ActionRegistry(*([actions_dir] if actions_dir else []))
            warnings += load(config, known_keys=registry.keys_of).warnings
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems, warnings)
    return warnings


def base_of(name: str) -> str:
    """Return the name that a machine shares with its other instances, or its own name."""
    stem, _, number = name.rpartition("_")
    return stem if len(number) >= 3 and number.isdigit() else name


# Helpers


def _absolute(url: str, folder: Path) -> str:
    resolved = resolve_url(url)
    prefix = "sqlite:///"
    if not resolved.startswith(prefix) or resolved == f"{prefix}:memory:":
        return resolved
    return prefix + str((folder / resolved.removeprefix(prefix)).absolute())

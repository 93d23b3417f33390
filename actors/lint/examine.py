"""Examine a file: report what the loader reports, then, if the file can be loaded, run every check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from types import FunctionType

from ..actions.registry import ActionRegistry
from ..definition.loader import load_text
from ..definition.problems import Problems
from ..definition.yaml_nodes import compose, read_text
from ..errors import ConfigError, MachineError
from . import actioncheck, endings, events, loops, paths, placeholders, retries, transitions, values
from .finding import LintFinding, Report
from .subject import Subject

Check = Callable[[Subject], Iterable[LintFinding]]

_MODULES = (endings, paths, transitions, events, loops, actioncheck, values, retries, placeholders)

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in _MODULES
    for name, check in vars(module).items()
    if isinstance(check, FunctionType) and check.__module__ == module.__name__ and not name.startswith("_")
)
"""Every public function of these modules is a check."""


def examine(path: Path, actions_dir: Path | None = None) -> Report:
    """Examine a file, which need not exist, and return all findings."""
    try:
        text = read_text(path, Problems())
    except ConfigError as error:
        return _report(str(path), "", map(LintFinding.of, error.problems))
    return examine_text(text, str(path), actions_dir)


def examine_text(text: str, file: str = "<string>", actions_dir: Path | None = None) -> Report:
    """Examine a text and return all findings; `file` is its name in them."""
    registry = ActionRegistry(*_folders(text, file, actions_dir))
    try:
        definition = load_text(text, file, known_keys=lambda kind: _known_keys(kind, registry))
    except ConfigError as error:
        return _report(file, text, map(LintFinding.of, (*error.problems, *error.warnings)))
    subject = Subject(definition, compose(text, file, Problems()), registry, text.splitlines())
    findings = [finding for check in CHECKS for finding in check(subject)]
    return _report(file, text, [*map(LintFinding.of, definition.warnings), *findings])


def _report(file: str, text: str, findings: Iterable[LintFinding]) -> Report:
    return Report(
        file,
        tuple(sorted(set(findings), key=attrgetter("line", "column", "code", "message"))),
        tuple(text.splitlines()),
    )


def _folders(text: str, file: str, actions_dir: Path | None) -> list[Path]:
    """Return the folders of custom actions: the one given, then the one that the file names."""
    try:
        root = compose(text, file, Problems()).get("actions_root")
    except ConfigError:
        root = None
    named = [Path(file).parent / Path(root.text).expanduser()] if root is not None and root.text else []
    return [folder for folder in (actions_dir, *named) if folder is not None]


def _known_keys(action_type: str, registry: ActionRegistry) -> Mapping[str, str] | None:
    """Return the keys of a built-in action, or of a custom one that declares them; None if they are not known."""
    known: Mapping[str, str] | None = registry.keys_of(action_type)
    if known is not None or action_type not in registry.types():
        return known
    try:
        return registry.find(action_type).keys or None
    except MachineError:
        return None

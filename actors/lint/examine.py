"""Examines a file: what the loader says, then, where it can be loaded, every check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ..actions.registry import ActionRegistry
from ..definition.loader import load_text
from ..definition.problems import Problems
from ..definition.yaml_nodes import compose, read_text
from ..errors import ConfigError, MachineError
from .actioncheck import CHECKS as OF_ACTIONS
from .endings import CHECKS as OF_ENDINGS
from .events import CHECKS as OF_EVENTS
from .finding import LintFinding, Report
from .loops import CHECKS as OF_LOOPS
from .paths import CHECKS as OF_PATHS
from .placeholders import CHECKS as OF_PLACEHOLDERS
from .retries import CHECKS as OF_RETRIES
from .subject import Subject
from .transitions import CHECKS as OF_TRANSITIONS
from .values import CHECKS as OF_VALUES

Check = Callable[[Subject], Iterable[LintFinding]]

CHECKS: tuple[Check, ...] = (
    *OF_ENDINGS,
    *OF_PATHS,
    *OF_TRANSITIONS,
    *OF_EVENTS,
    *OF_LOOPS,
    *OF_ACTIONS,
    *OF_VALUES,
    *OF_RETRIES,
    *OF_PLACEHOLDERS,
)


def examine(path: Path, actions_dir: Path | None = None) -> Report:
    """Everything that can be said about a file, which need not exist."""
    try:
        text = read_text(path, Problems())
    except ConfigError as error:
        return _report(str(path), "", map(LintFinding.of, error.problems))
    return examine_text(text, str(path), actions_dir)


def examine_text(text: str, file: str = "<string>", actions_dir: Path | None = None) -> Report:
    """Everything that can be said about a text; `file` stands for where it comes from."""
    registry = ActionRegistry(*_folders(text, file, actions_dir))
    try:
        definition = load_text(text, file, known_keys=lambda kind: _known_keys(kind, registry))
    except ConfigError as error:
        return _report(file, text, map(LintFinding.of, (*error.problems, *error.warnings)))
    subject = Subject(definition, compose(text, file, Problems()), registry, text.splitlines())
    found = [finding for check in CHECKS for finding in check(subject)]
    return _report(file, text, [*map(LintFinding.of, definition.warnings), *found])


def _report(file: str, text: str, findings: Iterable[LintFinding]) -> Report:
    return Report(file, tuple(sorted(set(findings), key=_order)), tuple(text.splitlines()))


def _order(finding: LintFinding) -> tuple[int, int, str, str]:
    return finding.line, finding.column, finding.code, finding.message


def _folders(text: str, file: str, actions_dir: Path | None) -> list[Path]:
    """Where custom actions are looked for: the folder given, then the one that the file names."""
    try:
        root = compose(text, file, Problems()).get("actions_root")
    except ConfigError:
        root = None
    named = [Path(file).parent / Path(root.text).expanduser()] if root is not None and root.text else []
    return [folder for folder in (actions_dir, *named) if folder is not None]


def _known_keys(action_type: str, registry: ActionRegistry) -> Mapping[str, str] | None:
    """The keys of a built-in action, and of a custom one that declares them."""
    known: Mapping[str, str] | None = registry.keys_of(action_type)
    if known is not None or action_type not in registry.types():
        return known
    try:
        return registry.find(action_type).keys or None
    except MachineError:
        return None

"""Load action classes from a user's Python files, and load changed files again."""

from __future__ import annotations

import sys
import traceback
from hashlib import sha1
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from inspect import isabstract
from pathlib import Path
from types import CodeType, ModuleType

from .base import BaseAction
from .errors import ActionLoadError


class CustomFile:
    """One action file; `load` reads it again when its time or size has changed."""

    def __init__(self, action_type: str, path: Path) -> None:
        self.action_type = action_type
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._class: type[BaseAction] | None = None

    def load(self) -> type[BaseAction]:
        """Return the action class of the file in its current form. Raises ActionLoadError."""
        stamp = self._stamp_now()
        if self._class is None or stamp != self._stamp:
            self._class = None
            self._class = class_in(load_module(self.action_type, self.path), self.action_type, self.path)
            self._stamp = stamp
        return self._class

    def _stamp_now(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            raise ActionLoadError(self.action_type, str(error.strerror), file=self.path) from error
        return status.st_mtime_ns, status.st_size


def load_module(action_type: str, path: Path) -> ModuleType:
    """Run a file as a module of its own. Raises ActionLoadError with the file and line of the real error."""
    # The path is part of the name: two machines may use different files for one type.
    name = f"statemachine_custom_{sha1(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    loader = _UncachedLoader(name, str(path))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's file raises is reported as such
        del sys.modules[name]
        raise _import_failure(action_type, path, error) from error
    return module


def class_in(module: ModuleType, action_type: str, path: Path) -> type[BaseAction]:
    """Return the class named after the type, in any capitalisation, or the only action class of the module."""
    own = [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, BaseAction)
        and member.__module__ == module.__name__
        and not isabstract(member)
    ]
    wanted = f"{action_type}_action".replace("_", "").replace("-", "").lower()
    named = [member for member in own if member.__name__.replace("_", "").lower() == wanted]
    if named:
        return named[0]
    if len(own) == 1:
        return own[0]
    raise ActionLoadError(action_type, _no_class(action_type, own), file=path)


class _UncachedLoader(SourceFileLoader):
    """A loader that always compiles: the bytecode cache cannot tell two edits within one second apart."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _no_class(action_type: str, own: list[type[BaseAction]]) -> str:
    wanted = "".join(part[:1].upper() + part[1:] for part in action_type.replace("-", "_").split("_")) + "Action"
    if own:
        return f"none of its action classes is named {wanted}: {', '.join(member.__name__ for member in own)}"
    return f"it defines no class {wanted}(BaseAction) with an execute method"


def _import_failure(action_type: str, path: Path, error: BaseException) -> ActionLoadError:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return ActionLoadError(
            action_type, f"{type(error).__name__}: {error.msg}", file=Path(error.filename), line=error.lineno
        )
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user_code(frame.filename, path)]
    where = frames[-1] if frames else None
    return ActionLoadError(
        action_type, reason, file=Path(where.filename) if where else path, line=where.lineno if where else None
    )


def _is_user_code(filename: str, path: Path) -> bool:
    return filename == str(path) or Path(filename).is_relative_to(path.parent.parent)

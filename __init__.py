"""Event-driven state machines: YAML machines that run real jobs, from the shell and from Python.

Names load on first use (PEP 562), so that a command pays only for what it runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actors.actions.base import BaseAction as BaseAction
    from .actors.definition.loader import load as load
    from .actors.definition.model import Definition as Definition
    from .actors.definition.secrets import SecretFilter as SecretFilter
    from .actors.errors import ConfigError as ConfigError
    from .actors.runtime.job_queue import JobQueue as JobQueue
    from .actors.runtime.machine import Machine as Machine
    from .actors.runtime.machine import WaitTimeout as WaitTimeout
    from .actors.runtime.runtime import Runtime as Runtime
    from .storage.jobs import Job as Job

    __version__: str

_WHERE = {
    "BaseAction": ".actors.actions.base",
    "ConfigError": ".actors.errors",
    "Definition": ".actors.definition.model",
    "Job": ".storage.jobs",
    "JobQueue": ".actors.runtime.job_queue",
    "Machine": ".actors.runtime.machine",
    "Runtime": ".actors.runtime.runtime",
    "SecretFilter": ".actors.definition.secrets",
    "WaitTimeout": ".actors.runtime.machine",
    "load": ".actors.definition.loader",
}

__all__ = [
    "BaseAction",
    "ConfigError",
    "Definition",
    "Job",
    "JobQueue",
    "Machine",
    "Runtime",
    "SecretFilter",
    "WaitTimeout",
    "__version__",
    "load",
]


def _loaded(name: str) -> Any:
    """Return a public name, importing its module. Raise AttributeError for any other name."""
    if name == "__version__":
        from importlib.metadata import version  # takes longer to load than a short command to run

        value: Any = version("statemachine-engine")
    elif name in _WHERE:
        value = getattr(import_module(_WHERE[name], __name__), name)
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker that sees `__getattr__` accepts every misspelt name
    __getattr__ = _loaded


def __dir__() -> list[str]:
    return sorted(__all__)

"""Secrets: variables read from the environment or a file when a machine starts, and masked in every output."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...storage.masking import SHORTEST, is_anything_masked, mask, masked
from ..errors import ConfigError, Problem
from .model import Definition, Mark

log = logging.getLogger(__name__)

KEY = "secret"

FORM = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00\s][^\x00\r\n]*")
"""The notation of a secret's source."""

MOST_BYTES = 64 * 1024
_OTHERS = 0o077


class SecretMissing(Exception):
    """A secret cannot be read. The hint says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source of a secret; it stands in a definition's context in place of the value."""

    where: str
    """`env:NAME` or `file:PATH`."""
    mark: Mark

    def value(self, folder: Path) -> str:
        """Read the secret and mask it from now on. A path is relative to `folder`. Raise SecretMissing."""
        kind, _, place = self.where.partition(":")
        value = _from_environment(place) if kind == "env" else _from_file(folder / os.path.expanduser(place))
        if len(value) < SHORTEST:
            log.warning("the secret %s is shorter than %d characters: it cannot be masked", self.where, SHORTEST)
        mask(value)
        return value


class SecretFilter(logging.Filter):
    """A filter for a log handler: it masks secrets in the handler's lines and tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the secrets in the record. Return True, since no record is dropped."""
        if not is_anything_masked():
            return True
        record.msg, record.args = masked(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = masked(record.exc_text)
        return True


def sources_in(value: Any) -> Iterator[SecretSource]:
    """Yield every secret in the value of a variable of a definition."""
    if isinstance(value, SecretSource):
        yield value
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from sources_in(item)


def names_of(definition: Definition) -> frozenset[str]:
    """Return the variables of a machine that are secrets or contain one."""
    return frozenset(name for name, value in definition.context.items() if any(sources_in(value)))


def revealed(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the secret variables with their values: those given at the start, or read from their sources.

    Raise ConfigError with every secret that cannot be read.
    """
    folder = definition.source.parent if definition.source is not None else Path.cwd()
    problems: list[Problem] = []
    values = {}
    for name in names_of(definition):
        if name not in given:
            values[name] = _revealed(definition.context[name], folder, problems)
            continue
        values[name] = given[name]
        if isinstance(given[name], str):
            mask(given[name])
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return values


# Helpers


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # logging prints the arguments of such a record too
        return f"{record.msg} {record.args}"


def _revealed(value: Any, folder: Path, problems: list[Problem]) -> Any:
    if isinstance(value, Mapping):
        return {key: _revealed(item, folder, problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_revealed(item, folder, problems) for item in value]
    if not isinstance(value, SecretSource):
        return value
    try:
        return value.value(folder)
    except SecretMissing as error:
        mark = value.mark
        problems.append(Problem(str(error), mark.file, mark.line, mark.column, error.hint))
        return None


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        state = "empty" if value == "" else "not set"
        hint = f"start the machine with {name}=... in its environment"
        raise SecretMissing(f"the environment variable {name} is {state}", hint)
    return value


def _from_file(path: Path) -> str:
    try:
        # Opening a pipe in the usual way would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise SecretMissing(f"the secret's file {path} is not a regular file", "write the secret into a file")
            content = file.read(MOST_BYTES + 1)
        value = content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        message = f"the secret's file {path} cannot be read: {error.strerror}"
        raise SecretMissing(message, "create the file, readable by the user that runs the machine") from error
    except ValueError as error:
        raise SecretMissing(f"the secret's file {path} is not text", "write the secret into it as UTF-8") from error
    if not value or len(content) > MOST_BYTES:
        state = "longer than 64 KiB" if value else "empty"
        raise SecretMissing(f"the secret's file {path} is {state}", "write the secret, and nothing else, into it")
    if mode & _OTHERS:
        log.warning("the secret's file %s can be read by others than its owner: chmod 600 %s", path, path)
    return value

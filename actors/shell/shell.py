"""Shell commands whose values arrive as environment variables: the template refers to them within its own quoting.

So a value is one word wherever it stands, and never program text, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ..errors import MachineError
from ..placeholders.interpolation import Placeholder
from .holes import CommandTaints, PlaceholderSite, Strictness
from .scanner import Scanner

MAX_BYTES: Final = 128 * 1024 - 256
"""The longest value, and the longest command: Linux takes 128 KiB with the variable's name."""

_PREFIX = "SM_V"
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_INERT = re.compile(r"[\w./:@%+,-]*")
_NAMED = re.compile(r"\{[\w.-]+\}")


class ShellValueError(MachineError):
    """A value cannot be part of a shell command."""

    def __init__(self, placeholder: str, reason: str) -> None:
        self.placeholder = placeholder
        self.reason = reason
        super().__init__(f"{placeholder} {reason}")


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A command for the shell, and the environment variables that it refers to."""

    text: str
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a compiled command where a value goes."""

    placeholder: Placeholder
    variable: str
    reference: str
    guard: Strictness
    where: str
    pasted: bool
    kept: bool
    """A missing value leaves the placeholder as it is written."""
    range: bool


def rewrite(template: str, context: Mapping[str, Any]) -> ShellCommand:
    """The template with references in place of its placeholders, and the values that go into the environment.

    ShellValueError for a value that no program can be given, or that would be evaluated where it stands.
    """
    env: dict[str, str] = {}
    parts = _compiled(template) if "{" in template else (template,)
    text = "".join([part if isinstance(part, str) else _filled(part, context, env) for part in parts])
    return ShellCommand(_passable("the command", text), env)


def _filled(slot: Slot, context: Mapping[str, Any], env: dict[str, str]) -> str:
    source = slot.placeholder.source
    text = slot.placeholder.text(context)
    if text is None:
        if slot.kept:
            return source
        text = source
    elif slot.pasted:
        return text
    elif slot.guard is Strictness.INTEGER or (slot.range and _INTEGER.fullmatch(text)):
        return _digits(slot, text)
    elif slot.guard is Strictness.INERT and (not _INERT.fullmatch(text) or _PREFIX in text):
        raise ShellValueError(source, f"stands {slot.where}: {_INERT_REMEDY}")
    env[slot.variable] = _passable(source, text)
    return slot.reference


_INERT_REMEDY = "only letters, digits and ./:@%+,_- may be in it there; give it as an argument or through stdin:"


def _digits(slot: Slot, text: str) -> str:
    """Without leading zeros, which would make the number an octal one."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise ShellValueError(slot.placeholder.source, f"stands {slot.where}: it has to be an integer, not {shown!r}")
    return str(number)


def _passable(what: str, text: str) -> str:
    if "\0" in text:
        raise ShellValueError(what, "contains a NUL byte, which only stdin: can carry")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ShellValueError(what, "contains half a surrogate pair, which is no text: send it as JSON") from None
    if size > MAX_BYTES:
        raise ShellValueError(what, f"is {size} bytes long, a command takes at most {MAX_BYTES}: use stdin:")
    return text


@lru_cache(maxsize=1024)
def _compiled(template: str) -> tuple[str | Slot, ...]:
    findings = CommandTaints()
    try:
        parts = Scanner(template, findings).scan_command()
    except RecursionError:
        raise ShellValueError("the command", "is nested too deeply") from None
    findings.settle()
    prefix = _PREFIX
    while prefix in template:
        prefix += "_"
    variables: dict[str, str] = {}
    return tuple(part if isinstance(part, str) else _slot(part, prefix, variables) for part in parts)


def _slot(hole: PlaceholderSite, prefix: str, variables: dict[str, str]) -> Slot:
    source = hole.placeholder.source
    variable = variables.setdefault(source, f"{prefix}{len(variables) + 1}")
    return Slot(
        placeholder=hole.placeholder,
        variable=variable,
        reference=f"{hole.before}${{{variable}}}{hole.after}",
        guard=hole.guard,
        where=hole.where,
        pasted=hole.pasted,
        kept=hole.guard is Strictness.INTEGER or bool(_NAMED.fullmatch(source) and not hole.always),
        range=hole.range,
    )

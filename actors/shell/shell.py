"""Shell commands whose values arrive as environment variables, which the template refers to within its own quoting.

A value is therefore one word at every place, and never program text, whatever it contains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ..errors import MachineError
from ..placeholders.interpolation import Placeholder
from .placeholder_sites import CommandTaints, PlaceholderSite, Strictness
from .scanner import Scanner

MAX_BYTES: Final = 128 * 1024 - 256
"""The longest value and the longest command: Linux accepts 128 KiB including the variable's name."""

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
class Substitution:
    """A placeholder site of a compiled command, with the reference that replaces it."""

    placeholder: Placeholder
    variable: str
    reference: str
    strictness: Strictness
    where: str
    pasted: bool
    kept: bool
    """True if a missing value leaves the placeholder as it is written."""
    range: bool


def rewrite(template: str, context: Mapping[str, Any]) -> ShellCommand:
    """Replace a template's placeholders by references, and return the command with the values for the environment.

    Raise ShellValueError for a value that cannot be passed to a program, or that the shell would evaluate.
    """
    env: dict[str, str] = {}
    parts = _compiled(template) if "{" in template else (template,)
    text = "".join([part if isinstance(part, str) else _filled(part, context, env) for part in parts])
    return ShellCommand(_passable("the command", text), env)


def _filled(substitution: Substitution, context: Mapping[str, Any], env: dict[str, str]) -> str:
    source = substitution.placeholder.source
    text = substitution.placeholder.text(context)
    if text is None:
        if substitution.kept:
            return source
        text = source
    elif substitution.pasted:
        return text
    elif substitution.strictness is Strictness.INTEGER or (substitution.range and _INTEGER.fullmatch(text)):
        return _digits(substitution, text)
    elif substitution.strictness is Strictness.INERT and (not _INERT.fullmatch(text) or _PREFIX in text):
        raise ShellValueError(source, f"stands {substitution.where}: {_INERT_REMEDY}")
    env[substitution.variable] = _passable(source, text)
    return substitution.reference


_INERT_REMEDY = "only letters, digits and ./:@%+,_- may be in it there; give it as an argument or through stdin:"


def _digits(substitution: Substitution, text: str) -> str:
    """Return the integer without leading zeros, which would make it an octal number."""
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise ShellValueError(
            substitution.placeholder.source, f"stands {substitution.where}: it has to be an integer, not {shown!r}"
        )
    return str(number)


def _passable(what: str, text: str) -> str:
    if "\0" in text:
        raise ShellValueError(what, "contains a NUL byte, which only stdin: can carry")
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise ShellValueError(what, "contains half a surrogate pair, which is not text: send it as JSON") from None
    if size > MAX_BYTES:
        raise ShellValueError(what, f"is {size} bytes long, a command takes at most {MAX_BYTES}: use stdin:")
    return text


@lru_cache(maxsize=1024)
def _compiled(template: str) -> tuple[str | Substitution, ...]:
    taints = CommandTaints()
    try:
        parts = Scanner(template, taints).scan_command()
    except RecursionError:
        raise ShellValueError("the command", "is nested too deeply") from None
    taints.settle()
    prefix = _PREFIX
    while prefix in template:
        prefix += "_"
    variables: dict[str, str] = {}
    return tuple(part if isinstance(part, str) else _substitution(part, prefix, variables) for part in parts)


def _substitution(site: PlaceholderSite, prefix: str, variables: dict[str, str]) -> Substitution:
    source = site.placeholder.source
    variable = variables.setdefault(source, f"{prefix}{len(variables) + 1}")
    return Substitution(
        placeholder=site.placeholder,
        variable=variable,
        reference=f"{site.before}${{{variable}}}{site.after}",
        strictness=site.strictness,
        where=site.where,
        pasted=site.pasted,
        kept=site.strictness is Strictness.INTEGER or bool(_NAMED.fullmatch(source) and not site.always),
        range=site.range,
    )

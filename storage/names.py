"""Names and ids: text that is safe in a line of a log and in a table, and a machine's in a path."""

from __future__ import annotations

import re

from .errors import ValueRefused

#: characters of a job's id, an event's type and the like
LONGEST_NAME = 1000

#: bytes that fit into a socket path, after the usual prefix and before `.sock`
LONGEST_MACHINE_NAME = 76

#: characters that end a line, control a terminal, turn the direction of text, or that a database refuses
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """Return the text with unsafe characters escaped as in Python: a line break is \\n."""
    return UNSAFE.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def name_fault(name: str) -> str | None:
    """Return why nothing can be stored under this name; None if it can."""
    if not name.strip():
        return "is empty"
    if UNSAFE.search(name):
        return "must not contain line breaks, control characters or marks that turn the text's direction"
    if len(name) > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} characters"
    return None


def machine_name_fault(name: str) -> str | None:
    """Return why a machine cannot have this name, which is part of its control socket's path; None if it can."""
    if "/" in name:
        return "must not contain '/'"
    if len(name.encode(errors="replace")) > LONGEST_MACHINE_NAME:
        return f"is longer than {LONGEST_MACHINE_NAME} bytes"
    return name_fault(name)


def check_names(**names: str | None) -> None:
    """Raise ValueRefused for the first of these that is given and is no name."""
    for what, name in names.items():
        if isinstance(name, str) and (fault := name_fault(name)):
            raise refusal(what, name, fault)


def refusal(what: str, name: str, fault: str) -> ValueRefused:
    """Return the exception for a name that cannot be used."""
    shown = escaped(name if len(name) <= 60 else name[:59] + "…")
    return ValueRefused(f"{what} '{shown}' {fault}")

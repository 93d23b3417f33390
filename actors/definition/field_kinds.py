"""Describe a field of a mapping once: its meaning, how it is read, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from .fields import LARGEST, choice_of, duration_of, flag_of, name_of, number_of, pairs_of, text_of, warn_unknown_keys
from .problems import Problems
from .yaml_nodes import Node

Schema = dict[str, Any]

NOTHING: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """Return a reference to a definition of the schema."""
    return {"$ref": f"#/$defs/{name}"}


def any_of(*schemas: Schema) -> Schema:
    """Return a schema that takes what one of these takes."""
    return {"anyOf": list(schemas)}


@dataclass(frozen=True, slots=True)
class Kind:
    """The values that a field takes."""

    schema: Schema
    read: Callable[[Node, str, Problems], Any] | None = None
    """Return the value, or None after reporting what is wrong with it. No reader: the section reads it by itself."""
    suffix: str = ""
    """Appended to the key to name the attribute, such as `_s` for seconds."""


UNREAD = Kind({})


class Field(NamedTuple):
    """One key of a mapping. Without a kind, the section reads it, and the schema describes it apart."""

    meaning: str
    kind: Kind = UNREAD


Fields = Mapping[str, Field]
"""The keys of a mapping in the order of the reference."""


def section(name: str) -> Kind:
    """Return the kind of a field that has a reader and a schema definition of its own."""
    return Kind(ref(name))


def choice(*words: str) -> Kind:
    """Return the kind of a field that takes one of a few words."""
    return Kind({"enum": [*words, None]}, lambda node, what, problems: choice_of(node, what, words, problems))


def number(least: float = -LARGEST, most: float = LARGEST, *, whole: bool = False) -> Kind:
    """Return the kind of a field that takes a number."""
    schema: Schema = {"type": ["integer" if whole else "number", "null"]}
    schema |= {"minimum": least} if least > -LARGEST else {}
    schema |= {"maximum": most} if most < LARGEST else {}
    return Kind(schema, lambda node, what, problems: number_of(node, what, least, problems, most=most, whole=whole))


VALUE = Kind({}, lambda node, _what, _problems: node.value)
TEXT = Kind(ref("text"), text_of)
FLAG = Kind(ref("flag"), flag_of)
DURATION = Kind(ref("duration"), duration_of, "_s")
POSITIVE_DURATION = Kind(ref("duration"), partial(duration_of, positive=True), "_s")
NAME = Kind(any_of(ref("name"), NOTHING), name_of)
STATE = Kind(any_of(ref("state_name"), NOTHING), lambda node, _what, _problems: node)
ACTIONS = Kind(ref("actions"), lambda node, _what, _problems: node)


def read_fields(node: Node, what: str, fields: Fields, problems: Problems) -> dict[str, Any]:
    """Read a mapping's fields as keyword arguments for a dataclass.

    A field that is absent, null or wrong is left out, so that the dataclass's default applies. Messages call a field by
    its key and `what` it belongs to; without `what`, by its key alone.
    """
    values = {}
    for key, (_, kind) in fields.items():
        body = node.get(key)
        if kind.read is not None and body is not None and body.value is not None:
            value = kind.read(body, f"{key} of {what}" if what else key, problems)
            if value is not None:
                values[key + kind.suffix] = value
    return values


def read_closed(node: Node | None, what: str, fields: Fields, problems: Problems) -> dict[str, Any]:
    """Read a mapping's fields as `read_fields` does, and warn about its unknown keys. Absent or empty: no fields."""
    if node is None:
        return {}
    list(pairs_of(node, what, problems))  # reports a value that is no mapping
    warn_unknown_keys(node, what, fields, problems)
    return read_fields(node, what, fields, problems)

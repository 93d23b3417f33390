"""Make unique ids for a diagram's states and groups, of letters, digits and _, without reserved words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import count

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_LONGEST = 60

_MERMAID_WORDS = """acc_descr acc_title accdescr acctitle as class classdef click default direction end fork hide href
    join choice left link linkstyle note of right root scale state statediagram style subgraph width call"""
_JAVASCRIPT_WORDS = "constructor hasownproperty isprototypeof propertyisenumerable tolocalestring tostring valueof"
_DOT_WORDS = "digraph edge graph node strict"
_RESERVED = frozenset(f"{_MERMAID_WORDS} {_JAVASCRIPT_WORDS} {_DOT_WORDS}".split())

_MADE_BY_MERMAID = re.compile(r"((start|end)\d+|root_(start|end))\Z", re.IGNORECASE)


def ids_of(names: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return an id for each name: the name itself if it is a valid id, else a similar one.

    A name that is a valid id is never given to another name; none of `taken` is used.
    """
    return _allotted({name: name for name in names}, lambda candidate: {candidate}, taken)


def group_ids_of(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return ids for groups. They name boxes beside nodes with the ids `taken`, and files beside main.mermaid.

    As in the older engines, an id is the name without its spaces. Mermaid calls the ends of a box X_start and X_end.
    Some file systems ignore case, so that no two ids differ by case alone.
    """
    wishes = {name: name.replace(" ", "") for name in names}
    nodes = {f"node {other}" for other in taken}

    def claimed(candidate: str) -> set[str]:
        ends = (candidate, f"{candidate}_start", f"{candidate}_end")
        return {f"file {candidate.lower()}", *(f"node {end}" for end in ends)}

    return _allotted(wishes, claimed, {"file main", *nodes})


def is_id(name: str) -> bool:
    """Return whether Mermaid and Graphviz accept the name as it is."""
    return (
        bool(_PLAIN.match(name))
        and len(name) <= _LONGEST
        and name.lower() not in _RESERVED
        and not _MADE_BY_MERMAID.match(name)
    )


def _allotted(wishes: Mapping[str, str], claimed: Callable[[str], set[str]], taken: Collection[str]) -> dict[str, str]:
    """Give each name an id. `claimed` returns the names that an id occupies; no two ids may occupy the same."""
    ids: dict[str, str] = {}
    used = set(taken)
    for name in sorted(wishes, key=lambda name: wishes[name] != name or not is_id(name)):  # stable: in file order
        base = wishes[name] if is_id(wishes[name]) else _closest(wishes[name])
        ids[name] = next(c for c in _variants(base) if used.isdisjoint(claimed(c)))
        used |= claimed(ids[name])
    return {name: ids[name] for name in wishes}


def _closest(name: str) -> str:
    base = re.sub(r"[^A-Za-z0-9_]", "_", name)[: _LONGEST - 10]
    if not base.strip("_"):
        return "s"
    return base if is_id(base) else f"s_{base}"


def _variants(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}_{number}" for number in count(2))

"""Check that docs/guarantees.md names an existing test for each guarantee, and that each kind of problem has a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from statemachine_engine.storage.problem_kinds import PROBLEM_KINDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
KIND = re.compile(r"`([a-z]+_[a-z_]+)`")
RULE = re.compile(r"\|[\s:|-]+\|")

#: rows of the tables whose last column is "shown by"
PROMISES = [
    line
    for table in re.findall(r"^\|[^\n]*\| shown by \|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    for line in table.splitlines()
    if not RULE.fullmatch(line)
]


def test_the_page_makes_promises() -> None:
    assert len(PROMISES) > 15


@pytest.mark.parametrize("promise", PROMISES, ids=lambda row: row.split("|")[1].strip()[:50])
def test_a_promise_names_its_test(promise: str) -> None:
    assert NAMED.search(promise.rstrip("| ").rsplit("|", 1)[-1]), "its last column names no test"


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))))
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert name in _tests(path), f"{path} has no test {name}"


def test_kinds_of_problems_are_those_that_are_counted_and_each_is_explained() -> None:
    outages = PAGE.partition("## Outages and shortages")[2].partition("\n## ")[0]
    named = {kind for kind in KIND.findall(outages) if not kind.startswith("statemachine_")}
    assert named <= set(PROBLEM_KINDS)
    explained = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8").partition("### Kinds of problems")[2]
    assert set(PROBLEM_KINDS) <= set(KIND.findall(explained.partition("\n## ")[0]))


def test_every_kind_of_problem_is_caused_by_a_test_that_asserts_it() -> None:
    files = [file for file in ROOT.glob("tests/**/test_*.py") if file != Path(__file__)]
    assert set(PROBLEM_KINDS) <= {value for file in files for value in _looked_for(file)}


def _looked_for(file: Path) -> Iterator[object]:
    """Yield the constants in assertions and in the conditions of `until`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Assert() | ast.Call(func=ast.Name(id="until")):
                yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))


@cache
def _tests(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}

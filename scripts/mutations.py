"""Small changes of a source file, such as a slip would make, and a sample of them that later edits hardly move."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
#: no behaviour of the program is at stake here, nor in texts, log calls and defaults
SKIPPED = {"annotation", "returns", "decorator_list"}


class Mutant(NamedTuple):
    """One change: the `number`-th that is possible in a file."""

    path: str
    number: int
    lines: range
    place: str
    change: str

    @property
    def key(self) -> str:
        """Name the change in a way that edits elsewhere in the file leave as it is."""
        return f"{self.path} {self.place} | {self.change}"


def sample(root: Path, paths: Iterable[str], size: int) -> list[Mutant]:
    """Choose mutants of these files by the hash of each, so that an edit changes the choice only where it was made."""
    found = {mutant.key: mutant for path in paths for mutant in _mutants(path, (root / path).read_text())}
    return sorted(found.values(), key=lambda mutant: hashlib.sha256(mutant.key.encode()).digest())[:size]


def mutated_source(source: str, mutant: Mutant) -> str:
    """Return the file's source with this one change."""
    tree = ast.parse(source)
    holder, name, index, new, _place = list(_changes(tree))[mutant.number]
    if index is None:
        setattr(holder, name, new)
    else:
        getattr(holder, name)[index] = new
    return ast.unparse(ast.fix_missing_locations(tree))


def _mutants(path: str, source: str) -> Iterator[Mutant]:
    for number, (holder, name, index, new, place) in enumerate(_changes(ast.parse(source))):
        old = getattr(holder, name) if index is None else getattr(holder, name)[index]
        change = f"{ast.unparse(old)} -> {ast.unparse(new)}".replace("\n", " ")
        yield Mutant(path, number, range(old.lineno, old.end_lineno + 1), place, change)


#: the node that holds the old one, the field and the index in it, the new node, and the function
Change = tuple[ast.AST, str, int | None, ast.AST, str]


def _changes(node: ast.AST, place: str = "", inside: bool = False) -> Iterator[Change]:
    """Find what can be changed inside the functions of a tree, always in the same order."""
    for name, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or name in SKIPPED or _is_text(child):
                continue
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                within = f"{place}.{child.name}".lstrip(".")
                yield from _changes(child, within, inside or not isinstance(child, ast.ClassDef))
                continue
            for new in _variants(child) if inside else ():
                yield node, name, index, new, place
            if inside and name == "test" and isinstance(child, (ast.Name, ast.Attribute, ast.Call, ast.BoolOp)):
                yield node, name, index, ast.UnaryOp(ast.Not(), copy.deepcopy(child)), place
            if not isinstance(child, ast.Raise):
                yield from _changes(child, place, inside)


def _variants(node: Any) -> Iterator[ast.AST]:
    """Make the changed forms of one node."""
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in SWAPPED:
            yield ast.Compare(node.left, [SWAPPED[type(operator)]()], node.comparators)
        case ast.BoolOp() if type(node.op) in SWAPPED:
            yield ast.BoolOp(SWAPPED[type(node.op)](), node.values)
        case ast.BinOp() if type(node.op) in SWAPPED:
            yield ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=str()) if node.value.isidentifier():
            yield ast.Constant(f"{node.value}_")
        case ast.Return(value=ast.expr()) if ast.unparse(node.value) != "None":
            yield ast.Return(ast.Constant(None))
        case (
            ast.Expr(value=ast.Call())
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
            | (ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break())
        ):
            yield ast.Pass()


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Assert() | ast.arguments() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return True
    return False

"""Change the product in small ways, one at a time, and report the changes that no test notices.

Each is tried in a copy of the tree against the tests of its group, those of its own file first, until one fails. The
sample is drawn by a hash of each change, so it moves only where the code does. mutants.txt lists the known survivors.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
MACHINE = "actors/machine actors/runtime actors/actions combined promises"
STORE = "storage actors/jobs actors/audit actors/runtime actors/definition cli/db combined"
#: the files that each group changes, and its tests below tests/
GROUPS = {
    "interpreter": ("actors/machine/interpreter.py actors/machine/*_run.py actors/machine/*_visit.py", MACHINE),
    "step": ("actors/machine/step.py", MACHINE),
    "jobs": ("actors/jobs/*.py storage/jobs/*.py", f"{STORE} actors/actions promises"),
    "mailbox": ("storage/mailbox.py actors/machine/mailbox_reader.py", f"{STORE} actors/machine"),
    "audit": ("storage/audit.py actors/audit/*.py", STORE),
    "schedules": ("actors/runtime/scheduler.py actors/definition/schedule.py storage/schedules.py", STORE),
    "supervision": ("actors/runtime/supervisor.py actors/system/supervision.py", f"{MACHINE} actors/system cli/system"),
    "resume": ("actors/machine/checkpoint.py storage/snapshots.py", f"storage {MACHINE}"),
    "auth": ("web/auth.py", "web"),
    "verbs": ("cli/db/*.py", "cli"),
}
GOAL, LIMIT_S = 0.95, 600.0  # the share of mutants to catch; the time for one run of tests
PAIRS = "Lt LtE, Gt GtE, Eq NotEq, Is IsNot, In NotIn, And Or, Add Sub"
SWAPPED = {one: other for pair in PAIRS.split(", ") for one, other in (pair.split(), pair.split()[::-1])}


class Mutant(NamedTuple):
    """One change of a file: its key leaves out the line, so that edits elsewhere in the file keep it."""

    key: str
    path: str
    line: int
    source: bytes
    group: str


def mutants_of(file: Path, group: str) -> Iterator[Mutant]:
    """Make all mutants of a file."""
    source, path = file.read_bytes(), str(file.relative_to(ROOT))
    lines = source.splitlines(keepends=True)
    for node, place in nodes(ast.parse(source)):
        for old, new in variants(node):
            start = sum(map(len, lines[: old.lineno - 1])) + old.col_offset
            end = sum(map(len, lines[: old.end_lineno - 1])) + old.end_col_offset
            text = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
            key = f"{path} {place} | {ast.unparse(old)} -> {ast.unparse(new)}".replace("\n", " ")
            yield Mutant(key, path, old.lineno, source[:start] + text.encode() + source[end:], group)


def nodes(node: ast.AST, place: str = "", inside: bool = False) -> Iterator[tuple[ast.AST, str]]:
    """Find the nodes inside functions, each with the function's name; without texts, log calls and defaults."""
    for child in ast.iter_child_nodes(node):
        is_log = isinstance(child, ast.Expr) and ast.unparse(child).startswith("log.")
        if is_log or isinstance(child, (ast.JoinedStr, ast.arguments)) or child in getattr(node, "decorator_list", ()):
            continue
        if inside:
            yield child, place
        name = f"{place}.{child.name}".lstrip(".") if isinstance(child, (ast.FunctionDef, ast.ClassDef)) else place
        yield from nodes(child, name, inside or isinstance(child, ast.FunctionDef))


def variants(node: Any) -> Iterator[tuple[Any, ast.AST]]:
    """Yield what can be changed at one node, and into what: conditions, operators, constants, results, statements."""
    match node:
        case ast.Compare(ops=[sign]) | ast.BoolOp(op=sign) | ast.BinOp(op=sign) if type(sign).__name__ in SWAPPED:
            new, other = copy.copy(node), getattr(ast, SWAPPED[type(sign).__name__])()
            new.op, new.ops = other, [other]
            yield node, new
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(not value if isinstance(value, bool) else value + 1)
        case ast.Return(value=ast.expr()) if ast.unparse(node.value) != "None":
            yield node, ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, ast.Pass()
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Compare):
            yield node.test, ast.UnaryOp(ast.Not(), node.test)


def fate(mutant: Mutant) -> str:
    """Run the tests on a mutant in a copy of the tree, those of its file before all: `caught` or `survived`."""
    paths = [ROOT / "tests" / path for path in GROUPS[mutant.group][1].split()]
    tests = [str(file.relative_to(ROOT)) for path in paths for file in sorted(path.rglob("test_*.py"))]
    own = [test for test in tests if Path(mutant.path).stem.rstrip("s") in test]
    with tempfile.TemporaryDirectory(prefix="mu-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        tree = shutil.copytree(ROOT, Path(folder, "statemachine_engine"), ignore=shutil.ignore_patterns(".*"))
        (tree / mutant.path).write_bytes(mutant.source)
        found = "caught" if (own and fails(own, tree)) or fails(tests, tree) else "survived"
    print(f"{found:8}  line {mutant.line} of {mutant.key}", flush=True)
    return found


def fails(tests: list[str], tree: Path) -> bool:
    """Run tests in a copy, which Python imports in the original's place, and end each process that they started."""
    env = {**os.environ, "PYTHONPATH": str(tree.parent), "TMPDIR": str(tree.parent)}
    command = [Path(sys.executable).parent / "pytest", "-qx", "-p", "no:cacheprovider", *tests]
    try:
        return bool(subprocess.run(command, cwd=tree, env=env, timeout=LIMIT_S, capture_output=True).returncode)
    except subprocess.TimeoutExpired:
        return True
    finally:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"TMPDIR={tree.parent}\0".encode() in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)


def main() -> int:
    """Try the mutants; 1 if a survivor is not known, or if too many of those that change behaviour survived."""
    parser = argparse.ArgumentParser(description="Report the changes of the product that no test notices.")
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--group", action="append", choices=GROUPS)
    groups = (options := parser.parse_args()).group or list(GROUPS)
    mutants: list[Mutant] = []
    for group in groups:
        files = [file for name in GROUPS[group][0].split() for file in ROOT.glob(name)]
        found = {mutant.key: mutant for file in files for mutant in mutants_of(file, group)}
        drawn = sorted(found.values(), key=lambda mutant: hashlib.sha256(mutant.key.encode()).digest())
        mutants += drawn[: -(-options.sample // len(groups))]
    fates = list(ThreadPoolExecutor(2).map(fate, mutants))
    known = dict(row.strip().rsplit(" | ", 1) for row in Path(__file__).with_suffix(".txt").open() if " | " in row)
    survivors = [mutant.key for mutant, found in zip(mutants, fates, strict=True) if found == "survived"]
    alike = sum(known.get(key, "").startswith("equivalent") for key in survivors)
    rate = 1 - (len(survivors) - alike) / max(1, len(mutants) - alike)
    print(*(f"{key} | {known.get(key, 'not known')}" for key in survivors), sep="\n")
    print(f"{len(survivors)} of {len(mutants)} survived; of those that change behaviour, {rate:.1%} were caught")
    return int(rate < GOAL or any(key not in known for key in survivors))


if __name__ == "__main__":
    sys.exit(main())

"""Change the product in small ways, one at a time, and report the changes that no test notices.

usage: scripts/mutants.py [--sample 150] [--group NAME ...] [--map FILE]

First all tests run once, which maps them to the lines that they run. Then each mutant is tried in a copy of the tree,
against the tests of its lines: those of its own file first, then the quickest, for BUDGET_S at most.
scripts/mutants.txt lists the survivors that are known, each with its reason. The sample changes only where the code
does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mutations import Mutant, mutated_source, sample

ROOT = Path(__file__).parents[1]
TESTS = ("tests/actors", "tests/combined", "tests/storage", "tests/cli", "tests/web/test_auth.py", "tests/promises")
#: it raises exceptions in other threads, and Python 3.11 hangs when such a thread is traced
UNTRACED = "tests/actors/concurrency/test_supervised_thread.py"
GROUPS = {
    "interpreter": "actors/machine/interpreter.py actors/machine/*_run.py actors/machine/*_visit.py",
    "step": "actors/machine/step.py",
    "jobs": "actors/jobs/*.py storage/jobs/*.py",
    "mailbox": "storage/mailbox.py actors/machine/mailbox_reader.py",
    "audit": "storage/audit.py actors/audit/*.py",
    "schedules": "actors/runtime/scheduler.py actors/definition/schedule.py storage/schedules.py",
    "supervision": "actors/runtime/supervisor.py actors/system/supervision.py",
    "resume": "actors/machine/checkpoint.py storage/snapshots.py",
    "auth": "web/auth.py",
    "verbs": "cli/db/*.py",
}
#: the part of the mutants that change behaviour which the tests must catch
GOAL = 0.95
BUDGET_S = 60.0


class Copy:
    """A copy of the working tree, imported in the place of the original, with a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tree = folder, folder / "statemachine_engine"
        (folder / "t").mkdir(parents=True)
        listing = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
        for name in filter(lambda name: (ROOT / name).is_file(), listing.splitlines()):
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.tree / name)
        path = f"{folder}{os.pathsep}{self.tree / 'scripts'}"
        self._env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder / "t")}

    def pytest(self, *args: str, limit_s: float | None = None, **env: str) -> tuple[int, str]:
        """Run tests in the copy, and end all that they started; exit code and output. Raises TimeoutExpired."""
        command = [str(Path(sys.executable).parent / "pytest"), "-q", "-p", "mutants_plugin", "-p", "no:cacheprovider"]
        try:
            done = subprocess.run(
                [*command, *args], cwd=self.tree, env={**self._env, **env}, timeout=limit_s, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        finally:
            self._end_processes()
        return done.returncode, done.stdout

    def make_map(self, paths: list[str], map_file: Path) -> None:
        """Run all tests; write down which of them run which lines of these files, and how long each takes."""
        settings, included = self.folder / "coveragerc", "".join(f"\n    {self.tree / path}" for path in paths)
        settings.write_text(f"[run]\ncontext = ${{PYTEST_CURRENT_TEST-none}}\nparallel = true\ninclude ={included}\n"
                            f"data_file = {self.folder}/coverage\n")  # fmt: skip
        options = ("-n", "2", "--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=")
        _code, said = self.pytest(*options, f"--ignore={UNTRACED}", *TESTS, MUTANTS_MAP=str(map_file))
        print(said if not map_file.exists() else said.splitlines()[-1], flush=True)

    def try_out(self, mutant: Mutant, tests: list[str], limit_s: float) -> str:
        """Run these tests on a mutant: `caught`, `survived` or `timed out`."""
        source, chosen = (self.tree / mutant.path).read_text(), self.folder / "chosen.json"
        chosen.write_text(json.dumps(tests))
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        try:
            self._write(mutant.path, mutated_source(source, mutant))
            code, said = self.pytest("-x", *files, limit_s=limit_s, MUTANTS_CHOSEN=str(chosen)) if tests else (0, "")
        except subprocess.TimeoutExpired:
            return "timed out"
        finally:
            self._write(mutant.path, source)
        if code > 3:
            raise RuntimeError(f"pytest ended with {code} for {mutant.key}:\n{said}")
        return "caught" if code else "survived"

    def _write(self, path: str, source: str) -> None:
        """Write a source, and remove its byte code, which may be from the same second."""
        (self.tree / path).write_text(source)
        for compiled in (self.tree / path).parent.glob(f"__pycache__/{Path(path).stem}.*"):
            compiled.unlink()

    def _end_processes(self) -> None:
        mark = f"PYTHONPATH={self._env['PYTHONPATH']}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue


def covering(mutant: Mutant, known: dict[str, Any]) -> tuple[list[str], float]:
    """Return the tests that run a mutant's lines, in the order to try them, and how long they take together."""
    lines, took_s = known["lines"].get(mutant.path, {}), known["took_s"]
    own = f"test_{Path(mutant.path).stem}.py::"
    tests, total_s = [], 0.0
    for test in sorted(
        {test for line in mutant.lines for test in lines.get(str(line), ()) if test in took_s},
        key=lambda test: ("postgres" in test, own not in test, took_s[test]),
    ):
        if total_s + took_s[test] <= BUDGET_S:
            tests.append(test)
            total_s += took_s[test]
    return tests, total_s


def files_of(group: str) -> list[str]:
    """Return the files of a group."""
    return [str(path.relative_to(ROOT)) for name in GROUPS[group].split() for path in sorted(ROOT.glob(name))]


def report(tried: int, survivors: list[Mutant]) -> int:
    """Print the survivors; 1 where one is not known, or where too many of those that change behaviour survived."""
    listed = (ROOT / "scripts" / "mutants.txt").read_text().splitlines()
    known = dict(line.rsplit(" | ", 1) for line in listed if " | " in line)
    for mutant in survivors:
        print(f"line {mutant.lines.start} of {mutant.key} | {known.get(mutant.key, 'not known')}")
    alike = sum(known.get(mutant.key, "").startswith("equivalent") for mutant in survivors)
    rate = 1 - (len(survivors) - alike) / max(1, tried - alike)
    print(f"{len(survivors)} of {tried} survived; of the {tried - alike} that change behaviour, {rate:.1%} were caught")
    return int(rate < GOAL or any(mutant.key not in known for mutant in survivors))


def main() -> int:
    """Try the mutants, and print what becomes of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--group", action="append", choices=GROUPS)
    parser.add_argument("--map", type=Path, help="a file that keeps the map for the next time")
    options = parser.parse_args()
    groups = options.group or list(GROUPS)
    each = -(-options.sample // len(groups))
    mutants = [mutant for group in groups for mutant in sample(ROOT, files_of(group), each)]
    with tempfile.TemporaryDirectory(prefix="mu-") as folder, ThreadPoolExecutor(2) as pool:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        copies: SimpleQueue[Copy] = SimpleQueue()
        first = Copy(Path(folder, "0"))
        for copy in (first, Copy(Path(folder, "1"))):
            copies.put(copy)
        map_file = options.map or Path(folder, "map.json")
        if not map_file.exists():
            first.make_map([path for group in groups for path in files_of(group)], map_file)
        known = json.loads(map_file.read_text())

        def try_out(mutant: Mutant) -> str:
            tests, total_s = covering(mutant, known)
            copy = copies.get()
            try:
                fate = copy.try_out(mutant, tests, 60 + 4 * total_s)
            finally:
                copies.put(copy)
            print(f"{fate:9}  {mutant.path}:{mutant.lines.start} {mutant.place}: {mutant.change}", flush=True)
            return fate

        fates = list(pool.map(try_out, mutants))
    return report(len(mutants), [mutant for mutant, fate in zip(mutants, fates, strict=True) if fate == "survived"])


if __name__ == "__main__":
    sys.exit(main())

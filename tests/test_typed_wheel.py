"""A type checker sees the types of the installed wheel, and reports a wrong use of the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("actors", "cli", "compat", "storage", "web", "docs")
FILES = ("__init__.py", "py.typed", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")

GOOD = """\
from typing import Any

from statemachine_engine import BaseAction, JobQueue, Machine, Runtime, SecretFilter, load

class GreetAction(BaseAction):
    def execute(self, context: dict[str, Any]) -> str:
        return "success"

def start(runtime: Runtime, queue: JobQueue) -> Machine:
    queue.add("resize", {"path": "a.png"})
    return runtime.add(load("worker.yaml"), "worker", {"count": 1})

def shown(machine: Machine) -> str:
    return machine.state + SecretFilter().name
"""
WRONG = """\
from statemachine_engine import BaseAction, JobQueue, Runtime, Runtme

class CountAction(BaseAction):
    def execute(self, context: str) -> int:
        return 1

def start(runtime: Runtime, queue: JobQueue) -> int:
    queue.add(7)
    runtime.add("worker.yaml", 5)
    return runtime.machine("worker").state
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def built_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the sources, so that no build folder is left among them."""
    sources = folder / "sources"
    ignored = shutil.ignore_patterns("__pycache__", "images")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, sources / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, sources / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    made = run(*pip, "--wheel-dir", folder, sources)
    assert made.returncode == 0, made.stderr
    return next(folder.glob("*.whl"))


def test_a_users_program_is_checked_against_the_wheels_types(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    assert run(sys.executable, "-m", "venv", "--without-pip", environment).returncode == 0
    site = environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site)
    installed = run(*pip, built_wheel(tmp_path))
    assert installed.returncode == 0, installed.stderr
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")

    python = environment / "bin" / "python"
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", tmp_path / "cache")
    checked = run(*mypy, "--python-executable", python, tmp_path / "good.py", tmp_path / "wrong.py")

    places = re.findall(r"(\w+\.py:\d+): error:", checked.stdout)
    assert list(dict.fromkeys(places)) == [f"wrong.py:{line}" for line in (1, 4, 8, 9, 10)], checked.stdout

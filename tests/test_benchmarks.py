"""The benchmarks run and print their table; how fast anything is, is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"


@pytest.mark.timeout(320)
def test_a_quick_run_measures_every_row_and_prints_one_table(tmp_path: Path) -> None:
    report = tmp_path / "report.json"

    done = subprocess.run(
        [sys.executable, RUN, "--quick", "--json", report], capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("|--") for line in done.stdout.splitlines()) == 1
    rows = json.loads(report.read_text(encoding="utf-8"))["rows"]
    assert {row["unit"] for row in rows} == {"/s", "ms", "KB", "ms/s", ""}
    assert all(row["label"] in done.stdout for row in rows)

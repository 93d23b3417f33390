"""`make demo`: real files through three processes, the report on screen, and a clean end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT
from tests.support.until import until

TRANSCRIPT = re.compile(r"^\$ make demo.*?^```$", re.MULTILINE | re.DOTALL)
VARIES = re.compile(r"^\$ make|^\.\.\.$|demo/|^```|\d\d:\d\d:\d\d|Machine +Current|3001")


def test_it_prints_what_the_readme_shows_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    with said.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "scripts/demo.py", "--seconds", "90", "--folder", str(tmp_path / "demo")],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    until(lambda: "Your turn" in said.read_text() or demo.poll() is not None, timeout_s=90)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(30) == 0, said.read_text()

    assert re.search(r"^Watch it live: http://127.0.0.1:\d+$", said.read_text(), re.MULTILINE)
    shown = TRANSCRIPT.search((ROOT / "README.md").read_text())
    assert shown
    missing = [line for line in shown[0].splitlines() if not VARIES.search(line) and line not in said.read_text()]
    assert not missing
    assert len(list((tmp_path / "demo" / "archive").glob("*/*.gz"))) == 12


def test_it_ends_by_itself_and_says_what_was_not_done(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "scripts/demo.py", "--seconds", "0.5", "--folder", str(tmp_path / "demo")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert "of 15 files were done in time" in ended.stderr

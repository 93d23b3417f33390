"""`statemachine-events --since` shows every event once and in order, in spite of kills of the runtime and of itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.storage import audit, mailbox
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import until

SINK = """
initial_state: a
transitions: [{from: "*", to: a, event: n}]
"""
SENT = 5500
"""Each event makes two log records: that it was received, and the transition."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    (tmp_path / "sink.yaml").write_text(SINK)
    yield project
    project.close()


class Log:
    """The file to which the command appends in each run."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.path = project.folder / "events.log"
        self.path.touch()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command after the last whole line; a line that a kill has cut is removed."""
        data = self.path.read_bytes()
        self.path.write_bytes(data[: data.rfind(b"\n") + 1])
        since = (self.ids() or [0])[-1]
        return self.project.start(f"statemachine-events --format json --since {since} >> events.log")

    def ids(self) -> list[int]:
        whole = self.path.read_bytes().split(b"\n")[:-1]
        return [json.loads(line)["id"] for line in whole]

    def until_longer(self, than: int) -> None:
        until(lambda: self.path.read_bytes().count(b"\n") > than, timeout_s=40)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_ten_thousand_events_over_kills_of_both_sides_come_once_each(
    project: Project, store: str, request: pytest.FixtureRequest
) -> None:
    if store == "postgres":
        project.env["STATEMACHINE_DB"] = request.getfixturevalue("postgres_url")
    url: Any = project.env.get("STATEMACHINE_DB") or project.folder / "data" / "pipeline.db"
    with Database.open(url) as db:
        mailbox.post_many(db, ["sink"] * SENT, "n", {"text": "x" * 50})
        log = Log(project)
        watcher, runtime = log.start(), project.start("statemachine sink.yaml")

        for whole_lines, victim in ((1000, "watcher"), (3000, "runtime"), (5000, "watcher"), (7000, "both")):
            log.until_longer(whole_lines)
            if victim in ("watcher", "both"):
                watcher.kill()
                watcher.wait()
                watcher = log.start()
            if victim in ("runtime", "both"):
                runtime.kill()
                runtime.wait()
                runtime = project.start("statemachine sink.yaml")
        until(lambda: not mailbox.pending_targets(db, ["sink"]), timeout_s=60)
        until(lambda: log.ids()[-1:] == [audit.newest_id(db)], timeout_s=60)

        shown = log.ids()
        with db.read():
            rows = db.execute("SELECT id FROM realtime_events WHERE id <= ? ORDER BY id", (shown[-1],)).fetchall()
    assert shown == [row[0] for row in rows]
    assert len(rows) > 10_000

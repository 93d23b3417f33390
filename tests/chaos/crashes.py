"""A series of crashes: a process with machines of every kind dies at one point after another; then a verdict."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from statemachine_engine.actors.sockets import delivery
from statemachine_engine.storage import jobs, mailbox, schedules, snapshots
from statemachine_engine.storage.engine.database import Database
from tests.chaos.campaign import RESUMING, left_over, prepared, unfinished
from tests.chaos.fleet import HERE
from tests.chaos.load import Accepted
from tests.chaos.points import Point
from tests.chaos.verdict import Evidence, faults
from tests.support.project import Project
from tests.support.until import until

#: of each kind, one machine that starts from its initial state and one that resumes
CREW = ["clock", "worker-1", "worker-3", "counter-1", "counter-3", "orders"]

#: seconds within which a point must be reached
REACH_S = 30

#: seconds for what is left at the end
DRAIN_S = 60


class Series:
    """One store, and the processes that die on it."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.project: Project = prepared(folder, url)
        self.db = Database.open(self.project.env["STATEMACHINE_DB"])
        #: a store that is made while its maker dies
        self._new = f"{url}&options=-csearch_path%3Drecreated" if url else f"sqlite:///{folder}/new.db"
        self.accepted = Accepted()
        self.faults: list[str] = []
        self.crashes = 0
        self._number = 0

    def crash(self, point: Point, hit: int) -> None:
        """Have one process die there."""
        self._put_in_some()
        prepare: Callable[[], None] = getattr(self, f"_prepare_{point.needs}", lambda: None)
        prepare()
        process = self._start(*self._command(point), point=f"{point} {hit}")
        during: Callable[[subprocess.Popen[bytes]], None] = getattr(self, f"_during_{point.needs}", lambda _: None)
        during(process)
        try:
            code = process.wait(REACH_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait() and 0
        if code == -signal.SIGKILL:
            self.crashes += 1
        else:
            self.faults.append(f"{point} was not reached {hit} times; the process ended with {code}")
        after: Callable[[], None] = getattr(self, f"_after_{point.needs}", lambda: None)
        after()

    def close(self) -> list[str]:
        """Let a process that nobody kills do what is left; every broken promise."""
        try:
            process = self._start("statemachine", *self._machines())
            try:
                until(lambda: not any(unfinished(self.db).values()), timeout_s=DRAIN_S)
            except AssertionError:
                self.faults.append(f"there is still work: {unfinished(self.db)}")
            self._end(process)
            evidence = Evidence.gathered(self.db, self.project.folder, self.accepted)
            found = [*self.faults, *faults(evidence, resuming=RESUMING), *self._firings(evidence)]
            return found + left_over(self.db, self.project)
        finally:
            self.db.close()
            self.project.close()

    def posting(self, points: Sequence[tuple[Point, int]]) -> None:
        """Have senders die, while a machine listens."""
        process = self._start("statemachine", *self._machines())
        for point, hit in points:
            self.crash(point, hit)
        self._end(process)

    # What is put in

    def _put_in_some(self) -> None:
        for fate in ("complete", "complete", "left", "fail", "raise", "fragile"):
            self._add_job(fate)
        for target in ("counter-1", "counter-3", "worker-1", "worker-3"):
            self._send("ping" if target.startswith("worker") else "tick", target)
        for _ in range(2):
            self._order()

    def _add_job(self, fate: str, seconds: float = 0.002, priority: int = 5) -> str:
        self._number += 1
        job_id, most = f"job-{self._number:06}", 2 if fate == "fragile" else 1000
        data = {"fate": fate, "seconds": seconds}
        jobs.enqueue(self.db, job_id, "work", data=data, max_attempts=most, priority=priority)
        self.accepted.jobs[job_id] = fate
        return job_id

    def _send(self, kind: str, target: str, more: dict[str, object] | None = None) -> None:
        self._number += 1
        key = f"{kind}-{self._number:06}"
        event = delivery.Event(kind, {"key": key, key: 1, **(more or {})}, source="series")
        prefix = self.project.env["STATEMACHINE_CONTROL_PREFIX"]
        (sent,) = delivery.send(self.db, [target], event, prefix=prefix, event_socket=f"{prefix}-none")
        self.accepted.events[key] = [sent.event.id]

    def _order(self) -> None:
        number = self._number + 1
        told = f"told-{number:06}"
        job = {"id": f"ordered-{number:06}", "data": {"fate": "complete", "seconds": 0.002}, "max_attempts": 1000}
        self._send("order", "orders", {"job": job, "tell": "counter-3", "told": {"key": told, told: 1}})
        self.accepted.ordered[f"ordered-{number:06}"] = "complete"

    # What a point needs: before the process starts, while it runs, and when it is dead

    def _prepare_expired(self) -> None:
        job_id = self._add_job("complete", priority=1)
        assert jobs.claim(self.db, job_id=job_id, owner="gone/0/0/0", machine="gone", lease_s=-1.0) is not None

    def _prepare_stale(self) -> None:
        self._number += 1
        key = f"stale-{self._number:06}"
        number = mailbox.post(self.db, "nobody", "tick", {"key": key, key: 1}, source="series", ttl_s=0.0).id
        self.accepted.events[key] = [number]

    def _prepare_held(self) -> None:
        job_id = self._add_job("complete", seconds=1.0, priority=1)
        process = self._start("statemachine", "config/worker-3.yaml", "--actions-dir", "actions")
        self._until_begun(job_id, process)
        until(lambda: self._held_by("worker-3") == job_id)
        process.kill()
        process.wait()

    def _prepare_long(self) -> None:
        self._add_job("complete", seconds=1.5, priority=1)

    def _prepare_due(self) -> None:
        if not self._is_scheduled():
            process = self._start("statemachine", "config/clock.yaml")
            until(self._is_scheduled, timeout_s=REACH_S)
            process.kill()
            process.wait()
        with self.db.write():
            self.db.execute("UPDATE schedules SET next_at = ?", (self.db.now() - 5,))

    def _prepare_bulk(self) -> None:
        lines = []
        for _ in range(30):
            self._number += 1
            line = {"job_id": f"job-{self._number:06}", "type": "work", "payload": {"fate": "complete", "seconds": 0}}
            lines.append(json.dumps({**line, "max_attempts": 1000}))
            self.accepted.jobs[f"job-{self._number:06}"] = "complete"
        (self.project.folder / "jobs.jsonl").write_text("\n".join(lines))

    def _prepare_post(self) -> None:
        self._number += 1
        self.accepted.doubtful[f"tick-{self._number:06}"] += 1

    def _prepare_new(self) -> None:
        if self.db.is_postgres:
            with self.db.write():
                self.db.execute("DROP SCHEMA IF EXISTS recreated CASCADE")
                self.db.execute("CREATE SCHEMA recreated")
        else:
            (self.project.folder / "new.db").unlink(missing_ok=True)

    def _during_cut(self, process: subprocess.Popen[bytes]) -> None:
        line = self._until_begun(self._add_job("complete", seconds=2.0, priority=1), process)
        if line:
            self._send("cut", line[3])

    def _during_end(self, process: subprocess.Popen[bytes]) -> None:
        self._until_begun(self._add_job("complete", seconds=2.0, priority=1), process)
        process.terminate()

    def _after_bulk(self) -> None:
        self.project.shell("statemachine-db add-jobs jobs.jsonl --batch 10 --quiet")

    def _after_new(self) -> None:
        self.project.shell(f"statemachine-db add-job new --type work --if-absent --db '{self._new}'")
        with Database(self._new) as made, made.read():
            tables = made.tables()
        if not {"jobs", "machine_events", "job_attempts"} <= tables:
            self.faults.append(f"a database that was being made has {sorted(tables)}")

    # Helpers

    def _command(self, point: Point) -> list[str]:
        if point.needs == "post":
            key = f"tick-{self._number:06}"
            payload = json.dumps({"key": key, key: 1})
            return ["statemachine-db", "send-event", "--target", "counter-3", "--type", "tick", "--payload", payload]
        if point.needs == "bulk":
            return ["statemachine-db", "add-jobs", "jobs.jsonl", "--batch", "10", "--quiet"]
        if point.needs == "new":
            return ["statemachine-db", "add-job", "new", "--type", "work", "--if-absent", "--db", self._new]
        return ["statemachine", *self._machines(), *(["--grace", "0"] if point.needs == "end" else [])]

    def _machines(self) -> list[str]:
        return [*(f"config/{name}.yaml" for name in CREW), "--actions-dir", "actions"]

    def _start(self, *command: str, point: str | None = None) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(HERE / "crashing.py"), point, *command] if point else list(command)
        return self.project.start(" ".join(f"'{word}'" for word in words))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        until(lambda: self._came_up(process.pid), timeout_s=REACH_S)
        process.terminate()
        code = process.wait(REACH_S)
        if code != 0:
            self.faults.append(f"a process that nobody killed ended with {code}")

    def _came_up(self, pid: int) -> bool:
        with self.db.read():
            up = self.db.execute("SELECT count(*) FROM machine_state WHERE pid = ?", (pid,)).fetchone()[0]
        return bool(up == len(CREW))

    def _held_by(self, machine: str) -> str | None:
        """Return the job with which a machine would resume."""
        snapshot = snapshots.get(self.db, machine)
        return snapshot.job_id if snapshot else None

    def _is_scheduled(self) -> bool:
        return bool(schedules.list_(self.db))

    def _until_begun(self, job_id: str, process: subprocess.Popen[bytes]) -> list[str]:
        """Wait for the journal's line; give up if the process dies before, through what an earlier one left."""
        journal = self.project.folder / "journal"

        def begun() -> list[str]:
            lines = journal.read_text().splitlines() if journal.exists() else []
            return next((line.split() for line in lines if line.startswith(f"begin {job_id} ")), [])

        until(lambda: begun() or process.poll() is not None, timeout_s=REACH_S)
        return begun()

    def _firings(self, evidence: Evidence) -> list[str]:
        fired = sum(row.fired for row in schedules.list_(self.db))
        there = sum(job_id.startswith("clock.") for job_id in evidence.jobs)
        return [] if fired == there else [f"the schedule fired {fired} times and made {there} jobs"]


def run(folder: Path, chosen: Sequence[tuple[Point, int]], url: str | None = None) -> tuple[int, float, list[str]]:
    """Crash at each of these points, at the given calls. Return (crashes, seconds, broken promises)."""
    series, started = Series(folder, url), time.monotonic()
    for point, hit in chosen:
        if point.needs != "post":
            series.crash(point, hit)
    posts = [(point, hit) for point, hit in chosen if point.needs == "post"]
    if posts:
        series.posting(posts)
    found = series.close()
    return series.crashes, round(time.monotonic() - started, 1), found

"""The processes of a campaign, and what is done to them."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from statemachine_engine.storage.clock import to_text
from statemachine_engine.storage.engine.database import Database
from tests.support.project import Project
from tests.support.until import until

HERE = Path(__file__).parent

#: seconds that a process has to end after SIGTERM
END_S = 30

#: seconds that one with a job in hand is looked for
LOOK_S = 0.5


class Fleet:
    """Named processes of one project, each started again after its end."""

    def __init__(self, project: Project, db: Database, rng: random.Random, crews: dict[str, list[str]]) -> None:
        """`crews`: process -> the machines in it, by the names of their files in the project's config/."""
        self.project = project
        self.crews = crews
        #: what should not have happened
        self.faults: list[str] = []
        #: disturbance -> how often
        self.done: dict[str, int] = {}
        self._db = db
        self._rng = rng
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._since: dict[str, float] = {}
        self._ending: dict[str, tuple[int, ...]] = {}
        self._stopped: set[str] = set()
        for crew in crews:
            self.start(crew)

    def start(self, crew: str) -> None:
        """Start a process."""
        files = " ".join(f"config/{machine}.yaml" for machine in self.crews[crew])
        self._running[crew] = self.project.start(f"statemachine {files} --actions-dir actions")
        self._since[crew] = time.monotonic()
        self._note("start", crew)

    def victim(self) -> str:
        """Mostly who has run longest, so that work gets done; sometimes anybody, even one that is just starting."""
        able = self._able()
        return able[0] if self._rng.random() < 0.6 else self._rng.choice(able)

    def kill(self) -> None:
        """SIGKILL, and a new start at once."""
        crew = self.victim()
        self._note("SIGKILL", crew)
        self._running[crew].kill()
        self._expect(crew, -signal.SIGKILL)
        self.start(crew)
        self._count("SIGKILL")

    def terminate(self) -> None:
        """SIGTERM; started again when it has ended."""
        if len(self._ending) < len(self.crews) - 2:
            crew = self.victim()
            process = self._running[crew]
            # one that is still coming up may not have come to hear signals: Python itself is starting, or the database
            # is locked for longer than a start waits, by one that stands still
            self._ending[crew] = (0,) if self._came_up(crew, process.pid) else (-signal.SIGTERM, 0, 1)
            self._note("SIGTERM", crew)
            process.terminate()
            self._count("SIGTERM")

    def stop(self) -> None:
        """SIGSTOP, one at a time, and only who has a job in hand."""
        deadline = time.monotonic() + LOOK_S
        while not self._stopped and time.monotonic() < deadline:
            for crew in filter(self._has_a_job, self._able()):
                self._running[crew].send_signal(signal.SIGSTOP)
                if self._has_a_job(crew):
                    self._note("SIGSTOP", crew)
                    self._stopped.add(crew)
                    self._since[crew] = time.monotonic()
                    self._count("SIGSTOP")
                    return
                self._running[crew].send_signal(signal.SIGCONT)

    def look(self, stop_s: float) -> None:
        """Wake what was stopped long enough, start again what has ended, note what ended by itself."""
        for crew in [crew for crew in self._stopped if time.monotonic() - self._since[crew] >= stop_s]:
            self.wake(crew)
        for crew, process in list(self._running.items()):
            if process.poll() is None:
                continue
            if crew in self._ending:
                self._expect(crew, *self._ending.pop(crew))
            elif process.returncode == 1 and not self._came_up(crew, process.pid):
                self._count("starts in vain")  # the server went away meanwhile
            else:
                self.faults.append(f"process {crew} ended by itself, with {process.returncode}")
            self.start(crew)

    def wake(self, crew: str) -> None:
        """SIGCONT."""
        self._note("SIGCONT", crew)
        self._running[crew].send_signal(signal.SIGCONT)
        self._stopped.discard(crew)

    def calm(self) -> None:
        """End the disturbances, and let all processes run."""
        for crew in list(self._stopped):
            self.wake(crew)
        self.look(0)

    def is_up(self) -> bool:
        """Return True if every machine runs in the present process. Start again what ended meanwhile."""
        self.look(0)
        return all(self._came_up(crew, process.pid) for crew, process in self._running.items())

    def end(self) -> None:
        """End all in order, once they are up."""
        until(self.is_up, timeout_s=END_S)
        for crew, process in self._running.items():
            self._note("end", crew)
            process.terminate()
        for crew in self._running:
            self._expect(crew, 0)
        self._running.clear()

    def _able(self) -> list[str]:
        """Return the processes that can be disturbed, the one that has run longest first."""
        return sorted(self.crews.keys() - self._ending.keys() - self._stopped, key=self._since.__getitem__)

    def _has_a_job(self, crew: str) -> bool:
        held = "SELECT count(*) FROM jobs WHERE status = 'processing' AND owner LIKE ?"
        with self._db.read():
            return bool(self._db.execute(held, (f"%/{self._running[crew].pid}/%",)).fetchone()[0])

    def _came_up(self, crew: str, pid: int) -> bool:
        """Return True if each of its machines reported its start: a row of the registry is only a part of it."""
        begun = (
            "SELECT max(created_at) FROM realtime_events WHERE event_type = 'machine_registered' AND machine_name = ?"
        )
        of_pid = "SELECT machine_name, started_at FROM machine_state WHERE incarnation LIKE ?"
        with self._db.read():
            rows = self._db.execute(of_pid, (f"%/{pid}/%",)).fetchall()
            said = {name: self._db.execute(begun, (name,)).fetchone()[0] or "" for name, _ in rows}
        return len(rows) == len(self.crews[crew]) and all(said[name] >= to_text(at) for name, at in rows)

    def _expect(self, crew: str, *codes: int) -> None:
        try:
            found = self._running[crew].wait(END_S)
        except subprocess.TimeoutExpired:
            self.faults.append(f"process {crew} did not end within {END_S} s")
            self._running[crew].kill()
            self._running[crew].wait()
            return
        if found not in codes:
            self.faults.append(f"process {crew} ended with {found}, not {codes[0]}")

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _note(self, what: str, crew: str) -> None:
        """Add a line to those that the processes print."""
        with (self.project.folder / "processes.log").open("a") as log:
            log.write(f"{datetime.now()} - chaos - {what} {crew} {self._running[crew].pid}\n")


def write_machine(folder: Path, file: str, name: str, **changed: Any) -> None:
    """Copy one of the files in config/ under another name."""
    data = yaml.safe_load((HERE / "config" / f"{file}.yaml").read_text())
    data.setdefault("metadata", {})["machine_name"] = name
    target = folder / "config" / f"{name}.yaml"
    target.parent.mkdir(exist_ok=True)
    target.write_text(yaml.safe_dump({**data, **changed}, sort_keys=False))

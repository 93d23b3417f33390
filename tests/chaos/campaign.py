"""A campaign: machines at work while their processes are killed, stopped and ended, and a verdict on what is left."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import StorageError
from tests.chaos.fleet import HERE, Fleet, write_machine
from tests.chaos.load import Load
from tests.chaos.verdict import Evidence, faults
from tests.support.project import Project
from tests.support.until import until

WORKERS = ["worker-1", "worker-2", "worker-3", "worker-4"]
COUNTERS = ["counter-1", "counter-2", "counter-3", "counter-4"]
CREWS = {f"process-{n}": [f"worker-{n}", f"counter-{n}"] for n in range(1, 5)} | {"controller": ["orders"]}

#: machines that resume; the others start from their initial state
RESUMING = {"worker-3", "worker-4", *COUNTERS, "orders"}

#: seconds between two disturbances
PACE_S = (0.2, 0.4)

#: seconds that a stopped process is kept: its leases, of one second, run out meanwhile
STOP_S = 2.5

#: seconds after the last disturbance within which all has to be done
DRAIN_S = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """The course of a campaign. The same plan gives the same load, and the same disturbances at the same times."""

    jobs: int
    events: int
    #: disturbances at least; they go on until all work is done
    rounds: int
    seed: int
    #: disturbance -> weight: kill, terminate, stop, server
    kinds: dict[str, int]
    job_s: float = 0.02


@dataclass(slots=True)
class Report:
    """The result of a campaign."""

    plan: Plan
    took_s: float = 0.0
    disturbances: dict[str, int] = field(default_factory=dict)
    jobs: int = 0
    events: int = 0
    #: attempts beyond the first
    repeated: int = 0
    #: attempts of a worker to end a job that another one held by then
    fenced: int = 0
    faults: list[str] = field(default_factory=list)


def run(
    folder: Path, plan: Plan, *, url: str | None = None, restart_server: Callable[[], None] | None = None
) -> Report:
    """Carry it out in an empty folder; `url` None: on SQLite there."""
    rng = random.Random(plan.seed)
    victims = random.Random(plan.seed)  # apart: how many are drawn depends on who runs
    project = prepared(folder, url)
    db = Database.open(project.env["STATEMACHINE_DB"])
    load = Load(rng, jobs=plan.jobs, events=plan.events, workers=WORKERS, counters=COUNTERS, job_s=plan.job_s)
    started = time.monotonic()
    fleet = Fleet(project, db, victims, CREWS)
    try:
        _disturb(plan, rng, fleet, load, db, restart_server)
        fleet.calm()
        try:
            until(lambda: load.sent and is_done(db, fleet), timeout_s=DRAIN_S)
        except AssertionError:
            fleet.faults.append(f"{DRAIN_S} s after the last disturbance there is still work: {unfinished(db)}")
        fleet.end()
        evidence = Evidence.gathered(db, folder, load.accepted)
        report = Report(plan, round(time.monotonic() - started, 1), fleet.done, len(evidence.jobs))
        report.events = len(evidence.events)
        report.repeated = sum(max(job["attempts"] - 1, 0) for job in evidence.jobs.values())
        report.fenced = project.log().count("is no longer held by this worker")
        report.faults = [*fleet.faults, *faults(evidence, resuming=RESUMING), *left_over(db, project)]
        return report
    finally:
        load.close()
        db.close()
        project.close()


def prepared(folder: Path, url: str | None) -> Project:
    """Return a project with the machines of a campaign."""
    project = Project(folder)
    project.env["STATEMACHINE_DB"] = url or f"sqlite:///{folder}/pipeline.db"
    shutil.copytree(HERE / "actions", folder / "actions", ignore=shutil.ignore_patterns("__pycache__"))
    for file, names in (("worker", WORKERS), ("counter", COUNTERS), ("orders", ["orders"]), ("clock", ["clock"])):
        for name in names:
            write_machine(folder, file, name, on_restart="resume" if name in RESUMING else "initial")
    return project


def unfinished(db: Database) -> dict[str, int]:
    """Return the number of jobs and events that wait or are in work."""
    jobs = "SELECT count(*) FROM jobs WHERE status IN ('pending', 'scheduled', 'processing')"
    events = "SELECT count(*) FROM machine_events WHERE status = 'pending'"
    with db.read():
        return {"jobs": db.execute(jobs).fetchone()[0], "events": db.execute(events).fetchone()[0]}


def is_done(db: Database, fleet: Fleet) -> bool:
    """Return True if no work is left. Start again what ended meanwhile."""
    fleet.look(STOP_S)
    try:
        return not any(unfinished(db).values())
    except StorageError:  # the server is away
        return False


def left_over(db: Database, project: Project) -> list[str]:
    """Return what the processes should have removed at their end."""
    found = [f"a socket is left: {path.name}" for path in project.sockets.iterdir()]
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.resolve() == project.folder and int(link.parent.name) != os.getpid():
                found.append(f"a process is left: {(link.parent / 'cmdline').read_text()}")
        except OSError:
            continue
    with db.read():
        for name, pid, status in db.execute("SELECT machine_name, pid, status FROM machine_state").fetchall():
            if pid is not None or status != "ended":
                found.append(f"machine {name} is in the registry as {status}, with pid {pid}")
        if not db.is_postgres:
            found += [row[0] for row in db.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
    return found


# Helpers


def _disturb(
    plan: Plan, rng: random.Random, fleet: Fleet, load: Load, db: Database, restart_server: Callable[[], None] | None
) -> None:
    pace = threading.Event()
    for number in range(2 * plan.rounds):
        if number < plan.rounds:
            load.release(db, fleet.project.env["STATEMACHINE_CONTROL_PREFIX"], number, plan.rounds)
        elif load.sent and is_done(db, fleet):
            return
        pace.wait(rng.uniform(*PACE_S))
        fleet.look(STOP_S)
        (kind,) = rng.choices(list(plan.kinds), list(plan.kinds.values()))
        if kind == "server":
            assert restart_server is not None
            until(fleet.is_up, timeout_s=DRAIN_S)
            restart_server()
            fleet.done["server restarts"] = fleet.done.get("server restarts", 0) + 1
        else:
            getattr(fleet, kind)()

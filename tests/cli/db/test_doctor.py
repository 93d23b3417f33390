"""The doctor finds what is wrong, names the remedy, and finds nothing where nothing is."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from statemachine_engine.cli.db import doctor_files
from statemachine_engine.cli.db.doctor import findings_of
from statemachine_engine.storage import audit, jobs, mailbox, schedules
from statemachine_engine.storage.audit import Note
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.machines import update
from statemachine_engine.storage.schedules import ScheduleRow
from tests.support.older_engines import make_old_file

Usage = namedtuple("Usage", "total used free")

DEAD_PID = 2**22 - 3


def wrong(place: Any) -> dict[str, str]:
    """Return the findings that are not ok: message -> remedy."""
    return {
        finding["message"]: finding["remedy"]
        for finding in place_json(place)
        if finding["severity"] != "ok"
    }  # fmt: skip


def place_json(place: Any) -> Any:
    return json.loads(place.db("doctor", "--format", "json").stdout)


def one(place: Any) -> tuple[str, str]:
    """Return the only finding."""
    (found,) = wrong(place).items()
    return found


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


@pytest.fixture
def healthy(place: Any) -> Any:
    """An installation with a machine that runs and listens."""
    place.listen(place.machine("worker"))
    return place


def test_a_healthy_installation_has_no_findings(healthy: Any) -> None:
    result = healthy.db("doctor")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("All is well\n")
    for check in ("versions", "disk", "permissions", "locks", "leases", "machines", "sockets", "events"):
        assert f"✅ {check}: " in result.stdout
    assert {finding["severity"] for finding in place_json(healthy)} == {"ok"}


def test_a_finding_is_shown_with_its_remedy_and_makes_the_exit_code_1(bare: Any) -> None:
    result = bare.db("doctor")

    assert result.exit_code == 1
    assert f"❌ store: there is no database {bare.folder / 'data' / 'pipeline.db'}\n     → go to" in result.stdout
    assert result.stdout.endswith("1 of 2 need attention\n")


def test_it_makes_no_database(bare: Any) -> None:
    bare.db("doctor")

    assert not (bare.folder / "data").exists()


def test_an_older_engines_file_is_left_as_it_is(bare: Any) -> None:
    path = bare.folder / "data" / "pipeline.db"
    path.parent.mkdir()
    make_old_file(path, with_config_type=True)
    path.chmod(0o600)
    before = dump(path)

    message, remedy = one(bare)

    assert "was made by an older engine" in message
    assert "keep a copy" in remedy
    assert dump(path) == before
    assert not list(path.parent.glob("*before*"))


def test_a_file_without_tables_is_no_older_engines_and_not_damaged(bare: Any) -> None:
    path = bare.folder / "data" / "pipeline.db"
    path.parent.mkdir()
    path.touch(0o600)

    message, remedy = one(bare)

    assert message == f"{path} has no tables yet"
    assert "statemachine-db status, makes them" in remedy


def test_a_newer_engines_file(healthy: Any) -> None:
    db = healthy.open()
    with db.write():
        db.execute("PRAGMA user_version = 99")

    message, remedy = one(healthy)
    assert "schema version 99 is newer" in message
    assert remedy == "pip install --upgrade statemachine-engine"


def test_a_machine_that_died(place: Any) -> None:
    place.machine("worker", pid=DEAD_PID, state="working")

    assert one(place) == (
        f"worker died in state working: its process {DEAD_PID} is gone",
        "start it again: statemachine worker_config.yaml",
    )


def test_a_machine_that_failed(healthy: Any) -> None:
    incarnation = f"{socket.gethostname()}/{os.getpid()}/0/worker"
    update(healthy.open(), "worker", incarnation, status="failed")

    message, remedy = one(healthy)
    assert message == "worker has failed in state waiting"
    assert "error-history --machine worker" in remedy


def test_a_running_machine_without_its_socket(place: Any) -> None:
    path = place.machine("worker")

    message, remedy = one(place)
    assert message == f"worker runs, but nobody listens at {path}: events reach it late"
    assert remedy == f"restart worker (pid {os.getpid()})"


def test_sockets_that_were_left_behind(healthy: Any) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(f"{healthy.prefix}-gone.sock")

    assert one(healthy) == (f"nobody listens at {healthy.prefix}-gone.sock", f"rm {healthy.prefix}-gone.sock")


def test_jobs_that_are_held_and_not_worked_on(healthy: Any) -> None:
    db = healthy.open()
    for job_id in ("a", "b"):
        jobs.enqueue(db, job_id, "t")
    jobs.claim(db, owner="w")
    with db.write():
        db.execute("UPDATE jobs SET lease_until = lease_until - 3600 WHERE job_id = 'a'")
        db.execute("UPDATE jobs SET status = 'processing', lease_until = NULL WHERE job_id = 'b'")

    found = wrong(healthy)
    assert (
        "release --status processing"
        in found["1 jobs are held by workers that are gone, and no runtime takes them back"]
    )
    assert "reset-processing" in found["1 jobs were left in processing by an older engine or by hand"]


def test_jobs_that_wait_while_nothing_runs(place: Any) -> None:
    place.db("add-job", "a", "--type", "t")

    assert one(place) == ("1 jobs wait, and no machine runs", "statemachine CONFIG")


def test_events_that_nobody_reads(healthy: Any) -> None:
    db = healthy.open()
    for target in ("worker", "absent"):
        mailbox.post(db, target, "go")
    with db.write():
        db.execute("UPDATE machine_events SET created_at = '2026-01-01 00:00:00.000', expires_at = NULL")

    found = wrong(healthy)
    assert "busy or stuck" in found["1 events wait for worker since 2026-01-01 00:00:00.000"]
    assert "start it" in found["1 events wait for absent since 2026-01-01 00:00:00.000, which does not run"]


def test_a_schedule_that_is_overdue(healthy: Any) -> None:
    schedules.register(healthy.open(), ScheduleRow("w.nightly", "w", "w", "@daily", "UTC", "job t", "s", 0.0))

    message, remedy = one(healthy)
    assert message.startswith("w.nightly was due at 1970-01-01")
    assert "schedules --forget w.nightly" in remedy


def test_a_lock_that_somebody_holds(healthy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = healthy.open().path
    monkeypatch.setattr("statemachine_engine.storage.engine.sqlite.BUSY_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        message, remedy = one(healthy)

    assert "nothing can be written" in message
    assert f"pid {os.getpid()}" in remedy


def test_a_damaged_file(healthy: Any) -> None:
    db = healthy.open()
    audit.write(db, [Note("m", "n", {"text": "x" * 1000}, db.now()) for _ in range(50)])
    with db.read() as connection:
        connection.execute("PRAGMA query_only = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'realtime_events'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with db.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)

    found = wrong(healthy)
    assert any(message.startswith("the file is damaged: ") for message in found)
    assert any(".recover" in remedy for remedy in found.values())


def test_a_file_that_is_no_database(bare: Any) -> None:
    path = bare.folder / "data" / "pipeline.db"
    path.parent.mkdir()
    path.write_text("hello " * 1000)
    path.chmod(0o600)

    message, remedy = one(bare)
    assert "not a database" in message
    assert "backup" in remedy


def test_a_file_that_others_can_read(healthy: Any) -> None:
    path = healthy.open().path
    path.chmod(0o644)

    assert one(healthy) == (f"every user of this host can read {path}", f"chmod o-rwx {path}")


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Root is let in everywhere, so it becomes somebody else for a moment."""
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o700)


@pytest.mark.parametrize(
    ("mode", "said"), [(0o400, "cannot be read by this user"), (0o444, "can only be read: we may not write it")]
)
def test_files_that_we_may_not_write(mode: int, said: str) -> None:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        folder = Path(made) / "data"
        folder.mkdir()
        file = folder / "pipeline.db"
        file.touch(mode)
        folder.chmod(0o555)
        with as_nobody(folder):
            found = findings_of("permissions", doctor_files.permissions(file))

    assert found[0].message.startswith(f"{file} {said}")
    assert "run as its owner" in found[0].remedy


@pytest.mark.parametrize(("free", "severity"), [(100 * 2**20, "error"), (2**30, "warning"), (50 * 2**30, "ok")])
def test_little_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, severity: str) -> None:
    file = tmp_path / "pipeline.db"
    file.touch()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * 2**30, 0, free))

    (finding,) = findings_of("disk", doctor_files.disk(file))

    assert finding.severity == severity
    assert ("prune" in finding.remedy) == (severity != "ok")


def test_a_write_ahead_log_that_only_grows(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.db"
    file.touch()
    with (tmp_path / "pipeline.db-wal").open("wb") as wal:
        wal.truncate(doctor_files.LARGE_WAL_BYTES + 1)

    messages = [finding.message for finding in findings_of("disk", doctor_files.disk(file))]
    assert any("a reader keeps it open for very long" in message for message in messages)


def test_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pipeline.db"
    file.touch()
    monkeypatch.setattr(doctor_files, "_file_system", lambda path: "nfs4")

    assert any(
        "network file system (nfs4)" in finding.message for finding in findings_of("disk", doctor_files.disk(file))
    )


def test_the_kind_of_a_file_system_is_found(tmp_path: Path) -> None:
    assert doctor_files._file_system(Path("/proc/self")) == "proc"
    assert doctor_files._file_system(tmp_path) not in ("", "proc")


def test_a_database_that_cannot_be_reached(place: Any) -> None:
    result = place.db("doctor", "--db", "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")

    assert result.exit_code == 1
    assert "❌ store: " in result.stdout
    assert "→ check that the server runs" in result.stdout
    assert "→ write --db as a path" in place.db("doctor", "--db", "mysql://x/y").stdout


def test_postgresql_is_looked_at_too(place: Any, postgres_url: str) -> None:
    Database.open(postgres_url).close()

    result = place.db("doctor", "--db", postgres_url)

    assert result.exit_code == 0, result.output
    assert "PostgreSQL" in result.stdout

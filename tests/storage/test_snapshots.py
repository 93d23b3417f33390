"""Test the snapshots from which machines resume, on every database."""

from __future__ import annotations

import re

import pytest

from statemachine_engine.storage import audit, masking, snapshots
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import SnapshotDamaged
from statemachine_engine.storage.snapshots import Forgotten, Saved
from tests.support.factories import acquire


def saved(state: str, incarnation: str) -> Saved:
    return Saved("m", state, True, '{"n": 1}', "j1", 2, '{"late": 5.0}', incarnation, "hash", 4.0, None, True)


def state_of(db: Database) -> tuple[str, str | None] | None:
    found = snapshots.get(db, "m")
    return (found.state, found.incarnation) if found is not None else None


def test_the_last_one_is_kept_with_all_that_it_says(db: Database) -> None:
    acquire(db, "m")
    audit.write(db, [saved("a", "run-1")])
    audit.write(db, [saved("b", "run-1")])

    found = snapshots.get(db, "m")

    assert found is not None
    assert (found.state, found.settled, found.context, found.job_id, found.attempt) == ("b", True, {"n": 1}, "j1", 2)
    assert (found.timers, found.definition_hash, found.saved_at) == ({"late": 5.0}, "hash", 4.0)
    assert (found.failure, found.cut_off) == (None, True)


def test_why_the_job_has_failed_is_kept_as_a_text_that_every_database_takes_without_secrets(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_pattern", re.compile("swordfish"))
    acquire(db, "m")
    audit.write(db, [saved("a", "run-1")._replace(failure="exit 3: \0 swordfish")])

    found = snapshots.get(db, "m")

    assert found is not None
    assert found.failure is not None
    assert found.failure.endswith("***")
    assert "\0" not in found.failure


@pytest.mark.parametrize(
    ("column", "text", "why"),
    [
        ("context", '{"x":', "its context is no JSON mapping"),
        ("context", "[1]", "its context is no JSON mapping"),
        ("timers", "nope", "its timers is no JSON mapping"),
        ("timers", '{"timeout(100)": "soon"}', "its timers are no times"),
    ],
)
def test_a_damaged_snapshot_is_refused_with_the_reason(db: Database, column: str, text: str, why: str) -> None:
    acquire(db, "m")
    audit.write(db, [saved("a", "run-1")])
    with db.write():
        db.execute(f"UPDATE machine_snapshots SET {column} = ?", (text,))

    with pytest.raises(SnapshotDamaged, match=why):
        snapshots.get(db, "m")


def test_an_end_leaves_nothing_to_resume(db: Database) -> None:
    acquire(db, "m")
    audit.write(db, [saved("a", "run-1"), Forgotten("m", "run-1")])

    assert state_of(db) is None


@pytest.mark.parametrize("late", [saved("old", "run-1"), Forgotten("m", "run-1")])
def test_who_was_overtaken_changes_nothing_any_more(db: Database, late: Saved | Forgotten) -> None:
    acquire(db, "m")
    acquire(db, "m", "run-2", is_alive=lambda row: False)
    audit.write(db, [saved("new", "run-2")])

    audit.write(db, [late])

    assert state_of(db) == ("new", "run-2")

"""Counts of problems, on every database."""

from __future__ import annotations

import pytest

from statemachine_engine.storage import mailbox, problems
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import PayloadTooLarge
from statemachine_engine.storage.problems import ProblemCount


def test_what_is_added_is_added_to_what_there_is(db: Database) -> None:
    problems.add(db, [ProblemCount("socket_gone", 1, 0.0), ProblemCount("database_locked", 1, 2.5)])
    problems.add(db, [ProblemCount("database_locked", 0, 1.5)])

    assert problems.counts(db) == [ProblemCount("database_locked", 1, 4.0), ProblemCount("socket_gone", 1, 0.0)]


def test_a_payload_that_is_refused_is_counted(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_PAYLOAD_BYTES", 100)
    for _ in range(2):
        with pytest.raises(PayloadTooLarge):
            mailbox.post(db, "m", "go", "x" * 101)

    assert problems.counts(db) == [ProblemCount("payload_refused", 2, 0.0)]

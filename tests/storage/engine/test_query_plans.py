"""Queries that must not grow slower as the tables grow longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from statemachine_engine.storage import audit, jobs, mailbox
from statemachine_engine.storage.engine.database import Database

Use = Callable[[Database], Any]

USES: list[tuple[str, Use]] = [
    ("claim of a type", lambda db: jobs.claim(db, owner="w", job_type="work")),
    ("claim of a type for a machine type", lambda db: jobs.claim(db, owner="w", job_type="work", machine_type="gpu")),
    ("claim of anything", lambda db: jobs.claim(db, owner="w")),
    ("claim by name", lambda db: jobs.claim(db, job_id="j1", owner="w")),
    ("complete", lambda db: jobs.complete(db, "j1")),
    ("rescue", jobs.rescue),
    ("renew", lambda db: jobs.renew(db, "w")),
    ("claimable", lambda db: jobs.claimable(db, [("work", None), (None, None)])),
    ("pending", lambda db: jobs.pending(db, "work", None, 10)),
    ("find failed", lambda db: jobs.find(db, status="failed")),
    ("find processing", lambda db: jobs.find(db, status="processing")),
    ("post", lambda db: mailbox.post(db, "m", "go")),
    ("unread", lambda db: mailbox.unread(db, "m")),
    ("pending targets", lambda db: mailbox.pending_targets(db, ["m"])),
    ("settle", lambda db: mailbox.settle(db, [1], "processed")),
    ("since", lambda db: audit.since(db, 5)),
    ("errors", audit.errors),
]


@contextmanager
def statements(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """Yield a list that fills with the statements that the database runs meanwhile."""
    seen: list[tuple[str, Any]] = []
    execute = db.execute

    def remember(sql: str, params: Any = ()) -> Any:
        seen.append((sql, params))
        return execute(sql, params)

    db.execute = remember  # type: ignore[method-assign]
    yield seen
    del db.execute  # type: ignore[method-assign]


@pytest.mark.parametrize(("name", "use"), USES, ids=[name for name, _ in USES])
def test_no_table_is_read_from_end_to_end(
    name: str, use: Use, sqlite_path: Path, open_db: Callable[..., Database]
) -> None:
    db = open_db(sqlite_path)
    jobs.enqueue(db, "j1", "work")
    with statements(db) as seen:
        use(db)

    with db.write():
        plans = [row[3] for sql, params in seen for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()]
    walks = [step for step in plans if step.startswith("SCAN") and "INDEX" not in step and "CONSTANT" not in step]
    sorts = [step for step in plans if "TEMP B-TREE" in step and name != "pending"]
    assert (walks, sorts) == ([], [])

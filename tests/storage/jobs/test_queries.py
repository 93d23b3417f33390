"""Looking at the queue, on every database."""

from __future__ import annotations

from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.jobs import queries
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock


def test_a_search_takes_every_condition_together(db: Database) -> None:
    jobs.enqueue(db, "a", "resize", data={"file": "Café 100%_!.png"})
    jobs.enqueue(db, "b", "resize", machine_type="gpu", data={"file": "x"})
    jobs.enqueue(db, "c", "convert", data={"file": "100_!.png"})
    jobs.fail(db, "c", "Disk FULL")

    def found(**wanted: object) -> list[str]:
        return [job.job_id for job in queries.search(db, **wanted)]  # type: ignore[arg-type]

    assert found() == ["c", "b", "a"]
    assert found(job_type="resize", machine_type="gpu") == ["b"]
    assert found(statuses=["failed", "pending"], text="100") == ["c", "a"]
    assert found(text="%_!") == ["a"]
    assert found(text="disk full") == ["c"]
    assert found(limit=1, before_id=queries.search(db)[0].id) == ["b"]


def test_jobs_that_are_being_worked_on_are_known_by_id_and_since_when(db: Database, clock: ManualClock) -> None:
    assert queries.oldest_start(db) is None
    add_jobs(db, 3)
    began_s = db.now()
    claimed(db)
    clock.advance(10)
    claimed(db)

    assert queries.held(db) == {"job-0", "job-1"}
    assert queries.oldest_start(db) == began_s


def test_waiting_jobs_are_counted_by_type_with_their_age(db: Database) -> None:
    now_s = db.now()
    add_jobs(db, 2, "one")
    later = jobs.enqueue(db, "later", "two", delay_s=60)

    assert sorted(queries.waiting(db)) == [("one", "pending", 2, now_s), ("two", "scheduled", 1, later.due_at)]


def test_a_search_leaves_out_what_would_make_a_page_too_long(db: Database) -> None:
    jobs.enqueue(db, "short", "work", data={"rows": [1]})
    jobs.enqueue(db, "long", "work", data={"rows": "x" * queries.LONGEST_LISTED})

    found = queries.search(db, text="xxx") + queries.search(db, text="short")

    assert [job.data for job in found] == [{"truncated": True}, {"rows": [1]}]

"""The jobs of a machine: finished by the rule, fenced by the lease, detached and adopted, released."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from statemachine_engine.actors.concurrency.cancel_token import CancelToken
from statemachine_engine.actors.concurrency.timers import Timer, Timers
from statemachine_engine.actors.concurrency.wait_board import WaitBoard
from statemachine_engine.actors.jobs.job_holder import OUTPUT_BYTES, JobHolder, JobOverdue
from statemachine_engine.storage import jobs
from statemachine_engine.storage.engine.database import Database
from statemachine_engine.storage.errors import CommitInDoubt, JobExists, JobNotFound, LeaseLost, StorageError
from statemachine_engine.storage.jobs import Job, attempts
from statemachine_engine.storage.jobs.attempts import Attempt
from tests.support.factories import add_jobs, claimed
from tests.support.manual_clock import ManualClock
from tests.support.postgres import lose_next_answer


class Process:
    """The process that a job holder lives in: it notes what the holder reports."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.published: list[tuple[str, str]] = []
        self.errors: list[str | None] = []
        self.notified: list[tuple[str, tuple[str | None, ...], int]] = []
        self.leases: list[float] = []
        self.limits: list[Timer] = []
        self.told: list[JobOverdue] = []

    def job_holder(self, machine: str = "m") -> JobHolder:
        return JobHolder(
            machine, self.db, "us",
            timers=cast(Timers, self), wait_board=WaitBoard(), tell=self.told.append, publish=self.publish,
            notify=self.notify, lease_taken=self.leases.append,
        )  # fmt: skip

    def publish(self, machine: str, type: str, payload: Mapping[str, Any]) -> None:
        self.published.append((type, payload["job_id"]))
        self.errors += [payload["error_message"]] if "error_message" in payload else []

    def notify(self, topic: str, key: tuple[str | None, ...], count: int) -> None:
        self.notified.append((topic, key, count))

    def after(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        self.limits.append(Timer(callback))
        return self.limits[-1]


@pytest.fixture
def process(db: Database) -> Process:
    return Process(db)


@pytest.fixture
def job_holder(process: Process) -> JobHolder:
    return process.job_holder()


def status(db: Database, job_id: str) -> str:
    job = jobs.get(db, job_id)
    assert job is not None
    return job.status


def attempts_of(db: Database, job_id: str) -> list[Attempt]:
    job = jobs.get(db, job_id)
    assert job is not None
    return attempts.of(db, job)


def current(job_holder: JobHolder) -> str | None:
    return job_holder.current.job_id if job_holder.current is not None else None


def test_a_claimed_job_is_current_and_announced(job_holder: JobHolder, process: Process, db: Database) -> None:
    add_jobs(db, 1)
    job = job_holder.claim("work", lease_s=5.0)
    assert job == job_holder.current
    assert (job.job_id, job.owner, job.attempts) == ("job-0", "us", 1) if job else False
    assert (process.published, process.leases) == ([("job_started", "job-0")], [5.0])


def test_without_a_job_nothing_is_current(job_holder: JobHolder, process: Process) -> None:
    assert job_holder.claim() is None
    assert job_holder.claim(job_id="none") is None
    assert (job_holder.current, process.published) == (None, [])


def test_asking_for_the_next_job_completes_the_one_before(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.claim()
    assert (status(db, "job-0"), current(job_holder)) == ("completed", "job-1")
    assert process.published[1:] == [("job_completed", "job-0"), ("job_started", "job-1")]
    assert process.notified == [("done", ("job-0",), 1)]


def test_asking_in_vain_completes_it_too(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    assert job_holder.claim() is None
    assert (status(db, "job-0"), current(job_holder)) == ("completed", None)


def test_a_job_whose_action_failed_has_failed_for_the_first_reason(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.note_failure("first")
    job_holder.note_failure("second")
    job_holder.claim()
    assert status(db, "job-0") == "failed"
    assert process.errors == ["first"]
    job_holder.claim()
    assert status(db, "job-1") == "completed"


def test_a_failure_while_no_job_is_current_fails_none(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.note_failure("before")
    job_holder.claim()
    job_holder.finish()
    assert status(db, "job-0") == "completed"


@pytest.mark.parametrize(("verb", "expected"), [("complete", "completed"), ("fail", "failed")])
def test_an_explicit_word_wins_over_the_rule(
    job_holder: JobHolder, process: Process, db: Database, verb: str, expected: str
) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    job_holder.note_failure("noted")
    job = job_holder.complete("job-0", {"pages": 3}) if verb == "complete" else job_holder.fail("job-0", "why")
    assert (job.status, status(db, "job-0"), current(job_holder)) == (expected, expected, None)
    job_holder.claim()
    job_holder.finish()
    assert process.published[1:] == [(f"job_{expected}", "job-0")]


def test_a_retried_job_waits_again_and_its_workers_are_notified(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    assert job_holder.retry("job-0", reason="busy").status == "pending"
    assert (current(job_holder), process.notified) == (None, [("jobs", ("work", None), 1)])


def test_a_retry_of_a_job_whose_attempts_are_spent_is_its_failure(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 1, max_attempts=1)
    job_holder.claim()
    assert job_holder.retry("job-0").status == "failed"
    assert process.published[-1] == ("job_failed", "job-0")
    assert process.notified == [("done", ("job-0",), 1)]


def lose(db: Database, clock: ManualClock, process: Process) -> None:
    """Let the lease of the current job run out, and let another worker claim it."""
    clock.advance(61)
    assert jobs.rescue(db)
    assert claimed(db, "another").job_id == "job-0"


@pytest.mark.parametrize("verb", ["complete", "fail", "retry"])
def test_a_worker_whose_lease_is_lost_cannot_settle_the_job_however_often_it_tries(
    job_holder: JobHolder, process: Process, db: Database, clock: ManualClock, verb: str
) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    lose(db, clock, process)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            job_holder.fail("job-0", "no") if verb == "fail" else getattr(job_holder, verb)("job-0")
    job = jobs.get(db, "job-0")
    assert job is not None
    assert (job.status, job.owner) == ("processing", "another")


@pytest.mark.parametrize("end", ["claim", "finish", "release"])
def test_a_lost_job_is_forgotten_at_the_end(
    job_holder: JobHolder,
    process: Process,
    db: Database,
    clock: ManualClock,
    end: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    lose(db, clock, process)
    getattr(job_holder, end)()
    assert (status(db, "job-0"), current(job_holder)) == ("processing", None)
    assert "no longer held by this worker" in caplog.text
    assert process.published == [("job_started", "job-0")]


def test_a_job_that_was_removed_meanwhile_holds_nothing_up(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    jobs.remove(db, "job-0")
    assert job_holder.claim() is not None
    with pytest.raises(JobNotFound):
        job_holder.complete("job-0")


def test_a_controller_settles_any_job_by_its_id(job_holder: JobHolder, process: Process, db: Database) -> None:
    add_jobs(db, 2)
    claimed(db, "another")
    job_holder.complete("job-0")
    job_holder.fail("job-1", "no need")
    assert (status(db, "job-0"), status(db, "job-1")) == ("completed", "failed")
    assert job_holder.current is None


def test_claiming_by_id_settles_the_one_before_but_not_itself(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 2)
    first = job_holder.claim(job_id="job-1")
    assert job_holder.claim(job_id="job-1") == first
    job_holder.claim(job_id="job-0")
    assert (status(db, "job-1"), current(job_holder)) == ("completed", "job-0")
    assert [type for type, _ in process.published] == ["job_started", "job_completed", "job_started"]


def test_an_added_job_notifies_the_workers_that_may_take_it(job_holder: JobHolder, process: Process) -> None:
    job_holder.enqueue("j", "video", machine_type="gpu")
    assert process.notified == [("jobs", ("video", "gpu"), 1)]
    with pytest.raises(JobExists):
        job_holder.enqueue("j", "video")


def test_a_lease_too_short_to_be_renewed_is_lengthened(job_holder: JobHolder, process: Process, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.claim(lease_s=0.0)
    assert process.leases == [1.0]
    assert jobs.rescue(db) == []


def test_the_lease_of_a_job_that_is_adopted_is_renewed_in_time(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 1)
    job_holder.adopt(claimed(db, owner="us", lease_s=2.0))
    assert process.leases == [2.0]


@pytest.mark.parametrize("by_id", [False, True])
def test_a_claim_whose_answer_was_lost_holds_no_job_for_ever(
    postgres_url: str, open_db: Callable[..., Database], by_id: bool
) -> None:
    db = open_db(postgres_url)
    job_holder = Process(db).job_holder()
    add_jobs(db, 1)

    def claim() -> Job | None:
        return job_holder.claim(job_id="job-0") if by_id else job_holder.claim()

    lose_next_answer(db)
    with pytest.raises(CommitInDoubt):
        claim()
    assert status(db, "job-0") == "processing"

    job = claim()

    assert job is not None
    assert (job.job_id, job.attempts) == ("job-0", 1)


def test_a_closed_holder_finishes_its_job_and_claims_nothing(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 3)
    job_holder.claim()
    job_holder.closed = True
    assert job_holder.claim() is None
    assert job_holder.claim(job_id="job-1") is None
    assert [status(db, f"job-{number}") for number in range(3)] == ["completed", "pending", "pending"]


def test_the_machine_s_end_settles_its_job(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.finish()
    job_holder.claim()
    job_holder.finish(failure="ended badly")
    job_holder.finish(failure="nothing is current")
    job = jobs.get(db, "job-1")
    assert job is not None
    assert (status(db, "job-0"), job.status, job.error_message) == ("completed", "failed", "ended badly")


def test_a_released_job_waits_with_its_attempt(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    job_holder.release()
    job_holder.release()
    job = jobs.get(db, "job-0")
    assert job is not None
    assert (job.status, job.attempts, current(job_holder)) == ("pending", 0, None)


def test_a_detached_job_is_adopted_without_being_finished(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    other = process.job_holder("child")
    add_jobs(db, 1)
    job_holder.claim()
    assert job_holder.detach("another job") is None
    assert job_holder.detach(None) is None
    job = job_holder.detach("job-0")
    assert job is not None
    other.adopt(job)
    job_holder.finish(failure="the parent's failure is not the job's")
    assert (status(db, "job-0"), current(job_holder), current(other)) == ("processing", None, "job-0")
    other.complete("job-0")
    assert [attempt.machine for attempt in attempts_of(db, "job-0")] == ["child"]
    assert [type for type, _ in process.published] == ["job_started", "job_completed"]


def test_the_end_of_what_commands_write_is_kept_with_the_attempt(job_holder: JobHolder, db: Database) -> None:
    assert job_holder.output_sink() is None
    add_jobs(db, 2)
    job_holder.claim()
    first = job_holder.output_sink()
    assert first is not None
    first(b"x" * 3 * OUTPUT_BYTES)
    second = job_holder.output_sink()
    assert second is not None
    second("the end ä\n".encode())
    job_holder.claim()
    first(b"a command of the job before that is still dying")
    job_holder.finish()

    (attempt,), (other,) = (attempts_of(db, name) for name in ("job-0", "job-1"))
    assert attempt.output is not None
    assert len(attempt.output.encode()) == OUTPUT_BYTES
    assert attempt.output.endswith("xxxthe end ä\n")
    assert (attempt.machine, other.output) == ("m", None)


def test_a_job_that_was_taken_away_is_forgotten_and_nothing_more_is_written_to_it(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.note_failure("it was under way")
    taken = jobs.cancel(db, "job-0")
    assert not job_holder.lose("job-0", 2)
    assert not job_holder.lose("job-1", 1)
    assert job_holder.lose("job-0", 1)
    assert not job_holder.lose("job-0", 1)
    job_holder.fail("job-0", "why")
    job_holder.retry("job-0")
    with pytest.raises(LeaseLost):
        job_holder.complete("job-0")
    job_holder.claim()
    with pytest.raises(LeaseLost):
        job_holder.complete("job-0")

    assert (current(job_holder), jobs.get(db, "job-0")) == ("job-1", taken)
    assert process.published == [("job_started", "job-0"), ("job_started", "job-1")]


@pytest.mark.parametrize("go", ["claim", "finish", "release"])
def test_what_goes_on_of_actions_that_were_cut_off_does_not_settle_the_job_of_another(
    job_holder: JobHolder, db: Database, clock: ManualClock, go: str
) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.note_cut_off()
    clock.advance(1)
    getattr(job_holder, go)()
    taken = jobs.claim(db, job_id="job-0", owner="another")

    with pytest.raises(LeaseLost):
        job_holder.complete("job-0")
    job_holder.fail("job-0", "why")
    job_holder.retry("job-0")
    assert jobs.get(db, "job-0") == taken


def test_a_job_that_was_taken_away_may_be_claimed_again(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    jobs.retry(db, "job-0")
    assert job_holder.lose("job-0", 1)
    job_holder.claim()
    assert job_holder.complete("job-0").status == "completed"


def test_an_attempt_that_takes_too_long_is_ended_and_the_last_one_is_the_failure(
    job_holder: JobHolder, process: Process, db: Database
) -> None:
    add_jobs(db, 1, max_attempts=2, time_limit_s=90.0)
    reason = "Job job-0 took longer than its time limit of 90 s"
    job_holder.claim()
    assert (job_holder.time_out("job-0", 2), job_holder.time_out("job-0", 1), job_holder.time_out("job-0", 1)) == (
        None,
        reason,
        None,
    )
    assert (status(db, "job-0"), process.notified) == ("pending", [("jobs", ("work", None), 1)])
    job_holder.claim()
    assert job_holder.time_out("job-0", 2) == reason
    assert (status(db, "job-0"), process.published[-1]) == ("failed", ("job_failed", "job-0"))
    assert [attempt.outcome for attempt in attempts_of(db, "job-0")] == ["timed_out", "timed_out"]


def test_an_attempt_that_takes_too_long_may_be_lost_already(
    job_holder: JobHolder, process: Process, db: Database, clock: ManualClock
) -> None:
    add_jobs(db, 1, time_limit_s=90.0)
    job_holder.claim()
    lose(db, clock, process)
    assert "no longer held by this worker" in str(job_holder.time_out("job-0", 1))
    assert (current(job_holder), status(db, "job-0")) == (None, "processing")


@pytest.mark.parametrize("end", ["claim", "complete", "release", "detach"])
def test_a_time_limit_ends_with_the_attempt(job_holder: JobHolder, process: Process, db: Database, end: str) -> None:
    add_jobs(db, 1, time_limit_s=90.0)
    job_holder.claim()
    assert [limit.cancelled for limit in process.limits] == [False]
    getattr(job_holder, end)(*(("job-0",) if end in ("complete", "detach") else ()))
    assert [limit.cancelled for limit in process.limits] == [True]


def test_the_machine_gets_a_message_when_its_attempt_takes_too_long(job_holder: JobHolder, process: Process) -> None:
    add_jobs(process.db, 1, time_limit_s=90.0)
    job_holder.claim()
    process.limits[0].fire()
    assert process.told == [JobOverdue("job-0", 1)]


def test_a_job_that_cannot_be_settled_now_is_settled_the_next_time(
    job_holder: JobHolder, process: Process, db: Database, open_db: Callable[..., Database]
) -> None:
    gone = open_db("sqlite:///:memory:")
    gone.close()
    add_jobs(db, 2)
    job_holder.claim()
    job_holder._db = gone
    for verb in (job_holder.claim, job_holder.finish, job_holder.release):
        with pytest.raises(StorageError):
            verb()
    job_holder._db = db
    assert current(job_holder) == "job-0"
    job_holder.claim()
    assert (status(db, "job-0"), current(job_holder)) == ("completed", "job-1")


def test_settling_and_claiming_are_one_transaction(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 1)
    job_holder.claim()
    with pytest.raises(StorageError):
        job_holder.claim("\ud800")
    assert (status(db, "job-0"), current(job_holder)) == ("processing", "job-0")


def test_a_job_whose_actions_were_cut_off_is_tried_again(job_holder: JobHolder, process: Process, db: Database) -> None:
    add_jobs(db, 1, max_attempts=2)
    job_holder.claim()
    job_holder.note_cut_off()
    job_holder.finish()
    assert status(db, "job-0") == "pending"
    assert process.notified == [("jobs", ("work", None), 1)]

    job_holder.claim()
    job_holder.note_cut_off()
    assert job_holder.claim() is None
    job = jobs.get(db, "job-0")
    assert job is not None
    assert (job.status, job.error_message) == ("failed", "it was cut off")
    assert process.published[-1] == ("job_failed", "job-0")


def test_a_job_that_was_cut_off_may_still_be_settled_by_an_action(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 2)
    job_holder.claim()
    job_holder.note_cut_off()
    job_holder.complete("job-0")
    job_holder.claim()
    job_holder.finish()
    assert [status(db, name) for name in ("job-0", "job-1")] == ["completed", "completed"]


def test_a_run_that_was_cancelled_claims_nothing_any_more(job_holder: JobHolder, db: Database) -> None:
    add_jobs(db, 2)
    token = CancelToken()
    assert job_holder.claim(cancel=token) is not None
    token.cancel()
    assert job_holder.claim(cancel=token) is None
    assert job_holder.claim(job_id="job-1", cancel=token) is None
    assert (current(job_holder), status(db, "job-1")) == ("job-0", "pending")


def test_a_claim_that_races_with_its_cancellation_is_never_lost(db: Database, process: Process) -> None:
    for number in range(30):
        job_holder, token, start = process.job_holder(), CancelToken(), threading.Barrier(2)
        jobs.enqueue(db, f"race-{number}", "work", max_attempts=9)
        thread = threading.Thread(
            target=lambda job_holder=job_holder, token=token, start=start: (
                start.wait(),
                job_holder.claim(cancel=token),
            )  # type: ignore[misc]
        )
        thread.start()
        start.wait()
        token.cancel()
        job_holder.note_cut_off()
        thread.join()
        job_holder.finish()
        assert jobs.remove(db, f"race-{number}") is None
        assert ("job_completed", f"race-{number}") not in process.published

"""Jobs moved on, one by one or all that match, and what is over deleted."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine_engine.storage import audit, jobs, mailbox
from statemachine_engine.storage.audit import Note


def add(place: Any, *job_ids: str, kind: str = "t") -> None:
    for job_id in job_ids:
        place.db("add-job", job_id, "--type", kind)


def status(place: Any) -> dict[str, str]:
    return {job["job_id"]: job["status"] for job in place.json("list")}


def test_failed_jobs_are_tried_again_by_their_ids(place: Any) -> None:
    add(place, "a", "b")
    for job_id in ("a", "b"):
        place.db("fail-job", job_id, "--reason", "r")

    assert place.db("retry", "a", "b").output == "🔁 Job a is pending again\n🔁 Job b is pending again\n"
    assert status(place) == {"a": "pending", "b": "pending"}


def test_jobs_are_chosen_by_status_and_type(place: Any, received: Any) -> None:
    listener = place.listen(place.machine("worker"))
    add(place, "a", "b")
    add(place, "c", kind="other")
    for job_id in ("a", "c"):
        place.db("fail-job", job_id, "--reason", "r")
    received(listener)

    assert place.db("retry", "--status", "failed", "--type", "t", "--dry-run").output == (
        "1 job meant; nothing was done\n"
    )
    assert place.db("retry", "--status", "failed", "--type", "t").output == "🔁 1 jobs are pending again\n"
    assert status(place) == {"a": "pending", "b": "pending", "c": "failed"}
    assert {"bell": "jobs", "count": 1, "key": []} in received(listener)


def test_jobs_are_cancelled(place: Any) -> None:
    add(place, "a", "b", "c")

    assert place.db("cancel", "a").output == "🚫 Job a cancelled\n"
    assert place.db("cancel", "--all").output == "🚫 2 jobs cancelled\n"
    assert set(status(place).values()) == {"cancelled"}


def test_jobs_that_a_worker_holds_are_given_back(place: Any) -> None:
    add(place, "a", "b", "c")
    for owner in ("w", "w", "v"):
        jobs.claim(place.open(), owner=owner)

    assert place.db("release", "a").output == "↩️  Job a is pending again\n"
    assert place.db("release", "--owner", "w").output == "↩️  1 jobs are pending again\n"
    assert status(place) == {"a": "pending", "b": "pending", "c": "processing"}
    assert place.json("details", "a")["attempts"] == 0


def test_age_chooses_by_the_time_of_adding(place: Any) -> None:
    add(place, "a")

    assert place.db("cancel", "--older-than", "1h").output == "🚫 0 jobs cancelled\n"
    assert place.db("cancel", "--older-than", "0").output == "🚫 1 jobs cancelled\n"


@pytest.mark.parametrize("verb", ["retry", "cancel", "release"])
def test_an_unknown_job_is_an_error_and_the_others_are_done(place: Any, verb: str) -> None:
    add(place, "a")
    if verb != "cancel":
        jobs.claim(place.open(), owner="w")

    result = place.db(verb, "x", "a")

    assert result.exit_code == 1
    assert result.stderr == "Error: Job x not found (statemachine-db list shows the jobs)\n"
    assert "Job a" in result.stdout


def test_a_job_in_another_status_is_an_error(place: Any) -> None:
    add(place, "a")

    result = place.db("release", "a")

    assert result.exit_code == 1
    assert "Job a is pending; this needs one that is processing" in result.stderr
    assert "Job a is pending" in place.db("retry", "a").stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("retry", "name jobs, or choose them by --status"),
        ("cancel a --all", "not both"),
        ("release a --dry-run", "not both"),
        (
            "retry --status completed",
            "completed jobs cannot be changed like this; --status takes processing, failed, cancelled",
        ),
        ("prune", "Missing option '--older-than'"),
        ("prune --older-than 1d --only events --status failed", "--status chooses among jobs"),
    ],
)
def test_what_is_unclear_is_refused(place: Any, line: str, said: str) -> None:
    result = place.db(*line.split())

    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("only", ["jobs", "events", "history"])
def test_prune_deletes_only_what_is_named(place: Any, only: str) -> None:
    add(place, "done")
    place.db("complete-job", "done")
    db = place.open()
    mailbox.post(db, "m", "read", status="processed")
    audit.write(db, [Note("m", "n", {}, db.now())])
    history = len(audit.since(db, 0))

    place.db("prune", "--older-than", "0", "--only", only)

    assert (status(place) == {}) == (only == "jobs")
    assert (mailbox.list_(db) == []) == (only == "events")
    assert len(audit.since(db, 0)) == (0 if only == "history" else history)


def test_what_is_over_is_deleted_and_what_is_not_stays(place: Any) -> None:
    add(place, "done", "failed", "waits")
    place.db("complete-job", "done")
    place.db("fail-job", "failed", "--reason", "r")
    db = place.open()
    mailbox.post(db, "m", "read", status="processed")
    mailbox.post(db, "m", "unread")
    audit.write(db, [Note("m", "n", {}, db.now())])

    assert place.db("prune", "--older-than", "1h").output == "Deleted 0 jobs, 0 events, 0 history records\n"
    assert place.db("prune", "--older-than", "0", "--status", "failed").output == "Deleted 1 jobs\n"
    pruned = place.json("prune", "--older-than", "0")
    assert (pruned["jobs"], pruned["events"]) == (1, 1)
    assert pruned["history"] >= 1
    assert status(place) == {"waits": "pending"}
    assert [row.event_type for row in mailbox.list_(db)] == ["unread"]

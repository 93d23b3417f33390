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


def content(place: Any) -> dict[str, int]:
    """Return the number of finished jobs, settled events and history records."""
    db = place.open()
    return {
        "jobs": len(jobs.find(db)),
        "events": len(mailbox.list_(db)),
        "history": len(audit.since(db, 0, 100)),
    }


@pytest.mark.parametrize("only", [("jobs",), ("events",), ("history",), ("jobs", "history")])
def test_prune_deletes_only_the_kinds_of_its_option(place: Any, only: tuple[str, ...]) -> None:
    add(place, "done")
    place.db("complete-job", "done")
    mailbox.post(place.open(), "m", "read", status="processed")
    before = content(place)
    assert all(before.values())

    options = [word for kind in only for word in ("--only", kind)]
    assert set(place.json("prune", "--older-than", "0", *options)) == set(only)

    assert content(place) == {kind: 0 if kind in only else count for kind, count in before.items()}


def test_prune_of_one_status_keeps_other_jobs_events_and_history(place: Any) -> None:
    add(place, "done", "failed")
    place.db("complete-job", "done")
    place.db("fail-job", "failed", "--reason", "r")
    mailbox.post(place.open(), "m", "read", status="processed")
    before = content(place)

    assert place.json("prune", "--older-than", "0", "--status", "completed") == {"jobs": 1}

    assert status(place) == {"failed": "failed"}
    assert content(place) == {**before, "jobs": 1}


def test_cancel_all_leaves_finished_jobs_as_they_are(place: Any) -> None:
    add(place, "done", "failed", "waits", "held")
    place.db("complete-job", "done")
    place.db("fail-job", "failed", "--reason", "r")
    jobs.claim(place.open(), job_id="held", owner="w")

    assert place.db("cancel", "--all").output == "🚫 2 jobs cancelled\n"

    assert status(place) == {"done": "completed", "failed": "failed", "waits": "cancelled", "held": "cancelled"}


@pytest.mark.parametrize(
    ("verb", "option", "changed"),
    [
        ("retry", ["--type", "t"], {"a"}),
        ("retry", ["--machine-type", "m"], {"b"}),
        ("retry", ["--status", "failed"], {"a", "b"}),
        ("retry", ["--all"], {"a", "b", "c"}),
        ("cancel", ["--type", "u"], {"e"}),
        ("cancel", ["--machine-type", "m"], {"e"}),
        ("cancel", ["--status", "pending"], {"d", "e"}),
    ],
)
def test_an_option_changes_only_the_jobs_that_it_chooses(
    place: Any, verb: str, option: list[str], changed: set[str]
) -> None:
    db = place.open()
    for job_id, job_type, machine_type in (("a", "t", None), ("b", "u", "m"), ("c", "u", None), ("d", "t", None)):
        jobs.enqueue(db, job_id, job_type, machine_type=machine_type)
    jobs.enqueue(db, "e", "u", machine_type="m")
    place.db("fail-job", "a", "--reason", "r")
    place.db("fail-job", "b", "--reason", "r")
    place.db("cancel", "c")
    before = status(place)
    assert before == {"a": "failed", "b": "failed", "c": "cancelled", "d": "pending", "e": "pending"}

    assert place.db(verb, *option).exit_code == 0

    after = {"retry": "pending", "cancel": "cancelled"}[verb]
    assert status(place) == {**before, **dict.fromkeys(changed, after)}


JOBS, DONE = {"bell": "jobs", "count": 1, "key": []}, {"bell": "done", "count": 1, "key": ["j"]}


@pytest.mark.parametrize(
    ("line", "notified"),
    [
        ("retry j", [JOBS, DONE]),
        ("retry --all", [JOBS, {**DONE, "key": []}]),
        ("cancel j", [JOBS, DONE]),
        ("cancel --all", [JOBS, {**DONE, "key": []}]),
        ("release j", [JOBS, DONE]),
        ("release --all", [JOBS, {**DONE, "key": []}]),
        ("reset-processing --force", [JOBS, {**DONE, "key": []}]),
        ("complete-job j", [DONE]),
        ("fail-job j --reason r", [DONE]),
        ("remove-job j", [DONE]),
        ("add-job k --type t --machine-type m", [{**JOBS, "key": ["t", "m"]}]),
        ("add-job j --type t --if-absent", []),
        ("cancel --all --dry-run", []),
        ("retry --type other", []),
    ],
)
def test_a_change_of_jobs_notifies_waiting_machines(
    place: Any, received: Any, line: str, notified: list[dict[str, Any]]
) -> None:
    add(place, "j")
    if line.split()[0] not in ("cancel", "remove-job"):
        jobs.claim(place.open(), owner="gone", lease_s=0.0)
    listener = place.listen(place.machine("worker"))

    assert place.db(*line.split()).exit_code == 0

    assert received(listener) == notified


def test_a_file_of_jobs_notifies_waiting_machines(place: Any, received: Any) -> None:
    listener = place.listen(place.machine("worker"))

    assert place.db("add-jobs", "-", "--type", "t", stdin="{}\n{}\n").exit_code == 0

    assert {"bell": "jobs", "count": 2, "key": []} in received(listener)

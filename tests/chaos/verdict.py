"""The verdict on a campaign: what the database and the journal say, held against what was promised."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statemachine_engine.storage.engine.database import Database
from tests.chaos.load import ENDS, Accepted

#: what may become of an event of each kind
SETTLED = {
    "tick": {"processed"},
    "told": {"processed"},
    "ping": {"processed"},
    "order": {"processed"},
    "cut": {"processed"},
    "noise": {"ignored"},
    "touch": {"processed", "ignored"},
    "stale": {"processed", "expired"},
}

#: kinds that are handled in the order in which they were sent; `cut` interrupts
ORDERED = ("tick", "ping", "order", "noise", "touch", "stale")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is left of a campaign."""

    accepted: Accepted
    journal: list[list[str]]
    jobs: dict[str, dict[str, Any]]
    #: job -> (number, outcome) of its attempts, in their order
    attempts: dict[str, list[tuple[int, str]]]
    events: list[dict[str, Any]]
    #: (machine, type, payload) of the audit log, in its order
    notes: list[tuple[str, str, dict[str, Any]]]

    @classmethod
    def gathered(cls, db: Database, folder: Path, accepted: Accepted) -> Evidence:
        """Read database and journal."""
        path = folder / "journal"
        journal = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        attempts: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for row in _rows(db, "job_attempts JOIN jobs ON jobs.id = job", "job_id", "number", "outcome"):
            attempts[row["job_id"]].append((row["number"], row["outcome"]))
        jobs = _rows(db, "jobs", "job_id", "status", "attempts", "result")
        events = _rows(
            db, "machine_events", "id", "target_machine", "source_machine", "event_type", "payload", "status"
        )
        notes = _rows(db, "realtime_events", "machine_name", "event_type", "payload")
        return cls(
            accepted,
            journal,
            {row["job_id"]: row for row in jobs},
            attempts,
            [{**row, "payload": json.loads(row["payload"] or "{}")} for row in events],
            [(row["machine_name"], row["event_type"], json.loads(row["payload"])) for row in notes],
        )


def faults(evidence: Evidence, *, resuming: set[str]) -> list[str]:
    """Return each broken promise as a sentence. `resuming` names the machines with `on_restart: resume`."""
    return [
        *_jobs_end_once_and_as_they_should(evidence),
        *_each_attempt_has_one_end(evidence),
        *_no_attempt_is_begun_twice(evidence, resuming),
        *_who_lost_the_lease_ended_nothing(evidence, resuming),
        *_each_event_is_settled(evidence),
        *_each_event_is_on_record_once(evidence),
        *_each_move_has_its_event(evidence),
        *_each_sender_was_heard_in_order(evidence),
        *_who_resumes_leaves_no_action_out(evidence, resuming),
    ]


def _jobs_end_once_and_as_they_should(evidence: Evidence) -> Iterator[str]:
    wanted = {**evidence.accepted.jobs, **evidence.accepted.ordered}
    for job_id in wanted.keys() - evidence.jobs.keys():
        yield f"job {job_id} was accepted and is gone"
    ended = Counter(payload["job_id"] for _, type, payload in evidence.notes if type in ("job_completed", "job_failed"))
    for job_id, job in evidence.jobs.items():
        if job["status"] not in ENDS[wanted.get(job_id, "complete")]:
            yield f"job {job_id}, {wanted.get(job_id)}, is {job['status']}"
        if ended[job_id] > 1:
            yield f"job {job_id} was ended {ended[job_id]} times"


def _each_attempt_has_one_end(evidence: Evidence) -> Iterator[str]:
    """Check that the last end is the job's. A job whose attempts are spent ends with one that was lost or cut off."""
    for job_id, job in evidence.jobs.items():
        numbers = [number for number, _ in evidence.attempts[job_id]]
        outcomes = [outcome for _, outcome in evidence.attempts[job_id]]
        counted = [outcome for outcome in outcomes if outcome != "released"]
        if numbers != list(range(1, len(numbers) + 1)) or len(counted) != job["attempts"]:
            yield f"job {job_id} has {job['attempts']} attempts, its history is {evidence.attempts[job_id]}"
        last = {"completed"} if job["status"] == "completed" else {"failed", "lost", "retried"}
        if not outcomes or outcomes[-1] not in last or {"completed", "failed"} & set(outcomes[:-1]):
            yield f"job {job_id} is {job['status']}, its attempts were {outcomes}"


def _no_attempt_is_begun_twice(evidence: Evidence, resuming: set[str]) -> Iterator[str]:
    """But by a machine that resumes, which goes on within the same attempt."""
    begun = Counter(tuple(line[1:]) for line in evidence.journal if line[0] == "begin" and line[3] not in resuming)
    for line, count in begun.items():
        if count > 1:
            yield f"job {line[0]} was begun {count} times in attempt {line[1]} of {line[2]}, process {line[3]}"
    attempts = {(line[1], int(line[2])) for line in evidence.journal if line[0] == "begin"}
    for job_id, attempt in attempts:
        if attempt > evidence.jobs[job_id]["attempts"]:
            yield f"job {job_id} was begun in attempt {attempt} of {evidence.jobs[job_id]['attempts']}"


def _who_lost_the_lease_ended_nothing(evidence: Evidence, resuming: set[str]) -> Iterator[str]:
    """Check that a result is of the last attempt, and that the journal has the end of that attempt.

    A machine that resumes may have done the work in one attempt and say so in the next.
    """
    ends = {(line[1], int(line[2])) for line in evidence.journal if line[0] == "end"}
    ends_of_resuming = {line[1] for line in evidence.journal if line[0] == "end" and line[3] in resuming}
    fates = {**evidence.accepted.jobs, **evidence.accepted.ordered}
    for job_id, job in evidence.jobs.items():
        result = json.loads(job["result"]) if job["result"] else None
        if result is not None and result["attempt"] != job["attempts"]:
            yield f"job {job_id} was completed by attempt {result['attempt']}, held by attempt {job['attempts']}"
        spent = fates.get(job_id) == "fragile" and job["status"] == "failed"
        if not spent and (job_id, job["attempts"]) not in ends and job_id not in ends_of_resuming:
            yield f"job {job_id} is {job['status']}, and attempt {job['attempts']} never came to its end"


def _each_event_is_settled(evidence: Evidence) -> Iterator[str]:
    there = {row["id"] for row in evidence.events}
    for key, numbers in evidence.accepted.events.items():
        for number in set(numbers) - there:
            yield f"event {key} was accepted as {number} and is gone"
    for row in evidence.events:
        kind = _kind(row["payload"]["key"])
        if row["status"] not in SETTLED[kind]:
            yield f"event {row['payload']['key']} ({row['id']}) is {row['status']}"


def _each_event_is_on_record_once(evidence: Evidence) -> Iterator[str]:
    rows = Counter(row["payload"]["key"] for row in evidence.events if row["status"] in ("processed", "ignored"))
    heard = Counter(key for _, key in _heard(evidence))
    for key in rows.keys() | heard.keys():
        if rows[key] != heard[key]:
            yield f"event {key} is settled in {rows[key]} rows, and {heard[key]} times on record"
    for key, count in Counter(row["payload"]["key"] for row in evidence.events).items():
        posts = len(evidence.accepted.events.get(key, [])) + evidence.accepted.doubtful[key]
        if count > posts and _kind(key) != "told":
            yield f"event {key} was sent {posts} times, and has {count} rows"
    for job_id in evidence.accepted.ordered:
        told = job_id.replace("ordered", "told")
        if not rows[told]:
            yield f"event {told}, of an order that is processed, was never sent"


def _each_move_has_its_event(evidence: Evidence) -> Iterator[str]:
    moves = Counter(
        (machine, payload["event_trigger"]) for machine, type, payload in evidence.notes if type == "state_change"
    )
    taken = Counter((r["target_machine"], r["event_type"]) for r in evidence.events if r["status"] == "processed")
    for pair in taken.keys() | {pair for pair in moves if pair[1] in ("tick", "ping", "order", "cut")}:
        if pair[1] != "touch" and moves[pair] != taken[pair]:
            yield f"{pair[0]} moved {moves[pair]} times by {pair[1]}, of which it had {taken[pair]}"


def _each_sender_was_heard_in_order(evidence: Evidence) -> Iterator[str]:
    heard: dict[tuple[str, str], list[str]] = defaultdict(list)
    sources = {row["payload"]["key"]: row["source_machine"] for row in evidence.events}
    for machine, key in _heard(evidence):
        if _kind(key) in ORDERED:
            heard[machine, sources.get(key, "?")].append(key.split("-")[1])
    for (machine, source), numbers in heard.items():
        late = [number for before, number in zip(numbers, numbers[1:], strict=False) if number < before]
        if late:
            yield f"{machine} heard {source} out of order, at {late[:5]}"


def _who_resumes_leaves_no_action_out(evidence: Evidence, resuming: set[str]) -> Iterator[str]:
    """Check that a resuming machine ran its action for each event that moved it, at least once."""
    recorded = {(line[1], line[2]) for line in evidence.journal if line[0] == "record"}
    for row in evidence.events:
        moved = row["event_type"] == "tick" and row["status"] == "processed" and row["target_machine"] in resuming
        if moved and (row["target_machine"], row["payload"]["key"]) not in recorded:
            yield f"{row['target_machine']} moved by {row['payload']['key']}, and its action never ran"


# Helpers


def _heard(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """(machine, key) of each event on record as received, in the order of the audit log."""
    for machine, type, payload in evidence.notes:
        if type == "activity_log" and len(payload.get("payload_keys", ())) > 1:
            yield machine, payload["payload_keys"][1]


def _kind(key: str) -> str:
    return key.split("-")[0]


def _rows(db: Database, table: str, *columns: str) -> list[dict[str, Any]]:
    order = "job, number" if table.startswith("job_attempts") else "id"
    with db.read():
        found = db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}").fetchall()
    return [dict(zip(columns, row, strict=True)) for row in found]

"""Snapshots of a machine while it runs, and how a new start resumes from the last one."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...storage import jobs, snapshots
from ...storage.errors import SnapshotDamaged
from ...storage.masking import masked_in
from ...storage.snapshots import Forgotten, Saved
from ..definition import secrets
from ..errors import CannotResume

if TYPE_CHECKING:
    from ...storage.audit import Record
    from ...storage.engine.database import Database
    from ...storage.snapshots import Snapshot
    from ..definition.model import Definition, Transition
    from ..jobs.job_holder import JobHolder
    from .dependencies import MachineDependencies

log = logging.getLogger(__name__)

#: context keys that each start sets itself
LEFT_OUT = ("machine_name", "current_state", "previous_state", "current_job", "job_model", "config")


class Checkpointer:
    """Makes the snapshots of one machine; none if it always starts from the beginning."""

    def __init__(self, definition: Definition, dependencies: MachineDependencies) -> None:
        self._wanted = definition.on_restart != "initial"
        self._hash = definition.hash
        self._left_out = {*LEFT_OUT, *secrets.names_of(definition)}
        self._dependencies = dependencies

    def snapshot(
        self, state: str, context: Mapping[str, Any], deadlines: Mapping[str, float], *, settled: bool
    ) -> tuple[Record, ...]:
        """Return the record of the machine's present state; it is stored together with those of the move."""
        if not self._wanted:
            return ()
        name, job_holder = self._dependencies.status.name, self._dependencies.job_holder
        resources, job = self._dependencies.resources, job_holder.current
        job_id, attempt = (job.job_id, job.attempts) if job is not None else (None, None)
        return (
            Saved(
                name, state, settled, json_part(context, self._left_out), job_id, attempt,
                json.dumps(dict(deadlines)), resources.incarnation, self._hash, resources.db.clock.now(),
                *job_holder.standing,
            ),
        )  # fmt: skip

    def end(self) -> tuple[Record, ...]:
        """Return the record that deletes the snapshot, since the machine has ended."""
        return (
            (Forgotten(self._dependencies.status.name, self._dependencies.resources.incarnation),)
            if self._wanted
            else ()
        )


def last(db: Database, definition: Definition, name: str, from_state: str | None = None) -> Snapshot | None:
    """Return the snapshot from which a machine resumes; None for a start from the beginning.

    `from_state`, which the operator has given, overrides the state of the snapshot. Raises CannotResume with a remedy.
    """
    remedy = f"start it with --from and one of {', '.join(definition.states)}"
    try:
        found = snapshots.get(db, name) if definition.on_restart != "initial" else None
    except SnapshotDamaged as error:
        if from_state is None:
            raise CannotResume(f"what {name} left behind cannot be read, {error}; {remedy}") from error
        found = None
    wanted = from_state or (definition.on_restart if definition.on_restart != "resume" else found and found.state)
    if wanted is not None and wanted not in definition.states and (found is not None or from_state is not None):
        raise CannotResume(f"{name} has no state {wanted} to go on in; {remedy}")
    if found is None:
        return None if from_state is None else _bare(name, from_state)
    if found.definition_hash != definition.hash:
        where = f"going on in {wanted or found.state}"
        log.warning("%s: its definition has changed since it was in state %s; %s", name, found.state, where)
    if wanted in (None, found.state):
        return found
    cut_off = found.job_id is not None  # in another state, the job's actions do not go on
    return replace(found, state=str(wanted), settled=False, timers={}, cut_off=cut_off)


def regain_job(db: Database, snapshot: Snapshot, job_holder: JobHolder, incarnation: str) -> bool:
    """Claim the job that the machine had; False if another machine has it, or it has ended."""
    if snapshot.job_id is None:
        return True
    job = jobs.adopt(
        db, snapshot.job_id, owner=snapshot.incarnation or "", attempt=snapshot.attempt, new_owner=incarnation
    ) or jobs.claim(db, job_id=snapshot.job_id, owner=incarnation, machine=snapshot.machine, lease_s=None)
    if job is None:
        log.warning("%s: its job %s was taken or ended meanwhile", snapshot.machine, snapshot.job_id)
        return False
    job_holder.adopt(job, failure=snapshot.failure, cut_off=snapshot.cut_off)
    return True


def delay_of(transition: Transition, policy: str, snapshot: Snapshot, now_s: float) -> float:
    """Return the seconds until a timeout of the resumed state fires."""
    full_s = transition.timeout_s or 0.0
    due_at = snapshot.timers.get(transition.event)
    if due_at is None or policy == "restart":
        return full_s
    return min(full_s, max(0.0, due_at - (now_s if policy == "deadline" else snapshot.saved_at)))


def json_part(context: Mapping[str, Any], left_out: Collection[str] = LEFT_OUT) -> str:
    """Return the context as JSON, without secrets and values that JSON does not know."""
    kept = {key: value for key, value in context.items() if key not in left_out}
    text = _json(kept)
    if text is None:
        text = _json({key: value for key, value in kept.items() if _json({key: value}) is not None})
    return text or "{}"


def _json(value: Any) -> str | None:
    try:
        return json.dumps(masked_in(value))
    except (TypeError, ValueError, RuntimeError):  # the last: an action that was cancelled still changes it
        return None


def _bare(name: str, state: str) -> Snapshot:
    return snapshots.Snapshot(name, state, False, {}, None, None, {}, None, None, 0.0)

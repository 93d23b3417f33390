"""The errors of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .problem_kinds import ProblemKind


class StorageError(Exception):
    """The base of all errors of the store."""


class StoreUnavailable(StorageError):
    """The store cannot be opened, read or written."""

    #: the kind of problem that is counted
    problem_kind: ProblemKind = "database_failed"


class DatabaseMissing(StoreUnavailable):
    """There is no database where one was looked for."""

    problem_kind = "database_not_opened"


class ReadOnlyStore(StoreUnavailable):
    """We may read the store, but not write it."""

    problem_kind = "database_read_only"


class CommitInDoubt(StoreUnavailable):
    """The answer to a commit was lost with the connection; the commit may have been made or not."""

    problem_kind = "database_unreachable"
    #: of an audit batch: the ids of its notes if the commit was made
    note_ids: Sequence[int] = ()


class SnapshotDamaged(StorageError):
    """A machine's snapshot cannot be read."""


class StoreDamaged(StoreUnavailable):
    """The store's file is damaged, or is no database."""


class NotOurs(StorageError, PermissionError):
    """A file that another user may have put there to mislead us."""

    def __init__(self, path: object, reason: str, remedy: str) -> None:
        self.path = path
        super().__init__(f"{path} is not used, for {reason}: {remedy}")


class ValueRefused(StorageError):
    """The store cannot hold this value."""


class StoreTooNew(StoreUnavailable):
    """The store was written by a newer statemachine-engine."""

    def __init__(self, where: str, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"{where}: its schema version {found} is newer than this engine's {known}; upgrade statemachine-engine"
        )


class JobExists(StorageError):
    """A job of this id exists already."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} exists already")


class JobNotFound(StorageError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} not found")


class WrongJobState(StorageError):
    """The status of the job does not allow the command."""

    def __init__(self, job_id: str, status: str, allowed: Iterable[str]) -> None:
        self.job_id, self.status, self.allowed = job_id, status, tuple(allowed)
        super().__init__(f"Job {job_id} is {status}; this needs one that is {' or '.join(self.allowed)}")


class LeaseLost(StorageError):
    """The worker does not hold the job that it wants to settle."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} is no longer held by this worker: its lease ended or somebody else decided")


class MachineTaken(StorageError):
    """A machine of this name runs already."""

    def __init__(self, name: str, pid: int | None, host: str | None) -> None:
        self.name, self.pid, self.host = name, pid, host
        super().__init__(f"Machine {name} runs already: pid {pid} on {host}")


class SocketTaken(MachineTaken):
    """Another store's machine of this name, or another program, listens on the machine's control socket."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, None, None)
        self.args = (
            f"Machine {name} runs already, with another database: somebody listens on {path}. "
            "Give one of the two another name, or another --control-socket-prefix",
        )


class PayloadTooLarge(StorageError):
    """The payload is larger than an event may carry."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(f"Payload of {size} bytes is over the limit of {limit}")

"""What can go wrong in the store: one base, the docstring is the message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .problem_kinds import ProblemKind


class StorageError(Exception):
    """The store could not do what was asked."""


class StoreUnavailable(StorageError):
    """The store cannot be opened, read or written."""

    #: what it counts as
    problem_kind: ProblemKind = "database_failed"


class DatabaseMissing(StoreUnavailable):
    """There is no database where one was looked for."""

    problem_kind = "database_not_opened"


class ReadOnlyStore(StoreUnavailable):
    """The store may be read by us, and not written."""

    problem_kind = "database_read_only"


class CommitInDoubt(StoreUnavailable):
    """The answer to a commit was lost with the connection: it may have been made, or not."""

    problem_kind = "database_unreachable"
    #: of an audit batch: the ids that its notes have if it was
    note_ids: Sequence[int] = ()


class SnapshotDamaged(StorageError):
    """What a machine left behind cannot be read any more."""


class StoreDamaged(StoreUnavailable):
    """The store's file is damaged, or is no database at all."""


class NotOurs(StorageError, PermissionError):
    """A file that another user may have put there to mislead us."""

    def __init__(self, path: object, reason: str, remedy: str) -> None:
        self.path = path
        super().__init__(f"{path} is not used, for {reason}: {remedy}")


class ValueRefused(StorageError):
    """The store is well, but does not take this value."""


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
    """The job's status does not allow this."""

    def __init__(self, job_id: str, status: str, allowed: Iterable[str]) -> None:
        self.job_id, self.status, self.allowed = job_id, status, tuple(allowed)
        super().__init__(f"Job {job_id} is {status}; this needs one that is {' or '.join(self.allowed)}")


class LeaseLost(StorageError):
    """The job is no longer held by the worker that wants to settle it."""

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

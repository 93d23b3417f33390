"""The job queue: every verb one transaction, its docstring the contract."""

from .bulk import release_owner, reset_processing
from .claims import adopt, assign, claim, renew, shorten_leases
from .deletion import cleanup, prune, remove
from .job import STATUSES, Job, NewJob
from .queries import claimable, counts, find, get, held_by, pending, statuses
from .queue import cancel, complete, enqueue, enqueue_many, fail, release, rescue, retry, time_out

__all__ = [
    "STATUSES",
    "Job",
    "NewJob",
    "adopt",
    "assign",
    "cancel",
    "claim",
    "claimable",
    "cleanup",
    "complete",
    "counts",
    "enqueue",
    "enqueue_many",
    "fail",
    "find",
    "get",
    "held_by",
    "pending",
    "prune",
    "release",
    "release_owner",
    "remove",
    "renew",
    "rescue",
    "reset_processing",
    "retry",
    "shorten_leases",
    "statuses",
    "time_out",
]

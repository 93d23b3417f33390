"""The kinds of problems that are counted."""

from __future__ import annotations

from typing import Literal, get_args

ProblemKind = Literal[
    # the store cannot be used; these have a duration
    "database_locked",
    "database_read_only",
    "database_full",
    "database_not_opened",
    "database_io_error",
    "database_damaged",
    "database_unreachable",
    "database_failed",
    "hosts_unheard",
    "threads_short",
    # these have no duration
    "machine_unregistered",
    "memory_full",
    "record_lost",
    "clock_forwards",
    "clock_back",
    "socket_gone",
    "datagram_refused",
    "stranger_refused",
    "payload_refused",
    "context_full",
    "command_not_started",
    "machine_not_started",
    "actor_crashed",
    "keeper_crashed",
    "listener_crashed",
    "notifier_crashed",
    "recorder_crashed",
    "timers_crashed",
]
"""A value of the label `kind` of the metric `statemachine_troubles_total`."""

PROBLEM_KINDS: tuple[ProblemKind, ...] = get_args(ProblemKind)

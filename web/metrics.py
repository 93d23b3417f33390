"""`/metrics` for Prometheus: numbers from the tables, and counts since the monitor's start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..storage import durations, mailbox, problems
from ..storage.errors import StorageError
from ..storage.jobs import queries
from ..storage.problem_kinds import PROBLEM_KINDS
from .durations import grouped
from .monitor import Monitor, the_monitor

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return all metrics in Prometheus' text format."""
    monitor = the_monitor()
    monitor.feed.start()
    registry = CollectorRegistry()
    registry.register(Numbers(monitor))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Numbers(Collector):
    """Collects all metrics.

    Machines are grouped by configuration, because one may have thousands of instances. While the database cannot be
    read, only `database_up` is reported.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        try:
            found = [*self._now(), *self._actions(), *self._problems(), *self._since_start()]
        except StorageError:
            found = []
        yield _gauge("database_up", "1 if the database can be read.", (), {(): bool(found)})
        yield from found

    def _now(self) -> Iterator[Metric]:
        found = self._monitor.machines.now()[1]
        self._types = {m["machine_name"]: m["config_type"] or m["machine_name"] for m in found}
        machines = Counter((self._types[m["machine_name"]], m["current_state"] or "", m["status"]) for m in found)
        yield _gauge("machines", "Machines by state and status.", ("config_type", "state", "status"), machines)
        db = self._monitor.store.db
        heard = [m["heard_at"] for m in found if m["running"] and m["heard_at"] is not None]
        age_s = max(0.0, db.now() - min(heard)) if heard else 0.0
        text = "Seconds since the last heartbeat of the running machine that was silent for longest."
        yield _gauge("heartbeat_age_seconds", text, (), {(): age_s})
        waiting = queries.waiting(db)
        jobs = {(type, status): count for type, status, count, _ in waiting}
        yield _gauge("jobs", "Jobs that have not ended.", ("job_type", "status"), jobs)
        yield _gauge("jobs_by_status", "All jobs.", ("status",), {(s,): n for s, n in queries.counts(db).items()})
        ages = {(type,): max(0.0, db.now() - due) for type, status, _, due in waiting if status == "pending" and due}
        yield _gauge("job_oldest_pending_seconds", "Seconds that the next job has waited.", ("job_type",), ages)
        depth: Counter[str] = Counter()
        for machine, count in mailbox.depths(db).items():
            depth[self._type(machine)] += count
        yield _gauge("mailbox_events", "Unread events.", ("config_type",), {(type,): n for type, n in depth.items()})
        yield _gauge("stream_clients", "Clients of the live stream.", (), {(): self._monitor.feed.clients})

    def _actions(self) -> Iterator[Metric]:
        labels = ("config_type", "action")
        took = HistogramMetricFamily("statemachine_action_seconds", "Duration of actions.", labels=labels)
        failures = {}
        for found in grouped(durations.counts(self._monitor.store.db)):
            key = (found.config_type, found.action)
            took.add_metric(key, found.buckets, found.seconds)
            failures[key] = found.failures
        yield took
        yield _counter("action_failures", "Failed actions, each attempt counted.", labels, failures)

    def _problems(self) -> Iterator[Metric]:
        known = {count.kind: count for count in problems.counts(self._monitor.store.db)}
        of = {kind: known.get(kind, problems.ProblemCount(kind, 0, 0.0)) for kind in PROBLEM_KINDS}
        times = {(kind,): count.times for kind, count in of.items()}
        yield _counter("troubles", "Problems.", ("kind",), times)
        seconds = {(kind,): count.seconds for kind, count in of.items()}
        yield _counter("trouble_seconds", "Seconds that problems lasted.", ("kind",), seconds)

    def _since_start(self) -> Iterator[Metric]:
        board = self._monitor.feed.board
        for name, text, counts in (
            ("transitions", "Transitions taken.", board.counts["state_change"]),
            ("unhandled_events", "Events without a transition.", board.counts["unhandled"]),
            ("action_errors", "Actions that failed.", board.counts["error"]),
            ("stuck", "Actions and actors that took too long.", board.counts["stuck"]),
        ):
            yield _counter(name, text, ("config_type",), self._by_type(counts))
        yield _counter("jobs_ended", "Jobs that ended.", ("job_type", "outcome"), board.job_ends.copy())
        yield _counter("audit_events", "Rows of the audit log.", (), {(): board.events})
        family = SummaryMetricFamily(
            "statemachine_state_seconds", "Time in a state, its actions included.", labels=("config_type", "state")
        )
        for labels, (count, seconds) in self._state_times(board.state_times).items():
            family.add_metric(labels, count, seconds)
        yield family

    def _type(self, machine: str) -> str:
        return str(self._types.get(machine, machine))

    def _by_type(self, counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
        summed: Counter[tuple[str, ...]] = Counter()
        for machine, count in list(counts.items()):
            summed[(self._type(machine),)] += count
        return dict(summed)

    def _state_times(self, times: Mapping[tuple[str, str], list[float]]) -> dict[tuple[str, str], tuple[int, float]]:
        summed: dict[tuple[str, str], tuple[int, float]] = {}
        for (machine, state), (count, seconds) in list(times.items()):
            before = summed.get((self._type(machine), state), (0, 0.0))
            summed[self._type(machine), state] = (before[0] + int(count), before[1] + seconds)
        return summed


def _family(kind: Any, name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    family: Metric = kind(f"statemachine_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)  # type: ignore[attr-defined]
    return family


_gauge = partial(_family, GaugeMetricFamily)
_counter = partial(_family, CounterMetricFamily)

"""`/metrics` for Prometheus: what the tables say, and what was counted since the monitor's start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Blueprint, Flask, Response
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


def init_app(app: Flask) -> None:
    """Add the route."""
    app.register_blueprint(blueprint)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Everything in Prometheus' text format."""
    monitor = the_monitor()
    monitor.feed.start()
    registry = CollectorRegistry()
    registry.register(Numbers(monitor))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Numbers(Collector):
    """Machines are told apart by their configuration, since there may be thousands of instances of one.

    While the database cannot be read, that is all that there is to say.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        try:
            found = [*self._now(), *self._actions(), *self._troubles(), *self._since_start()]
        except StorageError:
            found = []
        yield _gauge("database_up", "Whether the database can be read.", (), {(): bool(found)})
        yield from found

    def _now(self) -> Iterator[Metric]:
        found = self._monitor.machines.now()[1]
        self._types = {m["machine_name"]: m["config_type"] or m["machine_name"] for m in found}
        machines = Counter((self._types[m["machine_name"]], m["current_state"] or "", m["status"]) for m in found)
        yield _gauge("machines", "Machines by state and status.", ("config_type", "state", "status"), machines)
        db = self._monitor.store.db
        heard = [m["heard_at"] for m in found if m["running"] and m["heard_at"] is not None]
        age_s = max(0.0, db.now() - min(heard)) if heard else 0.0
        text = "How long ago the machine that was silent longest was heard of, of those that run."
        yield _gauge("heartbeat_age_seconds", text, (), {(): age_s})
        waiting = queries.waiting(db)
        jobs = {(type, status): count for type, status, count, _ in waiting}
        yield _gauge("jobs", "Jobs that are not over.", ("job_type", "status"), jobs)
        yield _gauge("jobs_by_status", "All jobs.", ("status",), {(s,): n for s, n in queries.counts(db).items()})
        ages = {(type,): max(0.0, db.now() - due) for type, status, _, due in waiting if status == "pending" and due}
        yield _gauge("job_oldest_pending_seconds", "How long the next job has waited.", ("job_type",), ages)
        depth: Counter[str] = Counter()
        for machine, count in mailbox.depths(db).items():
            depth[self._type(machine)] += count
        yield _gauge("mailbox_events", "Unread events.", ("config_type",), {(type,): n for type, n in depth.items()})
        yield _gauge("stream_clients", "Clients of the live stream.", (), {(): self._monitor.feed.clients})

    def _actions(self) -> Iterator[Metric]:
        labels = ("config_type", "action")
        took = HistogramMetricFamily("statemachine_action_seconds", "How long actions took.", labels=labels)
        failures = {}
        for found in grouped(durations.counts(self._monitor.store.db)):
            key = (found.config_type, found.action)
            took.add_metric(key, found.buckets, found.seconds)
            failures[key] = found.failures
        yield took
        yield _counter("action_failures", "Actions that failed, each try of them.", labels, failures)

    def _troubles(self) -> Iterator[Metric]:
        known = {count.kind: count for count in problems.counts(self._monitor.store.db)}
        of = {kind: known.get(kind, problems.ProblemCount(kind, 0, 0.0)) for kind in PROBLEM_KINDS}
        times = {(kind,): count.times for kind, count in of.items()}
        yield _counter("troubles", "What went wrong.", ("kind",), times)
        seconds = {(kind,): count.seconds for kind, count in of.items()}
        yield _counter("trouble_seconds", "How long it lasted.", ("kind",), seconds)

    def _since_start(self) -> Iterator[Metric]:
        board = self._monitor.feed.board
        for name, text, counts in (
            ("transitions", "Transitions taken.", board.transitions),
            ("unhandled_events", "Events that no transition took.", board.unhandled),
            ("action_errors", "Actions that failed.", board.errors),
            ("stuck", "Actions and actors that stood still for too long.", board.stuck),
        ):
            yield _counter(name, text, ("config_type",), self._by_type(counts))
        yield _counter("jobs_ended", "Jobs that ended.", ("job_type", "outcome"), board.job_ends.copy())
        yield _counter("audit_events", "Rows of the audit log.", (), {(): board.events})
        stays = SummaryMetricFamily(
            "statemachine_state_seconds", "Time in a state, its actions included.", labels=("config_type", "state")
        )
        for labels, (count, seconds) in self._stays(board.stays).items():
            stays.add_metric(labels, count, seconds)
        yield stays

    def _type(self, machine: str) -> str:
        return str(self._types.get(machine, machine))

    def _by_type(self, counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
        summed: Counter[tuple[str, ...]] = Counter()
        for machine, count in list(counts.items()):
            summed[(self._type(machine),)] += count
        return dict(summed)

    def _stays(self, stays: Mapping[tuple[str, str], list[float]]) -> dict[tuple[str, str], tuple[int, float]]:
        summed: dict[tuple[str, str], tuple[int, float]] = {}
        for (machine, state), (count, seconds) in list(stays.items()):
            before = summed.get((self._type(machine), state), (0, 0.0))
            summed[self._type(machine), state] = (before[0] + int(count), before[1] + seconds)
        return summed


def _gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"statemachine_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"statemachine_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family

"""Numbers for Prometheus, as its own parser reads them."""

from __future__ import annotations

from statemachine_engine.storage import durations, jobs, mailbox, problems
from statemachine_engine.storage.durations import DurationCount
from statemachine_engine.storage.problem_kinds import PROBLEM_KINDS
from statemachine_engine.storage.problems import ProblemCount
from tests.support import metrics
from tests.support.until import until
from tests.web.conftest import Site


def numbers(site: Site) -> dict[metrics.Sample, float]:
    answer = site.ask("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    return metrics.numbers(answer.text)


def test_everything_that_an_operator_watches_is_there(site: Site) -> None:
    for name in ("worker-1", "worker-2"):
        site.start(name, config_type="worker")
    jobs.enqueue(site.db, "a", "work", due_at=site.db.now() - 60)
    jobs.enqueue(site.db, "b", "work", delay_s=60)
    mailbox.post(site.db, "worker-1", "go")
    mailbox.post(site.db, "worker-2", "go")
    site.move("worker-1", "waiting", "working")
    site.move("worker-2", "waiting", "working")
    site.move("worker-1", "working", "waiting")
    *_, last = site.happen(
        ("worker-1", "unhandled", {"event": "x"}), ("worker-2", "error", {"error_message": "x"}),
        ("worker-1", "stuck", {"what": "action bash"}),
        ("worker-1", "job_completed", {"job_id": "j", "job_type": "work"}),
    )  # fmt: skip
    until(lambda: site.monitor.feed.backlog.end.id == last)
    with site.follow() as ws:
        ws.receive()
        found = numbers(site)

    worker = ("config_type", "worker")
    assert found["machines", (worker, ("state", "waiting"), ("status", "running"))] == 1
    assert found["machines", (worker, ("state", "working"), ("status", "running"))] == 1
    assert found["transitions_total", (worker,)] == 3
    assert found["unhandled_events_total", (worker,)] == 1
    assert found["action_errors_total", (worker,)] == 1
    assert found["stuck_total", (worker,)] == 1
    assert found["state_seconds_count", (worker, ("state", "working"))] == 1
    assert found["jobs", (("job_type", "work"), ("status", "pending"))] == 1
    assert found["jobs", (("job_type", "work"), ("status", "scheduled"))] == 1
    assert 59 < found["job_oldest_pending_seconds", (("job_type", "work"),)] < 120
    assert found["jobs_ended_total", (("job_type", "work"), ("outcome", "completed"))] == 1
    assert found["mailbox_events", (worker,)] == 2
    assert found["stream_clients", ()] == 1
    assert found["database_up", ()] == 1
    assert 0 <= found["heartbeat_age_seconds", ()] < 30


def test_how_long_actions_took_is_a_histogram_that_outlives_the_monitor(site: Site) -> None:
    durations.add(
        site.db,
        [
            DurationCount("worker", "bash", 4, 3, 1, 0.25),
            DurationCount("worker", "bash", 13, 1, 0, 2000.0),
            DurationCount("worker", "log", 0, 9, 0, 0.001),
        ],
    )
    found = numbers(site)
    bash = (("action", "bash"), ("config_type", "worker"))
    steps = {le: found["action_seconds_bucket", (*bash, ("le", le))] for le in ("0.03", "0.1", "1000.0", "+Inf")}
    assert steps == {"0.03": 0, "0.1": 3, "1000.0": 3, "+Inf": 4}
    assert (found["action_seconds_count", bash], found["action_seconds_sum", bash]) == (4, 2000.25)
    assert found["action_failures_total", bash] == 1


def test_odd_names_do_not_break_the_format(site: Site) -> None:
    site.start('we"ird\\na\nme', config_type='x"\n\\', state='s"\n')
    assert (("machines", (("config_type", 'x"\n\\'), ("state", 's"\n'), ("status", "running")))) in numbers(site)


def test_what_happened_before_the_monitor_is_not_counted(site: Site, make_site: object) -> None:
    site.move("m", "a", "b")
    late = make_site()  # type: ignore[operator]
    assert ("transitions_total", (("config_type", "m"),)) not in numbers(late)


def test_every_kind_of_problem_is_there_before_it_occurs_and_counts_once_it_did(site: Site) -> None:
    problems.add(site.db, [ProblemCount("database_locked", 2, 12.5)])
    found = numbers(site)
    assert {name[1][0][1] for name in found if name[0] == "troubles_total"} == set(PROBLEM_KINDS)
    assert found["troubles_total", (("kind", "database_locked"),)] == 2
    assert found["trouble_seconds_total", (("kind", "database_locked"),)] == 12.5
    assert found["troubles_total", (("kind", "socket_gone"),)] == 0


def test_a_machine_that_can_write_no_heartbeat_grows_silent(site: Site) -> None:
    site.start("m", lease_s=3600.0)
    with site.db.write():
        site.db.execute("UPDATE machine_state SET alive_until = ?", (site.db.now() + 10,))
    assert 20 <= numbers(site)["heartbeat_age_seconds", ()] < 25


def test_a_database_that_cannot_be_read_is_said_and_nothing_else(site: Site) -> None:
    away = site.folder / "away.db"
    (site.folder / "store.db").rename(away)
    assert numbers(site) == {("database_up", ()): 0}
    away.rename(site.folder / "store.db")
    assert numbers(site)["database_up", ()] == 1

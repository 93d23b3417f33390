"""Numbers for Prometheus, as its own parser reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from statemachine_engine.storage import jobs, mailbox
from tests.support.until import until
from tests.web.conftest import Site


def numbers(site: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = site.ask("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name.removeprefix("statemachine_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


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
    assert found["state_seconds_count", (worker, ("state", "working"))] == 1
    assert found["jobs", (("job_type", "work"), ("status", "pending"))] == 1
    assert found["jobs", (("job_type", "work"), ("status", "scheduled"))] == 1
    assert 59 < found["job_oldest_pending_seconds", (("job_type", "work"),)] < 120
    assert found["jobs_ended_total", (("job_type", "work"), ("outcome", "completed"))] == 1
    assert found["mailbox_events", (worker,)] == 2
    assert found["stream_clients", ()] == 1


def test_odd_names_do_not_break_the_format(site: Site) -> None:
    site.start('we"ird\\na\nme', config_type='x"\n\\', state='s"\n')
    assert (("machines", (("config_type", 'x"\n\\'), ("state", 's"\n'), ("status", "running")))) in numbers(site)


def test_what_happened_before_the_monitor_is_not_counted(site: Site, make_site: object) -> None:
    site.move("m", "a", "b")
    late = make_site()  # type: ignore[operator]
    assert ("transitions_total", (("config_type", "m"),)) not in numbers(late)

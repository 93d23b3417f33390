"""The queue's page: finding jobs, seeing why one failed, trying it again, calling many off."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from statemachine_engine.storage import jobs
from tests.support.page import Monitor, seen

WORKER = """
name: Printer
initial_state: waiting
states: [waiting, printing, done, jammed]
events: [new_job, printed, jam, settled]
transitions:
  - {from: waiting, to: printing, event: new_job}
  - {from: printing, to: done, event: printed}
  - {from: printing, to: jammed, event: jam}
  - {from: [done, jammed], to: waiting, event: settled}
actions:
  waiting: [{type: check_database_queue, job_type: print}]
  printing: [{type: bash, command: "cat paper/{tray} >&2", success: printed, error: jam}]
  done: [{type: complete_job, result: {pages: 3}, success: settled}]
  jammed: [{type: fail_job, reason: "{last_stderr}", success: settled}]
"""


def test_a_failed_job_tells_why_and_is_retried_from_the_page(monitor: Monitor) -> None:
    monitor.write("printer.yaml", WORKER)
    jobs.enqueue(monitor.db, "letter", "print", data={"tray": "a4"})
    monitor.serve()
    monitor.run("printer.yaml")
    page = monitor.open("#/jobs")
    page.get_by_role("link", name="letter").click()
    detail = page.get_by_role("region", name="Job letter")
    expect(detail.get_by_text("paper/a4").first).to_be_visible()
    expect(detail.get_by_text("1 of 3")).to_be_visible()
    expect(detail.locator(".path")).to_contain_text("jammed")
    (monitor.folder / "paper").mkdir()
    (monitor.folder / "paper" / "a4").write_text("white")
    detail.get_by_role("button", name="Retry").click()
    expect(detail.locator(".status")).to_have_text("completed")
    expect(detail.get_by_label("Result")).to_contain_text('"pages": 3')
    expect(page.locator("tr.open .status")).to_have_text("completed")
    expect(detail.locator(".attempts tbody")).to_have_count(2)
    expect(detail.locator(".attempts tbody").first).to_contain_text("printer")
    expect(detail.locator(".attempts tbody").first).to_contain_text("failed")
    expect(detail.get_by_label("Output of attempt 1")).to_contain_text("No such file")
    page.get_by_label("Machine", exact=True).fill("printer")
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    page.get_by_label("Machine", exact=True).fill("nobody")
    expect(page.get_by_text("No job matches")).to_be_visible()
    monitor.project.until_jobs("completed", "letter")


def test_jobs_are_found_by_status_type_and_text_of_their_payload(monitor: Monitor) -> None:
    for number in range(150):
        kind = "scan" if number % 3 else "copy"
        jobs.enqueue(monitor.db, f"job_{number:03d}", kind, data={"customer": f"customer {number}"})
    jobs.fail(monitor.db, "job_007", "no toner")
    monitor.serve()
    page = monitor.open("#/jobs")
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Load more").click()
    expect(rows).to_have_count(150)
    failed = page.get_by_role("button", name="failed")
    failed.click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("no toner")
    failed.click()
    expect(failed).to_contain_class("bad")
    jobs.retry(monitor.db, "job_007")
    page.reload()
    expect(failed).to_contain_text("0")
    expect(failed).not_to_contain_class("bad")
    page.get_by_label("Search id and payload").fill("customer 142")
    expect(rows).to_have_count(1)
    page.get_by_label("Search id and payload").fill("")
    page.get_by_label("Type", exact=True).fill("copy")
    expect(rows).to_have_count(50)


def test_many_jobs_are_cancelled_after_one_question(monitor: Monitor) -> None:
    for number in range(5):
        jobs.enqueue(monitor.db, f"job_{number}", "scan")
    monitor.serve()
    page = monitor.open("#/jobs")
    page.get_by_label("Choose all jobs shown").check()
    page.get_by_label("Choose job job_3").uncheck()
    page.get_by_role("button", name="Cancel 4").click()
    page.get_by_role("button", name="Cancel them").click()
    expect(page.locator(".status-cancelled")).to_have_count(4)
    assert monitor.project.jobs("cancelled") == {"job_0", "job_1", "job_2", "job_4"}
    assert monitor.project.jobs("pending") == {"job_3"}


def test_a_job_is_added_from_the_page(monitor: Monitor) -> None:
    jobs.enqueue(monitor.db, "first", "scan")
    monitor.serve()
    page = monitor.open("#/jobs")
    page.get_by_role("button", name="Add a job…").click()
    page.get_by_label("Type", exact=True).last.fill("print")
    page.get_by_label("Id", exact=True).fill("second")
    page.get_by_label("Payload, as JSON").fill('{"tray": "a4"}')
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("link", name="second")).to_be_visible()
    details = monitor.project.job("second")
    assert "a4" in json.dumps(details)


def test_how_often_and_how_long_a_job_is_tried_may_be_said(monitor: Monitor) -> None:
    monitor.serve()
    page = monitor.open("#/jobs")
    page.get_by_role("button", name="Add a job…").click()
    page.get_by_label("Type", exact=True).last.fill("print")
    expect(page.get_by_label("Time limit of each")).to_be_hidden()
    page.locator("summary", has_text="Attempts").click()
    page.get_by_label("Time limit of each").fill("1.5")
    page.get_by_label("First wait between them").fill("0")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("table.jobs")).to_contain_text("print")
    (job,) = jobs.find(monitor.db)
    assert (job.time_limit_s, job.backoff_s, job.max_attempts) == (1.5, 0, 3)


def test_a_job_that_waits_for_another_attempt_says_why_and_until_when(monitor: Monitor) -> None:
    jobs.enqueue(monitor.db, "again", "work", backoff_s=3600)
    for _ in range(2):
        jobs.claim(monitor.db, owner="w", machine="press_1")
        jobs.retry(monitor.db, "again", owner="w", reason="no toner")
    monitor.serve()
    page = monitor.open("#/jobs/again")
    detail = page.locator(".job-detail")
    expect(detail.locator(".status-scheduled")).to_be_visible()
    expect(detail).to_contain_text("no toner")
    expect(detail).to_contain_text("2 of 3")
    expect(detail.locator("dt", has_text="Due")).to_be_visible()
    expect(detail.locator("table.attempts tbody")).to_have_count(2)


def test_a_huge_payload_does_not_hold_up_the_page(monitor: Monitor) -> None:
    jobs.enqueue(monitor.db, "huge", "work", data={"rows": ["x" * 100] * 20_000})
    monitor.serve()
    page = monitor.open("#/jobs/huge")
    payload = page.locator(".job-detail .code", has_text="rows")
    assert len(seen(lambda: payload.count() and payload.inner_text())) == 100_000
    expect(page.get_by_text("The first 100,000 of 2,")).to_be_visible()

"""Actions at work in machines that run."""

from __future__ import annotations

from statemachine_engine.storage import jobs, mailbox
from tests.support.until import until


def test_the_seeds_custom_action_works_as_its_readme_shows_it(start, action):
    action(
        "my_custom",
        """
        from statemachine_engine.actions import BaseAction

        class MyCustomAction(BaseAction):
            async def execute(self, context):
                param_value = self.config.get('params', {}).get('my_param')
                job_id = context.get('job_id')
                machine = self.get_machine_name(context)
                self.logger.info(f"Processing {job_id} on {machine}")
                context['seen'] = [param_value, machine]
                return self.config.get('params', {}).get('success', 'success')
        """,
    )
    machine = start("""
        initial_state: working
        transitions: [{from: working, to: done, event: job_done}]
        actions:
          working: [{type: my_custom, params: {my_param: value, success: job_done}}]
    """)

    machine.wait_for("done", 30)
    assert machine.context["seen"] == ["value", "m"]


def test_values_that_a_custom_action_sets_are_seen_by_the_next_one(start, action):
    action(
        "extract",
        """
        from statemachine_engine.actions import BaseAction

        class ExtractAction(BaseAction):
            def execute(self, context):
                context['file_path'] = context['event_data']['payload']['input_file']
        """,
    )
    machine = start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: extracting, event: go}
          - {from: extracting, to: done, event: job_done}
        actions:
          extracting:
            - {type: extract}
            - {type: bash, command: "echo {file_path}", store_as: said}
    """)
    machine.send("go", {"input_file": "a b.png"})

    machine.wait_for("done", 30)
    assert machine.context["said"] == "a b.png"


def test_log_can_be_overridden(start, action):
    action(
        "log",
        """
        from statemachine_engine.actions.builtin import LogAction as Original

        class LogAction(Original):
            def execute(self, context):
                context["overridden"] = self.config["message"]
                return super().execute(context)
        """,
    )
    machine = start("""
        initial_state: a
        transitions: [{from: a, to: b, event: next}]
        actions: {a: [{type: log, message: mine, success: next}]}
    """)

    machine.wait_for("b", 30)
    assert machine.context["overridden"] == "mine"


def test_an_edited_action_counts_from_the_next_entry_on(start, action):
    source = """
        from statemachine_engine.actions import BaseAction

        class AnswerAction(BaseAction):
            def execute(self, context):
                return "{event}"
    """
    action("answer", source.format(event="first"))
    machine = start("""
        initial_state: a
        transitions:
          - {from: a, to: b, event: first}
          - {from: b, to: a, event: again}
          - {from: a, to: c, event: second_one}
        actions: {a: [{type: answer}]}
    """)
    machine.wait_for("b", 30)
    action("answer", source.format(event="second_one"))
    machine.send("again")

    machine.wait_for("c", 30)


def test_a_worker_does_job_after_job_and_reports_each(start, runtime):
    start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: working, event: new_job}
          - {from: working, to: reporting, event: job_done}
          - {from: reporting, to: waiting, event: event_sent}
        actions:
          waiting: [{type: check_database_queue, job_type: add}]
          working: [{type: bash, command: "echo $(( {a} + {b} ))"}]
          reporting:
            - {type: complete_job, result: "{last_stdout|int}"}
            - {type: send_event, target: boss, event_type: done, payload: {job: "{job_id}", sum: "{last_stdout|int}"}}
    """)
    for number in range(3):
        jobs.enqueue(runtime.db, f"j{number}", "add", data={"a": number, "b": 40})
        runtime.router.notify("jobs", ("add", None), 1)

    events = until(lambda: len(found := mailbox.unread(runtime.db, "boss")) == 3 and found)
    assert [event.payload for event in events] == [{"job": f"j{n}", "sum": 40 + n} for n in range(3)]
    assert [event.job_id for event in events] == ["j0", "j1", "j2"]
    assert [jobs.get(runtime.db, f"j{n}").result for n in range(3)] == [40, 41, 42]  # type: ignore[union-attr]


def test_a_controller_goes_on_when_the_jobs_that_it_waits_for_have_ended(start):
    controller = start(
        """
        initial_state: adding
        transitions:
          - {from: adding, to: waiting, event: added}
          - {from: waiting, to: done, event: all_jobs_complete}
        actions:
          adding:
            - {type: enqueue_job, job_type: part, job_id: p1}
            - {type: add_to_list, list_key: spawned_jobs, value: "{enqueued_job_id}", success: added}
          waiting: [{type: wait_for_jobs}]
        """,
        "controller",
    )
    start(
        """
        initial_state: waiting
        transitions:
          - {from: waiting, to: working, event: new_job}
          - {from: working, to: waiting, event: success}
        actions:
          waiting: [{type: check_database_queue, job_type: part}]
          working: [{type: complete_job}]
        """,
        "worker",
    )

    controller.wait_for("done", 30)
    assert controller.context["completed_jobs"] == ["p1"]


def test_a_wait_for_jobs_ends_at_its_time_limit(start):
    machine = start(
        """
        initial_state: waiting
        transitions: [{from: waiting, to: gave_up, event: too_slow}]
        actions:
          waiting: [{type: wait_for_jobs, timeout: 0.2, timeout_event: too_slow}]
        """,
        spawned_jobs=["never"],
    )

    machine.wait_for("gave_up", 30)


def test_a_machine_waits_for_anothers_state(start):
    watcher = start(
        """
        initial_state: watching
        transitions: [{from: watching, to: done, event: in_expected_state}]
        actions:
          watching: [{type: check_machine_state, target_machine: other, expected_states: [ready]}]
        """,
        "watcher",
    )
    other = start(
        """
        initial_state: busy
        transitions: [{from: busy, to: ready, event: finish}]
        """,
        "other",
    )
    other.send("finish")

    watcher.wait_for("done", 30)


def test_events_that_were_cleared_are_not_handled(start, action, journal, runtime):
    action(
        "hold_on",
        """
        from statemachine_engine.actions import BaseAction
        from statemachine_engine.storage import mailbox

        class HoldOnAction(BaseAction):
            def execute(self, context):
                while len(mailbox.unread(self.services.db, "m")) < 3:
                    self.services.cancel.wait(0.005)
        """,
    )
    machine = start("""
        initial_state: cleaning
        transitions:
          - {from: cleaning, to: ready, event: events_cleared}
          - {from: ready, to: wrong, event: stale}
          - {from: ready, to: done, event: fresh}
        actions:
          cleaning:
            - {type: hold_on}
            - {type: clear_events, event_types: stale}
    """)
    for event in ("stale", "stale", "fresh"):
        machine.send(event)

    journal.wait_path("ready", "done")
    until(lambda: not mailbox.unread(runtime.db, "m"))
    statuses = {row.event_type: row.status for row in mailbox.list_(runtime.db, target="m")}
    assert statuses == {"stale": "ignored", "fresh": "processed"}


def test_a_failed_command_leads_to_its_own_state_with_the_job_at_hand(start, runtime):
    jobs.enqueue(runtime.db, "j1", "work")
    machine = start("""
        initial_state: waiting
        transitions:
          - {from: waiting, to: working, event: new_job}
          - {from: working, to: failing, event: job_failed}
          - {from: failing, to: done, event: success}
        actions:
          waiting: [{type: check_database_queue}]
          working: [{type: bash, command: "echo no >&2; exit 4", error: job_failed}]
          failing: [{type: fail_job, reason: "{last_error_exit_code}: {last_stderr}"}]
    """)

    machine.wait_for("done", 30)
    failed = jobs.get(runtime.db, "j1")
    assert failed is not None
    assert (failed.status, failed.error_message) == ("failed", "4: no")
